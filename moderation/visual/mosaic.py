"""Mosaic over a part of a frame: flat cells on a regular grid, which nothing that was filmed has.

An edge of a cell is sharp, straight, along the frame's axes and flat on both sides. Edges that hang together must stand
at equal distances across and down, with about the same pitch; cloth, tiles, windows and tables fail one of these.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from moderation.types import Box

Picture = NDArray[np.uint8]
Mask = NDArray[np.uint8]

# Pixels, in a frame whose longer side is at most `_SIDE`.
_SIDE, _SMALLEST, _RUN = 640, 24, 5
_NEAR = np.ones((3, 3), np.uint8)
# Of brightness: how much an edge changes at least, and how much its surroundings at most, a pixel.
_EDGE, _FLAT = 3.0, 1.1
_PITCHES = np.concatenate([np.arange(7.0, 30.0, 0.25), np.arange(30.0, 110.0, 0.5)])
# Blocks that video and JPEG are coded in, pixels of the frame as it came: coarse compression shows them.
_CODED, _CODED_WITHIN = (8.0, 16.0), 0.4
# How well edges must lie on a grid (1: exactly), how many lines and crossings it needs, how square its cells are.
# A mosaic has many tones, a drawn box or a digit few: so many that each fill this share.
_LEAST_TONES, _TONE, _TONE_SHARE = 5, 12, 0.02
_REGULAR, _LEAST_LINES, _LEAST_CROSSINGS, _SQUARE = 0.8, 4, 9, 1.25


def find_mosaics(image: Picture) -> list[tuple[Box, float]]:
    """Places under a mosaic with how regular their grid is (0..1), of a (H, W, 3) uint8 BGR frame."""
    import cv2

    scale = min(1.0, _SIDE / max(image.shape[:2]))
    small = image if scale == 1.0 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    if min(grey.shape) < _SMALLEST:
        return []
    upright = _edges(grey)
    level = np.ascontiguousarray(_edges(np.ascontiguousarray(grey.T)).T)
    crossings = cv2.bitwise_and(cv2.dilate(upright, _NEAR), cv2.dilate(level, _NEAR))
    joined = cv2.dilate(upright | level, _NEAR)
    count, _, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    height, width = grey.shape
    found = []
    for x, y, w, h, _ in boxes[1:count].tolist():
        if min(w, h) < _SMALLEST or cv2.connectedComponents(crossings[y : y + h, x : x + w])[0] - 1 < _LEAST_CROSSINGS:
            continue
        if _tones(grey[y : y + h, x : x + w]) < _LEAST_TONES:
            continue
        regular = _grid(upright[y : y + h, x : x + w], level[y : y + h, x : x + w], scale)
        if regular >= _REGULAR:
            found.append((Box(x / width, y / height, min(1.0, (x + w) / width), min(1.0, (y + h) / height)), regular))
    return found


def _edges(grey: NDArray[np.float32]) -> Mask:
    """Upright edges of cells, (H, W) uint8 0 or 1."""
    import cv2

    change = np.zeros_like(grey)
    change[:, 1:] = np.abs(np.diff(grey, axis=1))
    # A scaled mosaic spreads its step over two pixels.
    step = cv2.blur(change, (2, 1)) * 2
    highest = cv2.dilate(step, np.ones((1, 5), np.uint8))
    around = cv2.blur(change, (11, 1)) * 11 - cv2.blur(change, (5, 1)) * 5
    sharp = ((step >= _EDGE) & (step >= highest) & (around <= 6 * _FLAT)).astype(np.uint8)
    # Straight for some pixels, give or take one sideways.
    wide = cv2.dilate(sharp, np.ones((1, 3), np.uint8))
    straight = cv2.morphologyEx(wide, cv2.MORPH_OPEN, np.ones((_RUN, 1), np.uint8))
    return np.asarray(cv2.bitwise_and(sharp, straight), np.uint8)


def _tones(grey: NDArray[np.float32]) -> int:
    filled = np.bincount((grey // _TONE).astype(np.int64).ravel())
    return int((filled >= _TONE_SHARE * grey.size).sum())


def _grid(upright: Mask, level: Mask, scale: float) -> float:
    """How regular the lines of a place are: the worse of both directions, 0 where they make no grid of square cells."""
    across, pitch_x = _pitch(upright.sum(axis=0))
    down, pitch_y = _pitch(level.sum(axis=1))
    if min(pitch_x, pitch_y) == 0 or max(pitch_x, pitch_y) > _SQUARE * min(pitch_x, pitch_y):
        return 0.0
    if all(np.abs(np.array(_CODED) - pitch / scale).min() < _CODED_WITHIN for pitch in (pitch_x, pitch_y)):
        return 0.0
    return min(across, down)


def _pitch(weights: NDArray[np.integer]) -> tuple[float, float]:
    """The widest pitch at which most of the lines stand, and how well they do; 0 where they are too few."""
    places = np.flatnonzero(weights)
    if not len(places):
        return 0.0, 0.0
    lines = 1 + int((np.diff(places) > 3).sum())
    reach = float(places[-1] - places[0])
    pitches = _PITCHES[reach / (_LEAST_LINES - 1) + 1 >= _PITCHES]
    if lines < _LEAST_LINES or not len(pitches):
        return 0.0, 0.0
    turns = np.exp(2j * np.pi * places[None, :] / pitches[:, None])
    regular = np.abs(turns @ weights[places].astype(np.float64)) / weights[places].sum()
    good = np.flatnonzero(regular >= max(_REGULAR, float(regular.max()) - 0.05))
    return (float(regular[good[-1]]), float(pitches[good[-1]])) if len(good) else (0.0, 0.0)
