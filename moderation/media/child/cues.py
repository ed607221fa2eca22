"""Read embedded text subtitles; picture subtitles are counted, not read."""

from __future__ import annotations

from collections.abc import Iterator

import av.error
from av.packet import Packet
from av.stream import Stream
from av.subtitles.subtitle import AssSubtitle

from moderation.media.child.container import Opened, codec_name

TEXT_CODECS = frozenset({
    "subrip", "srt", "mov_text", "ass", "ssa", "webvtt", "text", "ttml", "microdvd", "sami", "realtext",
    "subviewer", "jacosub", "mpl2", "pjs", "stl", "vplayer", "eia_608", "cc_dec", "hdmv_text_subtitle",
})  # fmt: skip
_LONGEST_TEXT = 4000


def read_cues(opened: Opened, until_s: float) -> Iterator[tuple[float, float, str]]:
    """`(start, end, ASS text with its markup)` of every text stream, in file order."""
    streams = text_streams(opened)
    if not streams:
        return
    opened.keep_only(*streams)
    for packet in opened.container.demux(*streams):
        if not packet.size or packet.pts is None or packet.time_base is None:
            continue
        start = max(0.0, float(packet.pts * packet.time_base) - opened.origin_s)
        end = start + float((packet.duration or 0) * packet.time_base)
        if start > until_s:
            continue
        for text in _texts(packet):
            yield start, max(start, min(end, until_s)), text[:_LONGEST_TEXT]


def text_streams(opened: Opened) -> list[Stream]:
    return [stream for stream in opened.subtitles if codec_name(stream) in TEXT_CODECS]


def _texts(packet: Packet) -> list[str]:
    try:
        rects = packet.decode()
    except (av.error.FFmpegError, ValueError):
        return []
    return [_dialogue(r) for r in rects if isinstance(r, AssSubtitle)]


def _dialogue(rect: AssSubtitle) -> str:
    """The text field of an ASS event (the last of nine), or the plain text."""
    line = rect.ass.decode("utf-8", "replace")
    if not line:
        return rect.text.decode("utf-8", "replace")
    return line.split(",", 8)[-1]
