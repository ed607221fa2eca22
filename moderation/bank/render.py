"""The child process that turns one picture of a logo into pixels: check, draw or decode, cut, shrink.

Started by `moderation.bank.pictures` with the format as `sys.argv[1]`. It gives up everything but computing before it
reads the picture from its input; what it writes is `READY`, a line of JSON and the rows of the picture.
"""

from __future__ import annotations

import re
import sys
from typing import Any
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from moderation.media import wire
from moderation.media.child import sandbox

LONGEST_SIDE, SHORTEST_SIDE = 512, 16
READY = b"ready\n"
_MEMORY_BYTES, _CPU_S = 2 << 30, 20
_SEEN = 8  # alpha above this can be seen
_CLEAR_SHARE = 0.005
_FLAT_RANGE = 8
# A logo in the corner of a large page is drawn again at this size, so that enough is left when the page is cut off.
_LARGE_PAGE, _ENOUGH = 2048, 256

_SVG = "http://www.w3.org/2000/svg"
_MOST_ELEMENTS, _DEEPEST = 20_000, 100
_RUNNING = frozenset({"script", "foreignObject", "handler", "listener"})
_MOVING = frozenset({"animate", "animateColor", "animateMotion", "animateTransform", "set", "discard"})
_URL = re.compile(r"url\(\s*['\"]?\s*([^'\")]*)", re.IGNORECASE)
_MOVING_STYLE = re.compile(r"@(?:-\w+-)?keyframes\b", re.IGNORECASE)
_EMBEDDED = re.compile(r"#|$|data:image/(?:png|jpe?g)[;,]", re.IGNORECASE)
_PLAIN = "export it as a plain SVG"

Bgra = NDArray[np.uint8]


class RefusedError(Exception):
    """The picture is not taken; the text says why and what to do."""


class _SvgCheck:
    """Goes through an SVG without drawing it. Raises RefusedError for what is not a still, self-contained drawing."""

    def __init__(self) -> None:
        self.has_text = False
        self._elements = self._depth = 0
        self._style: list[str] | None = None

    def run(self, content: bytes) -> None:
        parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            raise RefusedError(f"it is no well-formed SVG ({error}): damaged or cut short; send it again") from error

    def _doctype(self, *_: Any) -> None:
        raise RefusedError(f"it has a DOCTYPE, which can define entities; {_PLAIN}, or delete that line")

    def _instruction(self, target: str, _: str) -> None:
        if target.lower() == "xml-stylesheet":
            raise RefusedError(f"it names a style sheet outside itself; {_PLAIN} with the styles inside")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        self._elements += 1
        self._depth += 1
        if self._elements == 1 and local != "svg":
            raise RefusedError("it is XML, but no SVG; give an SVG, PNG, JPEG or WebP file")
        if self._elements > _MOST_ELEMENTS or self._depth > _DEEPEST:
            raise RefusedError(
                f"it has more than {_MOST_ELEMENTS} elements or {_DEEPEST} levels; simplify it or save it as PNG"
            )
        if local in _RUNNING:
            raise RefusedError(f"it has a <{local}>; {_PLAIN}, without scripts and web pages in it")
        if local in _MOVING and space in (_SVG, ""):
            raise RefusedError(f"it is animated (<{local}>); {_PLAIN} or save one picture as PNG")
        self.has_text |= local == "text"
        if local == "style":
            self._style = []
        for key, value in attributes.items():
            self._attribute(key, value)

    def _attribute(self, key: str, value: str) -> None:
        local = key.rpartition(" ")[2]
        if key.lower().startswith("on"):
            raise RefusedError(f"it has an event handler ({key[:20]}); {_PLAIN}, without scripts")
        if local in ("href", "src"):
            _require_inside(value.strip())
        _check_style(value)

    def _characters(self, text: str) -> None:
        if self._style is not None:
            self._style.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._style is not None and name.rpartition(" ")[2] == "style":
            _check_style("".join(self._style))
            self._style = None


def _check_style(text: str) -> None:
    if "@import" in text.lower():
        raise RefusedError(f"it imports a style sheet; {_PLAIN} with the styles inside")
    if _MOVING_STYLE.search(text):
        raise RefusedError(f"it is animated (@keyframes); {_PLAIN} or save one picture as PNG")
    for found in _URL.finditer(text):
        _require_inside(found[1])


def _require_inside(target: str) -> None:
    if not _EMBEDDED.match(target):
        raise RefusedError(
            f"it refers to {target[:60]!r}, and nothing outside the file is opened; embed pictures as PNG or JPEG, "
            "turn text into paths and remove links"
        )


