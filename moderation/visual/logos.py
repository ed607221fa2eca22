"""Logos in frames, by the two networks of a logo bundle: where one is or was hidden, and what it looks like.

The detector knows no brand. What a logo looks like is a vector of length 1, to be compared with those of a bank
(`known_brands.py`), so that a new brand needs no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moderation.errors import ModelError
from moderation.inference.bundle import (
    CONFIG,
    DETECTOR,
    EMBEDDER,
    Bundle,
    LogoBundleConfig,
    open_bundle,
    shipped_bundle,
)
from moderation.inference.session import ModelSession, SessionSettings
from moderation.types import Box
from moderation.visual.crops import Picture, cut_out

LogoKind = Literal["logo", "obscured"]
KINDS: tuple[LogoKind, ...] = ("logo", "obscured")

_STRIDE = 32
_GROUND = 127  # what pads a frame: zero after the graph's own normalisation
_MOST_BOXES, _MOST_CANDIDATES, _SAME_BOX = 20, 200, 0.5
_CROPS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class LogoSettings:
    """`bundle` None: the one that ships."""

    bundle: Path | None = None
    session: SessionSettings = field(default_factory=SessionSettings)


@dataclass(frozen=True, slots=True)
class LogoBox:
    """One detection; `score` is the detector's own figure in 0..1, no probability."""

    kind: LogoKind
    box: Box
    score: float


class LogoFinder:
    """Detects and embeds. Raises BundleError or ModelError when it is made. Safe to share between threads."""

    def __init__(self, settings: LogoSettings | None = None) -> None:
        self.settings = settings or LogoSettings()
        folder = self.settings.bundle or shipped_bundle("logo")
        if folder is None:
            raise ModelError("no logo bundle ships with this package. Reinstall it, or give a bundle's folder.")
        self.bundle: Bundle = open_bundle(folder)
        self.config = self.bundle.read(CONFIG, LogoBundleConfig)
        self._detector = ModelSession(self.bundle.file(DETECTOR), self.settings.session)
        self._embedder = ModelSession(self.bundle.file(EMBEDDER), self.settings.session)

    @property
    def version(self) -> str:
        return self.bundle.version

    @property
    def provider(self) -> str:
        return self._detector.provider

    def detect(self, images: Sequence[Picture], *, least: float | None = None) -> list[list[LogoBox]]:
        """The logos of each picture, the surest first; pictures are (H, W, 3) uint8 BGR of one size.

        `least` takes the place of the bundle's thresholds: for measuring.
        """
        if not images:
            return []
        height, width = images[0].shape[:2]
        batch, scale = self._shrunk(images)
        logits, boxes = self._detector.run(("logits", "boxes"), {"images": batch})
        scores = 1.0 / (1.0 + np.exp(-logits))
        reach = np.array([width, height, width, height], np.float32) * scale
        return [self._chosen(s, (b / reach).clip(0.0, 1.0), least) for s, b in zip(scores, boxes, strict=True)]

    def embed(self, crops: Sequence[Picture]) -> NDArray[np.float32]:
        """Vectors of length 1, (N, D) float32, of (side, side, 3) uint8 BGR crops; `side` is the bundle's."""
        found = [
            self._embedder.run(("embeddings",), {"crops": np.stack(crops[i : i + _CROPS_AT_ONCE])})[0]
            for i in range(0, len(crops), _CROPS_AT_ONCE)
        ]
        return np.concatenate(found) if found else np.empty((0, 0), np.float32)

    def look_at(self, image: Picture, boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Vectors of these places of a picture."""
        height, width = image.shape[:2]
        places = [(b.x0 * width, b.y0 * height, b.x1 * width, b.y1 * height) for b in boxes]
        return self.embed([cut_out(image, place, self.config.crop_side) for place in places])

    def _shrunk(self, images: Sequence[Picture]) -> tuple[NDArray[np.uint8], float]:
        """(B, H, W, 3) uint8 with sides of whole strides, and the scale; small pictures are not enlarged."""
        import cv2

        height, width = images[0].shape[:2]
        scale = min(1.0, self.config.frame_side / max(height, width))
        w, h = max(round(width * scale), 1), max(round(height * scale), 1)
        batch = np.full((len(images), -(-h // _STRIDE) * _STRIDE, -(-w // _STRIDE) * _STRIDE, 3), _GROUND, np.uint8)
        for row, image in zip(batch, images, strict=True):
            row[:h, :w] = image if scale == 1.0 else cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        return batch, scale

    def _chosen(self, scores: NDArray[np.float32], boxes: NDArray[np.float32], least: float | None) -> list[LogoBox]:
        found = []
        for column, kind in enumerate(KINDS):
            of_kind = scores[:, column]
            above = np.flatnonzero(of_kind >= (self.config.thresholds[kind] if least is None else least))
            order = above[np.argsort(-of_kind[above], kind="stable")][:_MOST_CANDIDATES]
            found += [
                LogoBox(kind, Box(*map(float, boxes[i])), float(of_kind[i])) for i in suppress(boxes[order], order)
            ]
        return sorted(found, key=lambda b: -b.score)[:_MOST_BOXES]


def suppress(boxes: NDArray[np.float32], names: NDArray[np.int64]) -> list[int]:
    """Greedy non-maximum suppression of (N, 4) boxes, the surest first; the names of those that stay."""
    kept: list[int] = []
    left = np.arange(len(boxes))
    while left.size:
        first, left = left[0], left[1:]
        kept.append(int(names[first]))
        left = left[overlap(boxes[first], boxes[left]) < _SAME_BOX]
    return kept


def overlap(one: NDArray[np.float32], many: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of a box (4,) with others (N, 4); 0 where both are empty."""
    low, high = np.maximum(one[:2], many[:, :2]), np.minimum(one[2:], many[:, 2:])
    shared = np.prod((high - low).clip(0.0), axis=1)
    area = np.prod(one[2:] - one[:2]) + np.prod(many[:, 2:] - many[:, :2], axis=1) - shared
    return np.divide(shared, area, out=np.zeros_like(shared), where=area > 0)
