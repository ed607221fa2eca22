"""Each kind of input of the contract's table gives its own answer."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from moderation import errors
from moderation.media import MediaLimits, SamplingSettings, open_media, probe
from tests.media_files import (
    find_box,
    moving_picture,
    picture_bytes,
    png_declaring,
    write_picture,
    write_sound,
    write_subtitled,
    write_video,
)


def read_all(path: Path, **limits: Any) -> tuple[int, float, list[str]]:
    """Frames, seconds of sound, warnings."""
    with open_media(path, MediaLimits(**limits)) as media:
        frames = sum(1 for _ in media.frames())
        audio = media.audio()
        return frames, audio.duration_s if audio else 0.0, media.warnings


# -- paths ---------------------------------------------------------------------------------------


def test_nothing_at_the_path(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("x")
    for name in ("missing.mp4", "dangling", "loop", "file/under.mp4", "a" * 300, "nul\0byte"):
        with pytest.raises(errors.NotFoundError):
            open_media(tmp_path / name)


def test_not_a_file_never_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        monkeypatch.chdir(tmp_path)  # the name of a socket must be short
        sock.bind("socket")
        for path in (tmp_path, tmp_path / "fifo", tmp_path / "socket", Path("/dev/zero")):
            with pytest.raises(errors.NotAFileError):
                open_media(path)


def test_awkward_names(tmp_path: Path) -> None:
    for name in ("-leading dash.mp4", "空格 与 中文 🎬.mp4", "http:__127.0.0.1.mp4", "a%03d.mp4", "pipe:0"):
        path = write_video(tmp_path / "plain.mp4", seconds=0.5).rename(tmp_path / name)
        assert read_all(path)[0] == 1


def test_unreadable_permissions(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=0.5)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(errors.UnreadableMediaError, match="permissions"):
        open_media(path)


# -- contents ------------------------------------------------------------------------------------


def test_not_media(tmp_path: Path) -> None:
    contents = {
        "empty.mp4": b"",
        "text.mp4": b"just some words\n" * 50,
        "zeros.mp4": bytes(100_000),
        "noise.mp4": np.random.default_rng(1).bytes(100_000),
        "zip.mp4": b"PK\x03\x04" + bytes(1000),
        "header.mp4": write_video(tmp_path / "v.mp4", seconds=1).read_bytes()[:40],
        "header.png": png_declaring(64, 64),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(errors.UnreadableMediaError):
            open_media(tmp_path / name)


def test_no_media_stream(tmp_path: Path) -> None:
    path = write_subtitled(tmp_path / "a.mkv", [(0.0, 1.0, "words")], video=False)
    with pytest.raises(errors.NoMediaStreamError):
        open_media(path)


REFERENCES = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
    "bare": "{target}\n",
    "dash": "<?xml version='1.0'?><MPD><BaseURL>{target}</BaseURL></MPD>",
}


@pytest.mark.parametrize("kind", REFERENCES)
@pytest.mark.parametrize("target", ["file:///etc/hostname", "http://127.0.0.1:9/a.ts"])
def test_reference_lists(tmp_path: Path, kind: str, target: str) -> None:
    for name in ("list.mp4", "list.m3u8", "list.jpg"):
        (tmp_path / name).write_text(REFERENCES[kind].format(target=target))
        with pytest.raises(errors.ForbiddenReferenceError):
            open_media(tmp_path / name)


def test_a_list_that_the_parent_does_not_recognise_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("\n\n \x0c;x\n#EXTM3U\nfile:///etc/hostname\n")
    with pytest.raises((errors.ForbiddenReferenceError, errors.UnreadableMediaError)):
        open_media(tmp_path / "a.mp4")


def test_a_movie_that_points_elsewhere(tmp_path: Path) -> None:
    data = bytearray(write_video(tmp_path / "a.mov", seconds=0.5).read_bytes())
    entry = find_box(bytes(data), b"dref") + 16
    size = int.from_bytes(data[entry : entry + 4], "big")
    name = b"http://127.0.0.1/x\0\0"
    data[entry : entry + size] = struct.pack(">I4sI", 12 + len(name), bytes(data[entry + 4 : entry + 8]), 0) + name
    for box in ((b"moov",), (b"trak",), (b"mdia",), (b"minf",), (b"dinf",), (b"dref",)):
        at = find_box(bytes(data), *box)
        length = int.from_bytes(data[at : at + 4], "big") + 12 + len(name) - size
        data[at : at + 4] = length.to_bytes(4, "big")
    (tmp_path / "b.mov").write_bytes(data)
    with pytest.raises(errors.ForbiddenReferenceError):
        open_media(tmp_path / "b.mov")


def test_encryption_is_named(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "a.mp4", seconds=1)
    sealed = tmp_path / "sealed.mp4"
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "00112233445566778899aabbccddeeff",
        "encryption_kid": "00112233445566778899aabbccddeeff",
    }
    with av.open(str(plain)) as source, av.open(str(sealed), "w", options=options) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    with pytest.raises(errors.UnreadableMediaError, match="encrypted"):
        open_media(sealed)


# -- pictures ------------------------------------------------------------------------------------

STILLS = {"png": "rgb24", "mjpeg": "yuvj444p", "libwebp": "bgra"}


@pytest.mark.parametrize("codec", STILLS)
def test_a_picture_is_one_frame_whatever_its_name(tmp_path: Path, codec: str) -> None:
    image = moving_picture(3, 60, 40)
    path = write_picture(tmp_path / "photo.mp4", image, codec, STILLS[codec])
    with open_media(path) as media:
        assert media.info.is_picture
        assert (media.info.width, media.info.height, media.info.duration_s) == (60, 40, None)
        for frames in (media.keyframes(), media.frames(), media.frames_at([7.0])):
            (frame,) = frames
            assert np.abs(frame.image[..., ::-1].astype(int) - image).mean() < 4
        assert media.audio() is None
        assert media.warnings == ["media: the file is a picture though its name says video (.mp4); scored as a picture"]


def test_transparent_pictures_are_over_white(tmp_path: Path) -> None:
    image = np.zeros((8, 8, 4), np.uint8)
    image[:4] = (200, 100, 50, 255)
    with open_media(write_picture(tmp_path / "a.png", image, "png", "rgba")) as media:
        (frame,) = media.frames()
    assert frame.image[0, 0].tolist() == [50, 100, 200]
    assert frame.image[7, 7].tolist() == [255, 255, 255]


def _exif(orientation: int) -> bytes:
    """A TIFF block with one entry: the orientation (EXIF 2.3, tag 0x0112)."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


