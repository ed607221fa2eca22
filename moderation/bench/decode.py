"""Measure decoding against FFmpeg and OpenCV on one clip, in one run.

Ratios are what to trust: both sides run in turn on the same machine, and the median of the rounds
is taken. A round counts the wall time of reading all frames through `moderation.media`, and the
CPU time of this process and of the decoding child together. The child's start is left out (it is a
pre-started spare, as in a warm worker); opening and probing the file is in.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from moderation.errors import MissingDependencyError
from moderation.media import DecoderPool, Media, open_media
from moderation.types import Frame

# Time for the next spare to start, so that its start disturbs no measurement.
_SPARE_START_S = 0.5


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock and of CPU (all processes), and how many frames came out."""

    wall_s: float
    cpu_s: float
    frames: int


@dataclass(frozen=True, slots=True)
class KeyframeFigures:
    """The keyframe pass beside `ffmpeg -skip_frame nokey`; `ratio` is wall to wall."""

    ours: Cost
    ffmpeg: Cost
    ratio: float


@dataclass(frozen=True, slots=True)
class ExactFigures:
    """Exact frames at an interval beside OpenCV grab/retrieve; `ratio` is CPU to CPU."""

    ours: Cost
    opencv: Cost
    ratio: float


def measure_keyframes(path: Path, rounds: int = 5) -> KeyframeFigures:
    """Raises MissingDependencyError where the `ffmpeg` program is not installed."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise MissingDependencyError("the comparison needs the ffmpeg program; install it with your package manager")
    command = [program, "-v", "error", "-nostdin", "-skip_frame", "nokey", "-i", str(path), "-an", "-f", "null", "-"]
    ours, theirs = [], []
    with DecoderPool() as pool:
        for _ in range(rounds):
            ours.append(_ours(path, pool, lambda media: media.keyframes()))
            theirs.append(_ffmpeg(command))
    best, other = _median(ours), _median(theirs)
    return KeyframeFigures(best, other, best.wall_s / other.wall_s)


def measure_exact(path: Path, interval_s: float = 1.0, rounds: int = 5) -> ExactFigures:
    """Frames in full size (longer side up to 1280) every `interval_s`, on both sides."""
    ours, theirs = [], []
    with DecoderPool() as pool:
        for _ in range(rounds):
            ours.append(_ours(path, pool, lambda media: media.frames(interval_s)))
            theirs.append(_grab_and_retrieve(path, interval_s))
    best, other = _median(ours), _median(theirs)
    return ExactFigures(best, other, best.cpu_s / other.cpu_s)


def _ours(path: Path, pool: DecoderPool, read: Callable[[Media], Iterator[Frame]]) -> Cost:
    time.sleep(_SPARE_START_S)
    cpu, started = _own_cpu_s(), time.perf_counter()
    with open_media(path, pool=pool) as media:
        frames = sum(1 for _ in read(media))
        return Cost(time.perf_counter() - started, _own_cpu_s() - cpu + media.decoder_cpu_s, frames)


def _ffmpeg(command: list[str]) -> Cost:
    before, started = _children_cpu_s(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Cost(time.perf_counter() - started, _children_cpu_s() - before, frames=0)


def _grab_and_retrieve(path: Path, interval_s: float) -> Cost:
    import cv2

    cpu, started = _own_cpu_s(), time.perf_counter()
    capture = cv2.VideoCapture(str(path))
    step = max(1, round((capture.get(cv2.CAP_PROP_FPS) or 1) * interval_s))
    grabbed = frames = 0
    while capture.grab():
        if grabbed % step == 0:
            frames += capture.retrieve()[0]
        grabbed += 1
    capture.release()
    return Cost(time.perf_counter() - started, _own_cpu_s() - cpu, frames)


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _median(costs: list[Cost]) -> Cost:
    """Medians of wall and of CPU, each taken alone."""
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        costs[0].frames,
    )
