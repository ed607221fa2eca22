"""Near-duplicates by MinHash (Broder 1997) over character triples, and splits that keep what belongs together."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from moderation.text.normalise import normalise
from training.examples import Example

_HASHES, _BANDS = 64, 16
_SHINGLE = 3
_PRIME = (1 << 31) - 1


def near_duplicates(texts: Sequence[str], *, similarity: float = 0.8) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), i < j, whose sets of character triples overlap by at least `similarity` (Jaccard).

    Candidates come from banded MinHash (64 hashes in 16 bands: a pair at 0.8 is missed once in 5,000), and are then
    compared exactly. Of a text, only the letters and digits count, as read by `normalise`.
    """
    shingles = [_shingles(text) for text in texts]
    rows = 64 // _BANDS
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, signature in enumerate(_signatures(shingles)):
        for band in range(_BANDS):
            buckets[band, signature[band * rows : (band + 1) * rows].tobytes()].append(index)
    seen: set[tuple[int, int]] = set()
    for members in buckets.values():
        for position, j in enumerate(members):
            for i in members[:position]:
                if (i, j) in seen:
                    continue
                seen.add((i, j))
                if len(shingles[i] & shingles[j]) >= similarity * len(shingles[i] | shingles[j]):
                    yield i, j


def grouped(examples: Sequence[Example]) -> list[int]:
    """A group number for each example: one for all that a `group`, near-duplicates or a chain of these joins."""
    parent = list(range(len(examples)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, example in enumerate(examples):
        if example.group:
            parent[root(i)] = root(first.setdefault(example.group, i))
    for i, j in near_duplicates([e.text for e in examples]):
        parent[root(i)] = root(j)
    return [root(i) for i in range(len(examples))]


def split(examples: Sequence[Example], shares: Sequence[float], *, seed: int) -> list[list[Example]]:
    """Parts of about `shares` of the examples (they sum to 1), no group in two of them.

    Whole groups are dealt in an order that depends on the seed and the texts alone, each to the part that is
    furthest from its share of the labels that the group carries; so rare labels are spread as evenly as groups allow.
    """
    groups: dict[int, list[Example]] = defaultdict(list)
    for number, example in zip(grouped(examples), examples, strict=True):
        groups[number].append(example)

    def order(members: list[Example]) -> tuple[int, bytes]:
        key = f"{seed}\0{min(e.text for e in members)}".encode("utf-8", "surrogatepass")
        return -len(members), hashlib.sha256(key).digest()

    parts: list[list[Example]] = [[] for _ in shares]
    totals = _tally(examples)
    filled = [dict.fromkeys(totals, 0) for _ in shares]
    for members in sorted(groups.values(), key=order):
        tally = _tally(members)

        def need(part: int, tally: dict[str, int] = tally) -> float:
            return sum(
                n * (1.0 - filled[part][key] / max(shares[part] * totals[key], 1e-9)) / totals[key]
                for key, n in tally.items()
            )

        part = max(range(len(shares)), key=need)
        parts[part] += members
        for key, n in tally.items():
            filled[part][key] += n
    return parts


def _tally(examples: Sequence[Example]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for example in examples:
        for key in (*example.labels, f"{example.language} items"):
            counts[key] += 1
    return dict(counts)


def _shingles(text: str) -> frozenset[int]:
    plain = "".join(filter(str.isalnum, normalise(text).text))
    pieces = {plain[i : i + _SHINGLE] for i in range(max(len(plain) - _SHINGLE + 1, 1))}
    return frozenset(
        int.from_bytes(hashlib.blake2b(p.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "big") >> 1
        for p in pieces
    )


def _signatures(shingles: Sequence[frozenset[int]]) -> Iterator[NDArray[np.int64]]:
    rng = np.random.default_rng(1997)
    a = rng.integers(1, _PRIME, (_HASHES, 1), dtype=np.int64)
    b = rng.integers(0, _PRIME, (_HASHES, 1), dtype=np.int64)
    for members in shingles:
        values = np.fromiter(members, np.int64, len(members)) % _PRIME
        yield ((a * values[None, :] + b) % _PRIME).min(axis=1)
