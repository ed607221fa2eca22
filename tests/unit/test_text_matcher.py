"""Terms found in texts: routes, offsets, allow-lists, scope and merging."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.text.guards import Guards
from moderation.text.lexicon import Lexicon
from moderation.text.matcher import TermMatcher, TextItem

ZH = """\
label: medical_claim
language: zh
entries:
- {term: '根治', strength: review, category: cure, sound: true, allow: [根治水患], example: 能根治, counter: 根治水患}
- {term: '(喝|吃){8}<disease>{6}(好了|治好)', strength: block, category: cure, example: 喝了糖尿病好了, counter: 糖尿病}
- {all: [<disease>, (神药|神茶)], within: 6, strength: block, category: cure, example: 糖尿病神药, counter: 糖尿病}
- {term: '不用吃药', strength: block, category: stop, guards: false, example: 不用吃药, counter: 要吃药}
- {term: '包治百病', strength: block, category: cure, sound: true, example: 包治百病, counter: 百病}
- {term: '降糖', strength: review, category: cure, not_in: [drug], example: 降糖, counter: 糖}
- {term: '好转', strength: review, category: cure, example: 好转, counter: 转好}
"""
EN = """\
label: counterfeit_term
language: en
entries:
- {term: 'replica watch', strength: block, category: replica, example: replica watch, counter: a watch}
- {term: 'mirror quality', strength: block, category: replica, example: mirror quality, counter: mirror}
"""
MIXED = """\
label: off_platform_diversion
language: zh
entries:
- {term: '加(vx|微信)', strength: block, category: wechat, allow: [加微信支付], example: 加vx, counter: 加购}
"""


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> TermMatcher:
    folder = tmp_path_factory.mktemp("lexicon")
    (folder / "sets.zh.yaml").write_text("disease: [糖尿病, 高血压]\n", encoding="utf-8")
    (folder / "medical_claim.zh.yaml").write_text(ZH, encoding="utf-8")
    (folder / "counterfeit_term.en.yaml").write_text(EN, encoding="utf-8")
    (folder / "off_platform_diversion.zh.yaml").write_text(MIXED, encoding="utf-8")
    return TermMatcher(Lexicon.load(folder), Guards.none())


@pytest.mark.parametrize(
    ("text", "shown", "normalised", "how"),
    [
        ("这个能根治吗", "根治", "根治", "spelling"),
        ("这个能根-治吗", "根-治", "根治", "spelling"),
        ("這個能根治嗎", "根治", "根治", "spelling"),
        ("这个能跟之吗", "跟之", "根治", "sound"),
        ("喝了它糖尿病就好了", "喝了它糖尿病就好了", "喝了它糖尿病就好了", "pattern"),
        ("喝了它糖niao病就好了", "喝了它糖niao病就好了", "喝了它糖尿病就好了", "sound"),
        ("包之百病", "包之百病", "包治百病", "sound"),
        ("神茶专治高 血 压", "神茶专治高 血 压", "神茶专治高血压", "pattern"),
        ("Best Replica-Watches!", "Replica-Watches", "replica watches", "spelling"),
        ("加ＶＸ123", "加ＶＸ", "加vx", "spelling"),
    ],
)
def test_what_is_found_and_where(matcher: TermMatcher, text: str, shown: str, normalised: str, how: str) -> None:
    (match,) = matcher.match(text)
    assert (text[match.start : match.end], match.normalised, match.how) == (shown, normalised, how)


@pytest.mark.parametrize(
    "text",
    [
        "根治水患的工程",
        "糖尿病人群要遵医嘱",
        "糖尿病的病友们大家好，这里是神茶",  # farther apart than `within`
        "糖尿病。神茶",  # not one sentence
        "喝了好 转发有奖",  # 好转 across two words
        "secure mirrors quality",
        "加vxx",
        "加微信支付的选项",
        "",
    ],
)
def test_what_is_not_found(matcher: TermMatcher, text: str) -> None:
    assert matcher.match(text) == []


def test_two_syllables_alone_count_only_in_speech(matcher: TermMatcher) -> None:
    assert matcher.match("耕织人家", source="speech")
    assert not matcher.match("耕织人家", source="screen")
    assert matcher.match("根之人家", source="screen")


def test_a_word_of_grammar_is_no_slip_of_a_recogniser(matcher: TermMatcher) -> None:
    assert not matcher.match("更只有这一件", source="speech")


def test_goods_category_and_source_decide(matcher: TermMatcher) -> None:
    assert matcher.match("辅助降糖", category="food")
    assert not matcher.match("辅助降糖", category="drug")
    assert not matcher.match("辅助降糖", source="comment")


def test_the_strongest_and_longest_of_overlapping_matches_stays(matcher: TermMatcher) -> None:
    text = "喝了它根治高血压治好"
    (explained,) = matcher.explain_many([TextItem(text)])
    (match,) = explained.matches
    assert (match.strength, text[match.start : match.end]) == ("block", text)
    assert [d.reason for d in explained.dropped] == [f"merged: {match.term}"]


def test_dropped_matches_say_why(matcher: TermMatcher) -> None:
    (explained,) = matcher.explain_many([TextItem("根治水患")])
    assert [(d.match.term, d.reason) for d in explained.dropped] == [("根治", "allow: 根治水患")]


def test_many_texts_give_what_each_gives_alone(matcher: TermMatcher) -> None:
    texts = ["能根治", "", "两\n行 根治", "好", "不用吃药", "replica watches", "\ud800根治", "糖", "尿病神药"] * 3
    items = [TextItem(t) for t in texts]
    assert matcher.match_many(items) == [matcher.match(t) for t in texts]


@given(st.lists(st.text("根治喝了糖尿病好 -vx加微信\nab", max_size=20), max_size=6))
def test_batches_never_change_the_answer(matcher: TermMatcher, texts: list[str]) -> None:
    together = matcher.match_many([TextItem(t) for t in texts])
    assert together == [matcher.match(t) for t in texts]


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_any_text_is_searched_and_spans_lie_inside(matcher: TermMatcher, text: str) -> None:
    for match in matcher.match("根治" + text + "根-治"):
        assert 0 <= match.start < match.end <= len(text) + 5
