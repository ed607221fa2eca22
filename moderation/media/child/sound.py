"""Decode one audio stream to mono float32 at a given rate, on the clock of the pictures."""

from __future__ import annotations

from collections.abc import Iterator

import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.packet import Packet

from moderation.media.child.container import Opened
from moderation.media.child.pictures import Tally

# A hole or a step back in the timestamps shorter than this is jitter, not silence.
_JITTER_S = 0.25


class Sound:
    """One pass over the audio stream of a freshly opened container."""

    def __init__(self, opened: Opened, rate: int, until_s: float) -> None:
        if opened.audio is None:
            raise ValueError("no audio stream")
        self._opened = opened
        self._context = opened.audio.codec_context
        self._rate = rate
        self._until = until_s
        self._next = 0
        self.tally = Tally()
        opened.keep_only(opened.audio)

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """`(index of the first sample, native float32 samples)`, never overlapping, ascending."""
        resampler = AudioResampler(format="flt", layout="mono", rate=self._rate)
        for frame in self._frames():
            start = None if frame.time is None else frame.time - self._opened.origin_s
            if start is not None and start > self._until:
                break
            if start is not None:
                self._follow_clock(start)
            try:
                yield from self._piece(resampler.resample(frame))
            except (av.error.FFmpegError, ValueError):
                # The format changed in mid-stream: a new resampler goes on from here.
                resampler = AudioResampler(format="flt", layout="mono", rate=self._rate)
                yield from self._piece(resampler.resample(frame))
        yield from self._piece(resampler.resample(None))

    def _frames(self) -> Iterator[AudioFrame]:
        for packet in self._opened.container.demux(self._opened.audio):
            if packet.size:
                self.tally.packets += 1
                yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: Packet | None) -> list[AudioFrame]:
        try:
            return self._context.decode(packet)
        except (av.error.FFmpegError, ValueError):
            self.tally.bad_packets += 1
            return []

    def _follow_clock(self, start_s: float) -> None:
        """Leave a hole (silence) where the timestamps do; never go back."""
        due = round(max(0.0, start_s) * self._rate)
        if due - self._next > _JITTER_S * self._rate:
            self._next = due

    def _piece(self, frames: list[AudioFrame]) -> Iterator[tuple[int, bytes]]:
        for frame in frames:
            if frame.samples:
                yield self._next, bytes(frame.planes[0])[: 4 * frame.samples]
                self._next += frame.samples
                self.tally.reach_s = self._next / self._rate
