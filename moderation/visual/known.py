"""Look a clip up among known ones: frames that hash alike, in the same order and at one speed.

One frame alone proves little (two sellers show the same product photo); so the frames of a copy must lie on a line
of time, at between three quarters and five quarters of the original's speed, by a Hough vote over speed and offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moderation.visual.hashes import HASH_BITS, Bits, FrameHashes, View

# Of 256 bits. Unrelated pictures of real clips differed by 95 and more, copies by 60 and less (see README).
_ALIKE, _ALIKE_ON_AVERAGE, _SAME = 76, 64, 24
# Of the first 128 bits: half of the limit and two and a half deviations; chance gives 64.
_HALF_ALIKE = 52
_LEAST_FRAMES, _LEAST_SPAN_S = 3, 1.5
# The original's speed first, then what is nearest to it.
_SPEEDS = sorted([1.0, *np.arange(0.75, 1.3, 0.025).tolist()], key=lambda speed: abs(speed - 1.0))
_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class KnownClip:
    """A clip of the bank: `times` float32 (N,), `bits` uint64 (N, 4), `views` uint8 (N,), one row a view of a frame."""

    id: str
    name: str
    times: NDArray[np.float32]
    bits: Bits
    views: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ClipMatch:
    """A part of the clip that was looked up, and the moment of the known clip that it repeats.

    `similarity` is 1 for equal hashes and 0 for what chance gives, by the part of each frame that agrees best;
    `whole` is the same by whole frames, lower where other words stand in the picture. `frames`: how many agree.
    """

    clip_id: str
    name: str
    similarity: float
    whole: float
    frames: int
    start_s: float
    end_s: float
    clip_start_s: float
    clip_end_s: float
    speed: float


@dataclass(frozen=True, slots=True, eq=False)
class _Hits:
    """Pairs of frames that hash alike: (index of the query's frame, its time, time in the known clip, distance, whether
    it is of whole frames)."""

    frame: NDArray[np.int64]
    time_s: NDArray[np.float64]
    clip_s: NDArray[np.float64]
    distance: NDArray[np.int64]
    whole: NDArray[np.bool_]

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> _Hits:
        return _Hits(self.frame[which], self.time_s[which], self.clip_s[which], self.distance[which], self.whole[which])


class KnownClips:
    """All clips of a bank that are switched on, ready to be searched. Safe to share between threads."""

    def __init__(self, clips: Sequence[KnownClip] = ()) -> None:
        self._clips = tuple(clips)
        self._by_view = {view: self._gathered(view) for view in View}

    def __len__(self) -> int:
        return len(self._clips)

    def find(self, frames: Sequence[FrameHashes]) -> list[ClipMatch]:
        """The known clips that these frames, in time order, repeat; the surest first, each once."""
        if not self._clips or not frames:
            return []
        clip, hits = self._hits(frames)
        found = []
        for number in np.unique(clip).tolist():
            match = self._judge(self._clips[number], hits.chosen(clip == number), len(frames))
            if match is not None:
                found.append(match)
        return sorted(found, key=lambda m: -m.similarity * m.frames)

    def _gathered(self, view: View) -> tuple[Bits, NDArray[np.int64], NDArray[np.float64]]:
        rows = [clip.views == view for clip in self._clips]
        if not rows:
            return np.empty((4, 0), np.uint64), np.empty(0, np.int64), np.empty(0, np.float64)
        return (
            np.ascontiguousarray(np.concatenate([c.bits[r] for c, r in zip(self._clips, rows, strict=True)]).T),
            np.repeat(np.arange(len(rows)), [int(r.sum()) for r in rows]),
            np.concatenate([clip.times[r] for clip, r in zip(self._clips, rows, strict=True)]).astype(np.float64),
        )

    def _hits(self, frames: Sequence[FrameHashes]) -> tuple[NDArray[np.int64], _Hits]:
        clips, frame, time_s, clip_s, distance, whole = [], [], [], [], [], []
        for index, hashes in enumerate(frames):
            for bits, view in zip(hashes.bits, hashes.views, strict=True):
                known, owner, times = self._by_view[View(view)]
                near, apart = _near(bits, known)
                clips.append(owner[near])
                frame.append(np.full(len(near), index))
                time_s.append(np.full(len(near), hashes.time_s))
                clip_s.append(times[near])
                distance.append(apart)
                whole.append(np.full(len(near), view == View.WHOLE))
        together = _Hits(*(np.concatenate(column) for column in (frame, time_s, clip_s, distance, whole)))
        return np.concatenate(clips), together

    @staticmethod
    def _judge(clip: KnownClip, hits: _Hits, frames: int) -> ClipMatch | None:
        speed, line = _best_line(hits)
        count, apart = len(line.frame), float(line.distance.mean())
        span = float(np.ptp(line.time_s))
        in_order = count >= _LEAST_FRAMES and span >= _LEAST_SPAN_S and apart <= _ALIKE_ON_AVERAGE
        short = min(frames, len(np.unique(clip.times))) < _LEAST_FRAMES
        if not in_order and not (short and apart <= _SAME):
            return None
        here, there = line.time_s, line.clip_s
        return ClipMatch(
            clip.id, clip.name, _similarity(apart), _similarity(_apart_as_wholes(hits, line)), count,
            float(here.min()), float(here.max()), float(there.min()), float(there.max()), speed,
        )  # fmt: skip


def _near(bits: Bits, known: Bits) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns of `known` (4, N) within `_ALIKE` bits, and their distances. Half of the bits rules most of them out."""
    half = np.bitwise_count(known[0] ^ bits[0]) + np.bitwise_count(known[1] ^ bits[1])
    left = np.flatnonzero(half <= _HALF_ALIKE)
    apart = half[left].astype(np.int64) + np.bitwise_count(known[2:, left] ^ bits[2:, None]).sum(axis=0)
    near = apart <= _ALIKE
    return left[near], apart[near]


