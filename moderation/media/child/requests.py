"""What the parent can ask for, and the answers: a stream of messages that ends with `end` or `fault`."""

from __future__ import annotations

import array
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av.error

from moderation.media import wire
from moderation.media.child.container import RefusedError, open_container
from moderation.media.child.convert import Converter
from moderation.media.child.cues import read_cues
from moderation.media.child.log import OversizeWatch
from moderation.media.child.pictures import Pictures, PlanBrokenError, Tally, Timed, Wanted
from moderation.media.child.probe import examine
from moderation.media.child.sound import Sound

_MOST_TIMES_BYTES = 8 * 1_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """The one file of this process and the bounds that hold inside it."""

    fd: int
    watch: OversizeWatch
    max_pixels: int
    max_streams: int
    until_s: float


def serve(sock: socket.socket, job: Job) -> None:
    """Answer requests one after the other until the parent closes its end."""
    while (request := _next_request(sock)) is not None:
        header, times = request
        try:
            _answer(sock, job, header, times)
        except RefusedError as refused:
            wire.send(sock, {"kind": "fault", "code": refused.code, "detail": refused.detail})
        except MemoryError:
            wire.send(sock, {"kind": "fault", "code": "decoder_crashed", "detail": "it needs too much memory"})
        except (av.error.FFmpegError, ValueError) as error:
            detail = f"decoding stopped ({type(error).__name__}: {error})"
            wire.send(sock, {"kind": "fault", "code": "unreadable_media", "detail": detail[:500]})
        except BrokenPipeError:
            return
        except Exception as error:  # standard error is a file this process may no longer write to
            detail = f"the decoding process failed ({type(error).__name__}: {error})"
            wire.send(sock, {"kind": "fault", "code": "decoder_crashed", "detail": detail[:500]})


def _next_request(sock: socket.socket) -> tuple[wire.Header, array.array[float]] | None:
    try:
        header, payload = wire.receive(lambda count: wire.read_exactly(sock, count))
    except (wire.WireError, ConnectionError):
        return None
    times = array.array("d")
    times.frombytes(bytes(wire.read_exactly(sock, min(payload, _MOST_TIMES_BYTES))))
    return header, times


def _answer(sock: socket.socket, job: Job, header: wire.Header, times: array.array[float]) -> None:
    kind = header.text("kind")
    if kind == "probe":
        wire.send(
            sock,
            {"kind": "info", **examine(lambda: _open(job), job.max_pixels, job.watch, header.texts("encrypted", 2))},
        )
        tally = Tally()
    elif kind == "sound":
        tally = _send_sound(sock, job, header.whole("rate", 1000, 192_000), header.number("until_s", 0, 1e9))
    elif kind == "cues":
        tally = _send_cues(sock, job, header.whole("limit", 1, 2**31))
    else:
        tally = _send_frames(sock, job, header, times)
    wire.send(sock, {
        "kind": "end",
        "packets": tally.packets,
        "bad_packets": tally.bad_packets,
        "damaged_frames": tally.damaged_frames,
        "reach_s": tally.reach_s,
        "clock_repaired": tally.clock_repaired,
        "cpu_s": time.process_time(),
    })  # fmt: skip


def _open(job: Job) -> Any:
    return open_container(job.fd, job.max_streams, job.max_pixels)


def _send_frames(sock: socket.socket, job: Job, header: wire.Header, times: array.array[float]) -> Tally:
    max_side, limit = header.whole("max_side", 1, 2**20), header.whole("limit", 1, 2**31)
    passes = _FramePasses(job)
    if header.text("kind") == "keyframes":
        frames = passes.keyframes(header.number("gap_s", 0, 1e6), limit)
    else:
        wanted = Wanted(header.number_or_none("interval_s", 1e-3, 1e6), times)
        frames = passes.exact(wanted, limit)
    converter: Converter | None = None
    for at, frame in frames:
        converter = converter or Converter(passes.stream)
        fields, pixels = converter.convert(frame, max_side)
        wire.send(sock, {"kind": "frame", "at": at, **fields}, pixels)
    return passes.tally


class _FramePasses:
    """Frames of a fresh container; falls back from the plan to decoding everything, and says what it saw."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pictures = self._fresh()

    @property
    def tally(self) -> Tally:
        return self._pictures.tally

    def _fresh(self) -> Pictures:
        opened = _open(self._job)
        if opened.video is None:
            raise RefusedError("no_media_stream", "it has no pictures")
        self.stream = opened.video
        return Pictures(opened, self._job.until_s)

    def keyframes(self, gap_s: float, limit: int) -> Timed:
        for n, timed in enumerate(self._pictures.keyframes(gap_s)):
            if n == limit:
                return
            yield timed

    def exact(self, wanted: Wanted, limit: int) -> Timed:
        index = self._pictures.index()
        self._pictures = self._fresh()
        last = float("-inf")
        sent = 0
        if index is not None:
            try:
                for at, frame in self._pictures.planned(index, wanted, limit):
                    yield at, frame
                    last, sent = at, sent + 1
            except PlanBrokenError:
                self._pictures = self._fresh()
            else:
                return
        yield from self._pictures.every(wanted, last, limit - sent)


def _send_sound(sock: socket.socket, job: Job, rate: int, until_s: float) -> Tally:
    opened = _open(job)
    if opened.audio is None:
        raise RefusedError("no_media_stream", "it has no sound")
    sound = Sound(opened, rate, min(until_s, job.until_s))
    for start, samples in _gathered(sound.pieces(), most=rate * 4):
        wire.send(sock, {"kind": "sound", "start": start}, samples)
    return sound.tally


def _gathered(pieces: Iterator[tuple[int, bytes]], most: int) -> Iterator[tuple[int, bytes]]:
    """Join adjoining pieces until they hold `most` bytes: one message a second, not forty."""
    start, joined = 0, bytearray()
    for at, samples in pieces:
        if joined and (at != start + len(joined) // 4 or len(joined) >= most):
            yield start, bytes(joined)
            joined = bytearray()
        if not joined:
            start = at
        joined += samples
    if joined:
        yield start, bytes(joined)


def _send_cues(sock: socket.socket, job: Job, limit: int) -> Tally:
    for n, (start, end, text) in enumerate(read_cues(_open(job), job.until_s)):
        if n == limit:
            break
        wire.send(sock, {"kind": "cue", "start": start, "end": end, "text": text})
    return Tally()
