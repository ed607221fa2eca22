"""Read a transcript: terms inside each utterance and across the border of consecutive ones.

Speech recognisers and caption writers break sentences where the breath or the screen ends, so a
claim may begin in one utterance and end in the next, and so may the warning that makes it none.
Consecutive utterances are read once more as a pair: what crosses their border is added, and what a
guard lets go in the company of its neighbour is dropped.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moderation.text.matcher import Explained, TermMatch, TermMatcher, TextItem
from moderation.types import Box, Utterance

# A longer silence than this ends a thought; captions that overlap in time are two texts, not one.
MAX_PAUSE_S = 1.2
MAX_OVERLAP_S = 0.6
SENTENCE_PAUSE_S = 0.6
# Captions of one running text stand at the same height of the frame, in letters of one size.
MAX_LINE_SHIFT = 0.04
MAX_SIZE_RATIO = 1.5


@dataclass(frozen=True, slots=True)
class Reading:
    """A term found in an utterance (possibly one joined from two; then its time spans both)."""

    utterance: Utterance
    match: TermMatch


def read(utterances: Sequence[Utterance], matcher: TermMatcher, *, category: str | None = None) -> list[Reading]:
    """All term matches of a transcript, in the order of the utterances, then those across borders."""
    pairs = list(consecutive_pairs(utterances))
    texts = [*utterances, *(pair.joined for pair in pairs)]
    explained = matcher.explain_many([TextItem(u.text, category, u.source) for u in texts])
    alone, together = explained[: len(utterances)], explained[len(utterances) :]
    excused = {key for pair, found in zip(pairs, together, strict=True) for key in _excused(pair, found)}
    kept = [
        [match for match in found.matches if (number, match.entry, match.start) not in excused]
        for number, found in enumerate(alone)
    ]
    readings = [Reading(u, match) for u, matches in zip(utterances, kept, strict=True) for match in matches]
    readings += [
        Reading(pair.joined, match)
        for pair, found in zip(pairs, together, strict=True)
        for match in found.matches
        if match.start < pair.border < match.end and not _is_known(match, pair, kept)
    ]
    return readings


def _is_known(match: TermMatch, pair: Pair, kept: Sequence[Sequence[TermMatch]]) -> bool:
    """Whether one of the two says the same by itself, at least as strongly: then the shorter evidence is enough."""
    inside = [(m, m.start, m.end) for m in kept[pair.first]]
    inside += [(m, m.start + pair.second_at, m.end + pair.second_at) for m in kept[pair.second]]
    return any(
        m.label == match.label and start < match.end and end > match.start and match.strength in {m.strength, "review"}
        for m, start, end in inside
    )


@dataclass(frozen=True, slots=True)
class Pair:
    """Two consecutive utterances (by index) as one; the first ends at `border`, the second begins at `second_at`."""

    first: int
    second: int
    joined: Utterance
    border: int
    second_at: int


def _excused(pair: Pair, found: Explained) -> Iterator[tuple[int, str, int]]:
    """Matches inside one of the two that a guard or allow pattern lets go when both are read together."""
    for dropped in found.dropped:
        match = dropped.match
        if dropped.reason.startswith("merged:"):
            continue
        if match.end <= pair.border:
            yield pair.first, match.entry, match.start
        elif match.start >= pair.second_at:
            yield pair.second, match.entry, match.start - pair.second_at


def consecutive_pairs(utterances: Sequence[Utterance]) -> Iterator[Pair]:
    """Each utterance with the one that continues it, source by source."""
    by_source: dict[str, list[int]] = {}
    for number, utterance in enumerate(utterances):
        if utterance.source in {"speech", "screen", "subtitle"} and utterance.start_s is not None:
            by_source.setdefault(utterance.source, []).append(number)
    for group in by_source.values():
        ordered = sorted(group, key=lambda n: (utterances[n].start_s or 0.0, utterances[n].end_s or 0.0))
        starts = [utterances[n].start_s or 0.0 for n in ordered]
        for number in ordered:
            first = utterances[number]
            end = first.end_s if first.end_s is not None else first.start_s or 0.0
            near = ordered[bisect_left(starts, end - MAX_OVERLAP_S) : bisect_right(starts, end + MAX_PAUSE_S)]
            second = next((n for n in near if _continues(first, utterances[n])), None)
            if second is not None:
                yield _join(number, second, utterances)


def _continues(first: Utterance, second: Utterance) -> bool:
    if second is first or second.start_s is None or first.end_s is None or first.start_s is None:
        return False
    pause = second.start_s - first.end_s
    if not -MAX_OVERLAP_S <= pause <= MAX_PAUSE_S or second.start_s <= first.start_s:
        return False
    return first.source != "screen" or _same_line(first.box, second.box)


def _same_line(a: Box | None, b: Box | None) -> bool:
    if a is None or b is None:
        return False
    heights = sorted((max(a.y1 - a.y0, 1e-6), max(b.y1 - b.y0, 1e-6)))
    centre_shift = abs((a.y0 + a.y1) - (b.y0 + b.y1)) / 2
    return centre_shift <= MAX_LINE_SHIFT and heights[1] / heights[0] <= MAX_SIZE_RATIO


def _join(first_number: int, second_number: int, utterances: Sequence[Utterance]) -> Pair:
    first, second = utterances[first_number], utterances[second_number]
    assert first.end_s is not None
    assert second.start_s is not None
    # A real pause reads as a comma; a mere cut must not break a word, and the normaliser drops a space.
    gap = "，" if second.start_s - first.end_s >= SENTENCE_PAUSE_S else " "
    joined = Utterance(
        text=first.text + gap + second.text,
        source=first.source,
        start_s=first.start_s,
        end_s=second.end_s,
        box=second.box,
        confidence=min((c for c in (first.confidence, second.confidence) if c is not None), default=None),
    )
    return Pair(first_number, second_number, joined, len(first.text), len(first.text) + len(gap))
