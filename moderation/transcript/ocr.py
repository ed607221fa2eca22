"""Text on screen: frames in, utterances with time and place out, at a fraction of the cost of reading each frame.

Each frame is compared with the one before (`regions`): lines that still stand are followed without reading
(`tracks`), the detector looks only where text may have appeared, the recogniser only at lines it has not read yet
(`lines`), and lines that belong together become one text (`blocks`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from moderation.media.shots import Difference
from moderation.transcript.blocks import PlacedLine, to_utterances
from moderation.transcript.engine import DetectedLine, OcrEngine
from moderation.transcript.lines import LineReader, TextLine, bounds_of, cut_strip
from moderation.transcript.pictures import find_lines
from moderation.transcript.regions import CELL, Gate, Rect, View, merge
from moderation.transcript.tracks import HARDLY_KEPT, SURELY_KEPT, Mark, Track, joined_again
from moderation.types import Frame, Utterance

logger = logging.getLogger(__name__)

# A detected line within this many pixels of the edge of its region may go on behind it.
_CUT_OFF = 6
_REGION_GROWTH = 64
# Shares by which a detected line and a followed one are the same, and by which a followed one lies in it.
_SAME_LINE, _KNOWN = 0.7, 0.7
# A line whose weakest letter is less certain than this is looked at again while it stands, up to this many times.
_CERTAIN, _MOST_LOOKS = 0.9, 3
# A region around a line that changed is this much larger, in pixels: the next line may be longer.
_CHANGED_MARGIN = 24


@dataclass(frozen=True, slots=True)
class OcrSettings:
    """How text on screen is read. Sides are pixels of the longer side of the frame as the detector sees it.

    `close_side`: regions where text may have appeared are looked at in the size they have in a frame of this side.
    `sweep_side`: the whole frame, when a shot begins and every `sweep_every_s` while the picture moves; `sweep_credit`
    sweeps may be done at once before they are rationed. `glance_side`: the whole frame when more than `busy_share` of
    it may hold new text. Readings below `min_confidence` (mean probability of the letters) are dropped as noise.
    `picture_tile`: a listing's picture is looked at in tiles of this many pixels, at its own size.
    """

    threads: int = 1
    close_side: int = 736
    sweep_side: int = 640
    sweep_every_s: float = 15.0
    sweep_credit: float = 2.0
    glance_side: int = 320
    busy_share: float = 0.35
    min_confidence: float = 0.5
    reach_s: float = 1.0
    picture_tile: int = 960


@dataclass(frozen=True, slots=True)
class OcrStats:
    """What was done: frames seen and failed, detector runs by kind, strips read and recognised from memory."""

    frames: int = 0
    failed: int = 0
    sweeps: int = 0
    glances: int = 0
    close_looks: int = 0
    strips_read: int = 0
    strips_reused: int = 0


@dataclass(frozen=True, slots=True)
class ScreenText:
    """The texts of one video or picture, what could not be read, and what it took."""

    utterances: tuple[Utterance, ...]
    warnings: tuple[str, ...]
    stats: OcrStats


class ScreenTextReader:
    """The models, loaded once and used for any number of videos.

    Thread-safe; each session belongs to one thread. Raises ModelError or MissingDependencyError where the models
    cannot be loaded.
    """

    def __init__(self, settings: OcrSettings | None = None, engine: OcrEngine | None = None) -> None:
        self.settings = settings or OcrSettings()
        self.engine = engine or OcrEngine(self.settings.threads)

    @property
    def version(self) -> str:
        """For example `PP-OCRv6-small/rapidocr-3.10.0`."""
        return self.engine.version

    def start(self) -> ScreenTextSession:
        """Begin a video."""
        return ScreenTextSession(self.engine, self.settings)

    def read_picture(self, frame: Frame) -> ScreenText:
        """Read a listing's photo at its own size, small print too; the time of its texts is the frame's."""
        try:
            texts, stats = self._read_picture(frame.image)
        except Exception as error:
            logger.exception("text in a picture could not be read")
            return ScreenText((), (_warning(1, 1, None, error),), OcrStats(frames=1, failed=1))
        return ScreenText(tuple(replace(u, start_s=frame.pts_s, end_s=frame.pts_s) for u in texts), (), stats)

    def _read_picture(self, image: NDArray[np.uint8]) -> tuple[tuple[Utterance, ...], OcrStats]:
        height, width = image.shape[:2]
        reader = LineReader(self.engine)
        found = find_lines(self.engine, image, self.settings.picture_tile)
        lines = [TextLine(line.corners, reader.read(image, line.corners)) for line in found]
        placed = [
            PlacedLine(
                line.reading.text, line.reading.confidence, line.bounds, line.size, line.is_column, (width, height)
            )
            for line in lines
            if line.reading.text and line.reading.confidence >= self.settings.min_confidence
        ]
        return to_utterances(placed), OcrStats(frames=1, strips_read=reader.read_count)


class ScreenTextSession:
    """One video: `push` its frames in order of time, then `finish`."""

    def __init__(self, engine: OcrEngine, settings: OcrSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._reader = LineReader(engine)
        self._gate = Gate()
        self._standing: list[Track] = []
        self._ended: list[Track] = []
        self._before: tuple[float, View] | None = None
        self._before_that_s: float | None = None
        self._credit = settings.sweep_credit
        self._wants_sweep = True
        self._last_sweep_s = float("-inf")
        self._stats = OcrStats()
        self._first_failure: tuple[float, Exception] | None = None

    def push(self, frame: Frame) -> None:
        """Look at the next frame: (H, W, 3) uint8 BGR. A frame that cannot be read is counted, never raised.

        A frame less than a letter wide or high (16 pixels) holds no text.
        """
        self._count(frames=1)
        try:
            self._look(frame)
        except Exception as error:
            # The trace of the first tells enough; an hour of them would bury everything else.
            logger.log(
                logging.DEBUG if self._first_failure else logging.ERROR,
                "text in the frame at %.2f s could not be read",
                frame.pts_s,
                exc_info=True,
            )
            self._count(failed=1)
            self._first_failure = self._first_failure or (frame.pts_s, error)

    def finish(self, end_s: float) -> ScreenText:
        """End the video, which lasts `end_s` seconds, and give its texts."""
        tracks = joined_again([*self._ended, *self._standing])
        placed = [line for track in tracks if track.text for line in (_placed(track, self._settings.reach_s, end_s),)]
        stats = replace(self._stats, strips_read=self._reader.read_count, strips_reused=self._reader.reused_count)
        warnings = ()
        if self._first_failure is not None:
            warnings = (_warning(stats.failed, stats.frames, *self._first_failure),)
        return ScreenText(to_utterances(placed), warnings, stats)

    def _look(self, frame: Frame) -> None:
        if frame.image.ndim == 3 and min(frame.image.shape[:2]) < CELL:
            return
        view = View.of(frame.image)
        changed = self._follow(frame, view)
        for rect, scale in self._places(frame, view, changed):
            self._read_region(frame, view, rect, scale)
        self._gate.remember(view)
        self._before_that_s = self._before[0] if self._before else None
        self._before = (frame.pts_s, view)

    def _follow(self, frame: Frame, view: View) -> list[Rect]:
        """End the tracks whose line is no longer there; returns their places, where the next line may stand."""
        still, changed = [], []
        for track in self._standing:
            if self._stands(track, frame, view):
                track.last_s = frame.pts_s
                still.append(track)
            else:
                self._ended.append(track.ended(frame.pts_s))
                changed.append(track.mark.rect)
        self._standing = still
        return changed

    def _stands(self, track: Track, frame: Frame, view: View) -> bool:
        """By its strokes; where they leave a doubt (a digit may have changed), by reading it once more."""
        kept = track.mark.kept_in(view)
        is_weak = track.reading.weakest < _CERTAIN and len(track.readings) < _MOST_LOOKS
        if kept < HARDLY_KEPT or (kept >= SURELY_KEPT and not is_weak):
            return kept >= SURELY_KEPT
        reading = self._reader.read_strip(cut_strip(frame.image, track.line.corners))
        if kept < SURELY_KEPT and reading.text not in {known.text for known in track.readings}:
            return False
        track.readings.append(reading)
        return True

    def _places(self, frame: Frame, view: View, changed: Sequence[Rect]) -> Iterator[tuple[Rect, float]]:
        """Parts of the frame to look at, each with the scale at which the detector sees it."""
        height, width = view.grey.shape
        whole, longer = Rect(0, 0, width, height), max(width, height)
        close = min(1.0, self._settings.close_side / longer)
        change = self._gate.difference(view)
        self._note_change(frame.pts_s, change)
        if change is None or self._may_sweep():
            self._wants_sweep, self._last_sweep_s = False, frame.pts_s
            self._credit -= 1
            self._count(sweeps=1)
            yield whole, min(1.0, self._settings.sweep_side / longer)
            return
        if change.is_still and not changed:
            return
        margin = [rect.grown(_CHANGED_MARGIN, width, height) for rect in changed]
        standing = [track.mark.rect for track in self._standing]
        places = merge([*self._gate.new_places(view, standing), *margin])
        # A line that is written on lies beside the words that stand: look at it whole.
        places = merge([*places, *(rect for rect in standing if any(rect.meets(place) for place in places))])
        if sum(rect.area for rect in places) > self._settings.busy_share * whole.area:
            self._count(glances=1)
            places = self._glance(frame, whole, self._settings.glance_side / longer)
        self._count(close_looks=len(places))
        yield from ((rect, close) for rect in places)

    def _note_change(self, now_s: float, change: Difference | None) -> None:
        """Keep the account of whole-frame looks: a new shot asks for one, time pays for it."""
        gap_s = now_s - self._before[0] if self._before else 0.0
        self._credit = min(self._credit + gap_s / self._settings.sweep_every_s, self._settings.sweep_credit)
        is_moving = change is not None and not change.is_still
        is_due = now_s - self._last_sweep_s >= self._settings.sweep_every_s
        if (change is not None and change.is_cut) or (is_moving and is_due):
            self._wants_sweep = True

    def _may_sweep(self) -> bool:
        return self._wants_sweep and self._credit >= 1

    def _glance(self, frame: Frame, whole: Rect, scale: float) -> list[Rect]:
        """Places of the lines that a coarse look at the whole frame finds, without those that are known."""
        found = [bounds_of(line.corners) for line in self._engine.detect(frame.image, min(1.0, scale))]
        new = [rect for rect in found if not any(rect.shared_with(t.mark.rect) >= _KNOWN for t in self._standing)]
        return merge([rect.grown(_CHANGED_MARGIN, whole.x1, whole.y1) for rect in new])

    def _read_region(self, frame: Frame, view: View, rect: Rect, scale: float) -> None:
        lines, looked_at = self._detect(frame.image, rect, scale)
        for line in lines:
            self._take(frame, view, line)
        self._gate.examined(view, looked_at)

    def _detect(self, image: NDArray[np.uint8], rect: Rect, scale: float) -> tuple[list[DetectedLine], Rect]:
        """Lines in a part of the frame, which grows while a line runs out of it; corners are in the frame's pixels."""
        height, width = image.shape[:2]
        for more in (True, True, False):
            offset = np.array([rect.x0, rect.y0], np.float32)
            found = self._engine.detect(np.ascontiguousarray(rect.cut(image)), scale)
            lines = [DetectedLine(line.corners + offset, line.score) for line in found]
            if not more or not any(_runs_out(bounds_of(line.corners), rect, width, height) for line in lines):
                break
            rect = rect.grown(_REGION_GROWTH, width, height)
        return lines, rect

    def _take(self, frame: Frame, view: View, line: DetectedLine) -> None:
        """Begin a track with a detected line, unless it is followed already."""
        bounds = bounds_of(line.corners)
        known = [track for track in self._standing if track.mark.rect.shared_with(bounds) >= _KNOWN]
        covered = sum(bounds.shared_with(track.mark.rect) for track in known)
        if covered >= _SAME_LINE or any(bounds.shared_with(t.mark.rect) >= _SAME_LINE for t in self._standing):
            return
        reading = self._reader.read(frame.image, line.corners)
        if not reading.text or reading.confidence < self._settings.min_confidence:
            return
        text = TextLine(line.corners, reading)
        track = Track(text, Mark.of(view, text), (view.grey.shape[1], view.grey.shape[0]), frame.pts_s, frame.pts_s)
        if self._before is not None:
            track.before_s = self._before[0]
            if track.mark.kept_in(self._before[1]) >= SURELY_KEPT:
                track.first_s, track.before_s = self._before[0], self._before_that_s
        self._standing = [other for other in self._standing if other not in known]
        self._standing.append(track)
        for part in known:
            if part.text in track.text:
                # A line that is written on, word after word, is one line: the longer one, from the first word.
                track.first_s, track.before_s = part.first_s, part.before_s
            else:
                self._ended.append(part.ended(frame.pts_s))

    def _count(self, **more: int) -> None:
        self._stats = replace(self._stats, **{name: getattr(self._stats, name) + n for name, n in more.items()})


