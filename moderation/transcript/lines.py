"""A line of text in a frame: its strip cut out upright, read once, and recognised again without reading."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from moderation.transcript.engine import OcrEngine, Reading
from moderation.transcript.regions import Rect

Image = NDArray[np.uint8]
Corners = NDArray[np.float32]

# The detector's rectangle has more air than the recogniser likes: measured on white outlined captions, cutting this
# share of the letter height away lifts the mean confidence and halves the look-alike errors (白 read as 自).
_TRIM_ACROSS, _TRIM_ALONG = 0.08, 0.05
# A strip at least this much taller than wide is a column or a line turned by 90°.
_TALL = 1.5
# Below this a strip may be on its head, or turned the other way.
_DOUBTFUL = 0.85
# The look of a strip for the cache: grey, this high, and compared piece by piece, a piece being about a digit.
_LOOK_HEIGHT = 24
_LOOK_PIECE = 12
_LOOK_SHIFT = 2
_SAME_WIDTH = 0.08
_SAME_PIECE = 0.85


@dataclass(frozen=True, slots=True, eq=False)
class TextLine:
    """A line as read: corners (4, 2) float32 in pixels of the frame, clockwise from the top left one."""

    corners: Corners
    reading: Reading

    @property
    def bounds(self) -> Rect:
        return bounds_of(self.corners)

    @property
    def is_column(self) -> bool:
        """Whether it runs from top to bottom."""
        return is_tall(self.corners)

    @property
    def size(self) -> float:
        """Letter height in pixels: the shorter side of the detector's rectangle."""
        return min(side_lengths(self.corners))


class LineReader:
    """Reads strips, and remembers the look of those it has read. One per video; not thread-safe."""

    def __init__(self, engine: OcrEngine, remembered: int = 256) -> None:
        self._engine = engine
        self._remembered = remembered
        self._looks: list[tuple[Image, Reading]] = []
        self.read_count = 0
        self.reused_count = 0

    def read(self, image: Image, corners: Corners) -> Reading:
        """Read the line at `corners` of a (H, W, 3) BGR picture, from memory where it looks like one read before."""
        strip = cut_strip(image, corners)
        look = _look_of(strip)
        for known, reading in reversed(self._looks):
            if _looks_same(known, look):
                self.reused_count += 1
                return reading
        reading = self.read_strip(strip)
        self._looks.append((look, reading))
        del self._looks[: -self._remembered]
        return reading

    def read_strip(self, strip: Image) -> Reading:
        """Read a strip as `cut_strip` cuts it, turning it where needed."""
        self.read_count += 1
        if strip.shape[0] >= _TALL * strip.shape[1]:
            return self._read_tall(strip)
        reading = self._engine.recognise(strip)
        if reading.confidence < _DOUBTFUL and self._engine.is_upside_down(strip):
            return _surer(reading, self._engine.recognise(_turned(strip, 2)))
        return reading

    def _read_tall(self, strip: Image) -> Reading:
        # The recogniser was trained on columns of upright letters turned to the left, so that turn serves both
        # them and lines turned to the right; only a line turned to the left needs the other one.
        reading = self._engine.recognise(_turned(strip, 1))
        if reading.confidence < _DOUBTFUL:
            return _surer(reading, self._engine.recognise(_turned(strip, 3)))
        return reading


def cut_strip(image: Image, corners: Corners) -> Image:
    """The rectangle at `corners`, trimmed and straightened: (h, w, 3) BGR; never empty."""
    corners = _trimmed(corners)
    along, across = side_lengths(corners)
    width, height = max(round(along), 1), max(round(across), 1)
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getPerspectiveTransform(corners, upright)
    strip = cv2.warpPerspective(image, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(strip, np.uint8)


def bounds_of(corners: Corners) -> Rect:
    x0, y0 = np.floor(corners.min(axis=0)).astype(int).tolist()
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int).tolist()
    return Rect(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def side_lengths(corners: Corners) -> tuple[float, float]:
    """Lengths of the top and the left side."""
    return float(np.linalg.norm(corners[1] - corners[0])), float(np.linalg.norm(corners[3] - corners[0]))


def is_tall(corners: Corners) -> bool:
    along, across = side_lengths(corners)
    return across >= _TALL * along


def _trimmed(corners: Corners) -> Corners:
    along, across = side_lengths(corners)
    if min(along, across) < 1:
        return corners
    size = min(along, across)
    right = (corners[1] - corners[0]) / along
    down = (corners[3] - corners[0]) / across
    trim_x, trim_y = (_TRIM_ALONG, _TRIM_ACROSS) if along >= across else (_TRIM_ACROSS, _TRIM_ALONG)
    inward = size * np.array(
        [
            right * trim_x + down * trim_y,
            -right * trim_x + down * trim_y,
            -right * trim_x - down * trim_y,
            right * trim_x - down * trim_y,
        ]
    )
    return (corners + inward).astype(np.float32)


def _turned(strip: Image, quarters: int) -> Image:
    return np.ascontiguousarray(np.rot90(strip, quarters))


def _surer(a: Reading, b: Reading) -> Reading:
    return b if b.confidence > a.confidence else a


def _look_of(strip: Image) -> Image:
    """(24, w) grey uint8 of a strip laid along its length."""
    grey = np.asarray(cv2.cvtColor(strip, cv2.COLOR_BGR2GRAY), np.uint8)
    if grey.shape[0] >= _TALL * grey.shape[1]:
        grey = np.ascontiguousarray(grey.T)
    width = max(round(_LOOK_HEIGHT * grey.shape[1] / grey.shape[0]), _LOOK_HEIGHT)
    return np.asarray(cv2.resize(grey, (width, _LOOK_HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def _looks_same(known: Image, look: Image) -> bool:
    """Whether each piece of the one is found at its place in the other, give or take a pixel or two.

    Piece by piece, because two prices differ in one letter of ten and correlate well as a whole.
    """
    width = known.shape[1]
    if abs(look.shape[1] - width) > _SAME_WIDTH * width:
        return False
    if look.shape[1] != width:
        look = np.asarray(cv2.resize(look, (width, _LOOK_HEIGHT)), np.uint8)
    padded = np.pad(look, _LOOK_SHIFT, mode="edge")
    pieces = max(width // _LOOK_PIECE, 1)
    for x0, x1 in zip(*_piece_edges(width, pieces), strict=True):
        piece = known[:, x0:x1]
        if piece.std() < 4:
            continue
        match = cv2.matchTemplate(padded[:, x0 : x1 + 2 * _LOOK_SHIFT], piece, cv2.TM_CCOEFF_NORMED)
        if float(match.max()) < _SAME_PIECE:
            return False
    return True


def _piece_edges(width: int, pieces: int) -> tuple[list[int], list[int]]:
    edges = np.linspace(0, width, pieces + 1).round().astype(int).tolist()
    return edges[:-1], edges[1:]
