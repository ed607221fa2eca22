"""Say cheaply where in a frame new text may stand, so that only those places are looked at closely.

Text laid over moving pictures does two things that pictures do not: it brings strong strokes into cells that had
none, and its strokes stay in the same pixels from one sample to the next. Both are seen in the differences of
neighbouring pixels of the grey picture, at about a millisecond a frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from moderation.media.shots import Difference, difference

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# A cell is 16 × 16 pixels: about one letter of the smallest text that is read.
CELL = 16
# Grey levels between neighbouring pixels: of any stroke that is followed, and of one that is seen at once.
_EDGE, _STRONG_EDGE = 20, 60
# A stroke that keeps its pixel changes its grey level by less than this between samples (compression, light).
_SAME_LEVEL = 14
# Shares of a cell's pixels.
_STATIC_SHARE, _STRONG_SHARE, _STRONG_RISE = 0.12, 0.10, 0.06
# A cell that was examined counts as new again when its pixels moved by this many grey levels on average.
_NEW_LOOK = 12
# Three of four neighbouring cells make a run; less is no line of text.
_RUN, _RUN_OF = 3, 4
_MARGIN = CELL
_THUMBNAIL = 64


@dataclass(frozen=True, slots=True)
class Rect:
    """A part of a frame in whole pixels, `x1` and `y1` exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def area(self) -> int:
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def grown(self, by: int, width: int, height: int) -> Rect:
        """Larger by `by` pixels on every side, within a frame of this size."""
        return Rect(max(self.x0 - by, 0), max(self.y0 - by, 0), min(self.x1 + by, width), min(self.y1 + by, height))

    def meets(self, other: Rect) -> bool:
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def shared_with(self, other: Rect) -> float:
        """The share of this rectangle that lies in the other one."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0) * max(height, 0) / max(self.area, 1)

    def joined(self, other: Rect) -> Rect:
        return Rect(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def cut(self, image: Image) -> Image:
        return image[self.y0 : self.y1, self.x0 : self.x1]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the gate sees of a frame: grey (H, W) uint8 and the largest step to a neighbouring pixel, same shape."""

    grey: Image
    edges: Image
    thumbnail: Image
    strong: NDArray[np.float32]

    @classmethod
    def of(cls, image: Image) -> View:
        """From a (H, W, 3) BGR picture."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        edges = np.zeros_like(grey)
        cv2.absdiff(grey[:, 1:], grey[:, :-1], edges[:, 1:])
        edges[1:] = cv2.max(edges[1:], cv2.absdiff(grey[1:], grey[:-1]))
        thumbnail = np.asarray(cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA), np.uint8)
        return cls(grey, edges, thumbnail, _share(edges > _STRONG_EDGE))


class Gate:
    """Remembers the frame before and how each place looked when it was last examined."""

    def __init__(self) -> None:
        self._before: View | None = None
        self._examined: Image | None = None

    def difference(self, view: View) -> Difference | None:
        """How far the frame is from the one before; None for the first, or where the size changed."""
        before = self._before
        if before is None or before.grey.shape != view.grey.shape:
            return None
        return difference(before.thumbnail, view.thumbnail)

    def new_places(self, view: View, known: Iterable[Rect]) -> list[Rect]:
        """Where text may have appeared, outside of `known` lines that are still there."""
        before = self._before
        assert before is not None
        assert self._examined is not None
        appeared = (view.strong >= _STRONG_SHARE) & (view.strong - before.strong >= _STRONG_RISE)
        steady = (view.edges > _EDGE) & (before.edges > _EDGE) & (cv2.absdiff(view.grey, before.grey) < _SAME_LEVEL)
        looks_new = _cells(np.asarray(cv2.absdiff(view.grey, self._examined), np.uint8)) >= _NEW_LOOK
        cells = appeared | ((_share(steady) >= _STATIC_SHARE) & looks_new)
        for rect in known:
            cells[rect.y0 // CELL : -(-rect.y1 // CELL), rect.x0 // CELL : -(-rect.x1 // CELL)] = False
        return _rects_of(cells, view.grey.shape)

    def remember(self, view: View) -> None:
        """Make this frame the one before."""
        self._before = view

    def examined(self, view: View, rect: Rect) -> None:
        """Note that all text in this part was looked for, small text too."""
        if self._examined is None or self._examined.shape != view.grey.shape:
            self._examined = np.zeros_like(view.grey)
        rect.cut(self._examined)[:] = rect.cut(view.grey)


def merge(rects: Sequence[Rect]) -> list[Rect]:
    """Join rectangles that meet until none do."""
    merged: list[Rect] = []
    for rect in rects:
        while (other := next((m for m in merged if m.meets(rect)), None)) is not None:
            merged.remove(other)
            rect = rect.joined(other)
        merged.append(rect)
    return merged


def _cells(image: Image) -> NDArray[np.float32]:
    """Mean of each cell of a (H, W) uint8 picture; the last row and column may stand for less than a whole cell."""
    height, width = image.shape
    size = (-(-width // CELL), -(-height // CELL))
    if width % CELL or height % CELL:
        padding = (0, size[1] * CELL - height, 0, size[0] * CELL - width)
        image = np.asarray(cv2.copyMakeBorder(image, *padding, cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _share(mask: Mask) -> NDArray[np.float32]:
    return _cells(mask.view(np.uint8) * np.uint8(255)) / np.float32(255)


def _rects_of(cells: Mask, shape: tuple[int, ...]) -> list[Rect]:
    """Rectangles in pixels around the runs of cells, with a margin."""
    height, width = shape[0], shape[1]
    flags = cells.astype(np.float32)
    along = cv2.filter2D(flags, -1, np.ones((1, _RUN_OF), np.float32), borderType=cv2.BORDER_CONSTANT) >= _RUN
    down = cv2.filter2D(flags, -1, np.ones((_RUN_OF, 1), np.float32), borderType=cv2.BORDER_CONSTANT) >= _RUN
    runs = cv2.dilate((along | down).astype(np.uint8), np.ones((3, 3), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    rects = [
        Rect(x * CELL, y * CELL, (x + w) * CELL, (y + h) * CELL).grown(_MARGIN, width, height)
        for x, y, w, h in (stats[i, :4].tolist() for i in range(1, count))
    ]
    return merge(rects)