def read(kind: str, content: bytes) -> tuple[Bgra, bool]:
    """The picture as `BrandPicture` has it, and whether it is drawn. Raises RefusedError."""
    if kind == "svg":
        check = _SvgCheck()
        check.run(content)
        hint = "; turn its text into paths, no fonts are used" if check.has_text else ""
        image, drawn = _drawing(content.decode(), hint), True
    else:
        whole = _decoded(kind, content)
        drawn = float(np.mean(whole[..., 3] <= _SEEN)) >= _CLEAR_SHARE
        image, hint = _cut(whole), ""
    if max(image.shape[:2]) > LONGEST_SIDE:
        image = _cut(_shrunk(image))
    height, width = image.shape[:2]
    if not image.size or _is_flat(image):
        raise RefusedError(f"nothing can be seen in it, or one plain colour{hint or '; give a picture of the logo'}")
    if min(height, width) < SHORTEST_SIDE:
        raise RefusedError(
            f"what can be seen of it has {width}×{height} pixels, and {SHORTEST_SIDE} are needed at the shorter side"
            f"{hint or '; give a larger picture'}"
        )
    return image, drawn


def _drawing(text: str, hint: str) -> Bgra:
    import resvg_py

    image = np.zeros((0, 0, 4), np.uint8)
    for side in (LONGEST_SIDE, _LARGE_PAGE):
        try:
            png = resvg_py.svg_to_bytes(svg_string=text, skip_system_fonts=True, width=side, height=side)
        except ValueError as error:
            raise RefusedError(f"it cannot be drawn ({error}){hint or f'; {_PLAIN} or save it as PNG'}") from error
        image = _cut(_decoded("png", png))
        if max(image.shape[:2]) >= _ENOUGH:
            break
    return image


def _decoded(kind: str, content: bytes) -> Bgra:
    """(H, W, 4) uint8 BGRA in full size. Raises RefusedError."""
    import cv2

    def decode(flag: int) -> NDArray[Any]:
        try:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
        except cv2.error:
            image = None
        if image is None:
            raise RefusedError("it cannot be decoded: damaged, cut short or of a rare kind; save it again as PNG")
        return image

    if kind != "jpeg":
        image = decode(cv2.IMREAD_UNCHANGED)
        alpha = _grey_key(content, image) if kind == "png" and image.ndim == 2 else None
        if image.ndim == 3 and image.shape[2] == 4:
            return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image
        del image
        if alpha is not None:
            opaque = cv2.cvtColor(decode(cv2.IMREAD_COLOR), cv2.COLOR_BGR2BGRA)
            opaque[..., 3] = alpha
            return opaque.astype(np.uint8, copy=False)
    # Without transparency: eight bits, three channels and turned as EXIF says, whatever the file has.
    return cv2.cvtColor(decode(cv2.IMREAD_COLOR), cv2.COLOR_BGR2BGRA).astype(np.uint8, copy=False)


def _grey_key(content: bytes, image: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Alpha of a grey PNG in which one grey means transparent: OpenCV leaves that out."""
    at = content.find(b"tRNS", 0, content.find(b"IDAT"))
    if at < 0:
        return None
    depth, key = content[24], int.from_bytes(content[at + 4 : at + 6], "big")
    return np.where(image == (key * 255 // (2**depth - 1) if depth < 8 else key), 0, 255).astype(np.uint8)


def _cut(image: Bgra) -> Bgra:
    """The box around what can be seen; without rows and columns where nothing can."""
    seen = image[..., 3] > _SEEN
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        return image[:0, :0]
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _shrunk(image: Bgra) -> Bgra:
    """Longer side `LONGEST_SIDE`. Colours are weighted by alpha, so that what cannot be seen does not bleed in."""
    import cv2

    height, width = image.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if image[..., 3].min() == 255:
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    weighted = image[..., :3].astype(np.uint16)
    weighted *= image[..., 3:]
    colour = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
    del weighted
    alpha = cv2.resize(image[..., 3].astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None]
    straight = colour / np.maximum(alpha, 1 / 255)
    return np.rint(np.concatenate([straight, alpha], 2)).clip(0, 255).astype(np.uint8)


def _is_flat(image: Bgra) -> bool:
    """One colour all over; the outermost pixels may be half covered and do not count."""
    inner = image[1:-1, 1:-1].reshape(-1, 4)
    return bool(inner.size) and bool((inner.max(0) - inner.min(0) <= _FLAT_RANGE).all())


def main() -> int:
    sandbox.die_with_parent()
    # Loaded before the lock, since no file can be opened after it.
    import cv2
    import resvg_py  # noqa: F401

    cv2.setNumThreads(1)
    sandbox.lock_down(memory_bytes=_MEMORY_BYTES, cpu_s=_CPU_S)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    try:
        image, drawn = read(sys.argv[1], sys.stdin.buffer.read())
        header: dict[str, Any] = {"h": image.shape[0], "w": image.shape[1], "drawn": drawn}
        pixels = image.tobytes()
    except RefusedError as refusal:
        header, pixels = {"error": str(refusal)}, b""
    except MemoryError:
        header, pixels = {"error": "it needs more memory than a logo should; save a smaller picture"}, b""
    sys.stdout.buffer.write(wire.encode(header) + b"\n" + pixels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
