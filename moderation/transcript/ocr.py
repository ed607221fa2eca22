"""Text on screen: frames in, utterances with time and place out, at a fraction of the cost of reading each frame.

Each frame is compared with the one before (`regions`): lines that still stand are followed without reading
(`tracks`), the detector looks only where text may have appeared, the recogniser only at lines it has not read yet
(`lines`), and lines that belong together become one text (`blocks`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from moderation.transcript.blocks import PlacedLine, to_utterances
from moderation.transcript.engine import DetectedLine, ModelFileInfo, OcrEngine, Reading
from moderation.transcript.lines import LineReader, TextLine, bounds_of, cut_strip
from moderation.transcript.pictures import find_lines
from moderation.transcript.regions import Gate, Rect, View, merge
from moderation.transcript.tracks import Mark, Track, joined_again
from moderation.types import Frame, Utterance

logger = logging.getLogger(__name__)

# A detected line within this many pixels of the edge of its region may go on behind it.
_CUT_OFF = 6
_REGION_GROWTHS = 3
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
    sweep_every_s: float = 10.0
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

    def model_files(self) -> tuple[ModelFileInfo, ...]:
        return self.engine.model_files()

    def start(self) -> ScreenTextSession:
        """Begin a video."""
        return ScreenTextSession(self.engine, self.settings)

    def read_picture(self, frame: Frame) -> ScreenText:
        """Read a listing's photo at its own size, small print too; its utterances carry no time."""
        try:
            utterances, stats = self._read_picture(frame.image)
        except Exception as error:
            logger.exception("text in a picture could not be read")
            return ScreenText((), (_warning(1, 1, None, error),), OcrStats(frames=1, failed=1))
        return ScreenText(utterances, (), stats)

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
        """Look at the next frame: (H, W, 3) uint8 BGR. A frame that cannot be read is counted, never raised."""
        self._count(frames=1)
        try:
            self._look(frame)
        except Exception as error:
            logger.exception("text in the frame at %.2f s could not be read", frame.pts_s)
            self._count(failed=1)
            self._first_failure = self._first_failure or (frame.pts_s, error)

    def finish(self, end_s: float) -> ScreenText:
        """End the video, which lasts `end_s` seconds, and give its texts."""
        tracks = joined_again([*self._ended, *self._standing])
        placed = [
            line for track in tracks if track.text for line in (_placed(track, self._settings.reach_s, end_s),)
        ]
        stats = replace(
            self._stats, strips_read=self._reader.read_count, strips_reused=self._reader.reused_count
        )
        warnings = ()
        if self._first_failure is not None:
            warnings = (_warning(stats.failed, stats.frames, *self._first_failure),)
        return ScreenText(to_utterances(placed), warnings, stats)

    def _look(self, frame: Frame) -> None:
        view = View.of(frame.image)
        changed = self._follow(view, frame.pts_s)
        for rect, scale in self._places(frame, view, changed):
            self._read_region(frame, view, rect, scale, changed)
        self._gate.remember(view)
        self._before_that_s = self._before[0] if self._before else None
        self._before = (frame.pts_s, view)
