"""Brand icons as small pictures: from the package `simple-icons-pack` (CC0) and from Iconify's JSON files.

Brands are split by the hash of their name, so that a brand stays on its side however the collections grow.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from moderation.errors import MissingDependencyError
from training.errors import DataError

logger = logging.getLogger(__name__)

Art = NDArray[np.uint8]
Split = Literal["train", "development", "test"]

# Longest side of a rendered icon in pixels.
SIDE = 160
_FAINT = 16  # alpha up to which nobody sees anything
# Of ten parts: which are kept from training.
_DEVELOPMENT, _TEST = (0,), (1, 2)
_VARIANT = re.compile(r"[-_ ](icon|dark|light|old|original|monochrome|alt|text|wordmark|plain|black|white)$")


@dataclass(frozen=True, slots=True, eq=False)
class Icon:
    """One picture of a brand: `art` is (H, W, 4) uint8 BGRA, cut to what is visible, longest side `SIDE`."""

    brand: str
    art: Art

    @property
    def is_mono(self) -> bool:
        """A silhouette that says nothing about colours."""
        visible = self.art[self.art[:, :, 3] > 0]
        return bool((visible[:, :3].max(axis=0) < 8).all())


def load_icons(collections: Sequence[Path], cache: Path) -> list[Icon]:
    """Every icon of the package and of the Iconify files; rendered once and kept in `cache`.

    Raises MissingDependencyError without the packages, DataError where a file is no Iconify collection.
    """
    stamp = hashlib.sha256("".join(f"{p.name}{p.stat().st_size}" for p in collections).encode()).hexdigest()[:12]
    path = cache / f"icons-{SIDE}-{stamp}.npz"
    if not path.exists():
        sources = [
            *((brand_key(title), svg) for title, svg in packaged_svgs()),
            *(one for p in collections for one in _iconify(p)),
        ]
        with ThreadPoolExecutor() as pool:
            drawn = [(brand, art) for (brand, _), art in zip(sources, pool.map(_draw, sources), strict=True)]
        icons = [(brand, art) for brand, art in drawn if art is not None]
        logger.info("%d of %d icons rendered", len(icons), len(sources))
        cache.mkdir(parents=True, exist_ok=True)
        joined = np.concatenate([art.ravel() for _, art in icons])
        np.savez(
            path, art=joined, shapes=np.array([a.shape[:2] for _, a in icons]), brands=np.array([b for b, _ in icons])
        )
    with np.load(path, allow_pickle=False) as stored:
        art, shapes, brands = stored["art"], stored["shapes"], stored["brands"].tolist()
    ends = np.cumsum(shapes.prod(axis=1) * 4)
    return [
        Icon(brand, art[end - h * w * 4 : end].reshape(h, w, 4))
        for brand, (h, w), end in zip(brands, shapes.tolist(), ends.tolist(), strict=True)
    ]


def split_of(brand: str, held_out: Sequence[str]) -> Split:
    """Which side a brand is on. Those of `held_out`, and brands whose names begin with one, are `test`."""
    for name in held_out:
        # A short name begins many others: "hp" is no reason to hold out "hpe".
        if brand == name or (len(name) > 3 and brand.startswith(name)):
            return "test"
    part = part_of_ten(brand)
    return "development" if part in _DEVELOPMENT else "test" if part in _TEST else "train"


def part_of_ten(name: str) -> int:
    """Which of ten parts a name falls in, by its hash: 0 to 9, the same for good."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 10


def brand_key(name: str) -> str:
    """Letters and digits of a name, without what tells variants apart: `GitHub-icon` and `github` are one brand."""
    shorter = _VARIANT.sub("", name.lower())
    while shorter != name.lower():
        name, shorter = shorter, _VARIANT.sub("", shorter)
    spelt = name.lower().replace("++", "plusplus").replace("#", "sharp")
    plain = unicodedata.normalize("NFKD", spelt)
    return re.sub(r"[^a-z0-9]", "", plain)


def packaged_svgs() -> list[tuple[str, str]]:
    """Titles and SVGs of the package; a title may have several.

    Raises MissingDependencyError where it is not installed.
    """
    try:
        import simple_icons_pack
    except ImportError as error:
        raise MissingDependencyError("simple-icons-pack is not installed. Run `pip install -e '.[train]'`.") from error
    icons = (getattr(simple_icons_pack, name) for name in sorted(vars(simple_icons_pack)) if name.startswith("SI_"))
    return [(icon.title, icon.svg) for icon in icons]


def _iconify(path: Path) -> Iterator[tuple[str, str]]:
    """An Iconify collection: bodies of SVGs with their sizes (https://iconify.design/docs/types/iconify-json.html)."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        icons, width, height = data["icons"], data.get("width", 16), data.get("height", 16)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not an Iconify collection ({error}).") from error
    for name, icon in sorted(icons.items()):
        w, h = icon.get("width", width), icon.get("height", height)
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {w} {h}" width="{w}" height="{h}">'
            f"{icon['body']}</svg>"
        )
        yield brand_key(name), svg


def _draw(source: tuple[str, str]) -> Art | None:
    """A brand's SVG as a picture; None where it cannot be rendered, or shows nothing."""
    import resvg_py

    brand, svg = source
    size = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', svg)
    wide = size is None or float(size[1]) >= float(size[2])
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=svg, skip_system_fonts=True, width=2 * SIDE if wide else None, height=None if wide else 2 * SIDE
        )
    except ValueError:
        logger.debug("%s: cannot be rendered", brand)
        return None
    art = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if art is None or art.ndim != 3 or art.shape[2] != 4:
        return None
    return trimmed(art.astype(np.uint8, copy=False), SIDE)


def trimmed(art: NDArray[np.uint8], side: int) -> Art | None:
    """(H, W, 4) BGRA, cut to what is visible and scaled to a longest side of `side`; None where nothing is."""
    ys, xs = np.nonzero(art[:, :, 3] > _FAINT)
    if len(ys) == 0:
        return None
    art = art[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    scale = side / max(art.shape[:2])
    size = max(4, round(art.shape[1] * scale)), max(4, round(art.shape[0] * scale))
    return cv2.resize(art, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
