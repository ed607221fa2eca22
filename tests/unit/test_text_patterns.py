"""The pattern language: what it matches, and what it refuses."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.text.patterns import compile_pattern
from moderation.text.syntax import PatternError

SETS = {"disease": ("糖尿病", "高血压"), "drink": ("tea", "juice")}


def spans(source: str, text: str, language: str = "zh") -> list[str]:
    pattern = compile_pattern(source, SETS, language)
    return [m[0] for m in pattern.find(text, 0, len(text))]


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("根治", "能根治吗", ["根治"]),
        ("(喝|吃){4}<disease>", "喝了它的糖尿病", ["喝了它的糖尿病"]),
        ("(喝|吃){4}<disease>", "喝了它还有别的糖尿病", []),
        ("喝{8}根治", "喝了。能根治", []),
        ("喝{8}根治", "喝了,能根治", ["喝了,能根治"]),
        ("#天见效", "七天见效,30天见效", ["七天见效", "30天见效"]),
        ("日入#", "日入800+,日入过千", ["日入800+"]),
        ("(每|)天瘦", "每天瘦,三天瘦", ["每天瘦", "天瘦"]),
        ("((高|精)仿|复刻)鞋", "高仿鞋和复刻鞋", ["高仿鞋", "复刻鞋"]),
        ("第一名店", "第1名店", ["第1名店"]),
        ("加vx", "加vx123,加vxy", ["加vx"]),
    ],
)
def test_chinese_patterns(source: str, text: str, found: list[str]) -> None:
    assert spans(source, text) == found


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("cure", "a cure, not a secure cured", ["cure"]),
        ("replica watch", "replica watches", ["replica watches"]),
        ("cur(e|es|ed)", "cured", ["cured"]),
        ("guarant*", "guaranteed", ["guaranteed"]),
        ("<drink>{10}cure", "tea that can cure", ["tea that can cure"]),
        ("tea{20}cure", "tea. it can cure", []),
        ("in # days", "in seven days or in 7 days", ["in seven days", "in 7 days"]),
    ],
)
def test_english_patterns(source: str, text: str, found: list[str]) -> None:
    assert spans(source, text, "en") == found


@pytest.mark.parametrize(
    ("source", "column", "message"),
    [
        ("", 0, "empty"),
        ("(喝|吃", 0, "never closed"),
        ("喝)了", 1, "without its opening"),
        ("喝|吃了", 1, "outside a group"),
        ("<nobody>好了", 0, "unknown set"),
        ("<Bad Name>好了", 0, "not a set name"),
        ("喝{0}好了", 1, "not a gap"),
        ("喝{999}好了", 1, "not a gap"),
        ("(喝{3}了|吃)好了", 2, "inside a group"),
        ("{3}好了", 0, "edge"),
        ("好了{3}", 0, "edge"),
        ("((好|(坏))的)吃", 4, "nest once"),
        ("最", 0, "too short"),
        ("#{3}#", 0, "nothing in it"),
        ("好*的", 1, "must follow an English word"),
        ("()好的", 0, "group is empty"),
        ("好}的", 1, "without its opening"),
    ],
)
def test_mistakes_say_where_and_what_to_do(source: str, column: int, message: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(source, SETS, "zh")
    assert message in caught.value.message
    assert caught.value.column == column
    assert caught.value.fix


@given(st.text("喝吃好了a1(|){}<>#*-3 disease", max_size=20))
def test_any_text_compiles_or_is_refused(source: str) -> None:
    try:
        pattern = compile_pattern(source, SETS, "zh")
    except PatternError:
        return
    assert pattern.blocks
    assert isinstance(pattern.regex, re.Pattern)


@given(st.text("喝吃好了糖尿病3天，。", max_size=40))
def test_every_match_holds_a_word_of_each_block_and_is_no_longer_than_stated(text: str) -> None:
    pattern = compile_pattern("(喝|吃){5}<disease>{4}(好了|#天)", SETS, "zh")
    for match in pattern.find(text, 0, len(text)):
        assert all(any(w in match[0] for w in block.words) for block in pattern.blocks)
        assert len(match[0]) <= pattern.longest
