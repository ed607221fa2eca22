"""Turn decoded frames into packed 8-bit BGR(A) rows, scaled on the way by swscale.

Rotation and alpha are applied by the parent, which has NumPy; here they are only found out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any

from av.sidedata.sidedata import Type as SideDataKind
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

_MATRIX = struct.Struct("=9i")
_ONE = 1 << 16


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored pixels become displayed ones: transpose first, then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False


_TURNS = {
    90: Orientation(transpose=True, flip_y=True),
    180: Orientation(flip_x=True, flip_y=True),
    270: Orientation(transpose=True, flip_x=True),
}
# These decoders give a colour profile a name; PyAV (18.1) frees the name twice when side data is looked at: a crash.
_NAMED_PROFILES = frozenset({"png", "apng"})


class Converter:
    """Frames of one stream to `(header fields, pixel buffer)`; keeps one swscale context warm."""

    def __init__(self, stream: VideoStream) -> None:
        self._reformatter = VideoReformatter()
        aspect = stream.sample_aspect_ratio
        self._aspect = float(aspect) if aspect and 0.05 <= aspect <= 20 else 1.0
        self._orientation = turned if stream.codec_context.name in _NAMED_PROFILES else orientation

    def convert(self, frame: VideoFrame, max_side: int) -> tuple[dict[str, Any], Any]:
        """Pixels of (h, w, channels) uint8, before `turn`; channels 4 is BGRA."""
        width, height = shrink(*square(frame.width, frame.height, self._aspect), max_side)
        channels = 4 if _has_alpha(frame) else 3
        packed = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="bgra" if channels == 4 else "bgr24",
            interpolation=Interpolation.BILINEAR,
            threads=1,
        )
        turn = self._orientation(frame)
        header = {
            "w": width,
            "h": height,
            "channels": channels,
            "transpose": turn.transpose,
            "flip_x": turn.flip_x,
            "flip_y": turn.flip_y,
            "key": bool(frame.key_frame),
        }
        return header, _rows(packed, width * channels, height)

    def displayed(self, frame: VideoFrame) -> tuple[int, int]:
        """Width and height on display, before any scaling down."""
        width, height = square(frame.width, frame.height, self._aspect)
        return (height, width) if self._orientation(frame).transpose else (width, height)


def square(width: int, height: int, aspect: float) -> tuple[int, int]:
    """Size with square pixels: the short direction is stretched, as players do."""
    if aspect > 1:
        return max(1, round(width * aspect)), height
    return width, max(1, round(height / aspect))


def shrink(width: int, height: int, max_side: int) -> tuple[int, int]:
    """The same shape with the longer side at most `max_side`; never larger, never 0."""
    scale = min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def orientation(frame: VideoFrame) -> Orientation:
    """From the display matrix (FFmpeg makes one of EXIF too); one that is no quarter turn or mirror is ignored."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return from_matrix(bytes(matrix)) if matrix is not None else Orientation()


def turned(frame: VideoFrame) -> Orientation:
    """From the angle alone, which tells no mirror, without touching the frame's side data."""
    return _TURNS.get(round(frame.rotation) % 360, Orientation())


def _unlisted_kind(kinds: type[Enum], value: object) -> Enum:
    """A member for a kind of side data that PyAV does not list."""
    kind = object.__new__(kinds)
    kind._name_, kind._value_ = f"KIND_{value}", value
    return kind


# PyAV (18.1) raises for a kind that it does not list (EXIF is 31), and then no side data of the frame can be read.
SideDataKind._missing_ = classmethod(_unlisted_kind)  # type: ignore[method-assign, assignment]


def from_matrix(raw: bytes) -> Orientation:
    """Nine 16.16 fixed-point numbers, row by row: x' = a·x + c·y, y' = b·x + d·y."""
    if len(raw) != _MATRIX.size:
        return Orientation()
    a, b, _, c, d, *_ = _MATRIX.unpack(raw)
    if b == c == 0 and abs(a) == abs(d) == _ONE:
        return Orientation(False, a < 0, d < 0)
    if a == d == 0 and abs(b) == abs(c) == _ONE:
        return Orientation(True, c < 0, b < 0)
    return Orientation()


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.has_palette or any(part.is_alpha for part in frame.format.components)


def _rows(packed: VideoFrame, row_bytes: int, height: int) -> Any:
    """The picture without padding between rows; no copy where there is none."""
    plane = packed.planes[0]
    view = memoryview(plane)
    if plane.line_size == row_bytes:
        return view[: row_bytes * height]
    return b"".join(view[y * plane.line_size : y * plane.line_size + row_bytes] for y in range(height))
