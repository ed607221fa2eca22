"""Examine a file: what it declares, and whether a first picture and a first sound really decode."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from moderation.media.child.container import PICTURE_DEMUXERS, Opened, RefusedError, codec_name
from moderation.media.child.convert import Converter
from moderation.media.child.cues import text_streams
from moderation.media.child.log import OversizeWatch
from moderation.media.child.pictures import MOST_SECONDS

# Below this a declared duration is doubted and measured: no video holds a second in 60 bytes.
_LEAST_BYTES_PER_SECOND = 60
_ONE_FRAME_DEMUXERS = frozenset({"gif", "apng"})


def examine(
    reopen: Callable[[], Opened], max_pixels: int, watch: OversizeWatch, encrypted: Collection[str]
) -> dict[str, Any]:
    """The fields of the `info` message; raises RefusedError where nothing of the file can be scored.

    `encrypted` names the kinds ("video", "audio") that the container marks as encrypted; they are
    not tried, because what a decoder makes of them is noise.
    """
    opened = reopen()
    _refuse_without_streams(opened)
    notes: list[str] = []
    video = None if "video" in encrypted else opened.video
    audio = None if "audio" in encrypted else opened.audio
    if opened.video is not video:
        notes.append("video_encrypted")
    if opened.audio is not audio:
        notes.append("audio_encrypted")
    if video is not None:
        _refuse_large(video.codec_context.width, video.codec_context.height, max_pixels)
    frames, heard = _first_decoded(opened, video, audio)
    if not frames and watch.size is not None:
        _refuse_large(*watch.size, max_pixels)
    if video is not None and not frames:
        notes.append("video_undecodable")
    if audio is not None and not heard:
        notes.append("audio_undecodable")
    if not frames and not heard:
        raise _nothing_decodes(opened, notes)
    duration, doubted = _duration(reopen, opened)
    width, height = (0, 0)
    if frames:
        _refuse_large(frames[0].width, frames[0].height, max_pixels)
        width, height = Converter(opened.video).displayed(frames[0]) if opened.video else (0, 0)
        _refuse_large(width, height, max_pixels)
    still = opened.demuxer in PICTURE_DEMUXERS or (opened.demuxer in _ONE_FRAME_DEMUXERS and len(frames) == 1)
    return {
        "container": opened.demuxer,
        "duration_s": None if still else duration,
        "declared_s": doubted,
        "video_end_s": _end(opened, opened.video),
        "audio_end_s": _end(opened, opened.audio),
        "width": width,
        "height": height,
        "fps": _fps(opened.video) if frames and not still else None,
        "video_codec": codec_name(opened.video) if frames and opened.video else None,
        "audio_codec": codec_name(opened.audio) if heard and opened.audio else None,
        "subtitle_codecs": [codec_name(s) for s in opened.subtitles],
        "is_picture": still or (opened.cover_art and bool(frames)),
        "cover_art": opened.cover_art and bool(frames) and not still,
        "animated_webp": opened.animated_webp,
        "more_video": opened.more_video,
        "more_audio": opened.more_audio,
        "picture_subtitles": len(opened.subtitles) - len(text_streams(opened)),
        "notes": notes,
    }


def _refuse_without_streams(opened: Opened) -> None:
    if opened.video is not None or opened.audio is not None:
        return
    kinds = {stream.type for stream in opened.container.streams}
    if kinds & {"video", "audio"}:
        raise RefusedError(
            "unreadable_media", "its picture and sound are in no codec that is known here (or encrypted)"
        )
    raise RefusedError("no_media_stream", "the container holds neither picture nor sound")


def _refuse_large(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise RefusedError(
            "too_large", f"its picture of {width}×{height} pixels is above the limit of {max_pixels / 1e6:g} megapixels"
        )


def _nothing_decodes(opened: Opened, notes: list[str]) -> RefusedError:
    if any(note.endswith("_encrypted") for note in notes):
        return RefusedError("unreadable_media", "it is encrypted (DRM); send it decrypted")
    names = [codec_name(s) for s in (opened.video, opened.audio) if s is not None]
    return RefusedError("unreadable_media", f"no picture and no sound in it can be decoded ({', '.join(names)})")


def _first_decoded(
    opened: Opened, video: VideoStream | None, audio: AudioStream | None
) -> tuple[list[VideoFrame], bool]:
    """The first picture (two where one could be an animation) and whether any sound came out."""
    wanted_frames = 0 if video is None else 2 if opened.demuxer in _ONE_FRAME_DEMUXERS else 1
    frames: list[VideoFrame] = []
    heard = audio is None
    streams = [stream for stream in (video, audio) if stream is not None]
    opened.keep_only(*streams)
    for packet in opened.container.demux(*streams) if streams else ():
        if packet.stream is audio and heard:
            continue
        try:
            decoded = packet.decode()
        except (av.error.FFmpegError, ValueError):
            continue
        heard = heard or any(isinstance(frame, AudioFrame) and frame.samples for frame in decoded)
        frames += [frame for frame in decoded if isinstance(frame, VideoFrame)]
        if len(frames) >= wanted_frames and heard:
            break
    return frames, heard and audio is not None


def _fps(video: VideoStream | None) -> float | None:
    rate = video.average_rate if video is not None else None
    return float(rate) if rate and 0 < rate < 1000 else None


def _end(opened: Opened, stream: VideoStream | AudioStream | None) -> float | None:
    """Where the stream says it ends; None where it says nothing believable."""
    if stream is None or not stream.duration or stream.time_base is None:
        return None
    end = float(((stream.start_time or 0) + stream.duration) * stream.time_base) - opened.origin_s
    return end if 0 < end < MOST_SECONDS else None


def _duration(reopen: Callable[[], Opened], opened: Opened) -> tuple[float | None, float | None]:
    """Seconds, and the declared seconds where they were doubted and measured instead."""
    declared = opened.container.duration / av.time_base if opened.container.duration else None
    size = opened.container.size
    if declared is not None and declared > 0 and (size <= 0 or size / declared >= _LEAST_BYTES_PER_SECOND):
        return declared, None
    measured = _measure(reopen())
    return measured, declared


def _measure(opened: Opened) -> float | None:
    """The end of the last packet of picture or sound, by reading all of them without decoding."""
    streams = [stream for stream in (opened.video, opened.audio) if stream is not None]
    opened.keep_only(*streams)
    end = None
    for packet in opened.container.demux(*streams):
        ticks = packet.pts if packet.pts is not None else packet.dts
        if packet.size and ticks is not None and packet.time_base is not None:
            at = float((ticks + (packet.duration or 0)) * packet.time_base) - opened.origin_s
            end = at if end is None else max(end, at)
    return None if end is None else min(max(end, 0.0), MOST_SECONDS)
