"""Encode a clip with what was planted in it, and write its truth and metadata beside it.

The truth has the form `{"file", "labels": {label: [[start_s, end_s, source], …]}, "speech", "captions", "notes"}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moderation.clips.draw import Layer, Style, caption, code
from moderation.clips.footage import Scene, available, frames

RATE = 16000


@dataclass(frozen=True, slots=True)
class Caption:
    """Text on screen from `start_s` to `end_s`; `size` is the letter height in pixels."""

    start_s: float
    end_s: float
    text: str
    style: Style = "outline"
    size: int = 40
    at: tuple[float, float] = (0.5, 0.74)


@dataclass(frozen=True, slots=True)
class Code:
    """A QR code on screen; `side` in pixels."""

    start_s: float
    end_s: float
    payload: str
    side: int = 150
    at: tuple[float, float] = (0.78, 0.2)


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """Spoken words: mono float32 samples at 16 kHz that begin at `start_s`."""

    start_s: float
    text: str
    samples: NDArray[np.float32]


Truth = dict[str, list[tuple[float, float, str]]]


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """One clip to make. `labels` is the truth: label → (start_s, end_s, source), empty for a clean clip."""

    name: str
    duration_s: float
    captions: tuple[Caption, ...] = ()
    codes: tuple[Code, ...] = ()
    speech: tuple[Speech, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    labels: Truth = field(default_factory=dict)
    notes: str = ""
    scene: Scene = "bikes"
    size: tuple[int, int] = (540, 960)
    fps: int = 25
    seed: int = 0
    crf: int = 28


def make_clip(plan: ClipPlan, folder: Path) -> Path:
    """Write NAME.mp4 (H.264, 2 s GOP, AAC where there is speech) and NAME.json; returns the video's path."""
    import av

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plan.name}.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=plan.fps)
        video.width, video.height, video.pix_fmt = *plan.size, "yuv420p"
        video.time_base = Fraction(1, plan.fps)
        video.options = {"crf": str(plan.crf), "preset": "veryfast", "g": str(2 * plan.fps), "threads": "2"}
        sound = container.add_stream("aac", rate=RATE, layout="mono") if plan.speech else None
        for image in pictures(plan):
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(video.encode(None))
        if sound is not None:
            for piece in _sound(plan):
                container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
    if plan.metadata:
        meta = {"id": plan.name, **plan.metadata}
        path.with_suffix(".json").write_text(json.dumps(meta, ensure_ascii=False), "utf-8")
    return path


def make_clips(plans: Iterable[ClipPlan], folder: Path) -> list[Path]:
    """Make several clips and their truth.jsonl."""
    todo = list(plans)
    paths = [make_clip(plan, folder) for plan in todo]
    lines = [json.dumps(truth_of(plan), ensure_ascii=False) for plan in todo]
    (folder / "truth.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return paths


def truth_of(plan: ClipPlan) -> dict[str, Any]:
    """What was planted, as one object of truth.jsonl."""
    return {
        "file": f"{plan.name}.mp4",
        "labels": {label: [list(span) for span in spans] for label, spans in plan.labels.items()},
        "speech": [[s.start_s, round(s.start_s + len(s.samples) / RATE, 2), s.text] for s in plan.speech],
        "captions": [[c.start_s, c.end_s, c.text] for c in plan.captions],
        "footage": available(plan.scene),
        "notes": plan.notes,
    }


def pictures(plan: ClipPlan) -> Iterator[NDArray[np.uint8]]:
    """The drawn frames, (height, width, 3) BGR: the same for the same plan (x264's bytes are not)."""
    layers = [(c.start_s, c.end_s, caption(c.text, c.style, c.size, plan.size, c.at)) for c in plan.captions]
    layers += [(c.start_s, c.end_s, code(c.payload, c.side, plan.size, c.at)) for c in plan.codes]
    scene = frames(plan.scene, *plan.size, plan.fps, seed=plan.seed)
    for number, image in enumerate(islice(scene, round(plan.duration_s * plan.fps))):
        time = number / plan.fps
        for layer in _showing(layers, time):
            layer.over(image)
        yield image


def _showing(layers: Sequence[tuple[float, float, Layer]], time: float) -> Iterator[Layer]:
    return (layer for start, end, layer in layers if start <= time < end)


def _sound(plan: ClipPlan) -> Iterator[Any]:
    import av

    track = np.zeros(round(plan.duration_s * RATE), np.float32)
    for line in plan.speech:
        start = round(line.start_s * RATE)
        part = track[start : start + len(line.samples)]
        part += line.samples[: len(part)]
    samples = (np.clip(track, -1, 1) * 32767).astype(np.int16)
    for start in range(0, len(samples), RATE):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + RATE], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield frame
