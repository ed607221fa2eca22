"""Follow lines over the samples: does a line still stand where it stood, since when, and what does it say?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from moderation.transcript.engine import Reading
from moderation.transcript.lines import TextLine
from moderation.transcript.regions import Rect, View

# Strokes are the pixels beside the steepest steps of a line's own picture.
_STEEP_SHARE, _STEEP_LEAST = 0.5, 16
# A stroke's pixel that changed by less (grey levels) is still there; compression and light move it a little.
_SAME_LEVEL = 60
# Shares of strokes kept (measured): a line that stands keeps at least SURELY_KEPT in nine of ten samples; one digit of
# a price that becomes another keeps 0.4 to 0.9; other words in the same place keep less than HARDLY_KEPT.
SURELY_KEPT, HARDLY_KEPT = 0.92, 0.5
# A piece with fewer stroke pixels than this has nothing to compare.
_STROKES_LEAST = 12
_NO_PICTURE = np.empty((0, 0), np.uint8)
# A line that comes back within this time never went: two samples of the default second, and a little.
_LOST_S = 2.1


@dataclass(slots=True, eq=False)
class Mark:
    """How a line looked when it was found: compared pixel by pixel at the same place in later frames."""

    rect: Rect
    grey: NDArray[np.uint8]
    strokes: NDArray[np.bool_]
    edges: NDArray[np.int64]

    @classmethod
    def of(cls, view: View, line: TextLine) -> Mark:
        height, width = view.grey.shape
        rect = line.bounds.grown(0, width, height)
        grey, steps = rect.cut(view.grey).copy(), rect.cut(view.edges)
        steep = max(float(steps.max(initial=0)) * _STEEP_SHARE, _STEEP_LEAST)
        strokes = cv2.dilate((steps >= steep).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        length = strokes.shape[0] if line.is_column else strokes.shape[1]
        # Half a letter each, so that a letter that changes fills at least one of them.
        pieces = max(round(2 * length / max(line.size, 1.0)), 1)
        edges = np.linspace(0, length, pieces + 1).astype(np.int64)[:-1]
        if line.is_column:
            return cls(rect, grey.T.copy(), strokes.T.copy(), edges)
        return cls(rect, grey, strokes, edges)

    def kept_in(self, view: View) -> float:
        """The share of strokes that are still there in the piece that changed most, 0..1.

        0 where the place does not exist in this frame or has no strokes to compare.
        """
        if self.rect.x1 > view.grey.shape[1] or self.rect.y1 > view.grey.shape[0]:
            return 0.0
        now = self.rect.cut(view.grey)
        if now.shape != self.grey.shape:
            now = now.T
        same = (cv2.absdiff(np.ascontiguousarray(now), self.grey) < _SAME_LEVEL) & self.strokes
        total = np.add.reduceat(self.strokes.sum(axis=0), self.edges)
        kept = np.add.reduceat(same.sum(axis=0), self.edges)
        compared = total >= _STROKES_LEAST
        return float((kept[compared] / total[compared]).min()) if compared.any() else 0.0


@dataclass(slots=True, eq=False)
class Track:
    """One line from the sample that first showed it to the last.

    `before_s` and `after_s` are the times of the samples just outside, None where there is none: the line came
    and went between them.
    """

    line: TextLine
    mark: Mark
    frame_size: tuple[int, int]
    first_s: float
    last_s: float
    before_s: float | None = None
    after_s: float | None = None
    readings: list[Reading] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.readings.append(self.line.reading)

    @property
    def text(self) -> str:
        return self.reading.text

    @property
    def reading(self) -> Reading:
        """The text that most of the looks agree on, by the certainty of their weakest letters."""
        votes: dict[str, float] = {}
        for reading in self.readings:
            votes[reading.text] = votes.get(reading.text, 0.0) + reading.weakest
        best = max(votes, key=lambda text: votes[text])
        return max((r for r in self.readings if r.text == best), key=lambda r: r.confidence)

    def interval(self, reach_s: float) -> tuple[float, float]:
        """Start and end: half way to the samples that did not show it, at most `reach_s` from those that did."""
        start = self.first_s
        if self.before_s is not None:
            start -= min((self.first_s - self.before_s) / 2, reach_s)
        end = self.last_s + (reach_s if self.after_s is None else min((self.after_s - self.last_s) / 2, reach_s))
        return max(start, 0.0), end

    def ended(self, at_s: float) -> Track:
        """The same line, known to be gone at this time; its pictures are let go: an hour has thousands of lines."""
        self.after_s = at_s
        self.mark = replace(self.mark, grey=_NO_PICTURE, strokes=_NO_PICTURE.astype(bool))
        return self


def joined_again(tracks: Iterable[Track]) -> list[Track]:
    """Put together the tracks of one line that was lost for a sample (a flash, a hand before it) or that moves."""
    joined: list[Track] = []
    for track in sorted(tracks, key=lambda t: t.first_s):
        same = next((t for t in reversed(joined) if t.text == track.text and _goes_on(t, track)), None)
        if same is None:
            joined.append(track)
        else:
            _append(same, track)
    return joined


def _goes_on(track: Track, later: Track) -> bool:
    """Whether the later track shows the earlier one's line: soon after it, or in the same place at the same time."""
    if later.first_s > track.last_s:
        return later.first_s - track.last_s <= _LOST_S
    return track.mark.rect.meets(later.mark.rect)


def _append(track: Track, later: Track) -> None:
    track.readings += later.readings
    if later.last_s >= track.last_s:
        track.last_s, track.after_s = later.last_s, later.after_s