# What each orientation does to the stored picture.
_ORIENTED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", list(_ORIENTED))
def test_exif_orientation_of_a_photo(tmp_path: Path, orientation: int) -> None:
    plain = picture_bytes(moving_picture(1, 64, 32), "mjpeg", "yuvj444p")
    exif = b"Exif\0\0" + _exif(orientation)
    (tmp_path / "a.jpg").write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + plain[2:])
    (tmp_path / "b.jpg").write_bytes(plain)
    with open_media(tmp_path / "a.jpg") as turned, open_media(tmp_path / "b.jpg") as straight:
        (a,), (b,) = turned.frames(), straight.frames()
        wanted = _ORIENTED[orientation](b.image)
        assert (turned.info.height, turned.info.width) == wanted.shape[:2]
        assert np.array_equal(a.image, wanted)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_a_png_with_exif_and_a_named_colour_profile_is_read(tmp_path: Path) -> None:
    # Screenshots carry both. Looking at their side data frees memory twice, which shows after some readings.
    plain = picture_bytes(moving_picture(1, 64, 32), "png", "rgb24")
    profile = struct.pack(">I", 132) + bytes(4) + b"\x04\x20\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(92)
    extra = _png_chunk(b"iCCP", b"Display\0\0" + zlib.compress(profile)) + _png_chunk(b"eXIf", _exif(6))
    (tmp_path / "a.png").write_bytes(plain[:33] + extra + plain[33:])
    (tmp_path / "b.png").write_bytes(plain)
    with open_media(tmp_path / "a.png") as turned, open_media(tmp_path / "b.png") as straight:
        (b,) = straight.frames()
        for _ in range(60):
            (a,) = turned.frames()
            assert np.array_equal(a.image, np.rot90(b.image, -1))


@pytest.mark.parametrize("size", [(1, 1), (16000, 16), (16, 16000)])
def test_extreme_shapes(tmp_path: Path, size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    with open_media(write_picture(tmp_path / "a.png", image)) as media:
        (frame,) = media.frames(max_side=1280)
        assert (media.info.width, media.info.height) == size
        assert max(frame.image.shape) <= 1280
        assert min(frame.image.shape[:2]) >= 1


def test_too_large_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_declaring(16000, 16000, bytes(1000)))
    with pytest.raises(errors.TooLargeError, match="megapixels"):
        open_media(tmp_path / "a.png")
    whole = write_picture(tmp_path / "b.png", np.zeros((500, 500, 3), np.uint8))
    with pytest.raises(errors.TooLargeError, match="megapixels"):
        open_media(whole, MediaLimits(max_pixels=200_000))


