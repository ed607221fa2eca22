"""The n-gram half of the text classifier: counting, its file, fitting it from zero and from a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from moderation.errors import BundleError
from moderation.inference.ngrams import NgramModel, count_ngrams
from moderation.text.normalise import normalise
from tests.bundles import tiny_examples
from training.config import Ngrams
from training.examples import Example
from training.ngrams import fit_ngrams

LABELS = ("medical_claim", "income_guarantee")


def read(*texts: str) -> list[str]:
    return [normalise(text).text for text in texts]


def heard(text: str) -> set[int]:
    """Keys of the n-grams of a text's sound."""
    return {key for key in count_ngrams(read(text)).keys.tolist() if key & 1}


class TestCount:
    def test_characters_one_to_four_and_sounds_two_to_four(self) -> None:
        counted = count_ngrams(["治好了病"])
        assert ((counted.keys & 1) == 0).sum() == 4 + 3 + 2 + 1
        assert ((counted.keys & 1) == 1).sum() == 3 + 2 + 1

    def test_homophones_pinyin_and_punctuation_sound_the_same(self) -> None:
        assert heard("根治糖尿病") == heard("跟之、糖niao病!")

    def test_signs_for_letters_sound_the_same(self) -> None:
        assert heard("replica bags") == heard("r3pl!ca b@gs")

    def test_a_repeated_ngram_is_counted(self) -> None:
        assert count_ngrams(["好好好"]).counts.max() == 3

    def test_nothing_holds_nothing(self) -> None:
        for texts in ([], [""], ["", ""]):
            assert not count_ngrams(texts).rows.size

    @given(st.lists(st.text(max_size=12), max_size=4))
    @settings(max_examples=150, deadline=None)
    def test_no_ngram_reaches_into_the_next_text(self, texts: list[str]) -> None:
        texts = read(*texts)
        together = count_ngrams(texts)
        for row, text in enumerate(texts):
            alone = count_ngrams([text])
            mine = together.rows == row
            assert together.keys[mine].tolist() == alone.keys.tolist()
            assert together.counts[mine].tolist() == alone.counts.tolist()


@pytest.fixture(scope="module")
def fitted() -> NgramModel:
    return fit_ngrams(tiny_examples(), LABELS, Ngrams())


class TestFit:
    def test_it_tells_unseen_texts_apart(self, fitted: NgramModel) -> None:
        cure, plain = fitted.logits(read("买了这个 治好糖尿病", "买了这个 好喝不贵"))[:, 0]
        assert cure > 0 > plain

    def test_a_label_with_one_kind_of_examples_stays_at_zero(self, fitted: NgramModel) -> None:
        assert not fitted.weights[:, 1].any()
        assert fitted.bias[1] == 0.0

    def test_examples_that_do_not_decide_a_label_do_not_count(self, fitted: NgramModel) -> None:
        silent = [replace(e, id=f"s{e.id}", known=frozenset({"superstition"})) for e in tiny_examples()]
        again = fit_ngrams([*tiny_examples(), *silent], LABELS, Ngrams())
        texts = read("买了这个 治好糖尿病", "买了这个 好喝不贵")
        assert (again.logits(texts)[:, 0] > 0).tolist() == (fitted.logits(texts)[:, 0] > 0).tolist()

    def test_going_on_keeps_what_new_examples_do_not_decide(self, fitted: NgramModel) -> None:
        known = frozenset({"income_guarantee"})
        new = [
            Example(
                str(i),
                f"第{i}天{'稳赚躺着收钱' if i % 2 else '好喝不贵'}",
                known if i % 2 else frozenset(),
                known=known,
            )
            for i in range(40)
        ]
        both = fit_ngrams(new, LABELS, Ngrams(), fitted)
        cure, income = read("买了这个 治好糖尿病", "稳赚躺着收钱")
        assert both.logits([cure])[0, 0] == pytest.approx(fitted.logits([cure])[0, 0], abs=0.05)
        assert both.logits([income])[0, 1] > 0 > both.logits([cure])[0, 1]
        assert set(fitted.keys.tolist()) <= set(both.keys.tolist())

    def test_nothing_known_leaves_the_bias(self, fitted: NgramModel) -> None:
        assert fitted.logits(["", "鑫"]).tolist() == [fitted.bias.tolist()] * 2


class TestFile:
    def test_it_comes_back_as_it_was(self, fitted: NgramModel, tmp_path: Path) -> None:
        fitted.save(tmp_path / "ngrams.npz")
        loaded = NgramModel.load(tmp_path / "ngrams.npz", len(LABELS))
        texts = read("治好糖尿病", "好喝")
        assert np.array_equal(loaded.logits(texts), fitted.logits(texts))

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no file of arrays"])
    def test_a_broken_file_is_named(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "ngrams.npz").write_bytes(content)
        with pytest.raises(BundleError, match=r"ngrams\.npz"):
            NgramModel.load(tmp_path / "ngrams.npz", 2)

    def test_weights_for_other_labels_are_refused(self, fitted: NgramModel, tmp_path: Path) -> None:
        fitted.save(tmp_path / "ngrams.npz")
        with pytest.raises(BundleError, match="12 labels"):
            NgramModel.load(tmp_path / "ngrams.npz", 12)
