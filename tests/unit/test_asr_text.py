"""What of the model's text is believed, and how it becomes sentences."""

from __future__ import annotations

import pytest

from moderation.transcript.inventions import doubt, is_credit, is_filler, without_loops
from moderation.transcript.sentences import simplified, split_sentences
from moderation.transcript.whisper import WindowText, Word, choose_language
from tests.unit.test_asr import said, words


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
