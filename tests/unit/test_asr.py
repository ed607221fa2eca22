"""Hearing with a model that says what the test tells it: what is believed, split, skipped, and reported as not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from moderation.transcript import asr
from moderation.transcript.asr import NO_MODEL, SpeechRecogniser, SpeechSettings, open_recogniser
from moderation.transcript.inventions import doubt, is_credit, is_filler, without_loops
from moderation.transcript.sentences import simplified, split_sentences
from moderation.transcript.whisper import RATE, Samples, Span, WindowText, Word, choose_language
from moderation.transcript.windows import find_speech, pack
from moderation.types import Audio, Utterance

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


# What is believed


@pytest.mark.parametrize(
    ("window", "speech_s", "why"),
    [
        (said("这件衬衫是纯棉的"), 2.0, None),
        (said("好吃", likelihood=0.6), 0.8, None),
        (said(""), 2.0, "no text"),
        (said("这件衬衫是纯棉的", log_probability=-1.5), 2.0, "improbable"),
        (said("这件衬衫是纯棉的", log_probability=-0.9, no_speech=0.8), 2.0, "no speech"),
        (said("这件衬衫是纯棉的", log_probability=-0.9, likelihood=0.2), 2.0, "no language"),
        (said("Thank you. Thank you."), 2.0, "filler"),
        (said("谢谢大家"), 2.0, "filler"),
        (said("谢谢大家来到我的直播间"), 2.0, None),
        (said("多好"), 9.0, "sparse"),
        (said("我们的爱就像大海一样" * 8), 20.0, "repeats"),
    ],
)
def test_doubt(window: WindowText, speech_s: float, why: str | None) -> None:
    assert doubt(window, window.words, speech_s) == why


@pytest.mark.parametrize(
    "text",
    ["字幕由Amara.org社区提供", "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目", "謝謝觀看", "感谢大家的收看",
     "中文字幕組", "Thanks for watching!", "Please subscribe to my channel", "Subtitles by the Amara.org community",
     "作词：李宗盛"],
)  # fmt: skip
def test_stock_phrases_are_known(text: str) -> None:
    assert is_credit(text)


@pytest.mark.parametrize(
    "text",
    [
        "感谢家人们的支持，今天六十八块",
        "点赞订阅领优惠券",
        "这款屏幕由玻璃制成",
        "Thank you for your order",
        "谢谢大家",
    ],
)
def test_what_sellers_say_is_no_stock_phrase(text: str) -> None:
    assert not is_credit(text)


def test_fillers() -> None:
    assert is_filler(" Hmm, yeah. Okay.")
    assert not is_filler("Okay, buy it now")


def test_a_loop_keeps_its_first_piece_and_the_rest_is_a_gap() -> None:
    kept, times = without_loops(words("今天六十八块" + "我爱你" * 12))
    assert "".join(w.text for w in kept) == "今天六十八块我爱你"
    assert times == [(pytest.approx(0.3 + 9 * 0.2), pytest.approx(0.3 + 42 * 0.2))]


@pytest.mark.parametrize("text", ["买买买买买买", "三二一上链接三二一上链接三二一上链接", "一百九十九九十九九块九"])
def test_what_sellers_repeat_is_no_loop(text: str) -> None:
    assert without_loops(words(text)) == (list(words(text)), [])


@pytest.mark.parametrize(
    ("probabilities", "hint", "language"),
    [
        ({"zh": 0.5, "en": 0.3}, None, "zh"),
        ({"zh": 0.2, "en": 0.3, "ja": 0.45}, None, "en"),
        ({"zh": 0.1, "ja": 0.85}, None, "ja"),
        ({"zh": 0.5, "en": 0.3}, "en", "en"),
        ({"zh": 0.02, "en": 0.97}, "zh", "en"),
        ({}, None, "zh"),
    ],
)
def test_language(probabilities: dict[str, float], hint: str | None, language: str) -> None:
    assert choose_language(probabilities, hint) == language


# Sentences


def test_sentences_are_cut_at_stops_and_pauses_and_carry_their_own_time() -> None:
    first, second = words("三天淡斑七天美白，没效果全额退款。"), words("左下角一号链接", start_s=4.2)
    third = words("慢慢拍", start_s=8.0)
    cut = list(split_sentences([*first, *second, *third]))
    assert [text for _, _, text in cut] == ["三天淡斑七天美白，没效果全额退款。", "左下角一号链接", "慢慢拍"]
    assert [round(start, 1) for start, _, _ in cut] == [0.3, 4.2, 8.0]


def test_a_number_is_not_cut_at_its_point() -> None:
    spoken = [
        Word(n * 0.4, n * 0.4 + 0.4, w)
        for n, w in enumerate([" It", " is", " only", " 3", ".", "5", " dollars", " now."])
    ]
    assert [text for _, _, text in split_sentences(spoken)] == ["It is only 3.5 dollars now."]


def test_a_last_word_drawn_over_silence_ends_early() -> None:
    spoken = [*words("今天六十八"), Word(1.3, 6.0, "块")]
    ((_, end_s, _),) = split_sentences(spoken)
    assert end_s == pytest.approx(1.7)


def test_long_speech_without_any_mark_is_cut() -> None:
    cut = list(split_sentences(words("好" * 200)))
    assert all(end_s - start_s <= 8.5 for start_s, end_s, _ in cut)


def test_traditional_becomes_simplified() -> None:
    assert simplified("血壓就降下來了 OK") == "血压就降下来了 OK"


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


# Captions that say the same

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
