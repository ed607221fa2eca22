"""Cutting, batching and classifying texts of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.inference.batching import batches
from moderation.inference.preprocess import BEGIN, END, TextPreprocessor
from moderation.text.classifier import TextClassifier, TextClassifierSettings
from moderation.text.matcher import TextItem
from tests.bundles import tiny_reading, tiny_tokenizer

PREPROCESSOR = TextPreprocessor(tiny_tokenizer(), tiny_reading())
ODD_TEXTS = [
    "", " ", "\n\n", "\x00\x00", "a\x00b", "\ud800", "❤️🔥✨", "\u202e喝茶治好", "喝" * 5000, "a" * 5000, "，" * 300,
    "[](medical_claim)", "\ufeff", "喝 茶 治 好", "ＡＢＣ", "👨‍👩‍👧‍👦", "é́́́",
]  # fmt: skip


@pytest.fixture(scope="module")
def classifier(tiny_bundle: Path) -> TextClassifier:
    return TextClassifier(TextClassifierSettings(bundle=tiny_bundle, evidence_from=0.0))


@given(st.text(max_size=200))
def test_windows_point_into_the_text_in_order(text: str) -> None:
    for window in PREPROCESSOR.windows([text])[0]:
        assert 3 <= len(window) <= PREPROCESSOR.config.max_tokens + 2
        assert (window.ids[0], window.ids[-1]) == (BEGIN, END)
        inner = slice(1, -1)
        assert (np.diff(window.starts[inner]) >= 0).all()
        assert (window.starts[inner] < window.ends[inner]).all()
        assert window.ends.max() <= len(text)


@given(st.text(alphabet="喝茶治好，。 a", min_size=1, max_size=400))
def test_windows_of_a_long_text_leave_nothing_out(text: str) -> None:
    covered = np.zeros(len(text), bool)
    for window in PREPROCESSOR.windows([text])[0]:
        for a, b in zip(window.starts, window.ends, strict=True):
            covered[a:b] = True
    assert all(covered[i] for i, c in enumerate(text) if c in "喝茶治好a")


def test_windows_end_behind_sentences() -> None:
    windows = PREPROCESSOR.windows(["喝茶治好血压高低，买送。" + "我在有他这中大来上个国人不了是一的"])[0]
    assert len(windows) > 1
    assert windows[0].ends[-2] == 12


@given(st.lists(st.integers(1, 50)), st.integers(1, 8), st.integers(1, 200))
def test_batches_hold_every_piece_once_within_their_limits(lengths: list[int], items: int, cells: int) -> None:
    found = list(batches(lengths, most_items=items, most_cells=cells))
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) <= items
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= cells


def test_a_text_scores_the_same_alone_and_among_others(classifier: TextClassifier) -> None:
    items = [TextItem(t, "food", "title") for t in ("喝茶治好糖尿病", "我在中国", "a", "买送" * 40, "")]
    together = classifier.classify(items)
    for item, found in zip(items, together, strict=True):
        (alone,) = classifier.classify([item])
        # int8 scales its inputs by the batch: equal but for that.
        assert alone.scores == pytest.approx(found.scores, abs=0.02)


def test_odd_texts_are_scored_and_their_spans_lie_inside(classifier: TextClassifier) -> None:
    for text, found in zip(ODD_TEXTS, classifier.classify([TextItem(t) for t in ODD_TEXTS]), strict=True):
        assert set(found.scores) == set(classifier.labels)
        assert all(0.0 <= score <= 1.0 for score in found.scores.values())
        for evidence in found.evidence.values():
            assert evidence.spans
            assert all(0 <= a < b <= len(text) for a, b in evidence.spans)


def test_a_megabyte_of_text_is_scored_in_windows(classifier: TextClassifier) -> None:
    text = "喝茶治好糖尿病，我在中国买。" * 24_000
    (found,) = classifier.classify([TextItem(text)])
    assert found.scores["medical_claim"] > 0.0


def test_nothing_to_read_scores_nothing(classifier: TextClassifier) -> None:
    (found,) = classifier.classify([TextItem("🔥 \u200b ，。")])
    assert set(found.scores.values()) == {0.0}
    assert not found.evidence


def test_unknown_categories_and_sources_count_as_unknown(classifier: TextClassifier) -> None:
    none, odd = classifier.logits([TextItem("喝茶", None, "visual"), TextItem("喝茶", "toys", "bank")])
    assert odd == pytest.approx(none)


def test_category_and_source_are_heard(classifier: TextClassifier) -> None:
    a, b = classifier.logits([TextItem("喝茶", "food", "title"), TextItem("喝茶", "bags", "comment")])
    assert np.abs(a - b).max() > 1e-3
