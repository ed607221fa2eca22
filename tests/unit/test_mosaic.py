"""Mosaics over a part of a frame: found by their grid; cloth, tables, digits and compression are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from moderation.visual.mosaic import find_mosaics

Picture = NDArray[np.uint8]


def cloth(seed: int = 0, shape: tuple[int, int] = (640, 480)) -> Picture:
    """Soft shapes with a fine texture."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(30, 220, (12, 9, 3), np.uint8), shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0, 4, (*shape, 1)), 0, 255).astype(np.uint8)


def hidden(image: Picture, cell: int, x: int = 150, y: int = 200, cells: tuple[int, int] = (7, 6)) -> Picture:
    image = image.copy()
    place = image[y : y + cells[0] * cell, x : x + cells[1] * cell]
    small = cv2.resize(place, cells[::-1], interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(cell)
    small = np.clip(small + rng.normal(0, 25, (*cells, 1)), 0, 255).astype(np.uint8)
    place[:] = cv2.resize(small, place.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return image


def compressed(image: Picture, quality: int = 60) -> Picture:
    decoded = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8)


@pytest.mark.parametrize("cell", [12, 17, 25])
@pytest.mark.parametrize("quality", [100, 85])
def test_a_mosaic_is_found_where_it_is(cell: int, quality: int) -> None:
    found = find_mosaics(compressed(hidden(cloth(), cell), quality))
    x0, y0, x1, y1 = 150 / 480, 200 / 640, (150 + 6 * cell) / 480, (200 + 7 * cell) / 640
    assert found
    for box, regular in found:
        assert regular >= 0.8
        assert x0 - 0.03 <= box.x0 < box.x1 <= x1 + 0.03
        assert y0 - 0.03 <= box.y0 < box.y1 <= y1 + 0.03
    assert sum((b.x1 - b.x0) * (b.y1 - b.y0) for b, _ in found) > 0.5 * (x1 - x0) * (y1 - y0)


def test_a_mosaic_survives_being_scaled() -> None:
    larger = cv2.resize(hidden(cloth(), 20), None, fx=1.37, fy=1.37, interpolation=cv2.INTER_LINEAR)
    assert len(find_mosaics(compressed(larger.astype(np.uint8), 90))) >= 1


def test_what_is_no_mosaic() -> None:
    table = np.full((640, 480, 3), 240, np.uint8)
    for at in range(60, 460, 50):
        cv2.line(table, (at, 40), (at, 600), (60, 60, 60), 2)
        cv2.line(table, (40, at + 60), (440, at + 60), (60, 60, 60), 2)
    checks = ((np.indices((640, 480)) // 30).sum(axis=0) % 2 * 120 + 60).astype(np.uint8)
    for picture in (
        cloth(),
        compressed(cloth(1), 8),
        table,
        np.dstack([checks] * 3),
        np.zeros((640, 480, 3), np.uint8),
    ):
        assert find_mosaics(picture) == []


@settings(max_examples=25)
@given(arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60), st.just(3))))
def test_any_picture_is_answered(image: Picture) -> None:
    for box, _ in find_mosaics(image):
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
