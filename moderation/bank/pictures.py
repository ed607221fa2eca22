"""Pictures of a brand's logo (SVG, PNG, JPEG, WebP): from a file that nobody has looked at to pixels.

What a file's header gives away is refused here; everything else happens in a sandboxed child process, see `render`.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moderation.bank.render import LONGEST_SIDE, READY, SHORTEST_SIDE
from moderation.errors import BankError, InputError
from moderation.media.source import Source
from moderation.media.wire import Header, WireError

MOST_BYTES, MOST_PIXELS, TIMEOUT_S = 20_000_000, 50_000_000, 20.0
_ANSWER_BYTES = 4 * LONGEST_SIDE**2 + 4096
_STILL = "it is animated; save one of its pictures as PNG"
_CUT = "it is cut short or damaged; send the file again"
_OTHERS = (
    (re.compile(rb"GIF8"), "it is a GIF, which may be animated; save one of its pictures as PNG"),
    (re.compile(rb"\x1f\x8b"), "it is compressed, as .svgz files are; unpack it with gunzip first"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "it is an AVIF picture; save it as PNG"),
    (re.compile(rb".{4}ftyp(?:hei|hev|mif|msf)", re.DOTALL), "it is a HEIC picture; save it as PNG or JPEG"),
    (re.compile(rb"%PDF|%!PS|\xc5\xd0\xd3\xc6"), "it is a PDF, AI or EPS document; save the logo as SVG or PNG"),
    (re.compile(rb"BM|II\*\0|MM\0\*|8BPS|\0\0[\1\2]\0|\xff\x0a|\0\0\0\x0cJX|\0\0\0\x0cjP"),
     "it is a picture in a format that is not read here; save it as PNG"),
)  # fmt: skip
_SVG_ROOT = re.compile(r"<(?:[\w.-]+:)?svg[\s/>]")
# In a JPEG's coded data 0xFF is followed by 0 or a restart; anything else begins the next segment.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True, eq=False)
class BrandPicture:
    """`image` is (H, W, 4) uint8 BGRA with straight alpha, cut to what can be seen, longer side at most `LONGEST_SIDE`.

    `sha256` is that of the file. `drawn`: the ground around the logo is not part of the picture.
    """

    image: NDArray[np.uint8]
    sha256: str
    drawn: bool


def read_picture(path: Path) -> BrandPicture:
    """Read one picture of a logo. Raises BankError, which says why not and what to do."""
    try:
        source = Source(path, MOST_BYTES)
    except InputError as error:
        raise BankError(str(error)) from error
    try:
        data = source.read_at(0, source.size)
    except OSError as error:
        raise BankError(f"{path} cannot be read ({error.strerror}); check the disk and its permissions") from error
    finally:
        source.close()
    try:
        kind, content = _recognised(data)
        image, drawn = _rendered(kind, content)
    except BankError as error:
        raise BankError(f"{path}: {error}") from error
    return BrandPicture(image, hashlib.sha256(data).hexdigest(), drawn)


def _recognised(data: bytes) -> tuple[str, bytes]:
    """Format, and the bytes to read (an SVG as UTF-8 without its mark). Raises BankError for what is not to be read."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        kind, size = "png", _png_size(data)
    elif data.startswith(b"\xff\xd8\xff"):
        kind, size = "jpeg", _jpeg_size(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind, size = "webp", _webp_size(data)
    else:
        if what := next((what for magic, what in _OTHERS if magic.match(data)), None):
            raise BankError(what)
        return "svg", _svg_text(data)
    if size[0] * size[1] > MOST_PIXELS:
        raise BankError(f"it has {size[0]}×{size[1]} pixels, above the limit of {MOST_PIXELS}; save a smaller picture")
    return kind, data


def _png_size(data: bytes) -> tuple[int, int]:
    """Width and height. Every checksum is compared, since a decoder may fill what is missing with black."""
    at, size, chunk, view = 8, (0, 0), b"", memoryview(data)
    while chunk != b"IEND":
        length, chunk, end = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        end += length
        if end + 4 > len(data) or zlib.crc32(view[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise BankError(_CUT)
        if chunk == b"acTL":
            raise BankError(_STILL)
        if chunk == b"IHDR":
            size = int.from_bytes(data[at + 8 : at + 12], "big"), int.from_bytes(data[at + 12 : at + 16], "big")
        at = end + 4
    return size


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height, from a walk over all segments up to the end mark."""
    at, size = 2, (0, 0)
    while (found := _JPEG_MARKER.search(data, at)) and (marker := data[found.end() - 1]) != 0xD9:
        at = found.end()
        if marker in _JPEG_SIZES:
            size = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 3 : at + 5], "big")
        at += int.from_bytes(data[at : at + 2], "big")
    if found is None:
        raise BankError(_CUT)
    return size


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height, from the first chunk."""
    if len(data) < max(30, 8 + int.from_bytes(data[4:8], "little")):
        raise BankError(_CUT)
    if data[12:16] == b"VP8X":
        if data[20] & 2:
            raise BankError(_STILL)
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _svg_text(data: bytes) -> bytes:
    """Decoded here, so that the check and the renderer cannot disagree about what the bytes mean."""
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        if b"<svg" in data:
            raise BankError("its text is not UTF-8; save the SVG again as UTF-8") from error
        text = ""
    if not text.lstrip().startswith("<") or not _SVG_ROOT.search(text):
        raise BankError("it is no picture in a known format; give an SVG, PNG, JPEG or WebP file")
    return text.encode()


def _rendered(kind: str, content: bytes) -> tuple[NDArray[np.uint8], bool]:
    """Pixels as in `BrandPicture`, and whether it is drawn. Raises BankError."""
    answer, how = _asked(kind, content)
    if not answer.startswith(READY):
        raise BankError(f"the process that reads pictures did not start ({how}); install moderation again")
    head, _, pixels = answer.removeprefix(READY).partition(b"\n")
    try:
        header = Header(head)
        if refusal := header.text_or_none("error", 1000):
            raise BankError(refusal)
        height, width = (header.whole(name, SHORTEST_SIDE, LONGEST_SIDE) for name in ("h", "w"))
        image = np.frombuffer(pixels, np.uint8).reshape(height, width, 4)
        return image, header.flag("drawn")
    except (WireError, ValueError) as error:
        raise BankError(
            f"the process that reads it {how}; the file is damaged, hostile or far too complex, save the logo as PNG"
        ) from error


def _asked(kind: str, content: bytes) -> tuple[bytes, str]:
    """What a fresh child answers, bounded in length and time, and how it ended."""
    paths = [str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)]
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    started = time.monotonic()
    with tempfile.TemporaryFile() as given:
        given.write(content)
        given.seek(0)
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "moderation.bank.render", kind],
            stdin=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
            env={"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1",
                 "OPENCV_IO_MAX_IMAGE_PIXELS": str(MOST_PIXELS), **kept},
        ) as process:  # fmt: skip
            assert process.stdout
            late = threading.Timer(TIMEOUT_S, process.kill)
            late.start()
            try:
                answer = process.stdout.read(_ANSWER_BYTES)
            finally:
                late.cancel()
                process.kill()
    if time.monotonic() - started >= TIMEOUT_S:
        return answer, f"took longer than {TIMEOUT_S:g} s"
    return answer, f"ended with status {process.returncode}"
