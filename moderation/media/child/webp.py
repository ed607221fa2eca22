"""Animated WebP: FFmpeg has no decoder for it, so its first picture is lifted into a still WebP.

Chunks: RIFF header, `VP8X` (flags, canvas), `ANIM`, then `ANMF` = 16 bytes of place and time
followed by `ALPH`/`VP8 `/`VP8L` chunks exactly as in a still file (WebP container specification).
"""

from __future__ import annotations

import os
from typing import Protocol

_ANIMATION_FLAG = 0x02
_ALPHA_FLAG = 0x10
_MOST_CHUNKS = 64
_MOST_BYTES = 64 * 1024 * 1024


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int: ...


def first_picture(source: _Readable) -> bytes | None:
    """The first picture of an animated WebP as the bytes of a still WebP; None for anything else."""
    head = source.read(30)
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:16] != b"WEBPVP8X" or not head[20] & _ANIMATION_FLAG:
        return None
    at = 20 + int.from_bytes(head[16:20], "little")
    for _ in range(_MOST_CHUNKS):
        source.seek(at)
        chunk = source.read(8)
        size = int.from_bytes(chunk[4:8], "little")
        if len(chunk) < 8:
            return None
        if chunk[:4] == b"ANMF":
            return _still(source.read(min(size, _MOST_BYTES)))
        at += 8 + size + (size & 1)
    return None


def _still(frame: bytes) -> bytes | None:
    if len(frame) < 24:
        return None
    size, chunks = frame[6:12], frame[16:]
    alpha = _ALPHA_FLAG if chunks[:4] in (b"ALPH", b"VP8L") else 0
    extended = b"VP8X" + (10).to_bytes(4, "little") + bytes([alpha, 0, 0, 0]) + size
    body = b"WEBP" + extended + chunks
    return b"RIFF" + len(body).to_bytes(4, "little") + body