def test_forty_megapixels_are_read(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg", np.full((5000, 8000, 3), 90, np.uint8), "mjpeg", "yuvj420p")
    with open_media(path) as media:
        (frame,) = media.frames()
    assert frame.image.shape == (800, 1280, 3)


def test_too_many_bytes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=0.5)
    with pytest.raises(errors.TooLargeError, match="bytes"):
        open_media(path, MediaLimits(max_bytes=100))


def test_animated_gif_is_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.gif", codec="gif", seconds=3, fps=10, pix_fmt="rgb8")
    with open_media(path) as media:
        assert not media.info.is_picture
        assert [round(f.pts_s, 1) for f in media.frames(1.0)] == [0.0, 1.0, 2.0]
    still = write_video(tmp_path / "b.gif", codec="gif", seconds=0.1, fps=10, pix_fmt="rgb8")
    assert probe(still).is_picture


def test_animated_webp_gives_its_first_picture_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    with av.open(str(path), "w", format="webp") as out:
        stream: Any = out.add_stream("libwebp_anim", rate=2)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgra"
        stream.options = {"lossless": "1"}
        for n in range(3):
            frame = av.VideoFrame.from_ndarray(moving_picture(9 * n, 64, 48), format="rgb24").reformat(format="bgra")
            frame.pts, frame.time_base = n, Fraction(1, 2)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with open_media(path) as media:
        (frame,) = media.frames()
        assert np.abs(frame.image[..., ::-1].astype(int) - moving_picture(0, 64, 48)).mean() < 4
        assert any("animated WebP" in warning for warning in media.warnings)


