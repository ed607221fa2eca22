"""Checked answers of the child into the types that leave this room."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moderation import errors
from moderation.media import wire
from moderation.media.decoder import Message
from moderation.types import Audio, Frame, MediaInfo, Utterance

_MOST_SECONDS = 1e9
_MOST_COUNT = 2**40
_MOST_SAMPLES_A_MESSAGE = 1 << 22
_FAULTS: dict[str, tuple[type[errors.InputError], str]] = {
    "unreadable_media": (errors.UnreadableMediaError, "check that the file plays, or encode it again"),
    "no_media_stream": (errors.NoMediaStreamError, "send a file with pictures or sound"),
    "too_large": (errors.TooLargeError, "send a smaller picture"),
    "forbidden_reference": (errors.ForbiddenReferenceError, "send the media file itself"),
    "decoder_crashed": (errors.DecoderCrashedError, "the file is damaged or hostile; do not retry it as it is"),
}
_ASS_TAG = re.compile(r"\{[^}]*\}")
_HTML_TAG = re.compile(r"</?[A-Za-z][^<>]{0,80}>")


@dataclass(frozen=True, slots=True)
class PassReport:
    """How one pass over a stream went. `reach_s` is the end of the last packet that could be read."""

    packets: int
    bad_packets: int
    damaged_frames: int
    reach_s: float
    clock_repaired: bool


def info(header: wire.Header) -> MediaInfo:
    return MediaInfo(
        container=header.text("container", 128),
        duration_s=header.number_or_none("duration_s", 0, _MOST_SECONDS),
        width=header.whole("width", 0, 2**31),
        height=header.whole("height", 0, 2**31),
        fps=header.number_or_none("fps", 0, 1000),
        video_codec=header.text_or_none("video_codec", 64),
        audio_codec=header.text_or_none("audio_codec", 64),
        subtitle_codecs=header.texts("subtitle_codecs", 64),
        is_picture=header.flag("is_picture"),
    )


def frame(message: Message, max_pixels: int) -> Frame:
    """Read the pixels and show them upright: alpha over white, then transpose, then flips."""
    header = message.header
    width, height = header.whole("w", 1, 2**20), header.whole("h", 1, 2**20)
    channels = header.whole("channels", 3, 4)
    if width * height > max_pixels:
        raise wire.WireError(f"a frame of {width}×{height} pixels")
    pixels = np.empty((height, width, channels), np.uint8)
    message.payload_into(pixels.data.cast("B"))
    image = over_white(pixels) if channels == 4 else pixels
    image = upright(image, header.flag("transpose"), header.flag("flip_x"), header.flag("flip_y"))
    return Frame(pts_s=header.number("at", 0, _MOST_SECONDS), image=image, keyframe=header.flag("key"))


def over_white(bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 4) BGRA with straight alpha to (H, W, 3) BGR on a white ground."""
    alpha = bgra[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(bgra[..., :3])
    blend = bgra[..., :3].astype(np.uint16) * alpha + (255 - alpha.astype(np.uint16)) * 255
    return ((blend + 127) // 255).astype(np.uint8)


def upright(image: NDArray[np.uint8], transpose: bool, flip_x: bool, flip_y: bool) -> NDArray[np.uint8]:
    """Stored pixels to displayed ones; contiguous, no copy where nothing changes."""
    if transpose:
        image = image.transpose(1, 0, 2)
    if flip_x:
        image = image[:, ::-1]
    if flip_y:
        image = image[::-1]
    return np.ascontiguousarray(image)


def sound(message: Message) -> tuple[int, NDArray[np.float32]]:
    """`(index of the first sample, samples)`; values that are no numbers become silence."""
    start = message.header.whole("start", 0, _MOST_COUNT)
    count, rest = divmod(message.payload_bytes, 4)
    if rest or not 0 < count <= _MOST_SAMPLES_A_MESSAGE:
        raise wire.WireError(f"a sound of {message.payload_bytes} bytes")
    samples = np.empty(count, np.float32)
    message.payload_into(samples.data.cast("B"))
    np.nan_to_num(samples, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
    return start, np.clip(samples, -1.0, 1.0, out=samples)


def joined(pieces: list[tuple[int, NDArray[np.float32]]], rate: int, most: int) -> Audio | None:
    """Lay the pieces on one time line of at most `most` samples; holes are silence. Empties `pieces` on the way, so
    that an hour of sound is not held twice."""
    if not pieces:
        return None
    first = pieces[0][0]
    total = min(most, max(at + len(samples) for at, samples in pieces) - first)
    track = np.zeros(total, np.float32)
    pieces.reverse()
    while pieces:
        at, samples = pieces.pop()
        part = samples[: max(0, total - (at - first))]
        if at >= first and len(part):
            track[at - first : at - first + len(part)] = part
    return Audio(samples=track, rate=rate, start_s=first / rate)


def utterance(message: Message) -> list[Utterance]:
    """One subtitle line, or nothing where only markup was in it."""
    header = message.header
    text = plain_text(header.text("text"))
    start = header.number("start", 0, _MOST_SECONDS)
    end = header.number("end", start, _MOST_SECONDS)
    return [Utterance(text=text, source="subtitle", start_s=start, end_s=end)] if text else []


def plain_text(ass: str) -> str:
    """The words of an ASS event text: override blocks and HTML-like tags out, line breaks as one space."""
    bare = _HTML_TAG.sub("", _ASS_TAG.sub("", ass))
    return " ".join(bare.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ").split())


def fault(path: Path, header: wire.Header) -> errors.InputError:
    """The child's refusal as the error of the contract's table."""
    code = header.text("code", 64)
    if code not in _FAULTS:
        raise wire.WireError(f"unknown fault {code!r}")
    kind, advice = _FAULTS[code]
    return kind(f"{path}: {header.text('detail')}; {advice}")


def pass_report(header: wire.Header) -> PassReport:
    return PassReport(
        packets=header.whole("packets", 0, _MOST_COUNT),
        bad_packets=header.whole("bad_packets", 0, _MOST_COUNT),
        damaged_frames=header.whole("damaged_frames", 0, _MOST_COUNT),
        reach_s=header.number("reach_s", 0, _MOST_SECONDS),
        clock_repaired=header.flag("clock_repaired"),
    )
