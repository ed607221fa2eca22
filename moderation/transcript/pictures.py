"""Lines of text in a listing's picture, large and small: one look at all of it, then one at each band in full size.

Bands are as wide as the picture, because nearly all small print runs from left to right and must not be cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from moderation.transcript.engine import DetectedLine, OcrEngine
from moderation.transcript.lines import bounds_of
from moderation.transcript.regions import Rect

Image = NDArray[np.uint8]

# Bands overlap by this many pixels, so that a line on the border of one lies whole in the next.
_OVERLAP = 96
_BAND_LEAST = 2 * _OVERLAP
# A line of a band counts as found already when this share of it lies in a line found before.
_COVERED = 0.5
_EDGE = 3


def find_lines(engine: OcrEngine, image: Image, tile: int) -> list[DetectedLine]:
    """Lines in a (H, W, 3) BGR picture, corners in its pixels; the detector sees about `tile`² pixels at once."""
    height, width = image.shape[:2]
    longer = max(height, width)
    found = engine.detect(image, min(1.0, tile / longer))
    if longer <= tile:
        return found
    for top, bottom in _bands(height, max(tile * tile // width, _BAND_LEAST)):
        for line in engine.detect(image[top:bottom]):
            moved = DetectedLine(line.corners + np.array([0, top], np.float32), line.score)
            if not _is_cut(bounds_of(moved.corners), top, bottom, height) and not _is_known(moved, found):
                found.append(moved)
    return found


def _bands(height: int, band: int) -> Iterator[tuple[int, int]]:
    top = 0
    while True:
        bottom = min(top + band, height)
        yield top, bottom
        if bottom == height:
            return
        top = bottom - _OVERLAP


def _is_cut(rect: Rect, top: int, bottom: int, height: int) -> bool:
    """Whether it may go on in the next band."""
    return (rect.y0 <= top + _EDGE and top > 0) or (rect.y1 >= bottom - _EDGE and bottom < height)


def _is_known(line: DetectedLine, found: Sequence[DetectedLine]) -> bool:
    rect = bounds_of(line.corners)
    return any(rect.shared_with(bounds_of(other.corners)) >= _COVERED for other in found)
