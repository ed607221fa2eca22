"""Measure reading text on screen against reading every frame with rapidocr's own pipeline.

CPU seconds of this process on both sides, in one run, models loaded and warm. The baseline reads every third frame
and is scaled by the count, because it takes half a minute otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moderation.clips.make import Caption
from moderation.text.normalise import normalise
from moderation.transcript.ocr import OcrStats, ScreenTextReader
from moderation.types import Frame, Utterance

BASELINE_STEP = 3
LONGER_SIDE = 736


@dataclass(frozen=True, slots=True)
class OcrFigures:
    """CPU seconds for all frames, `ratio` ours to baseline, `recall` of the caption lines, and what was done."""

    ours_cpu_s: float
    baseline_cpu_s: float
    ratio: float
    recall: float
    small_line_read: bool
    stats: OcrStats


def measure_ocr(frames: Sequence[Frame], lines: Sequence[Caption], small: Caption) -> OcrFigures:
    """Read `frames` (one a second, BGR) both ways; `lines` and `small` are what they show."""
    reader = ScreenTextReader()
    _read(reader, frames[:3])
    began = time.process_time()
    utterances, stats = _read(reader, frames)
    ours = time.process_time() - began
    baseline = _baseline_cpu_s(frames)
    return OcrFigures(
        ours_cpu_s=ours,
        baseline_cpu_s=baseline,
        ratio=ours / baseline,
        recall=sum(was_read(line, utterances) for line in lines) / len(lines),
        small_line_read=was_read(small, utterances),
        stats=stats,
    )


def was_read(line: Caption, utterances: Sequence[Utterance]) -> bool:
    """Whether the line's exact words stand in a text that was shown in its time."""
    wanted = normalise(line.text).text
    return any(
        wanted in normalise(u.text).text
        for u in utterances
        if u.start_s is not None and u.end_s is not None and u.start_s < line.end_s and u.end_s > line.start_s
    )


def _read(reader: ScreenTextReader, frames: Sequence[Frame]) -> tuple[tuple[Utterance, ...], OcrStats]:
    session = reader.start()
    for frame in frames:
        session.push(frame)
    text = session.finish(frames[-1].pts_s + 1)
    return text.utterances, text.stats


def _baseline_cpu_s(frames: Sequence[Frame]) -> float:
    from rapidocr import RapidOCR

    settings: dict[str, Any] = {
        "Global.log_level": "error",
        "Global.use_cls": False,
        "Det.limit_type": "max",
        "Det.limit_side_len": LONGER_SIDE,
        "EngineConfig.onnxruntime.intra_op_num_threads": 2,
    }
    read = RapidOCR(params=settings)
    read(frames[0].image)
    some = frames[::BASELINE_STEP]
    began = time.process_time()
    for frame in some:
        read(frame.image)
    return (time.process_time() - began) * len(frames) / len(some)
