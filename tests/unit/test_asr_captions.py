"""Speech is left out only where captions prove to say the same."""

from __future__ import annotations

import numpy as np
import pytest

from moderation.transcript.asr import SpeechRecogniser
from moderation.transcript.whisper import RATE, Samples, WindowText
from moderation.types import Audio, Utterance
from tests.unit.test_asr import FakeEngine, said

LINES = (
    "家人们看过来这款茶每天早上泡一杯口感清香甘甜一盒三十包今天直播间只要六十八块拍两盒再送一个茶杯左下角一号链接赶紧拍"
)
SPOKEN = (LINES * 8)[:200]


def at_time(window: Samples, audio: Audio) -> int:
    """The second of the recording that a window begins at; the samples count seconds."""
    return round(float(window[0]) * 1000) - 1


def counted(length_s: int) -> Audio:
    """Speech all the time, each second of another level."""
    return Audio(np.repeat(np.arange(1, length_s + 1) / 1000, RATE).astype(np.float32))


def captions_of(text: str, each_s: float = 2.0, rate: int = 5) -> list[Utterance]:
    """A caption every two seconds, five characters a second."""
    step = int(each_s * rate)
    return [
        Utterance(text[n * step : (n + 1) * step], "screen", n * each_s, (n + 1) * each_s)
        for n in range(len(text) // step)
    ]


def speaker(spoken: str, audio: Audio) -> FakeEngine:
    def answer(n: int, window: Samples) -> WindowText:
        second = at_time(window, audio)
        return said(spoken[second * 5 : second * 5 + int(len(window) / RATE * 5) - 2])

    return FakeEngine(answer)


def test_speech_that_captions_repeat_is_skipped_with_a_note() -> None:
    audio = counted(40)
    engine = speaker(SPOKEN, audio)
    heard = SpeechRecogniser(engine).transcribe(audio, captions=captions_of(SPOKEN))
    assert heard.warnings == ("asr: skipped where captions say the same (40.0 s of 40.0 s); 3 places were compared",)
    assert sum(engine.windows) <= 18


@pytest.mark.parametrize(
    "captions",
    [
        captions_of("别的字幕完全不同的内容在这里出现而已" * 12),
        captions_of(SPOKEN)[:12],
        [Utterance(SPOKEN[:30], "screen", 0.0, 40.0)],
        [Utterance(SPOKEN, "title")],
        [],
    ],
    ids=["other text", "covers too little", "a title that stands", "no times", "none"],
)
def test_speech_is_read_where_captions_do_not_prove_to_say_it(captions: list[Utterance]) -> None:
    audio = counted(40)
    heard = SpeechRecogniser(speaker(SPOKEN, audio)).transcribe(audio, captions=captions)
    assert not any("skipped" in warning for warning in heard.warnings)
    assert heard.utterances[-1].end_s == pytest.approx(40, abs=2)


def test_one_place_that_differs_means_all_is_read() -> None:
    audio = counted(40)
    hidden = SPOKEN[:65] + "糖尿病高血压喝了都能治好不用吃药了没效果全额退款假一赔十" * 5
    heard = SpeechRecogniser(speaker(hidden, audio)).transcribe(audio, captions=captions_of(SPOKEN))
    assert any("糖尿病高血压" in u.text for u in heard.utterances)


def test_short_clips_are_always_read() -> None:
    audio = counted(16)
    heard = SpeechRecogniser(speaker(SPOKEN, audio)).transcribe(audio, captions=captions_of(SPOKEN[:80]))
    assert heard.utterances
    assert heard.warnings == ()


def test_speech_without_caption_is_read_though_the_rest_is_skipped() -> None:
    audio = counted(60)
    audio.samples[50 * RATE : 55 * RATE] = 0
    text = (SPOKEN + LINES * 2)[:300]
    heard = SpeechRecogniser(speaker(text, audio)).transcribe(audio, captions=captions_of(text[:250]))
    assert any("skipped" in warning for warning in heard.warnings)
    assert heard.utterances[0].start_s == pytest.approx(55.3)
