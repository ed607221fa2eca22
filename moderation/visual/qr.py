"""QR codes and other matrix codes on screen, tracked over frames. Decoding by zxing-cpp (Apache-2.0)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np

from moderation.types import Box, Frame

logger = logging.getLogger(__name__)

# A code seen again after a longer pause is a new appearance.
MAX_GAP_S = 3.0
_SYMBOLOGIES = "QRCode,MicroQRCode,DataMatrix"
# A hostile video may show another code in every frame; a reviewer needs no more than this.
MAX_SIGHTINGS = 200


@dataclass(frozen=True, slots=True)
class CodeSighting:
    """One code over the time it stayed on screen; `text` is its payload, `box` its place in the middle of that time."""

    text: str
    symbology: str
    start_s: float
    end_s: float
    box: Box


@dataclass(slots=True)
class _Track:
    """A code while it is on screen: where it was in each frame."""

    text: str
    symbology: str
    places: list[tuple[float, Box]] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        return self.places[-1][0]

    def sighting(self) -> CodeSighting:
        start, end = self.places[0][0], self.end_s
        # The picture of the evidence is taken in the middle; a code that moves was there then.
        box = min(self.places, key=lambda place: abs(place[0] - (start + end) / 2))[1]
        return CodeSighting(self.text, self.symbology, start, end, box)


class CodeReader:
    """Reads codes frame by frame; `finish` gives the sightings. One reader a video, not thread-safe."""

    def __init__(self) -> None:
        self._open: dict[str, _Track] = {}
        self._closed: list[CodeSighting] = []
        self._frames = self._failed = self._left_out = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be read, in plain words."""
        said: list[str] = []
        if self._failed:
            said.append(f"codes: {self._failed} of {self._frames} frames could not be searched for codes.")
        if self._left_out:
            said.append(f"codes: more than {MAX_SIGHTINGS} codes were shown; {self._left_out} later ones are left out.")
        return tuple(said)

    def push(self, frame: Frame) -> None:
        """Look at one frame ((H, W, 3) uint8 BGR); frames come in time order. Never raises for a frame's content."""
        self._frames += 1
        try:
            found = _decode(frame)
        except Exception:
            logger.log(logging.DEBUG if self._failed else logging.ERROR, "codes at %.2f s", frame.pts_s, exc_info=True)
            self._failed += 1
            return
        self._close_before(frame.pts_s - MAX_GAP_S)
        for text, symbology, box in found:
            if text not in self._open and len(self._open) + len(self._closed) >= MAX_SIGHTINGS:
                self._left_out += 1
                continue
            self._open.setdefault(text, _Track(text, symbology)).places.append((frame.pts_s, box))

    def finish(self) -> list[CodeSighting]:
        """All sightings in time order."""
        self._close_before(float("inf"))
        return sorted(self._closed, key=lambda s: (s.start_s, s.text))

    def _close_before(self, time_s: float) -> None:
        gone = [text for text, track in self._open.items() if track.end_s < time_s]
        self._closed += [self._open.pop(text).sighting() for text in gone]


def _decode(frame: Frame) -> list[tuple[str, str, Box]]:
    import zxingcpp

    formats = zxingcpp.barcode_formats_from_str(_SYMBOLOGIES)
    height, width = frame.image.shape[:2]
    # The green channel stands in for luminance: no colour conversion of a whole frame is needed.
    grey = np.ascontiguousarray(frame.image[:, :, 1])
    found = []
    for code in zxingcpp.read_barcodes(grey, formats=formats):
        corners = code.position
        xs = [p.x / width for p in (corners.top_left, corners.top_right, corners.bottom_left, corners.bottom_right)]
        ys = [p.y / height for p in (corners.top_left, corners.top_right, corners.bottom_left, corners.bottom_right)]
        box = Box(*(min(max(v, 0.0), 1.0) for v in (min(xs), min(ys), max(xs), max(ys))))
        found.append((code.text, code.format.name, box))
    return found
