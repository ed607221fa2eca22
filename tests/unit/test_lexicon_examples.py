"""The shipped lexicon: every example matches its entry, no counter does."""

from __future__ import annotations

from pathlib import Path

import pytest

from moderation.text.check import CheckReport, check_lexicon
from moderation.types import TEXT_LABELS

LEXICON = Path(__file__).parents[2] / "configs" / "policy" / "lexicon"


@pytest.fixture(scope="module")
def report() -> CheckReport:
    return check_lexicon(LEXICON)


def test_every_example_and_counter_does_what_it_is_there_for(report: CheckReport) -> None:
    assert [str(m) for m in report.mistakes] == []


def test_every_text_label_has_terms(report: CheckReport) -> None:
    assert {label for label, _ in report.counts} == set(TEXT_LABELS)


@pytest.mark.parametrize(("language", "least"), [("zh", 1500), ("en", 400)])
def test_the_lexicon_is_large_enough(report: CheckReport, language: str, least: int) -> None:
    assert sum(n for (_, spoken), n in report.counts.items() if spoken == language) >= least