# -- geometry ------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0, 90, 180, 270, -90])
def test_rotation(tmp_path: Path, angle: int) -> None:
    straight = write_video(tmp_path / "a.mp4", seconds=0.5)
    turned = write_video(tmp_path / "b.mp4", seconds=0.5, rotate=angle)
    with open_media(straight) as a, open_media(turned) as b:
        first, second = next(a.frames()), next(b.frames())
        assert (b.info.width, b.info.height) == ((96, 128) if angle % 180 else (128, 96))
    assert np.array_equal(second.image, np.rot90(first.image, angle // 90))


def test_sample_aspect_ratio(tmp_path: Path) -> None:
    with open_media(write_video(tmp_path / "a.mp4", seconds=0.5, aspect=Fraction(2, 1))) as media:
        assert (media.info.width, media.info.height) == (256, 96)
        assert next(media.frames()).image.shape == (96, 256, 3)
        assert next(media.frames(max_side=64)).image.shape == (24, 64, 3)


def test_ten_bits(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=0.5, pix_fmt="yuv420p10le")
    with open_media(path) as media:
        image = next(media.frames()).image
    assert np.abs(image[..., ::-1].astype(int) - moving_picture(0)).mean() < 12


# -- length --------------------------------------------------------------------------------------


def test_long_videos_are_read_up_to_the_limit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=12, sound=True)
    frames, sound, warnings = read_all(path, max_duration_s=5)
    assert frames == 6
    assert sound == pytest.approx(5, abs=0.1)
    assert any("above the limit" in warning for warning in warnings)
    with pytest.raises(errors.TooLongError):
        open_media(path, MediaLimits(max_duration_s=5, refuse_long=True))


def test_four_hours_at_one_frame_a_second(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", codec="mpeg4", seconds=4 * 3600, fps=1, size=(32, 32), gop=250, moving=False)
    with open_media(path, MediaLimits(max_duration_s=600)) as media:
        frames = list(media.frames())
        assert media.info.duration_s == pytest.approx(4 * 3600, abs=2)
    assert len(frames) == 601
    assert frames[-1].pts_s == 600


def test_an_absurd_declared_duration_is_not_believed(tmp_path: Path) -> None:
    data = bytearray(write_video(tmp_path / "a.mkv", seconds=2).read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", 1e15)
    (tmp_path / "b.mkv").write_bytes(data)
    with open_media(tmp_path / "b.mkv") as media:
        assert media.info.duration_s == pytest.approx(2, abs=0.1)
        assert len(list(media.frames())) == 2
        assert any("declares" in warning for warning in media.warnings)


def test_a_cut_file_says_how_much_is_missing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=10, container_options={"movflags": "faststart"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    frames, _, warnings = read_all(path)
    assert 3 <= frames <= 7
    assert any("could not be read" in warning and "of 10.0 s" in warning for warning in warnings)


def test_damaged_packets_are_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=6, options={"bf": "0"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    rng = np.random.default_rng(3)
    for at in rng.integers(start + 2000, start + 30_000, 400):
        data[at] ^= 0xFF
    path.write_bytes(data)
    frames, _, warnings = read_all(path)
    assert frames
    assert warnings


# -- streams -------------------------------------------------------------------------------------


def test_sound_alone(tmp_path: Path) -> None:
    frames, sound, warnings = read_all(write_sound(tmp_path / "a.m4a"))
    assert frames == 0
    assert sound == pytest.approx(3, abs=0.1)
    assert warnings == ["media: no pictures in the file; only the sound is scored"]


def test_pictures_alone_are_normal(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=1)
    assert read_all(path) == (1, 0.0, [])
    assert not probe(path).has_audio


def test_sound_and_pictures_share_a_clock(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=3, sound=True)
    with open_media(path) as media:
        audio = media.audio()
        assert media.info.audio_codec == "aac"
    assert audio is not None
    assert (audio.rate, audio.samples.dtype) == (16000, np.float32)
    assert audio.start_s == pytest.approx(0, abs=0.03)
    assert audio.duration_s == pytest.approx(3, abs=0.1)
    middle = audio.samples[16000:32000]
    spectrum = np.abs(np.fft.rfft(middle))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert np.abs(middle).max() == pytest.approx(0.3, abs=0.05)


def test_cover_art_is_scored_as_a_picture_with_its_sound(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "a.mp3", codec="libmp3lame").read_bytes()
    cover = picture_bytes(moving_picture(0, 64, 64), "png", "rgb24")
    body = b"\0image/png\0\x03\0" + cover
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    size = len(frame)
    header = b"ID3\x03\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127])
    tag_end = 10 + sum((b & 127) << s for b, s in zip(sound[6:10], (21, 14, 7, 0), strict=True))
    (tmp_path / "b.mp3").write_bytes(header + frame + (sound[tag_end:] if sound[:3] == b"ID3" else sound))
    with open_media(tmp_path / "b.mp3") as media:
        assert media.info.is_picture
        assert len(list(media.frames())) == 1
        audio = media.audio()
        assert audio is not None
        assert audio.duration_s == pytest.approx(3, abs=0.2)
        assert any("cover art" in warning for warning in media.warnings)


@pytest.mark.parametrize(("kind", "codec"), [("srt", "subrip"), ("ass", "ass"), ("vtt", "webvtt")])
def test_embedded_subtitles(tmp_path: Path, kind: str, codec: str) -> None:
    markup = r"{\b1}最好{\b0}的" if kind == "ass" else "<b>最好</b>的"
    path = write_subtitled(tmp_path / "a.mkv", [(0.5, 1.5, "first"), (2.0, 3.25, markup)], kind)
    with open_media(path) as media:
        lines = media.subtitles()
        assert media.info.subtitle_codecs == (codec,)
    assert [(u.text, u.start_s, u.end_s, u.source) for u in lines] == [
        ("first", 0.5, 1.5, "subtitle"),
        ("最好的", 2.0, 3.25, "subtitle"),
    ]


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=0.5)
    expected = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout[:64]
    with open_media(path) as media:
        assert media.sha256 == expected


# -- limits --------------------------------------------------------------------------------------


def test_no_time_at_all_is_a_timeout(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=1)
    started = time.monotonic()
    with pytest.raises(errors.DecodeTimeoutError):
        open_media(path, MediaLimits(base_time_s=1e-4, time_per_second=1e-9))
    assert time.monotonic() - started < 30


def test_little_memory_is_an_error_not_an_end(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", np.zeros((5000, 7000, 3), np.uint8))
    with pytest.raises((errors.DecoderCrashedError, errors.UnreadableMediaError)):
        open_media(path, MediaLimits(memory_bytes=200 * 1024**2))


def test_the_frame_limit_is_said(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=4)
    with open_media(path, MediaLimits(max_frames=2), SamplingSettings(interval_s=0.5)) as media:
        assert len(list(media.frames())) == 2
        assert any("limit of 2 frames" in warning for warning in media.warnings)
