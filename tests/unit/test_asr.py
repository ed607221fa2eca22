"""Hearing with a model that says what the test tells it: what is believed, split, skipped, and reported as not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from moderation.transcript import asr
from moderation.transcript.asr import NO_MODEL, SpeechRecogniser, SpeechSettings, open_recogniser
from moderation.transcript.whisper import RATE, Samples, Span, WindowText, Word
from moderation.transcript.windows import find_speech, pack
from moderation.types import Audio

Answer = WindowText | Exception


def words(text: str, start_s: float = 0.3, each_s: float = 0.2) -> tuple[Word, ...]:
    """A character each `each_s`."""
    return tuple(Word(start_s + n * each_s, start_s + (n + 1) * each_s, c) for n, c in enumerate(text))


def said(text: str, *, language: str = "zh", likelihood: float = 0.99, log_probability: float = -0.2,
         no_speech: float = 0.01, each_s: float = 0.2) -> WindowText:  # fmt: skip
    return WindowText(words(text, each_s=each_s), language, likelihood, log_probability, no_speech)


class FakeEngine:
    """Speech is where samples are not zero; `answer` gives each window's text, windows being numbered."""

    version = "fake"

    def __init__(self, answer: Callable[[int, Samples], Answer]) -> None:
        self.answer = answer
        self.windows: list[float] = []

    def find_speech(
        self, samples: Samples, *, threshold: float, silence_s: float, pad_s: float, longest_s: float
    ) -> list[Span]:
        loud = np.flatnonzero(np.diff(np.concatenate([[0], (samples != 0).astype(np.int8), [0]])))
        longest = int(longest_s * RATE)
        return [
            Span(at, min(at + longest, int(end)))
            for start, end in loud.reshape(-1, 2)
            for at in range(int(start), int(end), longest)
        ]

    def read(self, window: Samples, hint: str | None) -> WindowText:
        self.windows.append(len(window) / RATE)
        answer = self.answer(len(self.windows) - 1, window)
        if isinstance(answer, Exception):
            raise answer
        return answer


def sound(*stretches: tuple[float, float], length_s: float) -> Audio:
    samples = np.zeros(int(length_s * RATE), np.float32)
    for start_s, end_s in stretches:
        samples[int(start_s * RATE) : int(end_s * RATE)] = 0.1
    return Audio(samples)


def fill(window: Samples) -> WindowText:
    """Text for all of a window, a character each 0.2 s, all different."""
    return said("".join(chr(0x4E00 + n) for n in range(int(len(window) / RATE / 0.2 - 1))))


# Windows


def test_speech_on_the_border_of_two_blocks_stays_whole() -> None:
    audio = sound((3, 5), (115, 125), (239, 241), length_s=300)
    engine = FakeEngine(lambda n, window: said(""))

    def detect(block: Samples) -> Sequence[Span]:
        return engine.find_speech(block, threshold=0.5, silence_s=0.3, pad_s=0.2, longest_s=18)

    found = [(s.start / RATE, s.end / RATE) for s in find_speech(audio.samples, detect)]
    assert found == [(3, 5), (115, 125), (239, 241)]


def test_windows_are_full_end_at_the_longest_pause_and_lose_nothing() -> None:
    spans = [Span(int(a * RATE), int(b * RATE)) for a, b in [(0, 5), (5.3, 11), (12, 14), (14.3, 19), (60, 61)]]
    windows = list(pack(spans, 18))
    assert [(w.start / RATE, w.end / RATE) for w in windows] == [(0, 11), (12, 19), (60, 61)]
    assert [s for w in windows for s in w.spans] == spans


def test_music_between_speech_is_not_given_to_the_model() -> None:
    audio = sound((0, 2), (6, 8), length_s=8)
    audio.samples[2 * RATE : 6 * RATE] = 0.5
    (window,) = pack([Span(0, 2 * RATE), Span(6 * RATE, 8 * RATE)], 18)
    assert not window.cut(audio.samples)[2 * RATE : 6 * RATE].any()
    assert (audio.samples[2 * RATE : 6 * RATE] == 0.5).all()


# Listening


def test_times_are_those_of_the_video() -> None:
    audio = Audio(sound((10, 14), length_s=20).samples, start_s=1.5)
    heard = SpeechRecogniser(FakeEngine(lambda n, window: fill(window))).transcribe(audio)
    assert heard.warnings == ()
    assert heard.utterances[0].start_s == pytest.approx(11.8)
    assert heard.utterances[-1].end_s == pytest.approx(15.5, abs=0.3)
    assert {u.source for u in heard.utterances} == {"speech"}
    assert heard.utterances[0].confidence == pytest.approx(0.819)


