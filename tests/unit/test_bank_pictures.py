"""Pictures of a brand's logo: what is read, how it comes out, and what is refused with which words."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moderation.bank import pictures
from moderation.bank.pictures import BrandPicture, read_picture
from moderation.errors import BankError, ModerationError

Picture = np.ndarray


def logo(height: int = 60, width: int = 80) -> Picture:
    """(H, W, 3) uint8 BGR: a red disc on a blue ground, the top left quarter green."""
    image = np.full((height, width, 3), (200, 60, 20), np.uint8)
    cv2.circle(image, (width // 2, height // 2), height // 3, (30, 20, 220), -1)
    image[: height // 2, : width // 2] = (40, 180, 30)
    return image


def encoded(kind: str, image: Picture) -> bytes:
    return cv2.imencode(f".{kind}", image)[1].tobytes()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + body + chunk(b"IEND", b"")


def turned(jpeg: bytes) -> bytes:
    """The same JPEG, to be shown after a quarter turn to the right."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def webp(flags: int, width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, flags) + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


def svg(inside: str, attributes: str = 'viewBox="0 0 24 24"') -> bytes:
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<svg {names} {attributes}>{inside}</svg>".encode()


def embedded(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def use_bomb(levels: int) -> bytes:
    """A triangle drawn ten to the power of `levels` times."""
    groups = "".join(f'<g id="a{n + 1}">' + f'<use href="#a{n}"/>' * 10 + "</g>" for n in range(levels))
    return svg(f'<defs><path id="a0" d="M4 4h16L12 20z"/>{groups}</defs><use href="#a{levels}"/>')


PATH = '<path d="M2 2h20L12 22z"/>'
PNG, JPEG, WEBP, SVG = (*(encoded(kind, logo()) for kind in ("png", "jpg", "webp")), svg(PATH))
CLEAR = np.zeros((40, 40, 4), np.uint8)
GIF = b"GIF89a\1\0\1\0\0\0\0;"

REFUSED: dict[str, tuple[bytes | Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "does not exist"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "link to nothing"),
    "directory": (lambda path: path.mkdir(), "is a directory"),
    "pipe": (os.mkfifo, "named pipe"),
    "empty": (b"", "is empty"),
    "too many bytes": (lambda path: path.write_bytes(bytes(20_000_001)), "above the limit of 20000000"),
    "too many pixels, PNG": (png(10_000, 6_000, 8, 2, b""), r"10000×6000 pixels.*limit"),
    "too many pixels, JPEG": (
        JPEG.replace(struct.pack(">HH", 60, 80), struct.pack(">HH", 60_000, 8_000), 1), "8000×60000 pixels.*limit"),
    "too many pixels, WebP": (webp(0, 16_000, 16_000), "16000×16000 pixels.*limit"),
    "too small": (encoded("png", logo(12, 90)), r"90×12 pixels, and 16 are needed"),
    "too small after the cut": (
        encoded("png", cv2.copyMakeBorder(cv2.cvtColor(logo(10, 10), cv2.COLOR_BGR2BGRA), 40, 40, 40, 40,
                                          cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))), r"10×10 pixels"),
    "far too wide": (encoded("png", logo(20, 2_000)), r"512×5 pixels"),
    "GIF": (GIF, "GIF.*save one of its pictures as PNG"),
    "APNG": (png(20, 20, 8, 0, b"\0" * 420, chunk(b"acTL", bytes(8))), "animated.*as PNG"),
    "animated WebP": (webp(2, 40, 40), "animated.*as PNG"),
    "svgz": (gzip.compress(SVG), "compressed.*gunzip"),
    "AVIF": (b"\0\0\0\x1cftypavif" + bytes(40), "AVIF.*as PNG"),
    "HEIC": (b"\0\0\0\x1cftypheic" + bytes(40), "HEIC.*as PNG"),
    "BMP": (encoded("bmp", logo()), "format that is not read here.*as PNG"),
    "TIFF": (encoded("tiff", logo()), "format that is not read here.*as PNG"),
    "PDF": (b"%PDF-1.7\n", "PDF.*as SVG or PNG"),
    "text": (b"a logo", "no picture in a known format"),
    "noise": (bytes(range(128, 256)), "no picture in a known format"),
    "web page": (b"<html><body>logo</body></html>", "no picture in a known format"),
    "other XML": (b"<page><svg/></page>", "XML, but no SVG"),
    "SVG in Latin-1": (svg(f"<title>Caf\xe9</title>{PATH}").decode().encode("latin-1"), "not UTF-8"),
    "PNG cut short": (PNG[: len(PNG) // 2], "cut short"),
    "PNG damaged": (PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "damaged"),
    "PNG without pixels": (png(20, 20, 8, 2, b""), "cannot be decoded"),
    "JPEG cut short": (JPEG[: len(JPEG) // 2], "cut short"),
    "JPEG without pixels": (b"\xff\xd8\xff\xd9", "cannot be decoded"),
    "WebP cut short": (WEBP[: len(WEBP) // 2], "cut short"),
    "SVG cut short": (SVG[: len(SVG) // 2], "no well-formed SVG"),
    "blank PNG": (encoded("png", CLEAR), "nothing can be seen"),
    "blank JPEG": (encoded("jpg", np.full((60, 60, 3), 250, np.uint8)), "one plain colour"),
    "empty SVG": (svg(""), "nothing can be seen"),
    "plain SVG": (svg('<rect width="30" height="30" fill="red"/>'), "one plain colour"),
    "SVG without size": (svg(PATH, 'width="0" height="0"'), "cannot be drawn"),
    "SVG of text": (svg('<text y="20">Logo</text>'), "nothing can be seen.*turn its text into paths"),
    "script": (svg(f"<script>alert(1)</script>{PATH}"), "<script>"),
    "event handler": (svg(PATH, 'viewBox="0 0 24 24" onload="f()"'), "event handler"),
    "foreignObject": (svg(f"<foreignObject/>{PATH}"), "<foreignObject>"),
    "SMIL": (svg('<path d="M2 2h20L12 22z"><animate attributeName="x"/></path>'), "animated"),
    "SMIL set": (svg('<path d="M2 2h20L12 22z"><set attributeName="x"/></path>'), "animated"),
    "CSS animation": (svg(f"<style>@keyframes a{{}}</style>{PATH}"), "animated"),
    "picture by path": (svg(f'<image href="/etc/logo.png" width="9" height="9"/>{PATH}'), "/etc/logo.png"),
    "picture by address": (svg('<image xlink:href=" http://a.example/b.png"/>'), "http://a.example"),
    "SVG inside SVG": (svg(f'<image href="{embedded(SVG, "image/svg+xml")}"/>'), "refers to 'data:image/svg"),
    "use of another file": (svg('<use href="other.svg#a"/>'), "other.svg"),
    "link": (svg(f'<a href="https://a.example">{PATH}</a>'), "remove links"),
    "fill by address": (svg('<path d="M2 2h20L12 22z" fill="url( \'http://a.example#g\')"/>'), "a.example"),
    "style by address": (svg("<path style='fill:URL(//a.example/g)' d='M2 2h9v9z'/>"), "a.example"),
    "style sheet by address": (svg("<style>p{fill:url(<![CDATA[a.svg#g]]>)}</style>"), "a.svg"),
    "imported style": (svg(f"<style>@import 'a.css';</style>{PATH}"), "imports a style sheet"),
    "style instruction": (b'<?xml-stylesheet href="a.css"?>' + SVG, "style sheet outside"),
    "DOCTYPE": (b"<!DOCTYPE svg>" + SVG, "DOCTYPE"),
    "entities": (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + svg("<title>&a;</title>"), "DOCTYPE"),
    "too many elements": (svg("<g/>" * 20_001), "more than 20000 elements"),
    "too many levels": (svg("<g>" * 120 + PATH + "</g>" * 120), "100 levels"),
    "use bomb": (use_bomb(9), "cannot be drawn"),
    "picture bomb": (
        svg(f'<image width="24" height="24" href="{embedded(png(40_000, 40_000, 8, 6, bytes(9)))}"/>'),
        "the process that reads it ended|nothing can be seen"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_says_why(content: bytes | Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    with pytest.raises(BankError, match=re.compile(f"{re.escape(str(path))}.*(?:{said})", re.DOTALL)):
        read_picture(path)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], BrandPicture]:
    def write_and_read(content: bytes) -> BrandPicture:
        (tmp_path / "logo").write_bytes(content)
        return read_picture(tmp_path / "logo")

    return write_and_read


Read = Callable[[bytes], BrandPicture]


def centre(picture: BrandPicture) -> list[int]:
    return picture.image[picture.image.shape[0] // 2, picture.image.shape[1] // 2].tolist()


class TestDrawings:
    def test_one_black_path_is_cut_to_its_box(self, read: Read) -> None:
        found = read(SVG)
        assert found.drawn
        assert found.sha256 == hashlib.sha256(SVG).hexdigest()
        assert (found.image.dtype, found.image.shape[2]) == (np.uint8, 4)
        assert found.image.shape[0] == pytest.approx(512 * 20 / 24, abs=2)
        assert centre(found) == [0, 0, 0, 255]
        assert found.image[-1, 0, 3] == 0

    @pytest.mark.parametrize(
        ("inside", "colour"),
        [
            ('<path fill="#0a64c8" d="M2 2h20L12 22z"/>', [200, 100, 10, 255]),
            ('<g color="#0a64c8"><path fill="currentColor" d="M2 2h20L12 22z"/></g>', [200, 100, 10, 255]),
            ('<path fill="currentColor" d="M2 2h20L12 22z"/>', [0, 0, 0, 255]),
            ('<style>.a{fill:#0a64c8}</style><path class="a" d="M2 2h20L12 22z"/>', [200, 100, 10, 255]),
            ('<defs><path id="a" d="M2 2h20L12 22z"/></defs><use xlink:href="#a" fill="red"/>', [0, 0, 255, 255]),
            ('<linearGradient id="g"><stop stop-color="red"/></linearGradient>'
             '<path style="fill:url(#g)" d="M2 2h20L12 22z"/>', [0, 0, 255, 255]),
            ('<path d="M2 2h20L12 22z"/><text>not drawn</text>', [0, 0, 0, 255]),
        ],
        ids=["colour", "inherited currentColor", "currentColor", "style", "use", "gradient", "text beside a path"],
    )  # fmt: skip
    def test_colours(self, inside: str, colour: list[int], read: Read) -> None:
        assert centre(read(svg(inside))) == colour

    def test_an_embedded_picture_is_drawn(self, read: Read) -> None:
        found = read(svg(f'<image width="24" height="18" href="{embedded(PNG)}"/>'))
        assert found.image.shape[:2] == (384, 512)

    def test_a_small_drawing_on_a_large_page_keeps_its_detail(self, read: Read) -> None:
        assert read(svg('<path d="M1 1h2L2 3z"/>')).image.shape[0] == pytest.approx(2048 * 2 / 24, abs=2)

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_other_encodings(self, encoding: str, read: Read) -> None:
        assert read(SVG.decode().encode(encoding)).image.shape == read(SVG).image.shape


class TestRasters:
    @pytest.mark.parametrize(("content", "off"), [(PNG, 0), (JPEG, 12), (WEBP, 12)], ids=["PNG", "JPEG", "WebP"])
    def test_an_opaque_picture_stays_as_it_is(self, content: bytes, off: int, read: Read) -> None:
        found = read(content)
        assert not found.drawn
        assert found.image.shape == (60, 80, 4)
        assert (found.image[..., 3] == 255).all()
        assert np.abs(found.image[..., :3].astype(int) - logo()).mean() <= off

    def test_a_clear_border_goes(self, read: Read) -> None:
        image = np.zeros((100, 120, 4), np.uint8)
        image[10:70, 30:110] = cv2.cvtColor(logo(), cv2.COLOR_BGR2BGRA)
        image[0, 0] = (255, 255, 255, 8)
        found = read(encoded("png", image))
        assert found.drawn
        assert np.array_equal(found.image, image[10:70, 30:110])

    def test_a_large_picture_is_shrunk_and_clear_pixels_do_not_bleed_in(self, read: Read) -> None:
        image = np.full((1500, 1000, 4), (255, 255, 255, 0), np.uint8)
        cv2.ellipse(image, (500, 750), (500, 750), 0, 0, 360, (0, 0, 200, 255), -1)
        found = read(encoded("png", image)).image
        assert found.shape[:2] == (512, 341)
        assert (found[found[..., 3] > 8] >= (0, 0, 198, 0)).all()
        assert found[found[..., 3] > 8][:, :2].max() <= 2

    def test_a_jpeg_is_turned_as_its_exif_says(self, read: Read) -> None:
        found = read(turned(JPEG)).image
        expected = np.rot90(read(JPEG).image, -1)
        assert found.shape == (80, 60, 4)
        assert np.abs(found.astype(int) - expected).mean() < 1

    def test_grey_jpeg(self, read: Read) -> None:
        assert read(encoded("jpg", cv2.cvtColor(logo(), cv2.COLOR_BGR2GRAY))).image.shape == (60, 80, 4)

    @pytest.mark.parametrize(
        ("depth", "colour", "pixel", "chunks"),
        [(8, 0, b"\x50", ()), (16, 0, b"\x50\x80", ()), (16, 2, b"\x50\x80" * 3, ()), (8, 4, b"\x50\xff", ()),
         (16, 6, b"\x50\x80" * 3 + b"\xff\xff", ()), (8, 3, b"\1", (chunk(b"PLTE", b"\0\0\0PPP"),))],
        ids=["grey", "grey 16", "colour 16", "grey and alpha", "colour and alpha 16", "palette"],
    )  # fmt: skip
    def test_kinds_of_png(self, depth: int, colour: int, pixel: bytes, chunks: tuple[bytes], read: Read) -> None:
        alpha = depth // 8 if colour in (4, 6) else 0
        black = bytes(len(pixel) - alpha) + b"\xff" * alpha
        rows = (b"\0" + pixel * 20 + black * 20) * 20
        found = read(png(40, 20, depth, colour, rows, *chunks))
        assert not found.drawn
        assert found.image[10, 10].tolist() == [0x50, 0x50, 0x50, 255]
        assert found.image[10, 30].tolist() == [0, 0, 0, 255]

    @pytest.mark.parametrize(
        ("depth", "colour", "chunks"),
        [(8, 0, (chunk(b"tRNS", b"\0\x50"),)), (4, 0, (chunk(b"tRNS", b"\0\5"),)),
         (8, 3, (chunk(b"PLTE", bytes(243)), chunk(b"tRNS", b"\xff" * 80 + b"\0")))],
        ids=["grey", "four bits", "palette"],
    )  # fmt: skip
    def test_one_value_may_mean_clear(self, depth: int, colour: int, chunks: tuple[bytes, ...], read: Read) -> None:
        clear = (b"\x50" if depth == 8 else b"\x55") * (20 * depth // 8)
        rows = (b"\0" + clear + bytes(20 * depth // 8)) * 20 + (b"\0" + bytes(40 * depth // 8)) * 20
        found = read(png(40, 40, depth, colour, rows, *chunks))
        assert found.drawn
        assert found.image[5, 5, 3] == 0
        assert found.image[30, 5].tolist() == [0, 0, 0, 255]


class TestTheChild:
    def test_too_slow(self, monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
        monkeypatch.setattr(pictures, "TIMEOUT_S", 1.0)
        with pytest.raises(BankError, match="took longer than 1 s"):
            read(use_bomb(5))

    def test_none_to_be_had(self, monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
        monkeypatch.setattr("sys.executable", "/bin/false")
        with pytest.raises(ModerationError, match="did not start"):
            read(SVG)


@pytest.mark.fuzz
class TestNoise:
    @settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
    @given(data=st.data())
    def test_damaged_pictures(self, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
        content = bytearray(data.draw(st.sampled_from([PNG, JPEG, WEBP, SVG])))
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        self._try(bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))]), tmp_path_factory)

    @settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
    @given(start=st.sampled_from([b"", PNG[:33], JPEG[:180], WEBP[:30], SVG[:-6], b"<svg>"]), noise=st.binary())
    def test_noise(self, start: bytes, noise: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
        self._try(start + noise, tmp_path_factory)

    def _try(self, content: bytes, folders: pytest.TempPathFactory) -> None:
        path = folders.mktemp("noise") / "picture"
        path.write_bytes(content)
        try:
            found = read_picture(path)
        except BankError as error:
            assert str(path) in str(error)
        else:
            assert 16 <= min(found.image.shape[:2]) <= max(found.image.shape[:2]) <= 512
