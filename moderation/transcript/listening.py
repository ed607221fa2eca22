"""Listening to one recording: which windows are read, what is believed, what is reported as not read."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from moderation.transcript import captioned
from moderation.transcript.inventions import SURE_LANGUAGE, doubt, is_credit, is_tiny, without_loops
from moderation.transcript.sentences import split_sentences
from moderation.transcript.whisper import RATE, SERVED, WINDOW_S, Samples, Span, WindowText, Word
from moderation.transcript.windows import LEAST_UNHEARD_S, Window, find_speech, pack, unheard
from moderation.types import Audio, Utterance

logger = logging.getLogger(__name__)

# Times named in one warning.
_MOST_NAMED = 6
# Windows that are doubted or have gaps are read again in parts: so many in any recording, and this many more a window.
_REREADS, _REREADS_A_WINDOW = 4, 1


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """How speech is read.

    `model`: None for the packaged weights, a folder with a Whisper model in CTranslate2's format, or the name of one
    on the Hugging Face hub, which is then downloaded (nothing else here uses the network). `threads`: one is as fast
    as two for three quarters of the CPU time, because the decoder's small steps leave a second one waiting.
    `window_s`: the most that is read at once, up to 30 s; in longer windows the model skips more. `token_cap`: the
    most tokens that a window may give, more than the fastest speaker needs. `skip_captioned`: leave out speech that
    captions were shown to repeat, in videos with more than `skip_from_s` of speech.
    """

    model: str | Path | None = None
    beam_size: int = 2
    threads: int = 1
    compute_type: str = "int8"
    vad_threshold: float = 0.5
    vad_silence_s: float = 0.3
    vad_pad_s: float = 0.25
    window_s: float = 18.0
    token_cap: int = 192
    skip_captioned: bool = True
    skip_from_s: float = 20.0

    def __post_init__(self) -> None:
        if not 5.0 <= self.window_s <= WINDOW_S:
            raise ValueError(f"window_s is {self.window_s}; Whisper reads 5 to {WINDOW_S:.0f} s at once")


@dataclass(frozen=True, slots=True)
class Heard:
    """Utterances in order of time, times being the video's, and warnings about what was not read."""

    utterances: tuple[Utterance, ...] = ()
    warnings: tuple[str, ...] = ()


class SpeechEngine(Protocol):
    """What the recogniser needs of a model; `WhisperEngine` is one, tests bring others."""

    @property
    def version(self) -> str: ...
    def find_speech(
        self, samples: Samples, *, threshold: float, silence_s: float, pad_s: float, longest_s: float
    ) -> list[Span]: ...
    def read(self, window: Samples, hint: str | None) -> WindowText: ...


