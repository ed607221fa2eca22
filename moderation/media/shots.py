"""Tell when the picture changes, cheaply, so that near-identical frames are not read twice.

A frame is reduced to a small grey thumbnail; two thumbnails are compared by their mean and by
their worst tile. The mean finds cuts; the worst tile finds a caption or a price tag that changes
while the rest stands still.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moderation.types import Frame

_SIDE = 64
_TILES = 8
# Grey levels of 0..255, on a 64 × 64 thumbnail. A cut moves the mean; noise and compression do
# not move a tile's mean by more than a few levels.
CUT = 24.0
STILL_MEAN = 2.0
STILL_TILE = 6.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean absolute difference of two thumbnails in grey levels: of all, and of the worst tile of 64."""

    mean: float
    worst_tile: float

    @property
    def is_cut(self) -> bool:
        return self.mean >= CUT

    @property
    def is_still(self) -> bool:
        return self.mean <= STILL_MEAN and self.worst_tile <= STILL_TILE


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) BGR uint8 of any size to (64, 64) grey uint8, area averaged."""
    import cv2

    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Difference:
    """How far two thumbnails are apart."""
    gap = np.abs(a.astype(np.int16) - b.astype(np.int16)).astype(np.float32)
    tile = _SIDE // _TILES
    tiles = gap.reshape(_TILES, tile, _TILES, tile).mean(axis=(1, 3))
    return Difference(mean=float(gap.mean()), worst_tile=float(tiles.max()))


class ShotTracker:
    """Fed with frames in time order, says of each how it differs from the last one that was kept.

    Comparing with the last *kept* frame, not the last seen, so that a slow fade is not missed.
    """

    def __init__(self) -> None:
        self._kept: NDArray[np.uint8] | None = None
        self.shot = 0

    def is_new(self, frame: Frame) -> bool:
        """Whether the frame shows something that the last kept one did not; if so it is kept."""
        small = thumbnail(frame.image)
        if self._kept is not None:
            change = difference(self._kept, small)
            if change.is_still:
                return False
            self.shot += change.is_cut
        self._kept = small
        return True


def shot_changes(frames: Iterable[Frame]) -> Iterator[tuple[float, float]]:
    """`(seconds, mean difference)` of each frame that begins a new shot; the first frame is none."""
    before: NDArray[np.uint8] | None = None
    for frame in frames:
        small = thumbnail(frame.image)
        if before is not None and (change := difference(before, small)).is_cut:
            yield frame.pts_s, change.mean
        before = small