def _runs_out(line: Rect, region: Rect, width: int, height: int) -> bool:
    """Whether a line reaches an edge of the region that is not an edge of the frame."""
    return (
        (line.x0 <= region.x0 + _CUT_OFF and region.x0 > 0)
        or (line.y0 <= region.y0 + _CUT_OFF and region.y0 > 0)
        or (line.x1 >= region.x1 - _CUT_OFF and region.x1 < width)
        or (line.y1 >= region.y1 - _CUT_OFF and region.y1 < height)
    )


def _placed(track: Track, reach_s: float, end_s: float) -> PlacedLine:
    start, end = track.interval(reach_s)
    reading = track.reading
    return PlacedLine(
        text=reading.text,
        confidence=reading.confidence,
        rect=track.line.bounds,
        size=track.line.size,
        is_column=track.line.is_column,
        frame_size=track.frame_size,
        start_s=start,
        end_s=max(min(end, end_s), start),
    )


def _warning(failed: int, frames: int, at_s: float | None, error: Exception) -> str:
    if at_s is None:
        return f"ocr: text in the picture could not be read ({error}); send it again in another format."
    return (
        f"ocr: text in {failed} of {frames} frames could not be read (the first at {at_s:.1f} s: {error}); "
        "what they say was not scored."
    )