@dataclass(slots=True, eq=False)
class Listening:
    """The state of reading one recording. `hint` is the likely language; `is_over` says that the time has run out."""

    engine: SpeechEngine
    settings: SpeechSettings
    audio: Audio
    hint: str | None
    is_over: Callable[[], bool]
    rereads_left: float = _REREADS
    utterances: list[Utterance] = field(default_factory=list)
    missed: list[Span] = field(default_factory=list)
    failed: list[Span] = field(default_factory=list)
    foreign: dict[str, list[Span]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def listen(self, captions: Sequence[Utterance]) -> None:
        spans = list(find_speech(self.audio.samples, self._detect))
        spans = self._without_captioned(spans, captions)
        for window in pack(spans, self.settings.window_s):
            if self.is_over():
                self.notes.append(
                    f"asr: the time limit was reached; speech after {self._time(window.start):.1f} s was not read. "
                    "Use a faster machine or send the video in parts."
                )
                break
            self.rereads_left += _REREADS_A_WINDOW
            self.read(window)

    def heard(self) -> Heard:
        warnings = list(self.notes)
        if self.failed:
            warnings.append(f"asr: reading failed at {self._times(self.failed)}; speech there was not read")
        if self.missed:
            warnings.append(
                f"asr: a voice that was not understood at {self._times(self.missed)} (singing, noise, several at once?)"
            )
        for language, spans in self.foreign.items():
            warnings.append(
                f"asr: speech in the language '{language}' at {self._times(spans)}; the text policy covers "
                f"{' and '.join(SERVED)}"
            )
        ordered = sorted(self.utterances, key=lambda u: (u.start_s or 0.0, u.end_s or 0.0))
        return Heard(tuple(ordered), tuple(warnings))

    def read(self, window: Window, *, again: bool = False) -> None:
        """Read a window into utterances; what is not understood is read once more in parts, then reported."""
        try:
            text = self.engine.read(window.cut(self.audio.samples), self.hint)
        except Exception:
            logger.exception("reading speech failed at %s", self._times([Span(window.start, window.end)]))
            self.failed.append(Span(window.start, window.end))
            return
        words, loops = without_loops(text.words)
        reason = doubt(text, words, window.speech_s)
        if reason is not None:
            logger.debug("doubted (%s) at %s: %s", reason, self._times([Span(window.start, window.end)]), text.text)
            self._read_again(window, window.halves(), again=again)
            return
        if loops:
            logger.debug("a loop of the model was cut at %s: %s", loops, text.text)
        self._keep(window, text, words)
        for part in unheard(window, words):
            self._read_again(part, [part], again=again)

    def _read_again(self, window: Window, parts: Sequence[Window], *, again: bool) -> None:
        if again or not parts or self.rereads_left < len(parts) or self.is_over():
            # Less is a breath or a cough.
            if window.speech_s >= LEAST_UNHEARD_S:
                self.missed.append(Span(window.start, window.end))
            return
        self.rereads_left -= len(parts)
        for part in parts:
            self.read(part, again=True)

    def _keep(self, window: Window, text: WindowText, words: Sequence[Word]) -> None:
        offset_s = self._time(window.start)
        if text.language not in SERVED:
            self.foreign.setdefault(text.language, []).append(Span(window.start, window.end))
        for start_s, end_s, sentence in split_sentences(words):
            if is_credit(sentence) or (text.likelihood < SURE_LANGUAGE and is_tiny(sentence)):
                logger.debug("dropped at %.1f s: %s", offset_s + start_s, sentence)
                self.missed.append(Span(window.start + int(start_s * RATE), window.start + int(end_s * RATE)))
                continue
            self.utterances.append(
                Utterance(
                    text=sentence,
                    source="speech",
                    start_s=round(offset_s + start_s, 2),
                    end_s=round(offset_s + end_s, 2),
                    confidence=round(math.exp(min(text.log_probability, 0.0)), 3),
                )
            )

    def _detect(self, block: Samples) -> list[Span]:
        chosen = self.settings
        try:
            return self.engine.find_speech(
                block,
                threshold=chosen.vad_threshold,
                silence_s=chosen.vad_silence_s,
                pad_s=chosen.vad_pad_s,
                longest_s=chosen.window_s,
            )
        except Exception:
            # Without the detector all of it may be speech: reading too much is slow, reading nothing is blind.
            logger.exception("the voice activity detector failed; everything is read")
            step = int(self.settings.window_s * RATE)
            return [Span(at, min(at + step, len(block))) for at in range(0, len(block), step)]

    def _without_captioned(self, spans: list[Span], captions: Sequence[Utterance]) -> list[Span]:
        """The speech that is left to read when captions were shown to say the rest; all of it otherwise."""
        speech_s = sum(map(len, spans)) / RATE
        if not self.settings.skip_captioned or not captions or speech_s < self.settings.skip_from_s:
            return spans
        shown = captioned.spoken_captions(captions)
        said = captioned.covered_spans(spans, shown, self.audio.start_s)
        probes = captioned.probe_spans(self.audio.samples, said) if said else []
        if not probes or not all(self._is_captioned(probe, shown) for probe in probes):
            return spans
        self.notes.append(
            f"asr: skipped where captions say the same ({sum(map(len, said)) / RATE:.1f} s of {speech_s:.1f} s); "
            f"{len(probes)} places were compared"
        )
        skipped = set(said)
        return [span for span in spans if span not in skipped]

    def _is_captioned(self, probe: Span, shown: Sequence[captioned.Caption]) -> bool:
        if self.is_over():
            return False
        # Apart from this recording's own result: a piece begins and ends inside sentences.
        trial = Listening(self.engine, self.settings, self.audio, self.hint, self.is_over, rereads_left=0)
        trial.read(Window((probe,)))
        text = "".join(u.text for u in trial.utterances)
        return captioned.says_the_same(text, shown, self._time(probe.start), self._time(probe.end))

    def _time(self, sample: int) -> float:
        """The video's time of a sample, seconds."""
        return self.audio.start_s + sample / RATE

    def _times(self, spans: Sequence[Span]) -> str:
        """For example `3.0–10.5 s, 12.0–13.5 s`; neighbours are joined."""
        joined: list[tuple[float, float]] = []
        for start_s, end_s in sorted((self._time(span.start), self._time(span.end)) for span in spans):
            if joined and start_s <= joined[-1][1] + 1.0:
                joined[-1] = (joined[-1][0], max(end_s, joined[-1][1]))
            else:
                joined.append((start_s, end_s))
        named = ", ".join(f"{start_s:.1f}–{end_s:.1f} s" for start_s, end_s in itertools.islice(joined, _MOST_NAMED))
        return named if len(joined) <= _MOST_NAMED else f"{named} and {len(joined) - _MOST_NAMED} more places"
