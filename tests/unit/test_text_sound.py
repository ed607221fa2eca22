"""How words sound, and what is put back by sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from moderation.text.lexicon import Lexicon
from moderation.text.normalise import normalise
from moderation.text.restore import WordRestorer
from moderation.text.sound import near_sound, sound_spellings, sounds_of


def sounds_like(heard: str, word: str) -> bool:
    return any(spelling in sounds.text for spelling in sound_spellings(word) for sounds in sounds_of(normalise(heard)))


@pytest.mark.parametrize(
    ("heard", "word"),
    [
        ("跟之", "根治"),
        ("见笑", "见效"),
        ("文赚不赔", "稳赚不赔"),
        ("百分之百有笑", "有效"),
        ("能力", "能利"),
        ("兰人", "南仁"),
        ("糖niao病", "糖尿病"),
        ("tangniao病", "糖尿病"),
        ("长期", "常期"),
        ("重复", "虫复"),
    ],
)
def test_near_sounds_are_one(heard: str, word: str) -> None:
    assert sounds_like(heard, word)


@pytest.mark.parametrize(("heard", "word"), [("根据", "根治"), ("高兴", "高仿"), ("boss直聘", "不吃")])
def test_other_sounds_are_not(heard: str, word: str) -> None:
    assert not sounds_like(heard, word)


def test_regional_sounds_are_a_setting() -> None:
    assert near_sound("hui") != near_sound("fui")
    assert near_sound("hui", regional=True) == near_sound("fui", regional=True)


def test_syllables_point_back_to_the_letters_they_were_written_with() -> None:
    reading = normalise("糖niao病好")
    sounds, _ = sounds_of(reading)
    assert [reading.text[a:b] for a, b in zip(sounds.starts, sounds.ends, strict=True)] == ["糖", "niao", "病", "好"]
    assert sounds.spelled == (1,)


@pytest.fixture
def restorer(tmp_path: Path) -> WordRestorer:
    (tmp_path / "sets.zh.yaml").write_text("disease: [糖尿病, 高血压]\n", encoding="utf-8")
    (tmp_path / "medical_claim.zh.yaml").write_text(
        "label: medical_claim\nlanguage: zh\nentries:\n"
        "- {term: '(微信|卫星号)问诊', strength: review, category: cure, example: 微信问诊, counter: 线下问诊}\n",
        encoding="utf-8",
    )
    return WordRestorer(Lexicon.load(tmp_path))


@pytest.mark.parametrize(
    ("written", "restored"),
    [
        ("喝了糖niao病好了", "喝了糖尿病好了"),
        ("喝了tangniao病好了", "喝了糖尿病好了"),
        ("加wei信", "加微信"),
        ("唐尿病也好了", "糖尿病也好了"),
        ("汤鸟冰也好了", "汤鸟冰也好了"),  # nothing is spelt as in the word
        ("卫星号问诊", "卫星号问诊"),  # a word of the lexicon stays as it is
        ("iphone手机", "iphone手机"),
    ],
)
def test_words_written_by_sound_are_put_back(restorer: WordRestorer, written: str, restored: str) -> None:
    reading = normalise(written)
    assert restorer.restore(reading, sounds_of(reading))[0].text == restored


def test_a_restored_word_keeps_its_place(restorer: WordRestorer) -> None:
    reading = normalise("喝了tangniao病就好")
    after, sounds = restorer.restore(reading, sounds_of(reading))
    start = after.text.index("糖尿病")
    assert after.original[slice(*after.span(start, start + 3))] == "tangniao病"
    assert after.restored.tolist() == [2, 3, 4]
    fresh = sounds_of(after)[0]
    assert sounds[0].text == fresh.text
    assert sounds[0].starts.tolist() == fresh.starts.tolist()
    assert sounds[0].ends.tolist() == fresh.ends.tolist()
