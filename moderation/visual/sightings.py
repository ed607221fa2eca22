"""From detections frame by frame to what a reviewer needs: which brand was seen from when to when, and what was hidden.

A brand is the same one as long as it is recognised, wherever it goes; a hidden place is followed by its box. Frames
that repeat the one before are not looked at again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moderation.types import Box, Frame
from moderation.visual.known_brands import BrandMatch, KnownBrands
from moderation.visual.logos import LogoBox, LogoFinder, overlap
from moderation.visual.mosaic import find_mosaics

logger = logging.getLogger(__name__)

# Seen again after a longer pause, it is a new sighting.
MAX_GAP_S = 3.0
# Frames that are detected in one batch.
_BATCH = 4
_THUMBNAIL, _SAME_FRAME = 48, 1.2
_SAME_PLACE = 0.3
# A hostile video may show anything; a reviewer needs no more.
MAX_SIGHTINGS = 100


@dataclass(frozen=True, slots=True)
class LogoSighting:
    """Something seen over some frames: a brand of the bank (`match`), or a hidden place (None).

    `frames` of `looked` frames between `start_s` and `end_s` showed it; `box` is its place in the middle of that time,
    when evidence is photographed; `share` is the largest part of a frame that it filled; `score` the mean of the
    detector's best three.
    """

    match: BrandMatch | None
    start_s: float
    end_s: float
    box: Box
    share: float
    score: float
    frames: int
    looked: int


@dataclass(slots=True)
class _Track:
    match: BrandMatch | None
    hits: list[tuple[float, LogoBox]] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        return self.hits[-1][0]

    def add(self, time_s: float, found: LogoBox, match: BrandMatch | None) -> None:
        self.hits.append((time_s, found))
        if match and self.match and match.similarity > self.match.similarity:
            self.match = match

    def sighting(self, times: NDArray[np.float64]) -> LogoSighting:
        start, end = self.hits[0][0], self.end_s
        scores = sorted((b.score for _, b in self.hits), reverse=True)[:3]
        share = max((b.box.x1 - b.box.x0) * (b.box.y1 - b.box.y0) for _, b in self.hits)
        box = min(self.hits, key=lambda hit: abs(hit[0] - (start + end) / 2))[1].box
        looked = int(((times >= start) & (times <= end)).sum())
        frames = len({time for time, _ in self.hits})
        return LogoSighting(self.match, start, end, box, share, float(np.mean(scores)), frames, looked)


class LogoWatcher:
    """Looks at frames in time order; `finish` gives the sightings. One watcher a video, not thread-safe."""

    def __init__(self, finder: LogoFinder, brands: KnownBrands) -> None:
        self._finder, self._known = finder, brands
        self._waiting: list[Frame] = []
        self._times: list[float] = []
        self._brands: dict[str, _Track] = {}
        self._hidden: list[_Track] = []
        self._closed: list[_Track] = []
        self._thumbnail: NDArray[np.float32] | None = None
        self._last: list[tuple[LogoBox, BrandMatch | None]] = []
        self._repeats: dict[int, list[float]] = {}
        self._failed = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        if not self._failed:
            return ()
        return (f"logos: {self._failed} of {len(self._times)} frames could not be searched for logos.",)

    def push(self, frame: Frame) -> None:
        """Look at one frame. Never raises for a frame's content."""
        self._times.append(frame.pts_s)
        if self._repeats_last(frame):
            # Answered together with the frame that it repeats, which may still wait.
            self._repeats.setdefault(len(self._waiting), []).append(frame.pts_s)
            return
        if self._waiting and frame.image.shape != self._waiting[0].image.shape:
            self._look()
        self._waiting.append(frame)
        if len(self._waiting) == _BATCH:
            self._look()

    def finish(self) -> list[LogoSighting]:
        """All sightings in time order."""
        self._look()
        self._close_before(float("inf"))
        times = np.array(self._times)
        found = sorted((t.sighting(times) for t in self._closed), key=lambda s: (s.start_s, -s.score))
        return found[:MAX_SIGHTINGS]

    def _repeats_last(self, frame: Frame) -> bool:
        import cv2

        small = cv2.resize(frame.image, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._thumbnail is not None and float(np.abs(small - self._thumbnail).mean()) < _SAME_FRAME:
            return True
        # Kept only of those looked at, so that a slow change adds up.
        self._thumbnail = small
        return False

    def _look(self) -> None:
        repeats, self._repeats = self._repeats, {}
        frames, self._waiting = self._waiting, []
        for time_s in repeats.get(0, []):
            self._follow(time_s, self._last)
        if not frames:
            return
        try:
            boxes = self._finder.detect([f.image for f in frames])
            seen = [self._recognised(f, found) for f, found in zip(frames, boxes, strict=True)]
        except Exception:
            logger.log(logging.DEBUG if self._failed else logging.ERROR, "logos", exc_info=True)
            self._failed += len(frames)
            self._last = []
            return
        for number, (frame, found) in enumerate(zip(frames, seen, strict=True), start=1):
            for time_s in (frame.pts_s, *repeats.get(number, [])):
                self._follow(time_s, found)
            self._last = found

    def _recognised(self, frame: Frame, boxes: Sequence[LogoBox]) -> list[tuple[LogoBox, BrandMatch | None]]:
        """Hidden places as they are, by the detector and by their grid; logos only where they are a bank's brand."""
        hidden = [b for b in boxes if b.kind == "obscured"]
        hidden += [LogoBox("obscured", box, regular) for box, regular in find_mosaics(frame.image)]
        logos = [b for b in boxes if b.kind == "logo"] if len(self._known) else []
        matches = self._known.match(self._finder.look_at(frame.image, [b.box for b in logos])) if logos else []
        enough = self._finder.config.similarity
        named = [(b, m) for b, m in zip(logos, matches, strict=True) if m.similarity >= enough]
        return [*((b, None) for b in hidden), *named]

    def _follow(self, time_s: float, found: Sequence[tuple[LogoBox, BrandMatch | None]]) -> None:
        self._close_before(time_s - MAX_GAP_S)
        for box, match in found:
            track = self._brands.get(match.name) if match else self._hidden_near(box)
            if track is None:
                track = _Track(match)
                if match:
                    self._brands[match.name] = track
                else:
                    self._hidden.append(track)
            track.add(time_s, box, match)

    def _hidden_near(self, found: LogoBox) -> _Track | None:
        """The hidden place that this one continues: a camera moves less between frames than a place is wide."""
        if not self._hidden:
            return None
        ends = np.array([_array(track.hits[-1][1].box) for track in self._hidden])
        shared = overlap(_array(found.box), ends)
        best = int(shared.argmax())
        return self._hidden[best] if shared[best] >= _SAME_PLACE else None

    def _close_before(self, time_s: float) -> None:
        gone = [name for name, track in self._brands.items() if track.end_s < time_s]
        self._closed += [self._brands.pop(name) for name in gone]
        self._closed += [t for t in self._hidden if t.end_s < time_s]
        self._hidden = [t for t in self._hidden if t.end_s >= time_s]


def _array(box: Box) -> NDArray[np.float32]:
    return np.array([box.x0, box.y0, box.x1, box.y1], np.float32)
