"""Tell true entry points from keyframes that later frames may look behind of.

A container flags H.264 recovery points as keyframes too, but only an IDR picture forbids later
pictures to refer to earlier ones; starting a decoder elsewhere is not certain to be exact. HEVC
promises it for every IRAP picture, the older codecs for every intra picture.
"""

from __future__ import annotations

from collections.abc import Iterator

_H264_IDR = 5
_HEVC_IRAP = range(16, 22)
_MOST_UNITS = 64

# Codecs whose keyframes reset all references, leading pictures aside.
PLANNABLE = frozenset({
    "h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "vp8", "vp9", "av1", "libdav1d", "libvpx",
    "libvpx-vp9", "mjpeg", "h263", "flv", "flv1", "prores", "ffv1", "dnxhd",
})  # fmt: skip
# Codecs where the decoder can tell, packet by packet, that no other picture refers to one.
DROPPABLE = frozenset({"h264", "mpeg4"})


def is_entry_point(codec: str, extradata: bytes | None, packet: bytes) -> bool:
    """Whether a decoder may start at this packet (already flagged as keyframe) and be exact."""
    if codec == "h264":
        types = (unit[0] & 0x1F for unit in nal_units(packet, _length_size(extradata, at=4, needs=5)))
        return next((kind == _H264_IDR for kind in types if kind in (1, 2, 5)), False)
    if codec == "hevc":
        types = (unit[0] >> 1 & 0x3F for unit in nal_units(packet, _length_size(extradata, at=21, needs=22)))
        return next((kind in _HEVC_IRAP for kind in types if kind < 32), False)
    return True


def nal_units(packet: bytes, length_size: int) -> Iterator[bytes]:
    """The first bytes of each NAL unit; `length_size` 0 means start codes (Annex B)."""
    at = 0
    for _ in range(_MOST_UNITS):
        if length_size:
            size = int.from_bytes(packet[at : at + length_size], "big")
            at += length_size
        else:
            at, size = packet.find(b"\0\0\1", at) + 3, 0
            if at < 3:
                return
        if at >= len(packet):
            return
        yield packet[at : at + 2]
        at += size


def _length_size(extradata: bytes | None, at: int, needs: int) -> int:
    """Bytes of the length prefix according to avcC/hvcC, 0 where the stream has start codes."""
    if not extradata or len(extradata) < needs or extradata[0] != 1:
        return 0
    return (extradata[at] & 3) + 1
