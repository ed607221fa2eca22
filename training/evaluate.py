"""`python -m training evaluate`: a bundle on the frozen test split, beside two baselines, with pictures.

The bundle is measured as a worker runs it: the int8 graph, the calibration and thresholds of its `config.json`.
Nothing here feeds back into training or thresholds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from moderation.text.classifier import TextClassifier
from moderation.text.matcher import TextItem
from training.baselines import flagged_by, linear_ngrams, terms_alone
from training.bundles import items_of
from training.calibrate import expected_calibration_error
from training.corpus import CORPUS, SLICES, TestItem, load_test, load_training
from training.examples import Example
from training.metrics import macro_f1, truth
from training.plots import precision_recall, reliability

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
_PRECISIONS = (0.8, 0.9, 0.95)
_BOOTSTRAP = 500


@dataclass(frozen=True, slots=True)
class Measured:
    """Items with what is true of them (n, K) and what a system says (n, K)."""

    examples: Sequence[Example]
    applies: Bools
    scores: Floats


def evaluate(classifier: TextClassifier, pictures: Path | None = None, corpus: Path = CORPUS) -> dict[str, Any]:
    """Every figure of the card, as one JSON-ready dictionary; plots go to `pictures`."""
    labels = classifier.labels
    items = load_test(corpus)
    plain = [t for t in items if not t.slice]
    examples = [t.example for t in plain]
    applies = truth(examples, labels)[0]
    systems = {
        "classifier": scores_of(classifier, examples),
        "terms alone": terms_alone(examples, labels),
        "char TF-IDF + logistic regression": linear_ngrams(load_training(corpus), examples, labels, seed=1),
    }
    review = np.array([classifier.thresholds[label][0] for label in labels])
    fused = flagged_by(classifier, examples, labels)
    report: dict[str, Any] = {"items": len(examples)}
    for language in sorted({e.language for e in examples}):
        rows = np.array([e.language == language for e in examples])
        chosen = [e for e, r in zip(examples, rows, strict=True) if r]
        ours = Measured(chosen, applies[rows], systems["classifier"][rows])
        report[language] = {
            "items": len(chosen),
            **{name: _quality(applies[rows], scores[rows], labels) for name, scores in systems.items()},
            "error_reduction": {
                name: _error_reduction(applies[rows], ours.scores, scores[rows])
                for name, scores in systems.items()
                if name != "classifier"
            },
            "at_review": _at_review(ours, ours.scores >= review, labels),
            "fused_at_review": _at_review(ours, fused[rows], labels),
            "at_block": _at_block(ours, classifier, labels),
            "slices": _slices(classifier, [t for t in items if t.example.language == language], review, labels),
            "calibration_error": expected_calibration_error(ours.scores, ours.applies),
        }
    report["calibration_error"] = expected_calibration_error(systems["classifier"], applies)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        precision_recall(pictures / "precision_recall.png", labels, applies, systems)
        reliability(pictures / "reliability.png", systems["classifier"], applies)
    return report


def scores_of(classifier: TextClassifier, examples: Sequence[Example]) -> Floats:
    """Calibrated probabilities (n, K) as a worker gets them."""
    found = classifier.classify(items_of(examples))
    return np.array([[c.scores[label] for label in classifier.labels] for c in found])


def penalty_cases(classifier: TextClassifier, cases: Path, marks: Path) -> dict[str, Any]:
    """How many fined claims that are claims under POLICY are flagged as one of the two health labels at review.

    `cases`: JSON Lines with `id`, `claim_text_simplified`, `domain`; `marks`: id → labels, by hand ([] is no claim).
    """
    decided: Mapping[str, list[str]] = json.loads(marks.read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in cases.read_text(encoding="utf-8").splitlines()]
    claims = [row for row in rows if decided.get(row["id"])]
    categories = {"cosmetic": "cosmetics", "food": "food", "device": "medical_device"}
    found = classifier.classify(
        [TextItem(r["claim_text_simplified"], categories.get(r["domain"]), "title") for r in claims]
    )
    flagged = [
        any(f.scores[label] >= classifier.thresholds[label][0] for label in ("medical_claim", "efficacy_guarantee"))
        for f in found
    ]
    missed = [row["id"] for row, hit in zip(claims, flagged, strict=True) if not hit]
    return {"claims": len(claims), "of": len(rows), "flagged": sum(flagged) / len(claims), "missed": missed}


def _quality(applies: Bools, scores: Floats, labels: Sequence[str]) -> dict[str, Any]:
    """PR-AUC with macro mean, and recall at fixed precisions, by label."""
    table = {}
    for k, label in enumerate(labels):
        if not applies[:, k].any():
            continue
        precision, recall, _ = precision_recall_curve(applies[:, k], scores[:, k])
        table[label] = {
            "positives": int(applies[:, k].sum()),
            "pr_auc": float(average_precision_score(applies[:, k], scores[:, k])),
            **{f"recall_at_{p}": float(recall[precision >= p].max()) for p in _PRECISIONS},
        }
    names = ("pr_auc", *(f"recall_at_{p}" for p in _PRECISIONS))
    return {"macro": {name: float(np.mean([row[name] for row in table.values()])) for name in names}, "labels": table}


def _error_reduction(applies: Bools, ours: Floats, theirs: Floats) -> dict[str, float]:
    """How much smaller 1 − macro PR-AUC is than a baseline's, with a 90% interval by paired bootstrap over items."""
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(_BOOTSTRAP):
        rows = rng.integers(0, len(applies), len(applies))
        draws.append(_reduction(applies[rows], ours[rows], theirs[rows]))
    low, high = np.quantile(draws, (0.05, 0.95))
    return {"reduction": _reduction(applies, ours, theirs), "low": float(low), "high": float(high)}


