"""QR codes and other matrix codes on screen, tracked over frames. Decoding by zxing-cpp (Apache-2.0).

zxing-cpp bears tilt and slight blur. What it misses is looked at again: a place as full of even detail as a code is
straightened, and the blur of lens or motion is taken out of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moderation.types import Box, Frame

logger = logging.getLogger(__name__)

# A code seen again after a longer pause is a new appearance.
MAX_GAP_S = 3.0
_SYMBOLOGIES = "QRCode,MicroQRCode,DataMatrix"
# A hostile video may show another code in every frame; a reviewer needs no more than this.
MAX_SIGHTINGS = 200

# Detail is mapped in cells of this many pixels; a code is at least that many cells long.
_CELL, _LEAST = 8, 9
# No one level of detail parts every code from every background, so each level gives its own outlines.
_LEVELS = (7, 10, 14, 19, 26, 36, 50, 70, 95)
# Bounds on the work that a hostile frame can ask for.
_MAX_OUTLINES, _MAX_TRIES = 100, 4
# A place is straightened onto a square of this side, with a margin because its outline is not exact.
_SIDE, _MARGIN = 256, 33
# Blurs taken out, in pixels of that square (zxing-cpp bears shorter ones), turns (radians) from the direction that was
# estimated, and the noise to expect.
_BLURS, _TURNS, _NOISE = (7.5, 10.0, 13.0, 16.5, 21.0), (0.0, -0.09, 0.09), 0.01

Picture = NDArray[Any]
# Text, symbology and corners; the text is empty where it is plainly a code but cannot be read.
Code = tuple[str, str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class CodeSighting:
    """One code over the time it stayed on screen; `text` is its payload, `box` its place in the middle of that time."""

    text: str
    symbology: str
    start_s: float
    end_s: float
    box: Box


@dataclass(slots=True)
class _Track:
    """A code while it is on screen: where it was in each frame."""

    text: str
    symbology: str
    places: list[tuple[float, Box]] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        return self.places[-1][0]

    def sighting(self) -> CodeSighting:
        start, end = self.places[0][0], self.end_s
        # The picture of the evidence is taken in the middle; a code that moves was there then.
        box = min(self.places, key=lambda place: abs(place[0] - (start + end) / 2))[1]
        return CodeSighting(self.text, self.symbology, start, end, box)


class CodeReader:
    """Reads codes frame by frame; `finish` gives the sightings. One reader a video, not thread-safe."""

    def __init__(self) -> None:
        self._open: dict[str, _Track] = {}
        self._closed: list[CodeSighting] = []
        self._frames = self._failed = self._left_out = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be read, in plain words."""
        said: list[str] = []
        if self._failed:
            said.append(f"codes: {self._failed} of {self._frames} frames could not be searched for codes.")
        if self._left_out:
            said.append(f"codes: more than {MAX_SIGHTINGS} codes were shown; {self._left_out} later ones are left out.")
        return tuple(said)

    def push(self, frame: Frame) -> None:
        """Look at one frame ((H, W, 3) uint8 BGR); frames come in time order. Never raises for a frame's content."""
        self._frames += 1
        try:
            found = _decode(frame)
        except Exception:
            logger.log(logging.DEBUG if self._failed else logging.ERROR, "codes at %.2f s", frame.pts_s, exc_info=True)
            self._failed += 1
            return
        self._close_before(frame.pts_s - MAX_GAP_S)
        for text, symbology, box in found:
            if text not in self._open and len(self._open) + len(self._closed) >= MAX_SIGHTINGS:
                self._left_out += 1
                continue
            self._open.setdefault(text, _Track(text, symbology)).places.append((frame.pts_s, box))

    def finish(self) -> list[CodeSighting]:
        """All sightings in time order."""
        self._close_before(float("inf"))
        return sorted(self._closed, key=lambda s: (s.start_s, s.text))

    def _close_before(self, time_s: float) -> None:
        gone = [text for text, track in self._open.items() if track.end_s < time_s]
        self._closed += [self._open.pop(text).sighting() for text in gone]


