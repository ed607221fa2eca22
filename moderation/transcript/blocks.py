"""Join lines that belong together into texts, in reading order: a claim may wrap over two lines.

A text is one utterance, so that terms are matched across its line ends and nothing is matched twice. Only neighbours
of one letter size, one direction and one time are joined, and only a few, so that the box stays near the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moderation.transcript.regions import Rect
from moderation.types import Box, Utterance

# Letter sizes of one text differ by rounding of the detector, not by more.
_SIZE_RATIO = 1.4
# Gaps in letter heights as detected, which already hold some air: between words of a row, between rows, columns.
_WORD_GAP, _ROW_GAP, _COLUMN_GAP = 1.0, 0.6, 0.8
_ALIGNED = 1.0
_SAME_ROW = 0.6
# Lines of one text come and go together, give or take a sample, or overlap for most of the longer one.
_TOGETHER_S, _TOGETHER_SHARE = 1.6, 0.75
_MOST_LINES = 6


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line with its place in pixels, letter height `size`, direction, and time (None in a picture)."""

    text: str
    confidence: float
    rect: Rect
    size: float
    is_column: bool
    frame_size: tuple[int, int]
    start_s: float | None = None
    end_s: float | None = None


def to_utterances(lines: Sequence[PlacedLine]) -> tuple[Utterance, ...]:
    """One utterance a text, in order of time, then from top to bottom.

    A lone letter is left out: corners and stripes of goods are read as one, and it says nothing by itself.
    """
    texts = [text for block in _blocks(lines) if len((text := _utterance(block)).text) > 1]
    return tuple(
        sorted(texts, key=lambda u: (u.start_s or 0.0, u.box.y0 if u.box else 0.0, u.box.x0 if u.box else 0.0))
    )


def _blocks(lines: Sequence[PlacedLine]) -> list[list[PlacedLine]]:
    """Grow blocks line by line in reading order, each line joining the block whose end it continues."""
    blocks: list[list[PlacedLine]] = []
    for line in _reading_order(lines):
        home = next((b for b in blocks if len(b) < _MOST_LINES and any(_belong(m, line) for m in b)), None)
        if home is None:
            blocks.append([line])
        else:
            home.append(line)
    return blocks


def _reading_order(lines: Sequence[PlacedLine]) -> list[PlacedLine]:
    """Rows from top to bottom, in a row from left to right; columns from right to left."""
    columns = sorted((line for line in lines if line.is_column), key=lambda line: (-line.rect.x1, line.rect.y0))
    rows: list[list[PlacedLine]] = []
    for line in sorted((line for line in lines if not line.is_column), key=lambda line: line.rect.y0):
        row = next(
            (r for r in rows if _overlap(r[0].rect.y0, r[0].rect.y1, line.rect.y0, line.rect.y1) > _SAME_ROW), None
        )
        if row is None:
            rows.append([line])
        else:
            row.append(line)
    return [line for row in rows for line in sorted(row, key=lambda line: line.rect.x0)] + columns


def _belong(a: PlacedLine, b: PlacedLine) -> bool:
    if a.is_column != b.is_column or a.frame_size != b.frame_size or not _together(a, b):
        return False
    if max(a.size, b.size) > _SIZE_RATIO * min(a.size, b.size):
        return False
    size = max(a.size, b.size)
    return _columns_touch(a.rect, b.rect, size) if a.is_column else _rows_touch(a.rect, b.rect, size)


def _rows_touch(a: Rect, b: Rect, size: float) -> bool:
    if _overlap(a.y0, a.y1, b.y0, b.y1) > _SAME_ROW:
        return max(a.x0, b.x0) - min(a.x1, b.x1) <= _WORD_GAP * size
    gap = max(a.y0, b.y0) - min(a.y1, b.y1)
    shifts = (abs(a.x0 - b.x0), abs(a.x1 - b.x1), abs(a.x0 + a.x1 - b.x0 - b.x1) / 2)
    return gap <= _ROW_GAP * size and min(shifts) <= _ALIGNED * size


def _columns_touch(a: Rect, b: Rect, size: float) -> bool:
    gap = max(a.x0, b.x0) - min(a.x1, b.x1)
    return gap <= _COLUMN_GAP * size and abs(a.y0 - b.y0) <= 2 * _ALIGNED * size


def _together(a: PlacedLine, b: PlacedLine) -> bool:
    if a.start_s is None or a.end_s is None or b.start_s is None or b.end_s is None:
        return True
    if abs(a.start_s - b.start_s) <= _TOGETHER_S and abs(a.end_s - b.end_s) <= _TOGETHER_S:
        return min(a.end_s, b.end_s) > max(a.start_s, b.start_s)
    shared = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    return shared >= _TOGETHER_SHARE * max(a.end_s - a.start_s, b.end_s - b.start_s)


def _overlap(a0: int, a1: int, b0: int, b1: int) -> float:
    """Overlap of two ranges as a share of the shorter one; negative where they are apart."""
    return (min(a1, b1) - max(a0, b0)) / max(min(a1 - a0, b1 - b0), 1)


def _utterance(block: Sequence[PlacedLine]) -> Utterance:
    rect = block[0].rect
    for line in block[1:]:
        rect = rect.joined(line.rect)
    width, height = block[0].frame_size
    letters = sum(len(line.text) for line in block)
    starts = [line.start_s for line in block if line.start_s is not None]
    ends = [line.end_s for line in block if line.end_s is not None]
    return Utterance(
        # A space: the text room drops it between Chinese words and keeps it between others.
        text=" ".join(line.text for line in block),
        source="screen",
        start_s=round(min(starts), 3) if starts else None,
        end_s=round(max(ends), 3) if ends else None,
        box=Box(rect.x0 / width, rect.y0 / height, rect.x1 / width, rect.y1 / height),
        confidence=round(sum(line.confidence * len(line.text) for line in block) / max(letters, 1), 4),
    )
