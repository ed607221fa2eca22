"""The reading of a text and the way back to the original."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.text.normalise import join_lines, normalise

# Everything, lone surrogates included, with the characters that the rules are about drawn more often.
ANY_TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=()),
        st.sampled_from("根治微信糖尿病最 -.*/()“”0o1lavx八❤➕㎏½亻言①\u200b\ufe0f\r\n，。"),
    ),
    max_size=60,
)


@given(ANY_TEXT)
def test_offsets_map_back_inside_the_original_and_never_decrease(text: str) -> None:
    reading = normalise(text)
    assert len(reading.starts) == len(reading.ends) == len(reading.text)
    assert (np.diff(reading.starts) >= 0).all()
    assert (np.diff(reading.ends) >= 0).all()
    assert (reading.starts >= 0).all()
    assert (reading.ends <= len(text)).all()
    assert (reading.starts < reading.ends).all()


@given(ANY_TEXT)
def test_a_reading_reads_as_itself(text: str) -> None:
    once = normalise(text).text
    assert normalise(once).text == once


@given(ANY_TEXT)
def test_breaks_are_places_in_the_text(text: str) -> None:
    reading = normalise(text)
    assert (np.diff(reading.breaks) > 0).all()
    assert ((reading.breaks > 0) & (reading.breaks < len(reading.text))).all()


@given(st.lists(ANY_TEXT, max_size=5))
def test_lines_read_together_read_as_each_alone(texts: list[str]) -> None:
    joined, _ = join_lines(texts)
    assert normalise(joined).text.split("\n") == "\n".join(normalise(t).text for t in texts).split("\n")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("ＦＵＬＬ　ｗｉｄｔｈ１２％", "full width12%"),
        ("㎏①²⑩", "kg1210"),
        ("專櫃頂級藥", "专柜顶级药"),
        ("根-治", "根治"),
        ("莆.田", "莆田"),
        ("微 信", "微信"),
        ("加*V", "加v"),
        ("加 V X 123", "加vx 123"),
        ("微\u200b信\ufeff", "微信"),
        ("微❤️号", "微心号"),
        ("💊到病除", "药到病除"),
        ("➕我", "加我"),
        ("1️⃣天", "1天"),
        ("🆅🅧", "vx"),
        ("сure саncer", "cure cancer"),
        ("C.U.R.E", "cure"),
        ("m0ney rep1ica m1racle", "money replica miracle"),
        ("h1n1 b2b", "h1n1 b2b"),
        ("微亻言", "微信"),
        ("木仓", "枪"),
        ("wēi信", "wei信"),
        ("高彷", "高仿"),
        ("fat-burning   tea", "fat burning tea"),
        ("3.5折，1.5元", "3.5折,1.5元"),
        ("红色/蓝色", "红色/蓝色"),
        ("第一。第二！", "第一。第二!"),
        ("喝了它……病就好", "喝了它……病就好"),
        ("a\r\nb", "a\n\nb"),
        ("\ud800x", "\ufffdx"),
        ("", ""),
    ],
)
def test_disguises_are_read(written: str, read: str) -> None:
    assert normalise(written).text == read


def test_a_span_covers_both_halves_of_a_split_character() -> None:
    reading = normalise("加微亻言号")
    start = reading.text.index("微信")
    assert reading.original[slice(*reading.span(start, start + 2))] == "微亻言"


def test_a_span_covers_the_separators_inside_a_word() -> None:
    reading = normalise("能根 - 治吗")
    start = reading.text.index("根治")
    assert reading.original[slice(*reading.span(start, start + 2))] == "根 - 治"


def test_a_space_between_whole_words_leaves_a_break() -> None:
    assert normalise("全网 最低").breaks.tolist() == [2]
    assert normalise("根 治").breaks.tolist() == []


def test_a_line_of_a_megabyte_is_read() -> None:
    reading = normalise("根-治" * 350_000)
    assert reading.text == "根治" * 350_000