def _decode(frame: Frame) -> list[tuple[str, str, Box]]:
    """The codes of a frame: read as it is, read sharpened, then once more wherever a code seems to be left."""
    import cv2

    grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
    crisp = cv2.addWeighted(grey, 3.0, cv2.blur(grey, (7, 7)), -2.0, 0.0)
    codes = _read(grey, _SYMBOLOGIES) + _read_qr(crisp)
    places = [corners for text, symbology, corners in codes if not text and symbology == "QRCode"][:2]
    tries = 0
    for place in places + _suspects(grey):
        x, y = place.mean(axis=0).tolist()
        # Beside a code that was read, too: an innocent one must not hide a blurred one.
        if tries < _MAX_TRIES and not any(t and cv2.pointPolygonTest(c, (x, y), False) >= 0 for t, _, c in codes):
            codes += _look_closer(grey, place)
            tries += 1
    found = {}
    for text, symbology, corners in codes:
        if text:
            shares = np.clip(corners / grey.shape[::-1], 0.0, 1.0)
            found.setdefault(text, (text, symbology, Box(*shares.min(axis=0).tolist(), *shares.max(axis=0).tolist())))
    return list(found.values())


def _read(grey: Picture, symbologies: str) -> list[Code]:
    import zxingcpp

    codes = []
    formats = zxingcpp.barcode_formats_from_str(symbologies)
    for code in zxingcpp.read_barcodes(grey, formats=formats, return_errors=True):
        at = code.position
        corners = [(p.x, p.y) for p in (at.top_left, at.top_right, at.bottom_right, at.bottom_left)]
        codes.append((code.text if code.valid else "", code.format.name, np.array(corners, np.float32)))
    return codes


def _read_qr(sharpened: Picture) -> list[Code]:
    # "QRCode" asks for micro QR too, whose few check bits are met by chance in what sharpening makes of a picture.
    return [code for code in _read(sharpened, "QRCode") if code[1] == "QRCode"]


