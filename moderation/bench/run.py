"""All measurements of `moderation bench`, in one run on one clip that it makes itself.

Ratios compare two ways on the same machine in the same run; single times depend on the machine, which is named.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from moderation.bench.decode import measure_exact, measure_keyframes
from moderation.bench.logos import measure_logos
from moderation.bench.meaning import measure_classifier
from moderation.bench.ocr import measure_ocr
from moderation.bench.text import bench_text
from moderation.bench.whole import measure_scan
from moderation.clips.bench_clip import SPOKEN, bench_plan, bench_truth
from moderation.clips.make import make_clip
from moderation.clips.samples import demo_plans
from moderation.clips.voice import open_voice
from moderation.errors import ModerationError
from moderation.media import open_media
from moderation.policy.load import shipped_policy


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. `target` says what is wanted, `met` whether it was; both None without a target."""

    stage: str
    name: str
    value: float
    unit: str
    target: str | None = None
    met: bool | None = None


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def run_bench(folder: Path, *, stages: tuple[str, ...], speech: bool) -> Iterator[Figure]:
    """Make the clip in `folder` and yield figures stage by stage."""
    voice = open_voice() if speech and "scan-speech" in stages else None
    clip = make_clip(bench_plan(voice.say_all(SPOKEN) if voice else ()), folder)
    warmup = make_clip(demo_plans()[0], folder)
    measures: dict[str, Callable[[], Iterator[Figure]]] = {
        "decode": lambda: _decode(clip),
        "ocr": lambda: _ocr(clip),
        "logos": lambda: _logos(clip),
        "text": _text,
        "meaning": _meaning,
        "scan": lambda: _scan(clip, warmup, speech=False),
    }
    if voice is not None:
        measures["scan-speech"] = lambda: _scan(clip, warmup, speech=True)
    elif speech:
        measures["scan-speech"] = _no_voice
    for stage, measure in measures.items():
        if stage in stages:
            yield from measure()


def _decode(clip: Path) -> Iterator[Figure]:
    try:
        keyframes = measure_keyframes(clip)
        yield _at_most("decode", "keyframe pass / ffmpeg -skip_frame nokey, wall", keyframes.ratio, "×", 1.2)
    except ModerationError as error:
        # Without the ffmpeg program there is nothing to compare with; the other figures still count.
        yield Figure("decode", f"keyframe pass: not compared ({error})", 0.0, "")
    exact = measure_exact(clip)
    yield _at_most("decode", "exact 1 frame/s / OpenCV grab-retrieve, CPU", exact.ratio, "×", 0.55)
    yield Figure("decode", "exact 1 frame/s", exact.ours.cpu_s, "CPU s")


def _ocr(clip: Path) -> Iterator[Figure]:
    truth = bench_truth()
    with open_media(clip) as media:
        frames = list(media.frames())
    figures = measure_ocr(frames, truth.lines, truth.small)
    yield _at_most("ocr", "CPU / reading every frame", figures.ratio, "×", 0.125)
    yield _at_least("ocr", "caption lines read", figures.recall, "share", 0.98)
    yield _at_least("ocr", "16 px line read", float(figures.small_line_read), "", 1.0)


def _logos(clip: Path) -> Iterator[Figure]:
    with open_media(clip) as media:
        frames = list(media.frames())
    figures = measure_logos(frames)
    yield _at_most("logos", "logos, hidden logos and hashes, CPU a frame", figures.frame_cpu_ms, "ms", 25.0)
    yield Figure("logos", "the same where no frame repeats the last", round(figures.new_frame_cpu_ms, 1), "ms")
    yield Figure("logos", "one logo among 100,000 vectors", round(figures.lookup_ms, 2), "ms")


def _text() -> Iterator[Figure]:
    figures = bench_text(shipped_policy())
    name = "normalise + terms, one core"
    yield _at_least("text", f"{name}, a tenth of the lines tempting", figures.tempting_mb_s, "MB/s", 5.0)
    yield Figure("text", f"{name}, ordinary talk", round(figures.ordinary_mb_s, 3), "MB/s")
    yield Figure("text", "a line alone", round(figures.per_line_us), "µs")
    yield Figure("text", "policy load", round(figures.load_s, 2), "s")


def _meaning() -> Iterator[Figure]:
    figures = measure_classifier()
    yield _at_least("meaning", "classifier, 64 tokens, batch 32", figures.texts_per_s, "texts/s", 400.0)
    yield Figure("meaning", "classifier, lines of a live room", round(figures.lines_per_s), "texts/s")
    yield _at_most("meaning", "one sentence", figures.one_sentence_ms, "ms", 15.0)
    yield _at_most("meaning", "memory of a process with only the classifier (PSS)", figures.memory_mb, "MB", 350.0)
    yield Figure("meaning", f"provider {figures.provider}, threads", figures.threads, "")


def _scan(clip: Path, warmup: Path, *, speech: bool) -> Iterator[Figure]:
    figures = measure_scan(clip, warmup, speech=speech)
    stage = "scan with speech" if speech else "scan"
    yield _at_least(stage, "whole scan, warm", figures.times_real_time, "× real time", 6.0 if speech else 15.0)
    yield _at_most(stage, "peak memory, all processes (PSS)", figures.peak_pss_mb, "MB", 1200.0 if speech else 700.0)
    for name, seconds in figures.timings_s.items():
        yield Figure(stage, f"  {name}", seconds, "s")


def _no_voice() -> Iterator[Figure]:
    yield Figure("scan with speech", "not measured: no voice speaks the clip (install one: make voices)", 0.0, "")


def _at_most(stage: str, name: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(stage, name, round(value, 3), unit, f"≤ {limit:g}", value <= limit)


def _at_least(stage: str, name: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(stage, name, round(value, 3), unit, f"≥ {limit:g}", value >= limit)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
