"""Open one video or picture and read it: information, frames, sound, subtitles, warnings."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from moderation.errors import DecodeTimeoutError, InputError, TooLongError
from moderation.media import notices, unpack, wire
from moderation.media.decoder import Budget, Decoder, DecoderGoneError, DecoderPool, Message, OutOfTimeError, crashed
from moderation.media.settings import MediaLimits, SamplingSettings
from moderation.media.source import Source
from moderation.types import Audio, Frame, MediaInfo, Utterance

_Number = TypeVar("_Number", int, float)

_MISSING_S, _MISSING_SHARE = 1.0, 0.02


def open_media(
    path: str | os.PathLike[str],
    limits: MediaLimits | None = None,
    settings: SamplingSettings | None = None,
    pool: DecoderPool | None = None,
) -> Media:
    """Open and probe a file; use the answer in a `with`.

    Raises an `InputError` of the contract's table: NotFoundError, NotAFileError,
    UnreadableMediaError, NoMediaStreamError, TooLargeError, TooLongError (only with
    `limits.refuse_long`), ForbiddenReferenceError, DecodeTimeoutError, DecoderCrashedError.
    """
    return Media(Path(path), limits or MediaLimits(), settings or SamplingSettings(), pool)


def probe(path: str | os.PathLike[str], limits: MediaLimits | None = None) -> MediaInfo:
    """What the file is; the same errors as `open_media`."""
    with open_media(path, limits) as media:
        return media.info


class Media:
    """An open file. Iterators can be mixed: each runs in a decoding process of its own.

    A failure while reading becomes a warning as soon as anything of the file was read or another
    kind (pictures, sound) is still to be tried; otherwise it is raised.
    """

    def __init__(self, path: Path, limits: MediaLimits, settings: SamplingSettings, pool: DecoderPool | None) -> None:
        self.path = path
        self.limits = limits
        self.settings = settings
        self._pool = pool
        self._idle: Decoder | None = None
        self._busy: set[Decoder] = set()
        self._warnings: dict[str, str] = {}
        self._read_something = False
        self._spent_cpu_s = 0.0
        self._failure: InputError | None = None
        self._reach: dict[str, float] = {}
        self._source = Source(path, limits.max_bytes)
        try:
            self._budget = Budget(limits.time_limit_s(None))
            self.info = self._probe()
            self._budget.total = limits.time_limit_s(self.info.duration_s)
            self._kinds = self._kinds_of(self.info)
            self._untried = set(self._kinds)
        except BaseException:
            self.close()
            raise

    @property
    def warnings(self) -> list[str]:
        """What could not be read so far, in plain words; grows as things are read."""
        return list(self._warnings.values())

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the file's content."""
        return self._source.sha256()

    @property
    def decoder_cpu_s(self) -> float:
        """CPU seconds of decoding so far, as its processes report them; their start is not in it."""
        return self._spent_cpu_s + (self._idle.cpu_s if self._idle is not None else 0.0)

    def keyframes(self, max_side: int | None = None) -> Generator[Frame]:
        """The cheap first pass: frames the uploader's encoder made keyframes, in time order."""
        return self._frames(
            "keyframes",
            gap_s=self.settings.keyframe_gap_s,
            max_side=_positive("max_side", max_side, self.settings.keyframe_max_side),
        )

    def frames(
        self, interval_s: float | None = None, max_side: int | None = None, also_at: Iterable[float] = ()
    ) -> Generator[Frame]:
        """Exact frames: the first, what is on display at every `interval_s`, and at each of `also_at`.

        Each frame comes once, in time order, with its own pts. A frame that begins at most 20 ms
        after the time asked for counts as on display.
        """
        return self._frames(
            "frames",
            times=tuple(also_at),
            interval_s=_positive("interval_s", interval_s, self.settings.interval_s),
            max_side=_positive("max_side", max_side, self.settings.max_side),
        )

    def frames_at(self, times: Iterable[float], max_side: int | None = None) -> Iterator[Frame]:
        """The exact frames on display at `times` (the last one for times after the end), each once."""
        wanted = tuple(times)
        if not wanted:
            return iter(())
        return self._frames(
            "frames", times=wanted, interval_s=None, max_side=_positive("max_side", max_side, self.settings.max_side)
        )

    def audio(self, rate: int = 16000) -> Audio | None:
        """All sound up to the limits, mixed to mono; None where there is none or none could be read."""
        if not self.info.has_audio:
            return None
        pieces: list[tuple[int, NDArray[np.float32]]] = []
        most = int(min(self.limits.max_audio_s, self.limits.max_duration_s) * rate)
        with self._reading("sound", lambda: pieces[-1][0] / rate if pieces else None):
            for message in self._ask("sound", rate=rate, until_s=self.limits.max_audio_s):
                if message.kind == "sound":
                    pieces.append(unpack.sound(message))
                    self._read_something = True
                elif message.kind == "end":
                    self._account("sound", message)
        return unpack.joined(pieces, rate, most)

    def subtitles(self) -> list[Utterance]:
        """The embedded text subtitles, sorted by time, without markup."""
        found: list[Utterance] = []
        if not self.info.subtitle_codecs:
            return found
        with self._reading("subtitles", lambda: None):
            for message in self._ask("cues", limit=self.limits.max_cues):
                if message.kind == "cue":
                    found += unpack.utterance(message)
        if len(found) >= self.limits.max_cues:
            self._warn("cue_limit", notices.cue_limit(self.limits.max_cues))
        return sorted(found, key=lambda u: (u.start_s or 0.0, u.end_s or 0.0))

    def require_something_read(self) -> None:
        """Raise the first failure where neither a frame nor a sound was ever delivered."""
        if not self._read_something and self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End all decoding processes of this file, readers in mid-way included, and close it."""
        for decoder in (*self._busy, *([self._idle] if self._idle is not None else [])):
            decoder.close()
        self._busy.clear()
        self._idle = None
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- reading ---------------------------------------------------------------------------------

    def _frames(self, kind: str, times: Sequence[float] = (), **fields: Any) -> Generator[Frame]:
        if not self.info.has_video:
            self._warn("no_pictures", notices.no_pictures())
            return
        last: float | None = None
        count = 0
        with self._reading("pictures", lambda: last):
            for message in self._ask(kind, times, limit=self.limits.max_frames, **fields):
                if message.kind == "frame":
                    frame = unpack.frame(message, self.limits.max_pixels)
                    self._read_something = True
                    last, count = frame.pts_s, count + 1
                    yield frame
                elif message.kind == "end":
                    self._account("pictures", message)
        if count >= self.limits.max_frames:
            self._warn("frame_limit", notices.frame_limit(self.limits.max_frames))

    def _ask(self, kind: str, times: Sequence[float] = (), **fields: Any) -> Iterator[Message]:
        """Run one request in a process of its own; the process is kept for the next where all went well."""
        decoder = self._take_decoder()
        self._busy.add(decoder)
        finished = False
        try:
            for message in decoder.request(kind, self._budget, times, **fields):
                if message.kind == "fault":
                    finished = True
                    raise unpack.fault(self.path, message.header)
                yield message
            finished = True
        finally:
            self._busy.discard(decoder)
            if finished and self._idle is None and self._source.fd >= 0:
                self._idle = decoder
            else:
                self._spent_cpu_s += decoder.cpu_s
                decoder.close()

    def _take_decoder(self) -> Decoder:
        if self._idle is not None:
            decoder, self._idle = self._idle, None
            return decoder
        if self._source.fd < 0:
            raise ValueError("the media is closed")
        decoder = self._pool.take() if self._pool is not None else Decoder()
        try:
            decoder.assign(self._source.fd, self.limits, self._budget)
        except BaseException:
            decoder.close()
            raise
        return decoder

    @contextlib.contextmanager
    def _reading(self, what: str, read_until: Any) -> Iterator[None]:
        """Turn a failure into a warning, or raise it where nothing was or can be read."""
        try:
            yield
        except OutOfTimeError:
            until = read_until()
            self._warn(f"{what}:time", notices.out_of_time(what, self._budget.total, until))
            self._fail(what, until, self._timeout())
        except (DecoderGoneError, wire.WireError) as error:
            until = read_until()
            self._warn(f"{what}:died", notices.decoder_died(what, str(error), until))
            self._fail(what, until, crashed(self.path, str(error)))
        except InputError as error:
            until = read_until()
            self._warn(f"{what}:fault", notices.not_read(what, str(error)))
            self._fail(what, until, error)

    def _fail(self, what: str, read_until: float | None, error: InputError) -> None:
        self._failure = self._failure or error
        self._untried.discard(what)
        if read_until is None and not self._read_something and not self._untried:
            raise error

    def _timeout(self) -> DecodeTimeoutError:
        return DecodeTimeoutError(
            f"{self.path} could not be decoded within {self._budget.total:.0f} s; encode it again or send it in parts"
        )

    def _account(self, what: str, message: Message) -> None:
        """Warn about what one pass could not read."""
        report = unpack.pass_report(message.header)
        duration = self.info.duration_s
        if report.bad_packets:
            self._warn(f"{what}:bad", notices.bad_packets(what, report.bad_packets, report.packets, duration))
        if report.damaged_frames:
            self._warn(f"{what}:damaged", notices.damaged_frames(report.damaged_frames))
        if report.clock_repaired:
            self._warn("clock", notices.clock_repaired())
        self._reach[what] = report.reach_s
        self._warn_about_end(what, report.reach_s, self._stream_ends[what])
        if self._reach.keys() >= self._kinds and duration is not None:
            self._warn_about_end("media", max(self._reach.values()), duration)

    def _warn_about_end(self, what: str, reach_s: float, end_s: float | None) -> None:
        end = min(end_s or 0.0, self.limits.max_duration_s)
        least = max(_MISSING_S, _MISSING_SHARE * end)
        if not self.info.is_picture and end - reach_s > least:
            self._warn(f"{what}:end", notices.missing_end(what, reach_s, end))

    # -- opening ---------------------------------------------------------------------------------

    def _probe(self) -> MediaInfo:
        try:
            header = next(iter(self._ask_once("probe", encrypted=sorted(self._source.encrypted())))).header
        except OutOfTimeError as error:
            raise self._timeout() from error
        except DecoderGoneError as error:
            raise crashed(self.path, str(error)) from error
        except wire.WireError as error:
            raise crashed(self.path, f"it sent nonsense: {error}") from error
        info = unpack.info(header)
        self._stream_ends = {
            "pictures": header.number_or_none("video_end_s", 0, 1e9),
            "sound": header.number_or_none("audio_end_s", 0, 1e9),
        }
        self._warn_about(info, header)
        too_long = info.duration_s is not None and info.duration_s > self.limits.max_duration_s
        if too_long and self.limits.refuse_long:
            raise TooLongError(
                f"{self.path} is {info.duration_s:.0f} s long, above the limit of {self.limits.max_duration_s:g} s; "
                "send it in parts"
            )
        return info

    @staticmethod
    def _kinds_of(info: MediaInfo) -> frozenset[str]:
        return frozenset({"pictures"} if info.has_video else ()) | ({"sound"} if info.has_audio else set())

    def _ask_once(self, kind: str, **fields: Any) -> list[Message]:
        return list(self._ask(kind, **fields))

    def _warn_about(self, info: MediaInfo, header: wire.Header) -> None:
        if info.is_picture and self.path.suffix.lower() in notices.VIDEO_NAMES:
            self._warn("name", notices.picture_named_video(self.path))
        if header.flag("cover_art"):
            self._warn("cover", notices.cover_art())
        if header.flag("animated_webp"):
            self._warn("webp", notices.animated_webp())
        for note in header.texts("notes", 8):
            if note in notices.EMBEDDED:
                self._warn(note, notices.EMBEDDED[note])
        for field, kind in (("more_video", "video"), ("more_audio", "audio")):
            if count := header.whole(field, 0, 2**16):
                self._warn(field, notices.more_streams(count, kind))
        if count := header.whole("picture_subtitles", 0, 2**16):
            self._warn("picture_subtitles", notices.picture_subtitles(count))
        declared = header.number_or_none("declared_s", -1e15, 1e15)
        if declared is not None and abs(declared - (info.duration_s or 0.0)) > max(1.0, 0.05 * abs(declared)):
            self._warn("declared", notices.declared_duration(declared, info.duration_s))
        if info.duration_s is not None and info.duration_s > self.limits.max_duration_s:
            self._warn("long", notices.too_long(info.duration_s, self.limits.max_duration_s))

    def _warn(self, key: str, text: str) -> None:
        self._warnings[key] = text


def _positive(name: str, value: _Number | None, default: _Number) -> _Number:
    """`default` for None; raises ValueError for anything that is not above 0."""
    if value is None:
        return default
    if not value > 0:
        raise ValueError(f"{name} must be above 0, not {value!r}")
    return value
