from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from moderation.evidence import Evidence, Moment
from moderation.policy.load import Policy
from moderation.policy.schema import PolicyFile
from moderation.report import render_index, render_report
from moderation.report.page import clock, marked_text
from moderation.types import Action, Box, ErrorInfo, Finding, Utterance, Verdict, Versions

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


@pytest.fixture(scope="module")
def rules() -> PolicyFile:
    return Policy.load().rules


def verdict(**changes: object) -> Verdict:
    finding = Finding(
        "medical_claim", 0.95, Action.BLOCK, "screen", "lexicon", 1.0, 3.0, "喝茶治好" + HOSTILE, (2, 4), "治好",
        Box(0.1, 0.7, 0.9, 0.8), basis="广告法 第十七条", snapshot="v/000020.jpg", how="spelling: 治好",
    )  # fmt: skip
    values: dict = {
        "id": "v", "path": HOSTILE, "sha256": "ab" * 32, "duration_s": 10.0, "suggestion": Action.BLOCK,
        "findings": (finding,), "scores": {}, "transcript": (Utterance("喝茶治好" + HOSTILE, "screen", 1.0, 3.0),),
        "versions": Versions("0", "sha256:0"), "timings_s": {"total": 1.0}, "warnings": (HOSTILE,),
    }  # fmt: skip
    return Verdict(**{**values, **changes})


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.urls += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_the_page_is_self_contained_and_escapes_what_the_clip_says(rules: PolicyFile) -> None:
    moment = Moment(2.0, b"\xff\xd8jpeg", 90, 160)
    html = render_report(verdict(), Evidence({"v/000020.jpg": moment}, (moment,)), rules)
    page = Tags()
    page.feed(html)
    assert "script" not in page.tags
    assert all(url.startswith("data:image/jpeg") for url in page.urls)
    assert len(page.urls) == 2
    assert "<rect" in html
    assert "广告法 第十七条" in html


def test_a_failed_and_a_clean_verdict_have_pages_too(rules: PolicyFile) -> None:
    failed = verdict(suggestion=None, findings=(), error=ErrorInfo("unreadable_media", "not a video"))
    assert "unreadable_media" in render_report(failed, None, rules)
    clean = render_report(verdict(findings=(), suggestion=Action.PASS), None, rules)
    assert "Nothing was found in what could be read" in clean
    assert "unreadable" not in render_index([(verdict(), "a.html"), (verdict(findings=()), "b.html")])


def test_a_claim_read_across_two_lines_is_marked_in_both(rules: PolicyFile) -> None:
    first, second = Utterance("喝了它糖尿", "speech", 0.0, 1.0), Utterance("病都能好", "speech", 1.0, 2.0)
    joined = Finding("medical_claim", 0.9, Action.BLOCK, "speech", "lexicon", 0.0, 2.0, "喝了它糖尿 病都能好", (3, 10))
    html = render_report(verdict(findings=(joined,), transcript=(first, second)), None, rules)
    assert ">糖尿</mark>" in html
    assert ">病都能好</mark>" in html


@given(st.text(), st.lists(st.tuples(st.integers(-2, 40), st.integers(-2, 40), st.just("medical_claim"))))
def test_marking_never_changes_the_words(text: str, spans: list[tuple[int, int, str]]) -> None:
    import re

    plain = re.sub(r"</?mark[^>]*>", "", str(marked_text(text, spans)))
    assert plain == str(escape(text))


@pytest.mark.parametrize(("seconds", "shown"), [(None, "–"), (0.0, "0:00.0"), (75.25, "1:15.2"), (3600.0, "60:00.0")])
def test_clock(seconds: float | None, shown: str) -> None:
    assert clock(seconds) == shown
