"""A transcript is read as people hear it: claims and warnings go on behind the border of a caption."""

from __future__ import annotations

import pytest

from moderation.text.guards import Guards
from moderation.text.lexicon import Lexicon
from moderation.text.matcher import TermMatcher
from moderation.text.reading import Reading, read
from moderation.types import Box, Source, Utterance

LEXICON = """\
label: income_guarantee
language: zh
entries:
- {term: '稳赚不赔', strength: block, category: sure, example: 稳赚不赔, counter: 赚}
- {term: '(轻松|在家){6}日入一千', strength: review, category: sum, example: 在家日入一千, counter: 五百}
- {term: '(每天|日入){4}(五百|一千)', strength: review, category: sum, example: 日入一千, counter: 五百}
"""
GUARDS = """\
clause_openers: [但是]
guards:
- {name: fraud, why: a warning, after: ['(骗局|骗人)'], drops: ['[[稳赚不赔]]都是骗局'], keeps: ['[[稳赚不赔]]快来']}
"""


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> TermMatcher:
    folder = tmp_path_factory.mktemp("policy")
    (folder / "lexicon").mkdir()
    (folder / "lexicon" / "income_guarantee.zh.yaml").write_text(LEXICON, "utf-8")
    (folder / "guards.yaml").write_text(GUARDS, "utf-8")
    return TermMatcher(Lexicon.load(folder / "lexicon"), Guards.load(folder / "guards.yaml"))


def said(text: str, start: float, end: float, source: Source = "speech", box: Box | None = None) -> Utterance:
    return Utterance(text, source, start, end, box)


def words(readings: list[Reading]) -> list[str]:
    return [r.utterance.text[r.match.start : r.match.end] for r in readings]


def test_a_claim_across_a_border_is_found_once_with_both_times(matcher: TermMatcher) -> None:
    (reading,) = read([said("跟着我做稳赚", 1, 3), said("不赔的买卖", 3.1, 5)], matcher)
    assert (reading.utterance.start_s, reading.utterance.end_s) == (1, 5)
    assert words([reading]) == ["稳赚 不赔"]


def test_a_warning_that_follows_excuses_what_it_warns_of(matcher: TermMatcher) -> None:
    assert read([said("承诺稳赚不赔的投资", 1, 3), said("也一定是骗局", 3.2, 5)], matcher) == []


@pytest.mark.parametrize(
    ("second", "start"), [("快来报名", 3.2), ("也一定是骗局", 9.0)], ids=["no warning", "long after"]
)
def test_anything_else_does_not(matcher: TermMatcher, second: str, start: float) -> None:
    assert words(read([said("承诺稳赚不赔的投资", 1, 3), said(second, start, start + 2)], matcher)) == ["稳赚不赔"]


def test_a_claim_in_the_second_is_kept_with_its_own_place(matcher: TermMatcher) -> None:
    (reading,) = read([said("大家好", 1, 2), said("日入一千不难", 2.2, 4)], matcher)
    assert (reading.utterance.start_s, reading.match.start) == (2.2, 0)


def test_a_claim_that_one_says_alone_is_not_told_again_for_both(matcher: TermMatcher) -> None:
    assert words(read([said("大家都在家", 1, 3), said("日入一千不难", 3.1, 5)], matcher)) == ["日入一千"]


def test_sources_do_not_continue_each_other(matcher: TermMatcher) -> None:
    assert read([said("跟着我做稳赚", 1, 3), said("不赔的买卖", 3.1, 5, "subtitle")], matcher) == []


def test_captions_continue_only_at_the_same_height(matcher: TermMatcher) -> None:
    low, high = Box(0.1, 0.8, 0.9, 0.84), Box(0.1, 0.2, 0.9, 0.24)
    first = said("跟着我做稳赚", 1, 3, "screen", low)
    assert words(read([first, said("不赔的买卖", 3.1, 5, "screen", low)], matcher)) == ["稳赚 不赔"]
    assert read([first, said("不赔的买卖", 3.1, 5, "screen", high)], matcher) == []


def test_an_hour_of_captions_takes_no_longer_than_its_length(matcher: TermMatcher) -> None:
    lines = [said("日入一千不难", n * 0.5, n * 0.5 + 0.4) for n in range(7200)]
    assert len(read(lines, matcher)) == 7200