def _similarity(apart: float) -> float:
    return max(1.0 - 2.0 * apart / HASH_BITS, 0.0)


def _apart_as_wholes(hits: _Hits, line: _Hits) -> float:
    """The mean distance of whole frames along a line; where the wholes are not alike, the limit of likeness counts."""
    wholes = hits.chosen(hits.whole)
    nearest = []
    for frame, clip_s in zip(line.frame, line.clip_s, strict=True):
        there = (wholes.frame == frame) & (np.abs(wholes.clip_s - clip_s) <= _WINDOW_S)
        nearest.append(wholes.distance[there].min(initial=_ALIKE))
    return float(np.mean(nearest))


def _best_line(hits: _Hits) -> tuple[float, _Hits]:
    """The speed at which most frames agree on one offset, and for each of these frames its nearest hit there."""
    best: tuple[float, float, _Hits] | None = None
    for speed in _SPEEDS:
        weight, line = _best_offset(hits, speed)
        # A speed other than the original's must explain more than that does, by half a frame.
        if best is None or weight > best[0] + _ALIKE / 2:
            best = (weight, speed, line)
    assert best is not None, "there is at least one hit"
    return best[1], best[2]


def _best_offset(hits: _Hits, speed: float) -> tuple[float, _Hits]:
    """The weight of the best of half-overlapping windows of offsets, and the nearest hit of each frame in it."""
    offset = hits.clip_s - speed * hits.time_s
    slot = np.floor(offset / (_WINDOW_S / 2)).astype(np.int64)
    window = np.concatenate((slot, slot - 1))
    twice = np.concatenate((np.arange(len(slot)), np.arange(len(slot))))
    order = np.lexsort((hits.distance[twice], hits.frame[twice], window))
    window, twice = window[order], twice[order]
    pair = np.stack((window, hits.frame[twice]), axis=1)
    first = np.concatenate(([True], (pair[1:] != pair[:-1]).any(axis=1)))
    window, nearest = window[first], twice[first]
    begins = np.flatnonzero(np.diff(window, prepend=window[0] - 1))
    weights = np.add.reduceat(_ALIKE + 1 - hits.distance[nearest], begins)
    top = int(np.argmax(weights))
    end = begins[top + 1] if top + 1 < len(begins) else len(nearest)
    return float(weights[top]), hits.chosen(nearest[begins[top] : end])
