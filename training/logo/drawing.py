"""How a logo comes to look on a thing: colours, plates, wordmarks, cloth, perspective, light, then the camera.

All pictures are uint8, BGR or BGRA (OpenCV's order); sizes are pixels. Every function draws from the generator it is
given and nothing else, so a seed names a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.errors import DataError
from training.logo.icons import SIDE, Art, Icon, trimmed

Image = NDArray[np.uint8]
Colour = NDArray[np.float32]

_VISIBLE = 48  # alpha from which a pixel belongs to the logo's box
_LEAST_CONTRAST = 45.0
_SYLLABLES = (
    "ba", "ne", "ko", "lu", "mi", "ra", "so", "ti", "va", "xe", "zo", "ar", "el", "in", "on", "us", "ex", "ia", "or",
    "um", "fen", "gra", "pla", "ster", "dor", "lin", "max", "tec", "nov", "ly",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """Where something was put: pixels of the canvas, x0 y0 x1 y1, cut at its edges; `shown` is the share inside."""

    box: tuple[float, float, float, float]
    shown: float


def colour(rng: Generator) -> Colour:
    """Black, white, grey, or any hue; logos love the strong ones. (3,) BGR, 0..255."""
    kind = rng.random()
    if kind < 0.2:
        return np.full(3, rng.uniform(0, 45), np.float32)
    if kind < 0.42:
        return np.full(3, rng.uniform(205, 255), np.float32)
    if kind < 0.5:
        return np.full(3, rng.uniform(60, 200), np.float32)
    hsv = np.array([[[rng.integers(180), rng.uniform(110, 255), rng.uniform(70, 255)]]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)


def colour_against(rng: Generator, ground: NDArray[np.floating[Any]]) -> Colour:
    """A colour that can be told from the ground, (3,) BGR."""
    for _ in range(8):
        found = colour(rng)
        if np.abs(found - ground).max() > _LEAST_CONTRAST:
            return found
    return np.full(3, 255.0 if ground.mean() < 128 else 0.0, np.float32)


def dressed(rng: Generator, icon: Icon, ground: Colour, fonts: Words | None = None) -> Art:
    """The icon as one of its many appearances, for a ground of this mean colour."""
    art = icon.art
    if fonts is not None and rng.random() < 0.25:
        art = _with_name(rng, art, icon, fonts)
    if icon.is_mono or rng.random() < 0.15:
        art = _painted(rng, art, ground)
    elif rng.random() < 0.5:
        art = _shifted(rng, art)
    if rng.random() < 0.3:
        art = _on_plate(rng, art, mono=icon.is_mono)
    elif not icon.is_mono and _contrast(art, ground) < _LEAST_CONTRAST:
        art = _on_plate(rng, art, mono=False)
    if rng.random() < 0.08:
        art = _outlined(rng, art)
    return art


class Words:
    """Draws words in whatever fonts the machine has. Raises DataError where it has none for Chinese or for Latin."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._latin = tuple(p for p in paths if _has(p, "A"))
        self._chinese = tuple(p for p in paths if _has(p, "今"))
        if not self._latin or not self._chinese:
            raise DataError("no font for Latin and Chinese words is installed (Debian: fonts-lato, fonts-noto-cjk).")

    def draw(self, rng: Generator, text: str, height: int) -> Art:
        """The text in black, (h, w, 4), about `height` pixels high."""
        from PIL import Image as Pillow
        from PIL import ImageDraw, ImageFont

        paths = self._latin if text.isascii() else self._chinese
        font = ImageFont.truetype(paths[rng.integers(len(paths))], height)
        x0, y0, x1, y1 = font.getbbox(text)
        size = int(x1 - x0) + 4, int(y1 - y0) + 4
        if min(size) < 6 or max(size) > 4000:  # a font without these letters
            return np.zeros((8, 8, 4), np.uint8)
        mask = Pillow.new("L", size)
        ImageDraw.Draw(mask).text((2 - x0, 2 - y0), text, font=font, fill=255)
        alpha = np.asarray(mask)
        return np.dstack([np.zeros_like(alpha)] * 3 + [alpha])


