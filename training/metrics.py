"""Figures of a multi-label classifier, over examples whose labels may be partly unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from training.examples import Example

Scores = NDArray[np.floating]


def truth(examples: Sequence[Example], labels: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which labels apply, and which are known at all: two bool arrays (n, K)."""
    applies = np.array([[label in e.labels for label in labels] for e in examples], bool).reshape(-1, len(labels))
    known = np.array([[label in e.known for label in labels] for e in examples], bool).reshape(-1, len(labels))
    return applies, known


def average_precisions(scores: Scores, examples: Sequence[Example], labels: Sequence[str]) -> dict[str, float]:
    """PR-AUC (average precision) of each label that has both kinds of items among the known ones."""
    applies, known = truth(examples, labels)
    return {
        label: float(average_precision_score(applies[known[:, k], k], scores[known[:, k], k]))
        for k, label in enumerate(labels)
        if 0 < applies[known[:, k], k].sum() < known[:, k].sum()
    }


def macro_average_precision(scores: Scores, examples: Sequence[Example], labels: Sequence[str]) -> float:
    """Mean PR-AUC over labels; 0 where no label can be measured."""
    values = list(average_precisions(scores, examples, labels).values())
    return float(np.mean(values)) if values else 0.0


def macro_f1(applies: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> float:
    """Mean F1 over the labels that occur; both arrays are (n, K)."""
    hits, both = (applies & flagged).sum(axis=0), applies.sum(axis=0) + flagged.sum(axis=0)
    chosen = applies.any(axis=0)
    return float((2 * hits[chosen] / both[chosen]).mean()) if chosen.any() else 0.0
