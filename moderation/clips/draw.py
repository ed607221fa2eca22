"""Captions and codes as layers, drawn once and laid over every frame of their time.

Text is drawn by OpenCV's own font (WenQuanYi Micro Hei is compiled in), so no font file is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Style = Literal["outline", "banner", "plain", "small", "vertical"]

_COLOURS: dict[str, tuple[int, int, int]] = {
    "outline": (255, 255, 255),
    "banner": (20, 20, 20),
    "plain": (240, 240, 240),
    "small": (235, 235, 235),
    "vertical": (255, 255, 255),
}
_BANNER = (60, 210, 250)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A picture ((h, w, 3) BGR) with opacity ((h, w) 0..1) and where its top left corner lies, in pixels."""

    image: Image
    opacity: NDArray[np.float32]
    x: int
    y: int

    def over(self, frame: Image) -> None:
        """Blend onto a frame in place."""
        h, w = self.opacity.shape
        part = frame[self.y : self.y + h, self.x : self.x + w]
        alpha = self.opacity[: part.shape[0], : part.shape[1], None]
        part[:] = (part * (1 - alpha) + self.image[: part.shape[0], : part.shape[1]] * alpha).astype(np.uint8)


def caption(text: str, style: Style, size: int, frame_size: tuple[int, int], at: tuple[float, float]) -> Layer:
    """A caption of letter height `size` pixels, centred at fractions `at` of a (width, height) frame.

    Lines are broken at `\\n`; `vertical` sets one character a row, columns from right to left at `\\n`.
    """
    canvas, opacity = _vertical(text, size) if style == "vertical" else _horizontal(text, style, size)
    width, height = frame_size
    h, w = opacity.shape
    x = min(max(round(at[0] * width - w / 2), 0), max(width - w, 0))
    y = min(max(round(at[1] * height - h / 2), 0), max(height - h, 0))
    return Layer(canvas, opacity, x, y)


def code(payload: str, side: int, frame_size: tuple[int, int], at: tuple[float, float]) -> Layer:
    """A QR code with its quiet zone, `side` pixels wide, centred at fractions `at` of the frame."""
    import cv2
    import zxingcpp

    modules = np.array(zxingcpp.create_barcode(payload, zxingcpp.BarcodeFormat.QRCode).to_image())
    drawn = cv2.resize(modules, (side, side), interpolation=cv2.INTER_NEAREST)
    x, y = round(at[0] * frame_size[0] - side / 2), round(at[1] * frame_size[1] - side / 2)
    image = np.repeat(drawn[:, :, None], 3, axis=2).astype(np.uint8)
    return Layer(image, np.ones((side, side), np.float32), max(x, 0), max(y, 0))


def _horizontal(text: str, style: Style, size: int) -> tuple[Image, NDArray[np.float32]]:
    lines = text.split("\n")
    pad, pitch = max(size // 2, 6), round(size * 1.45)
    width = max(_width(line, size) for line in lines) + 2 * pad
    height = pitch * len(lines) + pad
    shape = (height, width)
    ink = np.zeros(shape, np.uint8)
    for row, line in enumerate(lines):
        x = (width - _width(line, size)) // 2
        _write(ink, line, (x, pad // 2 + pitch * row + size), size)
    return _dress(ink, style, size)


def _vertical(text: str, size: int) -> tuple[Image, NDArray[np.float32]]:
    columns = text.split("\n")
    pitch, pad = round(size * 1.15), max(size // 3, 4)
    height = pitch * max(len(c) for c in columns) + 2 * pad
    width = round(size * 1.5) * len(columns) + 2 * pad
    ink = np.zeros((height, width), np.uint8)
    for number, column in enumerate(columns):
        x = width - pad - round(size * 1.5) * (number + 1) + size // 4
        for row, character in enumerate(column):
            _write(ink, character, (x, pad + pitch * row + size), size)
    return _dress(ink, "vertical", size)


def _dress(ink: Image, style: Style, size: int) -> tuple[Image, NDArray[np.float32]]:
    """Colour the letters and give them an outline or a banner behind."""
    import cv2

    letters = ink.astype(np.float32) / 255
    image = np.empty((*ink.shape, 3), np.float32)
    if style == "banner":
        image[:] = _BANNER
        opacity = np.full(ink.shape, 0.95, np.float32)
    elif style in {"outline", "vertical"}:
        reach = max(size // 10, 2)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        opacity = cv2.GaussianBlur(cv2.dilate(letters, kernel), (3, 3), 0).astype(np.float32)
        image[:] = 0
    else:
        opacity = np.maximum(letters, cv2.GaussianBlur(letters, (5, 5), 0) * 0.6).astype(np.float32)
        image[:] = 30
    alpha = letters[:, :, None]
    image = image * (1 - alpha) + np.array(_COLOURS[style], np.float32) * alpha
    return image.astype(np.uint8), opacity


def _write(ink: Image, text: str, origin: tuple[int, int], size: int) -> None:
    import cv2

    cv2.putText(ink, text, origin, (255,), cv2.FontFace("uni"), size, 600)


def _width(text: str, size: int) -> int:
    import cv2

    box = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("uni"), size, 600)
    return int(box[0] + box[2])
