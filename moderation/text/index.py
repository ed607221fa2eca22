"""One search for the words of all rules at once, and which rules are worth trying where.

Every rule names one or more blocks of words, and every match of it holds a word of each. The words of all
rules are found by one Aho-Corasick pass; a rule is tried only at hits of its first block that have a hit
of each other block near them, which numpy decides for a whole batch of texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

import ahocorasick_rs
import numpy as np
from numpy.typing import NDArray

RuleT = TypeVar("RuleT")
# Farther than any text reaches.
_BEYOND = 1 << 60


@dataclass(frozen=True, slots=True)
class Need:
    """A word of this block must begin at most `before` characters before, or `after` behind, the first hit."""

    words: tuple[str, ...]
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Lookup(Generic[RuleT]):
    """What to search for on behalf of a rule: `words` first, then what must stand near them."""

    rule: RuleT
    words: tuple[str, ...]
    needs: tuple[Need, ...] = ()


class Index(Generic[RuleT]):
    """The words of many rules."""

    def __init__(self, lookups: Iterable[Lookup[RuleT]]) -> None:
        self._groups: dict[tuple[str, ...], int] = {}
        self._by_first: dict[int, list[tuple[RuleT, tuple[tuple[int, int, int], ...]]]] = {}
        for lookup in lookups:
            needs = tuple((self._group(need.words), need.before, need.after) for need in lookup.needs)
            self._by_first.setdefault(self._group(lookup.words), []).append((lookup.rule, needs))
        numbers: dict[str, int] = {}
        groups_of: list[list[int]] = []
        for words, group in self._groups.items():
            for word in words:
                number = numbers.setdefault(word, len(numbers))
                if number == len(groups_of):
                    groups_of.append([])
                groups_of[number].append(group)
        self._counts = np.array([len(g) for g in groups_of], dtype=np.int64)
        self._offsets = np.cumsum(self._counts) - self._counts
        self._flat = np.array(list(chain.from_iterable(groups_of)), dtype=np.int64)
        self._group_type = np.min_scalar_type(len(self._groups))
        self._automaton = ahocorasick_rs.AhoCorasick(list(numbers), store_patterns=False) if numbers else None

    def __len__(self) -> int:
        """The number of different words."""
        return len(self._counts)

    def candidates(self, text: str) -> Iterator[tuple[RuleT, list[int], list[int]]]:
        """Each rule that may match, with the starts and ends of its first block's words there."""
        hits = self._automaton.find_matches_as_indexes(text, overlapping=True) if self._automaton else []
        if not hits:
            return
        places = self._by_group(np.fromiter(chain.from_iterable(hits), dtype=np.int64, count=3 * len(hits)))
        for group, (all_starts, all_ends) in places.items():
            starts, ends = all_starts[:-1], all_ends[:-1]
            for rule, needs in self._by_first.get(group, ()):
                if any(need[0] not in places for need in needs):
                    continue
                near = _near(starts, ends, needs, places)
                if near is None:
                    yield rule, starts.tolist(), ends.tolist()
                elif near.size:
                    yield rule, starts[near].tolist(), ends[near].tolist()

    def _group(self, words: tuple[str, ...]) -> int:
        return self._groups.setdefault(words, len(self._groups))

    def _by_group(self, flat_hits: NDArray[np.int64]) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Group → starts and ends of its words, sorted by start; the last of each is `_BEYOND`, so that a search
        among them always ends at one."""
        numbers, starts, ends = flat_hits.reshape(-1, 3).T
        counts = self._counts[numbers]
        hit = np.repeat(np.arange(len(numbers)), counts)
        within = np.arange(len(hit)) - np.repeat(np.cumsum(counts) - counts, counts)
        groups = self._flat[self._offsets[numbers][hit] + within]
        # Two stable sorts: hits come almost in order of their start, and groups are few enough for a radix sort.
        hit = hit[by_start := np.argsort(starts[hit], kind="stable")]
        # Of many lines nearly all groups are met, and need no looking up.
        if len(groups) < len(self._groups):
            every, counts = np.unique(groups, return_counts=True)
        else:
            every, counts = np.arange(len(self._groups)), np.bincount(groups, minlength=len(self._groups))
        groups = np.concatenate((groups[by_start], every)).astype(self._group_type)
        order = np.argsort(groups, kind="stable")
        beyond = np.full(len(every), _BEYOND)
        starts, ends = np.concatenate((starts[hit], beyond))[order], np.concatenate((ends[hit], beyond))[order]
        lasts = np.cumsum(counts + 1).tolist()
        return {
            group: (starts[first:last], ends[first:last])
            for group, first, last in zip(every.tolist(), [0, *lasts[:-1]], lasts, strict=True)
            if last - first > 1
        }


def _near(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    needs: tuple[tuple[int, int, int], ...],
    places: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> NDArray[np.intp] | None:
    """Indexes of the hits that have all `needs` near them; None stands for every hit."""
    near: NDArray[np.intp] | None = None
    for group, before, after in needs:
        there = places[group][0]
        here, until = (starts, ends) if near is None else (starts[near], ends[near])
        ok = np.flatnonzero(there[np.searchsorted(there, here - before)] <= until + after)
        near = ok if near is None else near[ok]
        if not near.size:
            break
    return near
