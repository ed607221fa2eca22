"""Made scenes for the detector, and made crops for the embedding: real photos with drawn logos on them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from moderation.visual.crops import cut_out, on_ground
from training.errors import DataError
from training.logo.drawing import Image, Placed, Words, colour, colour_against, dressed, photographed, place, wordmark
from training.logo.icons import Icon

LOGO, OBSCURED = 0, 1
# Smaller marks are left unlabelled: neither wanted nor wrong.
SMALLEST = 10
# Sizes of words are given for scenes of this side.
_USUAL_SIDE = 320
_CHINESE = (
    "今天直播间的宝贝只要九块九家人们点赞关注新品上架限时包邮品质保证好评如潮数量有限先到得拍下发货质地柔软穿着舒适"
)
_ENGLISH = (
    "fresh", "daily", "new", "season", "soft", "cotton", "wash", "cold", "size", "open", "sale", "today", "only",
    "best", "price", "free", "delivery", "made", "with", "care",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """`image` (S, S, 3) uint8 BGR; `boxes` (N, 4) float32 pixels x0 y0 x1 y1; `labels` (N,) int64, `LOGO` or
    `OBSCURED`; `brands` of the logos ("" where invented); `ignored` (M, 4) boxes that count as neither."""

    image: Image
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    brands: tuple[str, ...]
    ignored: NDArray[np.float32]


class SceneMaker:
    """Makes scenes from photos (BGR), cut-out things (BGRA), icons and fonts; one random generator a scene."""

    def __init__(
        self, photos: Sequence[Path], things: Sequence[Path], icons: Sequence[Icon], fonts: Words, side: int
    ) -> None:
        self._fonts, self.side = fonts, side
        by_brand: dict[str, list[Icon]] = {}
        for icon in icons:
            by_brand.setdefault(icon.brand, []).append(icon)
        self.brands = tuple(sorted(by_brand))
        self._icons = by_brand
        # Opened once, before data loaders fork; OpenCV's own threads would not survive that.
        cv2.setNumThreads(1)
        with ThreadPoolExecutor() as pool:
            self._photos = list(pool.map(lambda path: _opened(path, cv2.IMREAD_COLOR), photos))
            opened = list(pool.map(lambda path: _opened(path, cv2.IMREAD_UNCHANGED), things))
        self._things = [t for t in opened if t.ndim == 3 and t.shape[2] == 4]  # with alpha

    def scene(self, rng: Generator) -> Scene:
        """One scene; a tenth of them hold nothing to find."""
        canvas = self.ground(rng, self.side)
        for _ in range(int(rng.integers(0, 3))):
            self._put_thing(rng, canvas)
        self._write(rng, canvas, int(rng.integers(0, 4)))
        taken: list[tuple[float, float, float, float]] = []
        found: list[tuple[Placed, int, str]] = []
        if rng.random() > 0.1:
            for _ in range(1 + rng.binomial(3, 0.35)):
                found += self._put_logo(rng, canvas, taken)
            if rng.random() < 0.06:
                found += self._put_pattern(rng, canvas, taken)
            for _ in range(rng.binomial(2, 0.3)):
                found += self._put_obscured(rng, canvas, taken)
        if rng.random() < 0.3:
            self._overlay(rng, canvas, taken)
        canvas = photographed(rng, canvas)
        kept = [one for one in found if one[0].shown > 0.55 and _longest_side(one[0]) >= SMALLEST]
        rest = [one[0].box for one in found if one not in kept]
        return Scene(
            canvas,
            np.array([p.box for p, _, _ in kept], np.float32).reshape(-1, 4),
            np.array([label for _, label, _ in kept], np.int64),
            tuple(brand for _, _, brand in kept),
            np.array(rest, np.float32).reshape(-1, 4),
        )

    def crop(self, rng: Generator, brand: str, side: int) -> Image:
        """A photographed logo of the brand as a detector would cut it out, (side, side, 3) BGR."""
        longest = float(np.exp(rng.uniform(np.log(24), np.log(150))))
        canvas = self.ground(rng, round(longest * 2))
        if rng.random() < 0.3:
            self._write(rng, canvas, 1)
        icon = self._icon(rng, brand)
        placed = None
        while placed is None or placed.shown < 0.7:
            art = dressed(rng, icon, canvas.mean(axis=(0, 1), dtype=np.float32), self._fonts)
            centre = (canvas.shape[1] / 2 + rng.normal(0, 2), canvas.shape[0] / 2 + rng.normal(0, 2))
            placed = place(rng, canvas, art, longest, centre)
        canvas = photographed(rng, canvas)
        return cut_out(canvas, _jittered(rng, placed.box), side)

    def reference(self, rng: Generator, brand: str, side: int) -> Image:
        """The brand's picture as a bank holds it: drawn on a plain ground."""
        icon = self._icon(rng, brand)
        ground = np.full(3, 255, np.float32) if rng.random() < 0.7 else colour(rng)
        art = icon.art
        if icon.is_mono and rng.random() < 0.5:
            paint = np.broadcast_to(colour_against(rng, ground).astype(np.uint8), (*art.shape[:2], 3))
            art = np.dstack([paint, art[:, :, 3]])
        height, width = art.shape[:2]
        pad = round(0.3 * max(height, width))
        return cut_out(on_ground(art, pad, ground), (pad, pad, pad + width, pad + height), side)

    def ground(self, rng: Generator, side: int) -> Image:
        """A piece of a photo, (side, side, 3), at some scale, flipped as often as not; rarely a plain colour."""
        if rng.random() < 0.06:
            plain = np.full((side, side, 3), colour(rng), np.float32)
            shade = cv2.resize(
                rng.normal(0, 10, (3, 3)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC
            )
            return (plain + shade[:, :, None]).clip(0, 255).astype(np.uint8)
        photo = self._photos[rng.integers(len(self._photos))]
        height, width = photo.shape[:2]
        window = int(min(height, width) * np.exp(rng.uniform(np.log(0.25), 0)))
        x, y = int(rng.integers(width - window + 1)), int(rng.integers(height - window + 1))
        piece = cv2.resize(photo[y : y + window, x : x + window], (side, side), interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(piece[:, ::-1] if rng.random() < 0.5 else piece).astype(np.uint8, copy=False)

    def icons_of(self, brand: str) -> list[Icon]:
        """Every icon of a brand of `brands`, in the order they were given."""
        return self._icons[brand]

    def _icon(self, rng: Generator, brand: str) -> Icon:
        icons = self._icons[brand]
        return icons[rng.integers(len(icons))]

    def _put_thing(self, rng: Generator, canvas: Image) -> None:
        if self._things:
            thing, centre = self._things[rng.integers(len(self._things))], rng.uniform(0, self.side, 2)
            place(rng, canvas, thing, rng.uniform(0.2, 0.7) * self.side, (float(centre[0]), float(centre[1])))

    def _write(self, rng: Generator, canvas: Image, lines: int) -> None:
        """Captions, labels and signs: text is no logo."""
        for _ in range(lines):
            high = round(int(rng.integers(8, 34)) * self.side / _USUAL_SIDE)
            if rng.random() < 0.5:
                begin = int(rng.integers(len(_CHINESE) - 12))
                text = _CHINESE[begin : begin + int(rng.integers(3, 12))]
            else:
                text = " ".join(_ENGLISH[i] for i in rng.integers(len(_ENGLISH), size=rng.integers(2, 5)))
            if rng.random() < 0.25:
                text = f"¥{rng.integers(1, 999)}.{rng.integers(10)} {rng.integers(10, 99)}%"
            art = self._fonts.draw(rng, text, high)
            if not art.any():
                continue
            x = int(rng.integers(-20, max(1, canvas.shape[1] - 40)))
            y = int(rng.integers(0, max(1, canvas.shape[0] - art.shape[0])))
            region = canvas[y : y + art.shape[0], max(x, 0) : max(x, 0) + art.shape[1]]
            alpha = art[: region.shape[0], : region.shape[1], 3:].astype(np.float32) / 255
            ground = region.mean(axis=(0, 1), dtype=np.float32)
            if rng.random() < 0.3:
                ground = colour(rng)
                region[:] = ground.astype(np.uint8)
            region[:] = (region * (1 - alpha) + colour_against(rng, ground) * alpha).astype(np.uint8)

    def _put_logo(
        self, rng: Generator, canvas: Image, taken: list[tuple[float, float, float, float]]
    ) -> list[tuple[Placed, int, str]]:
        side = float(np.exp(rng.uniform(np.log(14), np.log(0.75 * self.side))))
        centre = _free(rng, side, self.side, taken)
        if centre is None:
            return []
        ground = _mean_near(canvas, centre, side)
        brand = ""
        if rng.random() < 0.2:
            plain = wordmark(rng, self._fonts)
            if plain is None:
                return []
            art = dressed(rng, Icon("", plain), ground)
        else:
            brand = self.brands[rng.integers(len(self.brands))]
            art = dressed(rng, self._icon(rng, brand), ground, self._fonts)
        placed = place(rng, canvas, art, side, centre)
        if placed is None:
            return []
        taken.append(placed.box)
        return [(placed, LOGO, brand)]

    def _put_pattern(
        self, rng: Generator, canvas: Image, taken: list[tuple[float, float, float, float]]
    ) -> list[tuple[Placed, int, str]]:
        """A monogram: the same mark again and again over a part of the scene."""
        side, found = float(rng.uniform(18, 40)), []
        brand = self.brands[rng.integers(len(self.brands))]
        art = dressed(rng, self._icon(rng, brand), canvas.mean(axis=(0, 1), dtype=np.float32))
        step = side * rng.uniform(1.3, 2.0)
        x0, y0 = rng.uniform(0, self.side / 2, 2)
        state = rng.bit_generator.state
        for row in range(int(rng.integers(2, 5))):
            for column in range(int(rng.integers(2, 5))):
                centre = (x0 + (column + 0.5 * (row % 2)) * step, y0 + row * step)
                if any(_overlap(box, centre, side) for box in taken):
                    continue
                rng.bit_generator.state = state  # each looks the same
                placed = place(rng, canvas, art, side, centre)
                if placed is not None:
                    found.append((placed, LOGO, brand))
        taken += [placed.box for placed, _, _ in found]
        return found

    def _put_obscured(
        self, rng: Generator, canvas: Image, taken: list[tuple[float, float, float, float]]
    ) -> list[tuple[Placed, int, str]]:
        """A logo (or a bare place) that somebody hid."""
        side = float(np.exp(rng.uniform(np.log(20), np.log(0.4 * self.side))))
        centre = _free(rng, side * 1.3, self.side, taken)
        if centre is None:
            return []
        if rng.random() < 0.8:
            brand = self.brands[rng.integers(len(self.brands))]
            art = dressed(rng, self._icon(rng, brand), _mean_near(canvas, centre, side), self._fonts)
            place(rng, canvas, art, side, centre)
        box = hide(rng, canvas, centre, (side * rng.uniform(1.0, 1.35), side * rng.uniform(0.5, 1.3)))
        if box is None:
            return []
        taken.append(box)
        return [(Placed(box, 1.0), OBSCURED, "")]

    def _overlay(self, rng: Generator, canvas: Image, taken: list[tuple[float, float, float, float]]) -> None:
        """Plain shapes as programs and packages have them: buttons, dots, bars, stripes. No logos either."""
        for _ in range(int(rng.integers(1, 4))):
            side = float(rng.uniform(8, 60))
            centre = _free(rng, side, self.side, taken)
            if centre is None:
                continue
            x, y = round(centre[0]), round(centre[1])
            paint = tuple(float(v) for v in colour(rng))
            kind = rng.random()
            if kind < 0.3:
                cv2.circle(canvas, (x, y), round(side / 2), paint, -1 if rng.random() < 0.6 else 2, cv2.LINE_AA)
            elif kind < 0.7:
                half = round(side / 2), round(side / 2 * rng.uniform(0.2, 1))
                cv2.rectangle(
                    canvas, (x - half[0], y - half[1]), (x + half[0], y + half[1]), paint, int(rng.choice([1, 2]))
                )
            else:
                for line in range(int(rng.integers(2, 6))):
                    cv2.line(canvas, (x, y + 5 * line), (x + round(side), y + 5 * line), paint, 2, cv2.LINE_AA)


def _opened(path: Path, flags: int) -> Image:
    """Longest side at most 720 pixels. Raises DataError where it is no picture."""
    read = cv2.imread(str(path), flags)
    if read is None:
        raise DataError(f"{path}: not a picture that OpenCV reads. Take it out of the folder.")
    scale = min(1.0, 720 / max(read.shape[:2]))
    return cv2.resize(read, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def hide(
    rng: Generator, canvas: Image, centre: tuple[float, float], size: tuple[float, float]
) -> tuple[float, float, float, float] | None:
    """Mosaic, blur, tape, sticker or smear over a place, in place; its box, or None where it lies outside."""
    x0, y0 = max(0, round(centre[0] - size[0] / 2)), max(0, round(centre[1] - size[1] / 2))
    x1, y1 = min(canvas.shape[1], round(centre[0] + size[0] / 2)), min(canvas.shape[0], round(centre[1] + size[1] / 2))
    if x1 - x0 < SMALLEST or y1 - y0 < SMALLEST:
        return None
    region = canvas[y0:y1, x0:x1]
    rows, columns = region.shape[:2]
    kind = rng.random()
    if kind < 0.4:
        cells = rng.uniform(3.2, 9)
        cell = max(3, round(min(rows, columns) / cells))
        small = cv2.resize(region, (max(2, columns // cell), max(2, rows // cell)), interpolation=cv2.INTER_AREA)
        changed = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_NEAREST)
    elif kind < 0.65:
        changed = cv2.GaussianBlur(region, (0, 0), max(2.5, min(rows, columns) * rng.uniform(0.12, 0.3)))
    elif kind < 0.85:
        return _stuck_on(rng, canvas, (x0, y0, x1, y1))
    else:  # smeared along one direction
        length = max(5, round(max(rows, columns) * rng.uniform(0.4, 0.9)))
        kernel = np.full((1, length) if rng.random() < 0.5 else (length, 1), 1 / length, np.float32)
        changed = cv2.GaussianBlur(cv2.filter2D(region, -1, kernel), (0, 0), 1.0)
    mask = np.zeros((rows, columns), np.float32)
    if rng.random() < 0.7:
        mask[:] = 1
    else:
        cv2.ellipse(mask, (columns // 2, rows // 2), (columns // 2, rows // 2), 0, 0, 360, 1.0, -1)
    region[:] = (region * (1 - mask[:, :, None]) + changed * mask[:, :, None]).astype(np.uint8)
    return float(x0), float(y0), float(x1), float(y1)


def _stuck_on(
    rng: Generator, canvas: Image, box: tuple[int, int, int, int]
) -> tuple[float, float, float, float] | None:
    """A piece of tape or a sticker: plain paint with a little texture, shadow at its edge."""
    width, height = box[2] - box[0], box[3] - box[1]
    paint = np.broadcast_to(colour(rng), (height, width, 3)).astype(np.float32)
    paint = paint + rng.normal(0, 5, (height, width, 1)) + np.linspace(-8, 8, width)[None, :, None]
    alpha = np.full((height, width), 255, np.uint8)
    if rng.random() < 0.3:
        alpha[:] = 0
        cv2.ellipse(alpha, (width // 2, height // 2), (width // 2 - 1, height // 2 - 1), 0, 0, 360, 255, -1)
    art = np.dstack([paint.clip(0, 255).astype(np.uint8), alpha])
    placed = place(rng, canvas, art, float(max(width, height)), ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    return placed.box if placed else None


def _longest_side(placed: Placed) -> float:
    x0, y0, x1, y1 = placed.box
    return max(x1 - x0, y1 - y0)


def _mean_near(canvas: Image, centre: tuple[float, float], side: float) -> NDArray[np.float32]:
    x0, y0 = max(0, int(centre[0] - side / 2)), max(0, int(centre[1] - side / 2))
    return canvas[y0 : y0 + int(side) + 1, x0 : x0 + int(side) + 1].mean(axis=(0, 1), dtype=np.float32)


def _free(
    rng: Generator, side: float, extent: int, taken: Sequence[tuple[float, float, float, float]]
) -> tuple[float, float] | None:
    """A centre where nothing lies yet; logos may be cut by the picture's edge."""
    for _ in range(6):
        centre = (
            float(rng.uniform(side * 0.35, extent - side * 0.35)),
            float(rng.uniform(side * 0.35, extent - side * 0.35)),
        )
        if not any(_overlap(box, centre, side) for box in taken):
            return centre
    return None


def _overlap(box: tuple[float, float, float, float], centre: tuple[float, float], side: float) -> bool:
    reach = side / 2 + 3
    return (
        box[0] < centre[0] + reach and box[2] > centre[0] - reach
        and box[1] < centre[1] + reach and box[3] > centre[1] - reach
    )  # fmt: skip


def _jittered(rng: Generator, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """As a detector would have it: not quite."""
    width, height = box[2] - box[0], box[3] - box[1]
    by = rng.normal(0, 0.05, 4).clip(-0.12, 0.12) * (width, height, width, height)
    return box[0] + by[0], box[1] + by[1], box[2] + by[2], box[3] + by[3]
