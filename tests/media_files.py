"""Small videos, sounds and pictures that the media tests make for themselves."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]


def moving_picture(n: int, width: int = 128, height: int = 96, seed: int = 0) -> Rgb:
    """(H, W, 3) RGB uint8: a textured ground that slides, a square that runs, some noise."""
    rng = np.random.default_rng(seed * 10_000 + n)
    y, x = np.mgrid[0:height, 0:width]
    ground = 128 + 60 * np.sin((x + 3 * n) / 7.0) + 50 * np.cos((y - 2 * n) / 11.0)
    image = np.stack([ground, np.roll(ground, 5, 0), np.roll(ground, 9, 1)], -1)
    at = (5 * n) % max(1, width - 20)
    image[height // 4 : height // 2, at : at + 16] = (250, 30, 60)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    container: str | None = None,
    seconds: float = 4.0,
    fps: int = 24,
    size: tuple[int, int] = (128, 96),
    gop: int = 12,
    options: dict[str, str] | None = None,
    rotate: int | None = None,
    aspect: Fraction | None = None,
    pix_fmt: str = "yuv420p",
    sound: bool = False,
    pts: list[int] | None = None,
    container_options: dict[str, str] | None = None,
    moving: bool = True,
) -> Path:
    """Encode `moving_picture`s; `rotate` sets the display matrix, `pts` replaces 0, 1, 2, …"""
    width, height = size
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        video: Any = out.add_stream(codec, rate=fps)
        video.width, video.height, video.pix_fmt = width, height, pix_fmt
        video.gop_size = gop
        video.options = options or {}
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        if rotate is not None:
            video.set_display_rotation(rotate)
        audio: Any = out.add_stream("aac", rate=44100, layout="mono") if sound else None
        still = moving_picture(0, width, height)
        for n in range(round(seconds * fps)):
            image = moving_picture(n, width, height) if moving else still
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = (pts[n] if pts else n), Fraction(1, fps)
            frame.pict_type = PictureType.NONE
            out.mux(video.encode(frame))
        if audio is not None:
            _write_tone(out, audio, seconds)
        out.mux(video.encode(None))
    return path


def write_sound(path: Path, *, seconds: float = 3.0, codec: str = "aac", rate: int = 44100) -> Path:
    """A 440 Hz tone."""
    with av.open(str(path), "w") as out:
        _write_tone(out, out.add_stream(codec, rate=rate, layout="mono"), seconds)
    return path


def _write_tone(out: Any, stream: Any, seconds: float) -> None:
    rate, chunk = stream.rate, 1024
    for start in range(0, round(seconds * rate), chunk):
        t = np.arange(start, start + chunk) / rate
        samples = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def picture_bytes(image: NDArray[np.uint8], codec: str, pix_fmt: str, source: str = "rgb24") -> bytes:
    """One still picture as the encoder writes it: png, mjpeg, libwebp."""
    context: Any = av.CodecContext.create(codec, "w")
    context.height, context.width = image.shape[:2]
    context.pix_fmt, context.time_base = pix_fmt, Fraction(1, 1)
    if codec == "libwebp":
        context.options = {"lossless": "1"}
    frame = av.VideoFrame.from_ndarray(image, format=source).reformat(format=pix_fmt)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def write_picture(path: Path, image: NDArray[np.uint8], codec: str = "png", pix_fmt: str = "rgb24") -> Path:
    source = "rgba" if image.shape[2] == 4 else "rgb24"
    path.write_bytes(picture_bytes(image, codec, pix_fmt, source))
    return path


def write_subtitled(path: Path, lines: list[tuple[float, float, str]], kind: str = "srt", video: bool = True) -> Path:
    """A short video with one text subtitle stream; `lines` are (start, end, text), `kind` srt, vtt or ass."""
    beside = path.with_suffix(f".{kind}")
    beside.write_text(_SUBTITLE_FILES[kind](lines), encoding="utf-8")
    with av.open(str(beside)) as words, av.open(str(path), "w") as out:
        source = words.streams.subtitles[0]
        subtitle = out.add_stream_from_template(source)
        pictures: Any = out.add_stream("mpeg4", rate=10) if video else None
        if video:
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for n in range(40 if video else 0):
            frame = av.VideoFrame.from_ndarray(moving_picture(n, 64, 48), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, 10)
            out.mux(pictures.encode(frame))
        if video:
            out.mux(pictures.encode(None))
        for packet in words.demux(source):
            if packet.size:
                packet.stream = subtitle
                out.mux(packet)
    return path


def _srt(lines: list[tuple[float, float, str]], comma: str = ",") -> str:
    def clock(seconds: float) -> str:
        return f"00:00:{int(seconds):02d}{comma}{round(seconds % 1 * 1000):03d}"

    return "".join(f"{n}\n{clock(a)} --> {clock(b)}\n{text}\n\n" for n, (a, b, text) in enumerate(lines, 1))


def _ass(lines: list[tuple[float, float, str]]) -> str:
    head = (
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    )
    rows = (f"Dialogue: 0,0:00:{a:05.2f},0:00:{b:05.2f},Default,,0,0,0,,{text}\n" for a, b, text in lines)
    return head + "".join(rows)


_SUBTITLE_FILES = {"srt": _srt, "vtt": lambda lines: "WEBVTT\n\n" + _srt(lines, "."), "ass": _ass}


def find_box(data: bytes, *names: bytes) -> int:
    """Offset of the first box reached by `names` in order (by searching their types)."""
    at = 0
    for name in names:
        at = data.index(name, at)
    return at - 4


def png_declaring(width: int, height: int, pixels: bytes | None = None) -> bytes:
    """A PNG that declares a size; its rows are `pixels`, however few (None: it ends after the header)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return head if pixels is None else head + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