def wordmark(rng: Generator, fonts: Words) -> Art | None:
    """An invented brand name, drawn as names on products are."""
    art = fonts.draw(rng, _invented(rng), 64)
    if rng.random() < 0.2:
        thick = np.asarray(cv2.dilate(art[:, :, 3], np.ones((3, 3), np.uint8)), np.uint8)
        art = np.dstack([art[:, :, :3], thick])
    return trimmed(art, SIDE)


def place(rng: Generator, canvas: Image, art: Art, side: float, centre: tuple[float, float]) -> Placed | None:
    """Put the art on the canvas in place, `side` pixels at its longest; None where too little of it can be seen."""
    warped, mask, left, top = _warped(rng, art, side)
    rows, columns = mask.shape
    left, top = left + round(centre[0]), top + round(centre[1])
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + columns, canvas.shape[1]), min(top + rows, canvas.shape[0])
    whole = int((mask > _VISIBLE).sum())
    if x1 - x0 < 4 or y1 - y0 < 4 or whole < 12:
        return None
    paint, alpha = warped[y0 - top : y1 - top, x0 - left : x1 - left], mask[y0 - top : y1 - top, x0 - left : x1 - left]
    ys, xs = np.nonzero(alpha > _VISIBLE)
    if len(ys) == 0:
        return None
    region = canvas[y0:y1, x0:x1]
    region[:] = _applied(rng, region, paint, alpha)
    box = (float(x0 + xs.min()), float(y0 + ys.min()), float(x0 + xs.max() + 1), float(y0 + ys.max() + 1))
    return Placed(box, len(ys) / whole)