def test_silence_and_nothing_at_all_give_nothing() -> None:
    engine = FakeEngine(lambda n, window: said("不该有"))
    for length_s in (0, 3):
        assert SpeechRecogniser(engine).transcribe(sound(length_s=length_s)) == asr.Heard()
    assert engine.windows == []


def test_a_skipped_part_is_read_again_and_reported_where_it_stays_silent() -> None:
    gap = WindowText((*words("今天"), *words("六十八块", start_s=9.0)), "zh", 0.99, -0.2, 0.0)
    reread = SpeechRecogniser(FakeEngine(lambda n, window: said("没效果全额退款") if n else gap))
    heard = reread.transcribe(sound((0, 10), length_s=10))
    assert "没效果全额退款" in "".join(u.text for u in heard.utterances)
    silent = SpeechRecogniser(FakeEngine(lambda n, window: said("") if n else gap))
    (warning,) = silent.transcribe(sound((0, 10), length_s=10)).warnings
    assert warning.startswith("asr: a voice that was not understood at 0.6–9.0 s")


def test_a_loop_does_not_hide_what_was_said_meanwhile() -> None:
    loop = said("今天六十八块" + "哈哈哈" * 20)
    engine = FakeEngine(lambda n, window: said("降压药都不用吃") if n else loop)
    heard = SpeechRecogniser(engine).transcribe(sound((0, 14), length_s=14))
    assert any("降压药都不用吃" in u.text for u in heard.utterances)


def test_a_window_that_fails_is_a_warning_and_the_rest_is_read() -> None:
    engine = FakeEngine(lambda n, window: RuntimeError("out of memory") if n == 0 else fill(window))
    heard = SpeechRecogniser(engine).transcribe(sound((1, 6), (30, 33), length_s=40))
    assert heard.warnings == ("asr: reading failed at 1.0–6.0 s; speech there was not read",)
    assert heard.utterances[0].start_s == pytest.approx(30.3)


def test_without_the_detector_everything_is_read() -> None:
    class Deaf(FakeEngine):
        def find_speech(self, samples: Samples, **_: float) -> list[Span]:
            raise RuntimeError("no onnxruntime")

    engine = Deaf(lambda n, window: fill(window))
    heard = SpeechRecogniser(engine).transcribe(sound((0, 30), length_s=30))
    assert sum(engine.windows) == pytest.approx(30)
    assert heard.utterances


def test_the_deadline_ends_reading_with_the_time_from_which_nothing_was_read() -> None:
    engine = FakeEngine(lambda n, window: fill(window))
    audio = sound((0, 10), (30, 40), (60, 70), length_s=80)
    heard = SpeechRecogniser(engine).transcribe(audio, deadline=lambda: len(engine.windows) >= 1)
    assert len(engine.windows) == 1
    assert heard.warnings[0].startswith("asr: the time limit was reached; speech after 30.0 s was not read")


def test_other_languages_are_read_with_a_warning() -> None:
    engine = FakeEngine(lambda n, window: said("これはとても安いですよ", language="ja"))
    heard = SpeechRecogniser(engine).transcribe(sound((0, 2.6), length_s=3))
    assert heard.utterances
    assert heard.warnings == ("asr: speech in the language 'ja' at 0.0–2.6 s; the text policy covers zh and en",)


def test_a_stock_phrase_is_dropped_and_its_place_named() -> None:
    engine = FakeEngine(lambda n, window: said("请不吝点赞 订阅 转发"))
    heard = SpeechRecogniser(engine).transcribe(sound((0, 3), length_s=3))
    assert heard.utterances == ()
    assert heard.warnings


def test_broken_samples_do_no_harm() -> None:
    audio = sound((0, 4), length_s=5)
    audio.samples[100:200] = np.nan
    engine = FakeEngine(lambda n, window: fill(window) if np.isfinite(window).all() else RuntimeError("nan"))
    assert SpeechRecogniser(engine).transcribe(audio).warnings == ()


def test_wrong_rate_is_a_warning() -> None:
    heard = SpeechRecogniser(FakeEngine(lambda n, window: fill(window))).transcribe(
        Audio(np.ones(100, np.float32), 8000)
    )
    assert "8000 samples a second" in heard.warnings[0]


# Opening


def test_speech_switched_off() -> None:
    assert open_recogniser(None) == (None, ())


def test_without_weights_each_verdict_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr, "locate_packaged_parts", lambda: None)
    assert open_recogniser(SpeechSettings()) == (None, (NO_MODEL,))
    assert NO_MODEL == "asr: no model installed; speech was not read"


def test_windows_beyond_the_model_are_refused() -> None:
    with pytest.raises(ValueError, match="window_s is 60"):
        SpeechSettings(window_s=60)
