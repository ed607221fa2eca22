"""A bundle is measured beside its baselines, and the figures end in its card and manifest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from moderation.inference.bundle import open_bundle
from moderation.text.classifier import TextClassifier, TextClassifierSettings
from moderation.types import TEXT_LABELS
from training import corpus
from training.bundles import add_metrics
from training.evaluate import evaluate, penalty_cases


def write(path: Path, items: list[dict[str, Any]]) -> None:
    path.write_text("\n".join(json.dumps(item, ensure_ascii=False) for item in items), "utf-8")


@pytest.fixture
def small_corpus(tmp_path: Path) -> Path:
    """One item of every label in each language and split, innocent ones beside them, and two twins."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in (*corpus.TRAIN_FILES, *corpus.TEST_FILES):
        items: list[dict[str, Any]] = []
        for n, label in enumerate(TEXT_LABELS):
            scene = f"{name}{n}"
            items.append(
                {"id": f"{name}-v{n}", "scene": scene, "text": f"[治好{n}{chr(97 + n)}](label)".replace("label", label)}
            )
            items.append(
                {
                    "id": f"{name}-i{n}",
                    "scene": scene,
                    "text": f"好喝{n}{chr(97 + n)}",
                    "kind": "ordinary" if n % 2 else "",
                }
            )
        if name in corpus.TEST_FILES:
            for way in corpus.SLICES:
                items.append({**items[0], "id": f"{name}-{way}", "twin_of": items[0]["id"], "slice": way})
        write(folder / name, items)
    return folder


def test_every_figure_of_the_card_is_measured(tiny_bundle: Path, small_corpus: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    classifier = TextClassifier(TextClassifierSettings(bundle=copy))
    test = evaluate(classifier, copy, small_corpus)
    for language in ("zh", "en"):
        report = test[language]
        assert report["items"] == 2 * len(TEXT_LABELS)
        for system in ("classifier", "terms alone", "char TF-IDF + logistic regression"):
            assert set(report[system]["labels"]) == set(TEXT_LABELS)
        assert {"ordinary", "contrast", "category", "source"} <= set(report["at_review"]["false_positives"])
        assert report["slices"]["evasion"]["items"] == 1
    # The linear model saw the same sentences in training: it shows that the comparison runs on the right columns.
    assert test["zh"]["char TF-IDF + logistic regression"]["macro"]["pr_auc"] > 0.9

    write(tmp_path / "cases.jsonl", [{"id": c, "claim_text_simplified": "治好", "domain": "food"} for c in "ab"])
    (tmp_path / "marks.json").write_text('{"a": ["medical_claim"], "b": []}', "utf-8")
    penalty = penalty_cases(classifier, tmp_path / "cases.jsonl", tmp_path / "marks.json")
    assert (penalty["claims"], penalty["of"]) == (1, 2)

    add_metrics(copy, {"test": test, "penalty_cases": penalty})
    bundle = open_bundle(copy)
    assert {"precision_recall.png", "reliability.png", "README.md"} <= set(bundle.manifest.files)
    assert bundle.manifest.metrics["test"]["zh"]["items"] == 2 * len(TEXT_LABELS)
    card = (copy / "README.md").read_text("utf-8")
    assert all(label in card for label in TEXT_LABELS)
    assert "Fined claims" in card


def test_the_marks_name_every_case_once_and_only_labels_of_the_policy() -> None:
    marks = json.loads((Path(corpus.__file__).parent / "marks" / "penalty_cases.json").read_text("utf-8"))
    assert len(marks) == 273
    assert {label for labels in marks.values() for label in labels} <= set(TEXT_LABELS)
    assert sum(map(bool, marks.values())) == 220