def photographed(rng: Generator, image: Image) -> Image:
    """What a camera and a platform's encoder make of it: colour cast, light, blur, noise, small size, JPEG."""
    height, width = image.shape[:2]
    if rng.random() < 0.5:
        gain = rng.uniform(0.7, 1.25) * rng.uniform(0.92, 1.08, 3)
        tone = np.clip(np.arange(256)[:, None] * gain + rng.uniform(-18, 18), 0, 255).astype(np.uint8)
        image = np.asarray(cv2.LUT(image, tone[None]), np.uint8)
    if rng.random() < 0.25:
        image = _blurred(rng, image, min(height, width))
    if rng.random() < 0.35:
        scale = rng.uniform(0.4, 0.9)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.4:
        noise = rng.normal(0, rng.uniform(2, 9), (height, width, 1)).astype(np.int16)
        image = np.clip(image.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        decoded = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
        assert decoded is not None
        image = np.asarray(decoded, np.uint8)
    return image


def _has(path: str, letter: str) -> bool:
    """Whether the font draws this letter, and not the box that stands for every letter it lacks."""
    from PIL import ImageFont

    font = ImageFont.truetype(path, 24)
    # A mask is a sequence of greys, though Pillow's annotations do not say so.
    drawn, missing = (bytes(cast("Sequence[int]", font.getmask(text))) for text in (letter, "\uffff"))
    return drawn not in (b"", missing)


def _invented(rng: Generator) -> str:
    """A name that no brand has, most likely."""
    word = "".join(_SYLLABLES[i] for i in rng.integers(len(_SYLLABLES), size=rng.integers(2, 4)))
    style = rng.random()
    return word.upper() if style < 0.4 else word.capitalize() if style < 0.8 else word


def _with_name(rng: Generator, art: Art, icon: Icon, fonts: Words) -> Art:
    """The symbol with a name beneath or beside it."""
    name = fonts.draw(rng, icon.brand[:12].upper() if rng.random() < 0.5 else icon.brand[:12].capitalize(), 40)
    if not name.any():
        return art
    gap = int(rng.integers(6, 24))
    if rng.random() < 0.5:
        name = cv2.resize(name, (art.shape[1], max(4, round(name.shape[0] * art.shape[1] / name.shape[1]))))
        joined = np.zeros((art.shape[0] + gap + name.shape[0], art.shape[1], 4), np.uint8)
        joined[: art.shape[0]], joined[art.shape[0] + gap :] = art, name
    else:
        high = max(8, art.shape[0] // 2)
        name = cv2.resize(name, (max(8, round(name.shape[1] * high / name.shape[0])), high))
        joined = np.zeros((art.shape[0], art.shape[1] + gap + name.shape[1], 4), np.uint8)
        joined[:, : art.shape[1]] = art
        top = (art.shape[0] - high) // 2
        joined[top : top + high, art.shape[1] + gap :] = name
    return joined


def _painted(rng: Generator, art: Art, ground: Colour) -> Art:
    """The silhouette in one colour, in two (a gradient, or part by part)."""
    first = colour_against(rng, ground)
    paint = np.broadcast_to(first, (*art.shape[:2], 3)).astype(np.float32)
    style = rng.random()
    if style < 0.12:
        ramp = np.linspace(0, 1, art.shape[0], dtype=np.float32)[:, None, None]
        paint = paint * (1 - ramp) + colour_against(rng, ground) * ramp
    elif style < 0.35:
        count, parts = cv2.connectedComponents((art[:, :, 3] > 128).astype(np.uint8))
        if 2 < count < 40:
            colours = np.array([first, first, colour_against(rng, ground), colour_against(rng, ground)])
            paint = colours[rng.integers(len(colours), size=count)][np.asarray(parts, np.int32)].astype(np.float32)
    return np.dstack([paint.clip(0, 255).astype(np.uint8), art[:, :, 3]])


def _shifted(rng: Generator, art: Art) -> Art:
    """Its colours a little off: prints and screens differ."""
    hsv = cv2.cvtColor(np.ascontiguousarray(art[:, :, :3]), cv2.COLOR_BGR2HSV).astype(np.int16)
    hsv[:, :, 0] = (hsv[:, :, 0] + rng.integers(-6, 7)) % 180
    hsv[:, :, 1:] = np.clip(hsv[:, :, 1:] * rng.uniform(0.7, 1.2, 2), 0, 255)
    shifted = np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR), np.uint8)
    return np.dstack([shifted, art[:, :, 3]])


def _contrast(art: Art, ground: Colour) -> float:
    """By how much the mean of what is visible differs from the ground, in the channel where it differs most."""
    visible = art[art[:, :, 3] > 128][:, :3]
    return 0.0 if len(visible) == 0 else float(np.abs(visible.mean(axis=0) - ground).max())


