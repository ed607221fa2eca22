"""What logos, hidden logos and hashes cost a frame, in CPU time of this process, and how long the look-up takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from moderation.bank.live import LiveBank
from moderation.types import Frame
from moderation.visual.hashes import copy_views
from moderation.visual.known_brands import KnownBrand, KnownBrands
from moderation.visual.logos import LogoFinder
from moderation.visual.sightings import LogoWatcher

_VECTORS, _LOOKS = 100_000, 50


@dataclass(frozen=True, slots=True)
class LogoFigures:
    """`frame_cpu_ms`: logos, hidden logos and hashes of a frame of the clip as it is; `new_frame_cpu_ms`: the same
    where no frame repeats the one before; `lookup_ms`: one logo among 100,000 vectors, on the clock."""

    frame_cpu_ms: float
    new_frame_cpu_ms: float
    lookup_ms: float


def measure_logos(frames: Sequence[Frame]) -> LogoFigures:
    """`frames`: one a second, BGR."""
    finder = LogoFinder()
    brands = LiveBank(None, finder).current().brands
    _watch(finder, brands, frames[:4])
    # Turned upside down in turn, no frame is like the one before.
    changing = [replace(f, image=f.image[::-1].copy() if i % 2 else f.image) for i, f in enumerate(frames)]
    rng = np.random.default_rng(0)
    many = rng.normal(size=(_VECTORS, brands.dimensions)).astype(np.float32)
    known = KnownBrands([KnownBrand(str(i), str(i % 500), part) for i, part in enumerate(np.split(many, 1000))])
    began = time.perf_counter()
    for _ in range(_LOOKS):
        known.match(many[:1])
    lookup = (time.perf_counter() - began) / _LOOKS
    return LogoFigures(1000 * _watch(finder, brands, frames), 1000 * _watch(finder, brands, changing), 1000 * lookup)


def _watch(finder: LogoFinder, brands: KnownBrands, frames: Sequence[Frame]) -> float:
    """CPU seconds a frame."""
    watcher, began = LogoWatcher(finder, brands), time.process_time()
    for frame in frames:
        watcher.push(frame)
        copy_views(frame)
    watcher.finish()
    return (time.process_time() - began) / len(frames)
