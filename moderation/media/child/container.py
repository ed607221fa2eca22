"""Open the one file this process may read, and choose its streams.

FFmpeg reaches bytes only through `FileReader` (no path, no protocol), and only demuxers of
`DEMUXERS` may run: none of them follows a reference to another file.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TypeVar

import av
import av.error
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from moderation.media.child.webp import first_picture

DEMUXERS = (
    "mov", "matroska", "avi", "flv", "mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v", "h263",
    "ivf", "obu", "ogg", "asf", "rm", "mxf", "dv", "nut", "gif", "apng", "mjpeg", "yuv4mpegpipe",
    "jpeg_pipe", "png_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "jpegxl_pipe",
    "mp3", "aac", "ac3", "eac3", "wav", "w64", "flac", "aiff", "caf", "amr", "au", "ape", "wv", "tta",
)  # fmt: skip
PICTURE_DEMUXERS = frozenset({"jpeg_pipe", "png_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "jpegxl_pipe"})
_REFERENCE_DEMUXERS = frozenset({"hls", "dash", "concat", "sdp", "rtsp", "imf", "hds", "lavfi", "image2"})
_BUFFER_BYTES = 128 * 1024

_S = TypeVar("_S", bound=Stream)


class RefusedError(Exception):
    """The file cannot be read; `code` is the contract's, `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class FileReader(io.RawIOBase):
    """A read-only view of a descriptor that keeps its own position."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._size = os.lseek(fd, 0, os.SEEK_END)
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        data = os.pread(self._fd, size if size >= 0 else self._size - self._at, self._at)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Opened:
    """An open container with the streams that will be read; None where there is none.

    `origin_s` is the container time that counts as 0 (pictures and sound share it).
    """

    container: InputContainer
    video: VideoStream | None
    audio: AudioStream | None
    subtitles: tuple[Stream, ...]
    cover_art: bool
    more_video: int
    more_audio: int
    animated_webp: bool
    origin_s: float

    @property
    def demuxer(self) -> str:
        return self.container.format.name

    def keep_only(self, *streams: Stream | None) -> None:
        """Tell the demuxer to drop the packets of all other streams."""
        for stream in self.container.streams:
            stream.discard = Discard.default if stream in streams else Discard.all


def open_container(fd: int, max_streams: int, max_pixels: int) -> Opened:
    """Open the file afresh, from its first byte; raises RefusedError."""
    reader = FileReader(fd)
    still = first_picture(reader)
    reader.seek(0)
    try:
        container = av.open(
            io.BytesIO(still) if still is not None else reader,
            mode="r",
            buffer_size=_BUFFER_BYTES,
            metadata_errors="replace",
            options={"max_pixels": str(max_pixels), "threads": "1"},
            container_options={
                "protocol_whitelist": "",
                "format_whitelist": ",".join(DEMUXERS),
                "max_streams": str(max_streams),
            },
        )
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        raise _refusal(error) from error
    pictures = [s for s in container.streams.video if _known(s)]
    moving = [s for s in pictures if not s.disposition & Disposition.attached_pic]
    sounds = [s for s in container.streams.audio if _known(s)]
    video = _default_of(moving, container.streams.best("video")) or (pictures[0] if pictures else None)
    audio = _default_of(sounds, container.streams.best("audio"))
    if video is not None:
        _prepare(video, max_pixels)
    if audio is not None:
        audio.codec_context.thread_count = 1
    return Opened(
        container=container,
        video=video,
        audio=audio,
        subtitles=tuple(s for s in container.streams.subtitles if _known(s)),
        cover_art=bool(pictures) and not moving,
        more_video=max(0, len(moving) - 1),
        more_audio=max(0, len(sounds) - 1),
        animated_webp=still is not None,
        origin_s=_origin(container, video),
    )


def codec_name(stream: Stream) -> str:
    """The codec's own name ("av1"), not the decoder's ("libdav1d")."""
    return stream.codec_context.codec.canonical_name


def _known(stream: Stream) -> bool:
    return stream.codec_context is not None


def _default_of(streams: list[_S], best: Stream | None) -> _S | None:
    """FFmpeg's choice where it is one of `streams`, else their first."""
    return next((stream for stream in streams if stream is best), streams[0] if streams else None)


def _prepare(video: VideoStream, max_pixels: int) -> None:
    """One thread: exact packet control, and parallelism belongs across videos."""
    context = video.codec_context
    context.thread_count = 1
    context.thread_type = "NONE"
    context.options = {"max_pixels": str(max_pixels)}


def _origin(container: InputContainer, video: VideoStream | None) -> float:
    """Container start, unless it is nowhere near the first picture (then the first picture)."""
    start = container.start_time / av.time_base if container.start_time is not None else None
    first = None
    if video is not None and video.start_time is not None and video.time_base:
        first = float(video.start_time * video.time_base)
    if start is None:
        return first or 0.0
    return first if first is not None and not -1.0 <= first - start <= 60.0 else start


def _refusal(error: Exception) -> RefusedError:
    log = getattr(error, "log", None)
    demuxer, message = (log[1], log[2]) if log else ("", "")
    if "m3u8" in message or (demuxer in _REFERENCE_DEMUXERS and "not on whitelist" in message):
        return RefusedError("forbidden_reference", f"it is a list of other files ({demuxer or 'hls'})")
    if "not on whitelist" in message:
        return RefusedError("unreadable_media", f"the format {demuxer!r} is not one that is accepted")
    if "max_streams" in message:
        return RefusedError("unreadable_media", "it declares too many streams")
    return RefusedError("unreadable_media", "it is no video, picture or sound in a known format")