def _on_plate(rng: Generator, art: Art, *, mono: bool) -> Art:
    """On a coloured ground of its own: rectangle, rounded, or ellipse."""
    height, width = art.shape[:2]
    pad = rng.uniform(0.06, 0.35) * min(height, width)
    shape = rng.random()
    if shape > 0.75:
        pad = max(pad, 0.22 * max(height, width))
    py = round(pad + max(0, (width - height) / 2 * (rng.random() < 0.4 or shape > 0.75)))
    px = round(pad + max(0, (height - width) / 2 * (rng.random() < 0.4 or shape > 0.75)))
    visible = art[art[:, :, 3] > 128][:, :3]
    mean = visible.mean(axis=0).astype(np.float32) if len(visible) else np.zeros(3, np.float32)
    plate = (
        colour_against(rng, mean) if mono or rng.random() < 0.3 else np.full(3, 255.0 if mean.mean() < 150 else 25.0)
    )
    canvas = np.zeros((height + 2 * py, width + 2 * px), np.uint8)
    rows, columns = canvas.shape
    if shape < 0.45:
        canvas[:] = 255
    elif shape < 0.75:
        radius = round(rng.uniform(0.08, 0.3) * min(rows, columns))
        cv2.rectangle(canvas, (radius, 0), (columns - radius - 1, rows - 1), 255, -1)
        cv2.rectangle(canvas, (0, radius), (columns - 1, rows - radius - 1), 255, -1)
        for x in (radius, columns - radius - 1):
            for y in (radius, rows - radius - 1):
                cv2.circle(canvas, (x, y), radius, 255, -1)
    else:
        cv2.ellipse(canvas, (columns // 2, rows // 2), (columns // 2 - 1, rows // 2 - 1), 0, 0, 360, 255, -1)
    paint = np.broadcast_to(plate, (rows, columns, 3)).astype(np.float32)
    alpha = art[:, :, 3:].astype(np.float32) / 255
    inner = paint[py : py + height, px : px + width]
    paint = paint.copy()
    paint[py : py + height, px : px + width] = inner * (1 - alpha) + art[:, :, :3] * alpha
    return np.dstack([paint.astype(np.uint8), canvas])


def _outlined(rng: Generator, art: Art) -> Art:
    """With an edge of one colour all around."""
    width = int(rng.integers(2, 6))
    art = np.asarray(cv2.copyMakeBorder(art, width, width, width, width, cv2.BORDER_CONSTANT), np.uint8)
    outer = np.asarray(cv2.dilate(art[:, :, 3], np.ones((2 * width + 1, 2 * width + 1), np.uint8)), np.uint8)
    alpha = art[:, :, 3:].astype(np.float32) / 255
    visible = art[art[:, :, 3] > 128][:, :3]
    edge = colour_against(rng, visible.mean(axis=0) if len(visible) else np.zeros(3))
    return np.dstack([(edge * (1 - alpha) + art[:, :, :3] * alpha).astype(np.uint8), outer])


def _warped(rng: Generator, art: Art, side: float) -> tuple[Image, Image, int, int]:
    """BGR and alpha of the art as seen from somewhere, and where its top left corner lies from the centre."""
    scale = side / max(art.shape[:2])
    size = max(3, round(art.shape[1] * scale)), max(3, round(art.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    art = np.asarray(cv2.resize(art, size, interpolation=way), np.uint8)
    width, height = size
    angle = rng.normal(0, 7) if rng.random() < 0.75 else rng.uniform(-45, 45)
    if rng.random() < 0.06:
        angle += rng.choice([90, -90, 180])
    turn = np.deg2rad(angle)
    corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]], np.float32) / 2
    tilt = rng.uniform(0, 0.18)
    seen = corners * (1 + rng.uniform(-tilt, tilt, (4, 2)))
    if rng.random() < 0.4:  # turned away from the camera
        seen[:, int(rng.integers(2))] *= rng.uniform(0.55, 1)
    seen = seen @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], np.float32)
    low = np.floor(seen.min(axis=0)) - 2
    columns, rows = (np.ceil(seen.max(axis=0)) + 2 - low).astype(int).tolist()
    matrix = cv2.getPerspectiveTransform(
        (corners + np.array([width, height]) / 2).astype(np.float32), (seen - low).astype(np.float32)
    )
    # Weighted by alpha while it is warped, so that no dark fringe comes from invisible pixels.
    weighted = art.astype(np.float32)
    weighted[:, :, :3] *= weighted[:, :, 3:] / 255
    out = np.asarray(cv2.warpPerspective(weighted, matrix, (columns, rows), flags=cv2.INTER_LINEAR), np.float32)
    if rng.random() < 0.3:
        out = _folded(rng, out)
    alpha = out[:, :, 3]
    if rng.random() < 0.12:
        _hide_part(rng, alpha)
    paint = out[:, :, :3] / np.maximum(out[:, :, 3:], 1) * 255
    return paint.clip(0, 255).astype(np.uint8), alpha.astype(np.uint8), int(low[0]), int(low[1])


