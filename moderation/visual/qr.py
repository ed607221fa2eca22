"""QR codes and other matrix codes on screen, tracked over frames. Decoding by zxing-cpp (Apache-2.0)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from moderation.types import Box, Frame

# A code seen again after a longer pause is a new appearance.
MAX_GAP_S = 3.0


@dataclass(frozen=True, slots=True)
class CodeSighting:
    """One code over the time it stayed on screen; `text` is its payload."""

    text: str
    symbology: str
    start_s: float
    end_s: float
    box: Box


class CodeReader:
    """Reads codes frame by frame; `finish` gives the sightings. One reader a video, not thread-safe."""

    def __init__(self) -> None:
        self._open: dict[str, CodeSighting] = {}
        self._closed: list[CodeSighting] = []

    def push(self, frame: Frame) -> None:
        """Look at one frame ((H, W, 3) uint8 BGR); frames come in time order."""
        for text, symbology, box in _decode(frame):
            known = self._open.get(text)
            if known is not None and frame.pts_s - known.end_s <= MAX_GAP_S:
                self._open[text] = replace(known, end_s=frame.pts_s)
                continue
            if known is not None:
                self._closed.append(known)
            self._open[text] = CodeSighting(text, symbology, frame.pts_s, frame.pts_s, box)

    def finish(self) -> list[CodeSighting]:
        """All sightings in time order."""
        return sorted([*self._closed, *self._open.values()], key=lambda s: (s.start_s, s.text))


def _decode(frame: Frame) -> list[tuple[str, str, Box]]:
    import zxingcpp

    formats = (zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.MicroQRCode, zxingcpp.BarcodeFormat.DataMatrix)
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
