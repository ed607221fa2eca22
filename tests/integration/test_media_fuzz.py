"""Byte-flipped files end with frames, sound or an error of the contract; the parent lives on.

60 mutants by default; MEDIA_FUZZ_MUTANTS=2000 for a full run, MEDIA_FUZZ_SEED for other ones.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest

from moderation import errors
from moderation.media import DecoderPool, MediaLimits, open_media
from tests.media_files import moving_picture, write_picture, write_sound, write_subtitled, write_video

MUTANTS = int(os.environ.get("MEDIA_FUZZ_MUTANTS", "60"))
SEED = int(os.environ.get("MEDIA_FUZZ_SEED", "1"))
LIMITS = MediaLimits(base_time_s=20, memory_bytes=1024**3)


def seeds(folder: Path) -> list[bytes]:
    """One small file of each kind."""
    image = moving_picture(0, 64, 48)
    fast = {"preset": "ultrafast"}
    paths = [
        write_video(folder / "a.mp4", seconds=1, sound=True, options={"preset": "veryfast", "bf": "2"}),
        write_video(folder / "b.mkv", seconds=1, options=fast),
        write_video(folder / "c.ts", seconds=1, options=fast),
        write_video(folder / "d.avi", seconds=1, codec="mpeg4"),
        write_video(folder / "e.webm", seconds=0.5, codec="libvpx-vp9", options={"cpu-used": "8"}),
        write_video(folder / "f.flv", seconds=1, codec="flv"),
        write_video(folder / "g.gif", seconds=0.5, codec="gif", pix_fmt="rgb8", fps=10),
        write_video(folder / "h.mp4", seconds=0.5, codec="libx265", options={"x265-params": "log-level=none"}),
        write_sound(folder / "i.mp3", seconds=1, codec="libmp3lame"),
        write_picture(folder / "j.png", image),
        write_picture(folder / "k.jpg", image, "mjpeg", "yuvj444p"),
        write_picture(folder / "l.webp", image, "libwebp", "bgra"),
        write_subtitled(folder / "m.mkv", [(0.1, 0.9, "words")]),
    ]
    return [path.read_bytes() for path in paths]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip some bytes (more often near the start), and now and then cut, double or blank a stretch."""
    mutant = bytearray(data)
    for _ in range(int(rng.integers(1, 30))):
        span = len(mutant) if rng.random() < 0.5 else min(len(mutant), 1500)
        mutant[int(rng.integers(span))] = int(rng.integers(256))
    at, length = int(rng.integers(len(mutant))), int(rng.integers(1, 300))
    kind = rng.integers(8)
    if kind == 0:
        del mutant[at:]
    elif kind == 1:
        mutant[at:at] = mutant[at : at + length]
    elif kind == 2:
        mutant[at : at + length] = b"\xff" * length
    return bytes(mutant)


def read(path: Path, pool: DecoderPool) -> str:
    try:
        with open_media(path, LIMITS, pool=pool) as media:
            list(media.keyframes())
            frames = list(media.frames(0.25))
            audio = media.audio()
            media.subtitles()
            media.require_something_read()
            assert all(frame.image.dtype == np.uint8 and frame.image.ndim == 3 for frame in frames)
            assert all(a.pts_s < b.pts_s for a, b in itertools.pairwise(frames))
            read_something = bool(frames) or audio is not None
            assert read_something or media.warnings
            return "read with warnings" if media.warnings else "read"
    except errors.InputError as error:
        assert str(error)
        return error.code


@pytest.mark.fuzz
@pytest.mark.timeout(7200)
def test_mutants_end_with_an_answer(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    originals = seeds(tmp_path)
    answers: Counter[str] = Counter()
    process = psutil.Process()
    path = tmp_path / "mutant"
    with DecoderPool() as pool:
        for n in range(MUTANTS):
            path.write_bytes(mutate(originals[n % len(originals)], rng))
            answers[read(path, pool)] += 1
        assert len(process.children(recursive=True)) == 1
    assert sum(answers.values()) == MUTANTS
    assert answers["internal"] == 0
    print(dict(answers))