def _folded(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cloth and round things: every pixel is moved by a smooth field."""
    rows, columns = image.shape[:2]
    reach = rng.uniform(0.02, 0.08) * min(rows, columns)
    field = cv2.resize(rng.normal(0, 1, (4, 4, 2)).astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
    grid = np.indices((rows, columns), np.float32)
    xs, ys = grid[1] + reach * field[:, :, 0], grid[0] + reach * field[:, :, 1]
    return np.asarray(cv2.remap(image, xs, ys, cv2.INTER_LINEAR), np.float32)


def _hide_part(rng: Generator, alpha: NDArray[np.float32]) -> None:
    """Something lies over a third of it at most."""
    rows, columns = alpha.shape
    cut = rng.uniform(0.1, 0.33)
    match int(rng.integers(4)):
        case 0:
            alpha[: round(rows * cut)] = 0
        case 1:
            alpha[-round(rows * cut) - 1 :] = 0
        case 2:
            alpha[:, : round(columns * cut)] = 0
        case _:
            alpha[:, -round(columns * cut) - 1 :] = 0


def _applied(rng: Generator, ground: Image, paint: Image, alpha: Image) -> Image:
    """Printed, sewn or embossed on the ground, whose light and folds go on over it."""
    base, weight = ground.astype(np.float32), alpha[:, :, None].astype(np.float32) / 255
    style = rng.random()
    if style < 0.06:  # embossed: no colour, only edges that catch the light
        relief = cv2.GaussianBlur(alpha, (0, 0), max(0.8, min(alpha.shape) / 60)).astype(np.float32)
        dx, dy = rng.choice([-1, 1]), rng.choice([-1, 1])
        slope = cv2.Sobel(relief, cv2.CV_32F, 1, 0) * dx + cv2.Sobel(relief, cv2.CV_32F, 0, 1) * dy
        strength = rng.uniform(40, 110) / max(1.0, float(np.abs(slope).max()))
        return np.clip(base * (1 - 0.15 * weight) + strength * slope[:, :, None], 0, 255).astype(np.uint8)
    top = paint.astype(np.float32)
    if style < 0.55:
        light = cv2.GaussianBlur(cv2.cvtColor(ground, cv2.COLOR_BGR2GRAY), (0, 0), 1.2).astype(np.float32)
        top = top * (light / max(20.0, float(light.mean()))).clip(0.45, 1.6)[:, :, None]
    if style > 0.92:  # sewn: fine stripes
        stripes = 1 + 0.18 * np.sin((np.indices(alpha.shape).sum(axis=0)) * rng.uniform(0.8, 2.0))
        top = top * stripes[:, :, None].astype(np.float32)
    if rng.random() < 0.2:  # a highlight or a shadow across it
        ramp = np.linspace(rng.uniform(0.6, 1.2), rng.uniform(0.8, 1.5), alpha.shape[1], dtype=np.float32)
        top = top * ramp[None, :, None]
    weight = weight * rng.uniform(0.75, 1.0) if rng.random() < 0.3 else weight
    return np.clip(base * (1 - weight) + top * weight, 0, 255).astype(np.uint8)


def _blurred(rng: Generator, image: Image, side: int) -> Image:
    """Out of focus, or moved along a line while the shutter was open."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, max(0.8, side / 110))).astype(np.uint8)
    length = max(2, round(rng.uniform(2, max(3, side / 35))))
    kernel = np.zeros((length, length), np.float32)
    turn = np.deg2rad(rng.uniform(0, 180))
    middle, reach = (length - 1) / 2, length / 2
    for step in np.linspace(-reach, reach, 4 * length):
        x, y = round(middle + step * np.cos(turn)), round(middle + step * np.sin(turn))
        if 0 <= x < length and 0 <= y < length:
            kernel[y, x] = 1
    return cv2.filter2D(image, -1, kernel / max(1.0, kernel.sum())).astype(np.uint8)
