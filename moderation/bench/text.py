"""How fast texts are read and searched for terms, and classified.

The text is generated: short lines of live-room talk in many goods categories, with a share of lines
near the line and a few over it, taken from the lexicon's own counters and examples, because a search
that meets no term at all is faster than any real one.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml

from moderation.telemetry import settle_memory
from moderation.text.guards import Guards
from moderation.text.lexicon import Lexicon
from moderation.text.matcher import TermMatch, TermMatcher, TextItem
from moderation.text.normalise import join_lines, normalise

NEAR_SHARE, OVER_SHARE = 0.08, 0.02
PASSES = 3


@dataclass(frozen=True, slots=True)
class TextBench:
    """Speeds in megabytes (10^6 bytes) of UTF-8 a second on one core; the rest in seconds and lines.

    `tempting_mb_s`: one line in ten was written to come close to a term, or is a violation. `ordinary_mb_s`: none was.
    """

    megabytes: float
    lines: int
    load_s: float
    normalise_mb_s: float
    tempting_mb_s: float
    ordinary_mb_s: float
    per_line_us: float
    lines_with_matches: int


def live_room_lines(count: int, lexicon: Lexicon, *, seed: int = 0, tempting: bool = True) -> list[str]:
    """Lines of 10 to 60 characters as hosts say and captions show them."""
    talk: dict[str, list[str]] = yaml.safe_load((files("moderation.bench") / "live_room.yaml").read_text("utf-8"))
    chance = random.Random(seed)  # noqa: S311 - test text, no secret
    near = [text for entry in lexicon.entries for text in entry.counters]
    over = [text for entry in lexicon.entries for text in entry.examples]
    lines: list[str] = []
    for _ in range(count):
        draw = chance.random() if tempting else 1.0
        if draw < OVER_SHARE and over:
            lines.append(chance.choice(over))
        elif draw < OVER_SHARE + NEAR_SHARE and near:
            lines.append(chance.choice(near))
        else:
            facts = chance.choice(talk["joins"]).join(chance.sample(talk["facts"], chance.randint(1, 2)))
            opening = chance.choice(talk["openings"]) + chance.choice(talk["joins"]) if chance.random() < 0.4 else ""
            lines.append(opening + chance.choice(talk["goods"]) + facts + chance.choice(talk["endings"]))
    return lines


def bench_text(policy: Path, *, lines: int = 60_000, seed: int = 0) -> TextBench:
    """Load the lexicon and guards of the `policy` folder and time the search; about 15 s."""
    start = time.perf_counter()
    matcher = TermMatcher(Lexicon.load(policy / "lexicon"), Guards.load(policy / "guards.yaml"))
    loaded = time.perf_counter() - start
    settle_memory()
    texts = live_room_lines(lines, matcher.lexicon, seed=seed)
    size = sum(len(text.encode()) for text in texts) / 1e6
    # All that comes close to a term once before: a process that has run for a while has compiled its expressions.
    matcher.match_many([TextItem(t) for e in matcher.lexicon.entries for t in (*e.examples, *e.counters)])

    start = time.process_time()
    for first in range(0, lines, 4096):
        normalise(join_lines(texts[first : first + 4096])[0])
    normalised = time.process_time() - start
    tempting, matches = _speed(matcher, texts)
    ordinary, _ = _speed(matcher, live_room_lines(lines, matcher.lexicon, seed=seed, tempting=False))
    few = texts[:2000]
    start = time.process_time()
    for text in few:
        matcher.match(text)
    single = time.process_time() - start
    return TextBench(
        megabytes=size,
        lines=lines,
        load_s=loaded,
        normalise_mb_s=size / normalised,
        tempting_mb_s=tempting,
        ordinary_mb_s=ordinary,
        per_line_us=single / len(few) * 1e6,
        lines_with_matches=sum(1 for m in matches if m),
    )


def _speed(matcher: TermMatcher, texts: Sequence[str]) -> tuple[float, list[list[TermMatch]]]:
    """Megabytes a second, the middle one of several passes after one that warms up, and what was found."""
    items = [TextItem(text) for text in texts]
    matches = matcher.match_many(items)
    passes: list[float] = []
    for _ in range(PASSES):
        start = time.process_time()
        matcher.match_many(items)
        passes.append(time.process_time() - start)
    return sum(len(text.encode()) for text in texts) / 1e6 / statistics.median(passes), matches