def _reduction(applies: Bools, ours: Floats, theirs: Floats) -> float:
    columns = np.flatnonzero(applies.any(axis=0))

    def error(scores: Floats) -> float:
        return 1.0 - float(np.mean([average_precision_score(applies[:, k], scores[:, k]) for k in columns]))

    baseline = error(theirs)
    return 1.0 - error(ours) / baseline if baseline > 0 else 0.0


def _at_review(measured: Measured, flagged: Bools, labels: Sequence[str]) -> dict[str, Any]:
    """Recall by label, F1, and the share of innocent texts flagged for any label: by kind, category and source."""
    innocent = ~measured.applies.any(axis=1)
    recalls = {
        label: float(flagged[measured.applies[:, k], k].mean())
        for k, label in enumerate(labels)
        if measured.applies[:, k].any()
    }

    def share(wanted: Callable[[Example], bool]) -> dict[str, float]:
        rows = innocent & np.array([wanted(e) for e in measured.examples])
        return {"items": int(rows.sum()), "flagged": float(flagged[rows].any(axis=1).mean()) if rows.any() else 0.0}

    return {
        "recall": {"macro": float(np.mean(list(recalls.values()))), **recalls},
        "macro_f1": macro_f1(measured.applies, flagged),
        "false_positives": {
            "ordinary": share(lambda e: e.kind == "ordinary"),
            "contrast": share(lambda e: e.kind != "ordinary"),
            "ordinary food and cosmetics": share(
                lambda e: e.kind == "ordinary" and e.category in {"food", "health_food", "cosmetics"}
            ),
            "category": {
                c: share(lambda e, c=c: e.category == c) for c in sorted({e.category or "" for e in measured.examples})
            },
            "source": {s: share(lambda e, s=s: e.source == s) for s in sorted({e.source for e in measured.examples})},
        },
    }


def _at_block(measured: Measured, classifier: TextClassifier, labels: Sequence[str]) -> dict[str, Any]:
    """Recall of blocking, and how many blocks were wrong."""
    limits = np.array([classifier.thresholds[label][1] or np.inf for label in labels])
    blocked = measured.scores >= limits
    return {
        "recall": float(blocked[measured.applies].mean()),
        "wrong_pairs": int((blocked & ~measured.applies).sum()),
        "innocent_pairs": int((~measured.applies).sum()),
        "innocent_items_blocked": int(blocked[~measured.applies.any(axis=1)].any(axis=1).sum()),
    }


def _slices(
    classifier: TextClassifier, items: Sequence[TestItem], review: Floats, labels: Sequence[str]
) -> dict[str, Any]:
    """The twins of test items (rewritten by hand) against the items that they were made from."""
    by_id = {t.example.id: t.example for t in items if not t.slice}
    report = {}
    for name in SLICES:
        twins = [t for t in items if t.slice == name]
        if not twins:
            continue
        row: dict[str, Any] = {"items": len(twins)}
        for side, examples in (("plain", [by_id[t.twin_of] for t in twins]), (name, [t.example for t in twins])):
            applies, scores = truth(examples, labels)[0], scores_of(classifier, examples)
            row[side] = {
                "micro_pr_auc": float(average_precision_score(applies.ravel(), scores.ravel())),
                "recall_at_review": float((scores >= review)[applies].mean()),
            }
        report[name] = row
    return report
