"""What the child sends is checked field by field; pixels are put upright and over white."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.media import unpack, wire
from moderation.media.child.bitstream import is_entry_point, nal_units
from moderation.media.child.convert import from_matrix, shrink, square
from moderation.media.decoder import Message
from moderation.media.settings import MediaLimits, SamplingSettings


def message(fields: dict[str, object], payload: bytes = b"") -> Message:
    def fill(view: memoryview) -> None:
        view[:] = payload

    return Message(wire.Header(wire.encode({"kind": "frame", **fields})), len(payload), fill)


def frame_fields(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {"w": 2, "h": 1, "channels": 3, "at": 1.5, "key": True}
    return {**fields, "transpose": False, "flip_x": False, "flip_y": False, **changes}


def test_a_frame_arrives_as_it_was_sent() -> None:
    frame = unpack.frame(message(frame_fields(), b"abcdef"), max_pixels=100)
    assert frame.image.tolist() == [[[97, 98, 99], [100, 101, 102]]]
    assert (frame.pts_s, frame.keyframe) == (1.5, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"w": 0}, {"w": -1}, {"w": 2.0}, {"w": True}, {"w": "2"}, {"w": None}, {"w": 10**9}, {"h": 10_000},
        {"channels": 5}, {"at": -1}, {"at": "x"}, {"key": 1}, {"transpose": "no"}, {"w": 3},
    ],
)  # fmt: skip
def test_a_frame_that_is_not_true_to_its_header_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(wire.WireError):
        unpack.frame(message(frame_fields(**changes), b"abcdef"), max_pixels=100)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_header_reader(raw: bytes) -> None:
    try:
        header = wire.Header(raw)
        header.text("kind")
        header.number("n", 0, 1)
    except wire.WireError:
        pass


def test_numbers_that_are_none_are_refused() -> None:
    for raw in (b'{"n": NaN}', b'{"n": Infinity}', b'{"n": true}', b"[]", b"[" * 5000):
        with pytest.raises(wire.WireError):
            wire.Header(raw).number("n", 0, 1)


def test_control_characters_do_not_get_through() -> None:
    assert wire.Header(b'{"t": "a\\u001b[31mb\\u0000\\nc"}').text("t") == "a[31mb\nc"


def test_a_prefix_is_bounded_before_anything_is_allocated() -> None:
    huge = struct.pack("<4sIQ", b"mmw1", 2**31, 0)
    with pytest.raises(wire.WireError):
        wire.receive(lambda count: bytearray(huge[:count]))


@pytest.mark.parametrize(
    ("a", "b", "c", "d", "expected"),
    [
        (1, 0, 0, 1, [[1, 2], [3, 4]]),
        (0, 1, -1, 0, [[3, 1], [4, 2]]),  # a quarter turn clockwise
        (-1, 0, 0, -1, [[4, 3], [2, 1]]),
        (0, -1, 1, 0, [[2, 4], [1, 3]]),
        (-1, 0, 0, 1, [[2, 1], [4, 3]]),  # a mirror
        (0, 1, 1, 0, [[1, 3], [2, 4]]),
        (0.7, 0.7, -0.7, 0.7, [[1, 2], [3, 4]]),  # no quarter turn: ignored
        (0, 0, 0, 0, [[1, 2], [3, 4]]),
    ],
)
def test_display_matrices(a: float, b: float, c: float, d: float, expected: list[list[int]]) -> None:
    raw = struct.pack("=9i", *(round(v * 65536) for v in (a, b, 0, c, d, 0, 0, 0, 0)))
    turn = from_matrix(raw)
    image = np.repeat(np.array([[1, 2], [3, 4]], np.uint8)[..., None], 3, axis=2)
    assert unpack.upright(image, turn.transpose, turn.flip_x, turn.flip_y)[..., 0].tolist() == expected
    assert from_matrix(b"short") == from_matrix(struct.pack("=9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 0))


def test_alpha_is_laid_over_white() -> None:
    bgra = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], np.uint8)
    assert unpack.over_white(bgra).tolist() == [[[10, 20, 30], [255, 255, 255], [127, 127, 127]]]


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 4000))
def test_shrinking_never_enlarges_and_never_vanishes(width: int, height: int, side: int) -> None:
    w, h = shrink(width, height, side)
    assert 1 <= w <= width
    assert 1 <= h <= height
    assert max(w, h) <= max(side, 1)


def test_square_pixels() -> None:
    assert square(720, 576, 16 / 11) == (1047, 576)
    assert square(100, 100, 0.5) == (100, 200)


def test_sound_pieces_are_laid_on_one_line() -> None:
    ones = np.ones(4, np.float32)
    audio = unpack.joined([(8, ones), (16, ones)], rate=8, most=10)
    assert audio is not None
    assert audio.start_s == 1.0
    assert audio.samples.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 1, 1]
    assert unpack.joined([], 8, 10) is None


def test_samples_that_are_no_numbers_become_silence() -> None:
    raw = np.array([np.nan, np.inf, -np.inf, 3.0], np.float32).tobytes()
    start, samples = unpack.sound(message({"start": 5}, raw))
    assert start == 5
    assert samples.tolist() == [0, 1, -1, 1]
    with pytest.raises(wire.WireError):
        unpack.sound(message({"start": 5}, b"abc"))


@pytest.mark.parametrize(
    ("ass", "plain"),
    [
        (r"{\b1}bold{\b0} text", "bold text"),
        (r"two\Nlines\hhere", "two lines here"),
        ("<i>leaning</i> <font color=red>red</font>", "leaning red"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        (r"{\pos(1,2)}", ""),
        ("喝了它糖尿病都能好", "喝了它糖尿病都能好"),
    ],
)
def test_subtitle_markup(ass: str, plain: str) -> None:
    assert unpack.plain_text(ass) == plain


def test_entry_points() -> None:
    avcc = bytes([1, 0, 0, 0, 0xFF])
    idr, recovery = b"\0\0\0\x02\x06\0" + b"\0\0\0\x02\x65\0", b"\0\0\0\x02\x06\0" + b"\0\0\0\x02\x41\0"
    assert is_entry_point("h264", avcc, idr)
    assert not is_entry_point("h264", avcc, recovery)
    assert is_entry_point("h264", None, b"\0\0\1\x67\0\0\1\x65\x88")
    assert not is_entry_point("h264", None, b"\0\0\1\x67\0\0\1\x41\x88")
    assert is_entry_point("hevc", None, b"\0\0\1" + bytes([21 << 1, 1]))
    assert not is_entry_point("hevc", None, b"\0\0\1" + bytes([1 << 1, 1]))
    assert is_entry_point("vp9", None, b"")


@given(st.binary(max_size=200), st.integers(0, 4))
def test_no_packet_breaks_the_unit_reader(packet: bytes, length_size: int) -> None:
    assert len(list(nal_units(packet, length_size))) <= 64


def test_limits_and_settings_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="max_pixels"):
        MediaLimits(max_pixels=0)
    with pytest.raises(ValueError, match="interval_s"):
        SamplingSettings(interval_s=0)
    assert MediaLimits().time_limit_s(1e12) == 60 + 1800
    assert MediaLimits().time_limit_s(None) == 60
