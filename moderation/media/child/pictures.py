"""Decode pictures of one video stream: keyframes, exact frames by plan, or all of them.

Each pass yields `(seconds, frame)` in time order and counts in `Tally` what it could not decode.
Exactness: what comes out is bit for bit what decoding every packet would give.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import av.error
from av.packet import Packet
from av.video.frame import VideoFrame

from moderation.media.child import plan as planning
from moderation.media.child.bitstream import DROPPABLE, PLANNABLE, is_entry_point
from moderation.media.child.container import Opened

# A frame that begins at most this much after the time asked for counts as on display.
TOLERANCE_S = 0.02
_TIMELESS_DEMUXERS = frozenset({"avi"})  # stores no presentation times
# One wild timestamp is a fault in the file; this many in a row mean that the limit is reached.
_PACKETS_BEYOND_LIMIT = 64
_LEAST_STEP_S = 0.001
MOST_SECONDS = 1e8

Timed = Iterator[tuple[float, VideoFrame]]


@dataclass(slots=True)
class Tally:
    """What one pass saw. `reach_s` is the end of the last packet that could be read."""

    packets: int = 0
    bad_packets: int = 0
    damaged_frames: int = 0
    reach_s: float = 0.0
    clock_repaired: bool = False


@dataclass(slots=True)
class Wanted:
    """Which times are asked for: every `interval_s` (None: no floor), and `also`."""

    interval_s: float | None
    also: Sequence[float] = field(default_factory=tuple)

    def times(self, first: float, last: float, limit: int) -> list[float]:
        """All times for a stream whose pictures lie in first..last, ascending."""
        also = [min(time, last) for time in self.also]
        if self.interval_s is None:
            return sorted(also)[:limit]
        return planning.grid(first, last, self.interval_s, also, limit)


class PlanBrokenError(Exception):
    """The stream is not what its index said; exact frames must come from decoding everything."""


class _Delivery:
    """Wanted frames on their way: they may come out in any order and leave in time order."""

    def __init__(self, wanted: Sequence[int]) -> None:
        self._waiting = deque(wanted)
        self._wanted = frozenset(wanted)
        self._arrived: dict[int, VideoFrame] = {}

    @property
    def complete(self) -> bool:
        return not self._waiting

    def overdue(self, pts: int) -> bool:
        """Whether a frame from before `pts` has not come."""
        return bool(self._waiting) and self._waiting[0] < pts

    def accept(self, frame: VideoFrame) -> None:
        if frame.pts in self._wanted:
            self._arrived[frame.pts] = frame

    def ready(self) -> Iterator[tuple[int, VideoFrame]]:
        while self._waiting and self._waiting[0] in self._arrived:
            pts = self._waiting.popleft()
            yield pts, self._arrived.pop(pts)


class Pictures:
    """Passes over the video stream of an opened container; each pass needs a freshly opened one."""

    def __init__(self, opened: Opened, until_s: float) -> None:
        if opened.video is None:
            raise ValueError("no video stream")
        self._stream = opened.video
        self._container = opened.container
        self._context = opened.video.codec_context
        self._base = opened.video.time_base or Fraction(1, av.time_base)
        self._origin = opened.origin_s
        self._until = until_s
        self._timeless = opened.demuxer in _TIMELESS_DEMUXERS
        self._plannable = self._context.name in PLANNABLE and not self._timeless
        self.tally = Tally()
        opened.keep_only(opened.video)

    def keyframes(self, gap_s: float) -> Timed:
        """Frames that the container flags as key, at least `gap_s` apart: cheap, not exact at open GOPs."""
        self._context.skip_frame = "NONKEY"
        yield from self._on_one_clock(self._keyframes(gap_s))

    def _keyframes(self, gap_s: float) -> Iterator[VideoFrame]:
        next_s = float("-inf")
        for packet in self._packets():
            if not packet.is_keyframe:
                continue
            at = self._packet_seconds(packet)
            if at is not None and at < next_s:
                continue
            next_s = at + gap_s if at is not None else next_s
            yield from self._decode(packet)
        yield from self._decode(None)

    def index(self) -> planning.PacketIndex | None:
        """Read all packets without decoding; None where only decoding everything is certain."""
        if not self._plannable:
            return None
        codec, extradata = self._context.name, self._context.extradata
        pts: list[int] = []
        entry: list[bool] = []
        hidden: list[bool] = []
        started = False
        for packet in self._packets():
            if packet.pts is None:
                return None
            opens = packet.is_keyframe and not (started and not is_entry_point(codec, extradata, bytes(packet)))
            started = started or opens
            pts.append(packet.pts)
            entry.append(opens)
            hidden.append(packet.is_discard)
        index = planning.PacketIndex(pts, entry, hidden)
        return index if len(set(pts)) == len(pts) and planning.candidates(index) else None

    def planned(self, index: planning.PacketIndex, wanted: Wanted, limit: int) -> Timed:
        """The frames on display at the wanted times; raises PlanBrokenError where one does not come out."""
        shown = planning.candidates(index)
        first, last = self._seconds(shown[0]), self._seconds(shown[-1])
        times = wanted.times(first, min(last, self._until), limit)
        plan = planning.make_plan(index, planning.on_display(shown, map(self._ticks, times)))
        delivery = _Delivery(plan.wanted)
        fed = False
        for n, packet in enumerate(self._packets()):
            if delivery.complete:
                return
            if n >= len(index.pts) or packet.pts != index.pts[n]:
                raise PlanBrokenError
            if n in plan.resets and fed:
                yield from self._deliver(None, delivery)
                if delivery.overdue(index.pts[n]):
                    raise PlanBrokenError
                self._context.flush_buffers()
            if plan.actions[n] == planning.SKIP:
                continue
            droppable = plan.actions[n] == planning.NEEDED and self._context.name in DROPPABLE
            self._context.skip_frame = "NONREF" if droppable else "DEFAULT"
            fed = True
            yield from self._deliver(packet, delivery)
        yield from self._deliver(None, delivery)
        if not delivery.complete:
            raise PlanBrokenError

    def _deliver(self, packet: Packet | None, delivery: _Delivery) -> Timed:
        for frame in self._decode(packet):
            if frame.interlaced_frame and self._context.name in DROPPABLE:
                # A field in a packet of its own could have been dropped from a wanted frame.
                raise PlanBrokenError
            delivery.accept(frame)
        for pts, frame in delivery.ready():
            yield self._seconds(pts), frame

    def every(self, wanted: Wanted, after_s: float, limit: int) -> Timed:
        """The same frames by decoding everything; only those later than `after_s`."""
        self._context.skip_frame = "DEFAULT"
        also = sorted(wanted.also)
        step = 0
        held: tuple[float, VideoFrame] | None = None
        sent = 0
        for at, frame in self._on_one_clock(self._all()):
            due = False
            if held is None and wanted.interval_s is not None:
                also.insert(0, at)
            while also and also[0] + TOLERANCE_S < at:
                due, _ = True, also.pop(0)
            while wanted.interval_s is not None and step * wanted.interval_s + TOLERANCE_S < at:
                due, step = True, max(step + 1, int(at / wanted.interval_s) - 1)
            if held is None and due:  # asked for a time before the first frame
                held, due = (at, frame), False
                also.insert(0, at)
            if due and held is not None and held[0] > after_s:
                yield held
                sent += 1
                if sent >= limit:
                    return
            held = (at, frame)
        on_grid = wanted.interval_s is not None and held is not None and step * wanted.interval_s <= held[0]
        if held is not None and held[0] > after_s and (also or on_grid):
            yield held

    def _all(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            yield from self._decode(packet)
        yield from self._decode(None)

    def _packets(self) -> Iterator[Packet]:
        beyond = 0
        for packet in self._container.demux(self._stream):
            if packet.size == 0:
                continue
            at = self._packet_seconds(packet)
            beyond = beyond + 1 if at is not None and at > self._until else 0
            if beyond > _PACKETS_BEYOND_LIMIT:
                return
            self.tally.packets += 1
            if at is not None:
                end = at + float((packet.duration or 0) * self._base)
                self.tally.reach_s = max(self.tally.reach_s, min(end, MOST_SECONDS))
            yield packet

    def _decode(self, packet: Packet | None) -> list[VideoFrame]:
        try:
            frames = self._context.decode(packet)
        except (av.error.FFmpegError, ValueError):
            self.tally.bad_packets += 1
            return []
        self.tally.damaged_frames += sum(frame.is_corrupt for frame in frames)
        return frames

    def _on_one_clock(self, frames: Iterator[VideoFrame]) -> Timed:
        """Attach seconds that always rise; where the file's own do not, count on from the last."""
        before = None
        step = max(float(1 / self._stream.average_rate) if self._stream.average_rate else 0.04, _LEAST_STEP_S)
        for frame in frames:
            # Without stored presentation times FFmpeg guesses pts; output order follows dts.
            ticks = frame.dts if self._timeless or frame.pts is None else frame.pts
            at = self._seconds(ticks) if ticks is not None else None
            if at is None or (before is not None and at <= before):
                at = before + step if before is not None else 0.0
                self.tally.clock_repaired |= before is not None and not self._timeless
            before = at
            if at <= self._until:
                yield at, frame

    def _packet_seconds(self, packet: Packet) -> float | None:
        ticks = packet.pts if packet.pts is not None else packet.dts
        return None if ticks is None else self._seconds(ticks)

    def _seconds(self, ticks: int) -> float:
        return max(0.0, float(ticks * self._base) - self._origin)

    def _ticks(self, seconds: float) -> float:
        return (seconds + TOLERANCE_S + self._origin) / float(self._base)
