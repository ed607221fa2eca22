"""Read a transcript: terms inside each utterance and across the border of consecutive ones.

Speech recognisers and caption writers break sentences where the breath or the screen ends, so a
claim may begin in one utterance and end in the next. Consecutive utterances are read once more as
a pair, and only what crosses their border is kept from that second reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moderation.text.matcher import TermMatch, TermMatcher, TextItem
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
    """All term matches of a transcript, in the order of the utterances."""
    pairs = list(_joined_pairs(utterances))
    texts = [*utterances, *(joined for joined, _ in pairs)]
    borders = [None] * len(utterances) + [border for _, border in pairs]
    matches = matcher.match_many([TextItem(u.text, category, u.source) for u in texts])
    return [
        Reading(utterance, match)
        for utterance, border, found in zip(texts, borders, matches, strict=True)
        for match in found
        if border is None or match.start < border < match.end
    ]


def _joined_pairs(utterances: Sequence[Utterance]) -> Iterator[tuple[Utterance, int]]:
    """Each pair of consecutive utterances as one, with the border's offset in the joined text."""
    by_source: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        if utterance.source in {"speech", "screen", "subtitle"} and utterance.start_s is not None:
            by_source.setdefault(utterance.source, []).append(utterance)
    for group in by_source.values():
        ordered = sorted(group, key=lambda u: (u.start_s or 0.0, u.end_s or 0.0))
        for first in ordered:
            second = next((u for u in ordered if _continues(first, u)), None)
            if second is not None:
                yield _join(first, second)


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


def _join(first: Utterance, second: Utterance) -> tuple[Utterance, int]:
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
    return joined, len(first.text)