def _suspects(grey: Picture) -> list[Picture]:
    """Corners of places full of even detail, the most even first: that much is left of a code under any blur."""
    import cv2

    height, width = grey.shape
    if min(height, width) < _CELL * _LEAST:
        return []
    half = cv2.resize(grey, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    across, down = (cv2.convertScaleAbs(cv2.Sobel(half, cv2.CV_16S, dx, 1 - dx), alpha=0.5) for dx in (1, 0))
    detail = cv2.addWeighted(across, 0.5, down, 0.5, 0)
    detail = cv2.resize(detail, (width // _CELL, height // _CELL), interpolation=cv2.INTER_AREA)
    block = np.ones((3, 3), np.uint8)
    detail = cv2.morphologyEx(detail, cv2.MORPH_CLOSE, block)
    outlines = []
    for level in _LEVELS:
        solid = cv2.morphologyEx((detail > level).astype(np.uint8), cv2.MORPH_OPEN, block)
        found = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        outlines += [outline for outline in found if len(outline) >= 2 * _LEAST]
    quads = [quad for outline in outlines if (quad := _four_corners(outline)) is not None][:_MAX_OUTLINES]
    scored = [(score, quad) for quad in quads if (score := _unevenness(grey, quad)) is not None]
    kept: dict[tuple[float, ...], Picture] = {}
    for _, quad in sorted(scored, key=lambda pair: pair[0]):
        size = cv2.contourArea(quad) ** 0.5
        place = (*quad.mean(axis=0).tolist(), size)
        if all(np.abs(np.subtract(place, other)).max() > 0.12 * size for other in kept):
            kept[place] = quad
    return list(kept.values())


def _four_corners(outline: Picture) -> Picture | None:
    """The corners, in pixels, of the quadrilateral that an outline (in cells) fills; None without one of a fit size."""
    import cv2

    # An outline runs through the middle of its outermost cells: half a cell more belongs to it all round.
    filled = cv2.contourArea(outline) + len(outline) / 2 + 1
    centre, (wide, high), angle = cv2.minAreaRect(outline)
    short, long = sorted((wide + 1, high + 1))
    if long < _LEAST or short < 4 or long > 3 * short:
        return None
    corners = cv2.boxPoints((centre, (wide + 1, high + 1), angle))
    if filled < 0.7 * short * long:
        # A tilt this strong leaves no rectangle.
        corners = cv2.approxPolyN(outline, 4, ensure_convex=True).reshape(-1, 2).astype(np.float32)
        area = cv2.contourArea(corners) + cv2.arcLength(corners, closed=True) / 2 + 1
        if len(corners) != 4 or filled < 0.78 * area:
            return None
        corners += (corners - corners.mean(axis=0)) / area**0.5
    return (corners + 0.5) * _CELL


def _unevenness(grey: Picture, quad: Picture) -> float | None:
    """How far the parts of a place differ in brightness; None for what is no code: patchy, dark, bright or empty."""
    import cv2

    inner = _straighten(grey, quad, 64, 0, cv2.INTER_NEAREST)[0][4:-4, 4:-4].astype(np.float32)
    dark, bright = np.partition(inner, (125, -126), axis=None)[[125, -126]]
    parts = np.clip((inner - dark) / max(bright - dark, 12.0), 0.0, 1.0).reshape(4, 14, 4, 14)
    means, empty = parts.mean(axis=(1, 3)), parts.std(axis=(1, 3)).min() < 0.1
    return None if empty or means.std() > 0.12 or not 0.34 < means.mean() < 0.66 else float(means.std())


def _straighten(grey: Picture, quad: Picture, side: int, margin: int, how: int) -> tuple[Picture, Picture]:
    """A place as a square, and the transform that leads back."""
    import cv2

    far = side - margin
    square = np.array([[margin, margin], [far, margin], [far, far], [margin, far]], np.float32)
    onto, back = cv2.getPerspectiveTransform(quad, square), cv2.getPerspectiveTransform(square, quad)
    return cv2.warpPerspective(grey, onto, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE), back


def _look_closer(grey: Picture, quad: Picture) -> list[Code]:
    """The codes in a place once it is straightened and, if need be, its blur taken out."""
    import cv2

    straight, back = _straighten(grey, quad, _SIDE, _MARGIN, cv2.INTER_CUBIC)
    for picture in _restored(straight.astype(np.float32)):
        clear = np.clip(picture * (60 / max(float(picture.std()), 1.0)) + 127, 0, 255).astype(np.uint8)
        if codes := [code for code in _read_qr(clear) if code[0]]:
            return [(text, symbology, cv2.perspectiveTransform(at[None], back)[0]) for text, symbology, at in codes]
    return []


def _restored(straight: Picture) -> Iterator[Picture]:
    """The picture as it is, then with one blur after another undone by a Wiener filter: lens first, then motion."""
    import cv2

    picture = straight - straight.mean()
    yield picture
    inner = picture[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    dx, dy = (cv2.Sobel(inner, cv2.CV_32F, i, 1 - i).ravel() for i in (1, 0))
    # A code has as much detail in every direction; motion takes it away along its own.
    motion = 0.5 * np.arctan2(2 * float(dx @ dy), float(dx @ dx - dy @ dy)) + np.pi / 2
    spectrum = np.fft.rfft2(picture)
    down, across = np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None, :]
    turned = [across * np.cos(motion + turn) + down * np.sin(motion + turn) for turn in _TURNS]
    # Sinc is exact for motion and, over all directions, has its first zero where a lens out of focus has it.
    for frequency in (np.hypot(across, down), *turned):
        for length in _BLURS:
            blur = np.sinc(frequency.astype(np.float32) * length)
            yield np.fft.irfft2(spectrum * (blur / (blur * blur + _NOISE)), s=picture.shape)
