"""Recognise files that name other files, from their content, whatever they are called.

Two kinds: text lists (HLS, DASH, concat, ASX, SMIL, SDP, …) by how they begin, and QuickTime/MP4
files whose boxes point outside (reference movies, data references that are not self-contained).
The decoder could not follow them anyway; this gives them their own answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

ReadAt = Callable[[int, int], bytes]

_HEAD_BYTES = 4096
_STARTS = (
    ("#extm3u", "an M3U or HLS playlist"),
    ("ffconcat version", "an ffconcat list"),
    ("[playlist]", "a PLS playlist"),
    ("[reference]", "an ASX reference list"),
    ("rtsptext", "a QuickTime stream reference"),
    ("smiltext", "a SMIL presentation"),
    ("<asx", "an ASX playlist"),
    ("<smil", "a SMIL presentation"),
    ("<mpd", "a DASH manifest"),
    ("<smoothstreamingmedia", "a Smooth Streaming manifest"),
    ("<manifest", "an HDS manifest"),
    ("<playlist", "an XSPF playlist"),
    ("<winampxml", "a playlist"),
    ("<?quicktime", "a QuickTime link"),
    ("<?wpl", "a Windows Media playlist"),
)
_CONCAT_LINE = re.compile(r"file\s+\S")
_ADDRESS_LINE = re.compile(r"(?:https?|rtmps?|rtmpe|rtsp|mms|srt|udp|rtp|tcp|ftp|file|concat|data|crypto|fd):\S")
_XML_PREAMBLE = re.compile(r"(?:\s*(?:<\?xml.*?\?>|<!--.*?-->|<!doctype[^>]*>))+\s*", re.DOTALL)
_SDP = re.compile(r"v=0\s+(?:o|s|t|m|c)=")

_BOXES_INSIDE = frozenset({b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl"})
_ENCRYPTED_ENTRIES = {b"encv": "video", b"drmi": "video", b"enca": "audio", b"drms": "audio"}
_DEEPEST, _MOST_BOXES = 8, 20_000
_SELF_CONTAINED = 1


def forbidden_reference(read_at: ReadAt, size: int) -> str | None:
    """What kind of reference list this is, in words; None for anything else."""
    head = read_at(0, _HEAD_BYTES)
    return _text_list(head) or (_outside_box(read_at, size) if _is_mp4(head) else None)


def encrypted_kinds(read_at: ReadAt, size: int) -> frozenset[str]:
    """Which of "video" and "audio" an MP4's sample descriptions mark as encrypted (ISO 23001-7, Apple)."""
    if not _is_mp4(read_at(0, 8)):
        return frozenset()
    kinds = (
        _ENCRYPTED_ENTRIES.get(entry)
        for box, start, end in _boxes(read_at, 0, size)
        if box == b"stsd"
        for entry, _, _ in _entries(read_at, start, end)
    )
    return frozenset(kind for kind in kinds if kind)


def _text_list(head: bytes) -> str | None:
    text = _as_text(head)
    if text is None:
        return None
    text = text.lstrip("\ufeff \t\r\n").lower()
    text = text[match.end() :] if (match := _XML_PREAMBLE.match(text)) else text
    for start, name in _STARTS:
        if text.startswith(start):
            return name
    if _SDP.match(text):
        return "an SDP session description"
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and _CONCAT_LINE.match(lines[0]):
        return "a concat list"
    if lines and _ADDRESS_LINE.match(lines[0]):
        return "a list of addresses"
    return None


def _as_text(head: bytes) -> str | None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", "replace")
    return None if b"\0" in head[:256] else head.decode("utf-8", "replace")


def _is_mp4(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"styp", b"sidx")


def _outside_box(read_at: ReadAt, size: int) -> str | None:
    for kind, start, end in _boxes(read_at, 0, size):
        if kind == b"rmra":
            return "a QuickTime reference movie"
        if kind == b"dref" and any(_points_outside(*entry) for entry in _entries(read_at, start, end)):
            return "a QuickTime movie whose media lie in another file"
    return None


def _boxes(read_at: ReadAt, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk boxes depth first: `(type, start of content, end)`; stops at anything malformed."""
    stack = [(start, end)]
    for _ in range(_MOST_BOXES):
        while stack and stack[-1][0] + 8 > stack[-1][1]:
            stack.pop()
        if not stack:
            return
        at, limit = stack[-1]
        head = read_at(at, 16)
        if len(head) < 8:
            return
        length, content = int.from_bytes(head[:4], "big"), at + 8
        if length == 1 and len(head) == 16:
            length, content = int.from_bytes(head[8:16], "big"), at + 16
        stop = limit if length == 0 else min(limit, at + length)
        if stop < content:
            stack.pop()
            continue
        stack[-1] = (stop, limit)
        yield head[4:8], content, stop
        if head[4:8] in _BOXES_INSIDE and len(stack) < _DEEPEST:
            stack.append((content, stop))


def _entries(read_at: ReadAt, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """`(type, flags, payload bytes)` of each entry of a `dref` or `stsd` box."""
    at = start + 8
    while at + 12 <= end:
        entry = read_at(at, 12)
        length = int.from_bytes(entry[:4], "big")
        if len(entry) < 12 or length < 12:
            return
        yield entry[4:8], int.from_bytes(entry[9:12], "big"), length - 12
        at += length


def _points_outside(kind: bytes, flags: int, payload: int) -> bool:
    named = kind in (b"url ", b"urn ", b"alis", b"rsrc") and payload > 1
    return named and not flags & _SELF_CONTAINED
