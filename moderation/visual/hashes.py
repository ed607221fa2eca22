"""Perceptual hashes of frames: 256 bits that stay nearly the same when a picture is encoded, scaled or captioned again.

The hash is PDQ (Meta, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019): luminance,
smoothed to 64 × 64, the 16 × 16 lowest frequencies of its cosine transform, each compared with their median. Here
the smoothing is an area average, which differs from the reference in a few bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from moderation.types import Frame

Picture = NDArray[np.uint8]
Bits = NDArray[np.uint64]

HASH_BITS = 256
_SIDE, _KEPT = 64, 16
_WORKING_SIDE = 256
_PART = 0.7
# A border may differ by this much in brightness within itself, and ends where a row or column spreads wider.
_BORDER_SPREAD = 4.0
_MOST_BORDER = 0.4
# Below this much change between neighbouring cells a picture is plain: all plain pictures hash alike.
_LEAST_DETAIL = 1.2


class View(IntEnum):
    """Which part of a frame a hash is of. A copy is looked up part by part: captions spoil only one of them."""

    WHOLE, UPPER, LOWER = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class FrameHashes:
    """One frame in several views: `bits` uint64 (V, 4), `views` uint8 (V,), which part each is of."""

    time_s: float
    bits: Bits
    views: NDArray[np.uint8]


def original_views(frame: Frame) -> FrameHashes | None:
    """A frame of a clip that goes into a bank: its parts, and cut at the sides as a copy may be. None if plain."""
    pictures = _pictures(frame)
    parts = [part for picture in pictures for part in _parts(picture)]
    return _hashed(frame.pts_s, [*parts, *((View.WHOLE, cut) for cut in _cuts(pictures[0]))])


def copy_views(frame: Frame) -> FrameHashes | None:
    """A frame of a clip that is looked up: its parts, as they are and mirrored. None for a plain frame."""
    parts = [part for picture in _pictures(frame) for part in _parts(picture)]
    return _hashed(frame.pts_s, [*parts, *((view, part[:, ::-1]) for view, part in parts)])


def without_border(grey: Picture) -> Picture:
    """The picture without bars of one colour at its sides, as letterboxes and frames add them."""
    rows, columns = _inner(grey), _inner(grey.T)
    return grey[rows, columns]


def _hashed(time_s: float, parts: Sequence[tuple[View, Picture]]) -> FrameHashes | None:
    small = [_shrunk(part) for _, part in parts]
    if _detail(small[0]) < _LEAST_DETAIL:
        return None
    views = np.array([view for view, _ in parts], np.uint8)
    return FrameHashes(time_s, np.stack([_pdq(part) for part in small]), views)


def _grey(image: Picture) -> Picture:
    """Luminance, at most 256 pixels a side: four times what the hash looks at."""
    import cv2

    height, width = image.shape[:2]
    factor = _WORKING_SIDE / max(height, width)
    if factor < 1:
        size = max(round(width * factor), 1), max(round(height * factor), 1)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)


def _pictures(frame: Frame) -> list[Picture]:
    """The frame without its bars and, where it has some, with them: a copy may have captions there."""
    whole = _grey(frame.image)
    inner = without_border(whole)
    return [inner] if inner.shape == whole.shape else [inner, whole]


def _parts(grey: Picture) -> list[tuple[View, Picture]]:
    most = max(round(len(grey) * _PART), 1)
    return [(View.WHOLE, grey), (View.UPPER, grey[:most]), (View.LOWER, grey[len(grey) - most :])]


def _cuts(grey: Picture) -> list[Picture]:
    """Cut at all sides, a little and more; and at two sides, in each corner."""
    height, width = grey.shape
    cuts = []
    for share in (0.04, 0.08):
        top, left = round(height * share), round(width * share)
        cuts.append(grey[top : height - top, left : width - left])
    top, left = round(height * 0.1), round(width * 0.1)
    cuts += [
        grey[rows, columns]
        for rows in (slice(top, None), slice(None, height - top))
        for columns in (slice(left, None), slice(None, width - left))
    ]
    return cuts


def _inner(grey: Picture) -> slice:
    """The range of rows between two bars of one colour; all of them where the bars would be most of the picture."""
    spread = grey.std(axis=1)
    busy = np.flatnonzero(spread > _BORDER_SPREAD)
    if not busy.size:
        return slice(None)
    first, last = int(busy[0]), int(busy[-1]) + 1
    if first + len(grey) - last > _MOST_BORDER * 2 * len(grey):
        return slice(None)
    return slice(first, last)


def _shrunk(grey: Picture) -> NDArray[np.float32]:
    import cv2

    return cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def _detail(small: NDArray[np.float32]) -> float:
    return float(np.abs(np.diff(small, axis=0)).mean() + np.abs(np.diff(small, axis=1)).mean())


def _pdq(small: NDArray[np.float32]) -> Bits:
    cosines = _cosines()
    frequencies = cosines @ small @ cosines.T
    return np.packbits(frequencies > np.median(frequencies)).view(np.uint64)


@cache
def _cosines() -> NDArray[np.float32]:
    """Rows 1 to 16 of the 64-point DCT-II: float32 (16, 64)."""
    k, n = np.arange(1, _KEPT + 1)[:, None], np.arange(_SIDE)[None, :]
    return (np.sqrt(2.0 / _SIDE) * np.cos(np.pi / (2 * _SIDE) * k * (2 * n + 1))).astype(np.float32)
