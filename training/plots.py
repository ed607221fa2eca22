"""The pictures of a run: precision-recall curves, reliability, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

mpl.use("agg")
from matplotlib import pyplot as plt

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
_COLUMNS = 4


def precision_recall(path: Path, labels: Sequence[str], truth: Bools, systems: Mapping[str, Floats]) -> None:
    """One small picture a label with a curve for each system; scores and truth are (n, K)."""
    rows = -(-len(labels) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(3.2 * _COLUMNS, 2.7 * rows), sharex=True, sharey=True)
    for k, (label, axis) in enumerate(zip(labels, axes.flat, strict=False)):
        for name, scores in systems.items():
            precision, recall, _ = precision_recall_curve(truth[:, k], scores[:, k])
            axis.step(recall, precision, where="post", label=name, linewidth=1.4)
        axis.set_title(label.replace("_", " "), fontsize=9)
        axis.set(xlim=(0, 1.01), ylim=(0, 1.01))
        axis.grid(alpha=0.25)
    for axis in list(axes.flat)[len(labels) :]:
        axis.axis("off")
    axes.flat[0].legend(fontsize=7, loc="lower left")
    figure.supxlabel("recall", fontsize=9)
    figure.supylabel("precision", fontsize=9)
    _save(figure, path)


def reliability(path: Path, scores: Floats, truth: Bools, *, bins: int = 10) -> None:
    """Stated probability against observed frequency over all pairs of item and label, with how many there are."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    which = np.clip(np.digitize(scores, edges) - 1, 0, bins - 1)
    counts = np.bincount(which.ravel(), minlength=bins)
    stated = np.bincount(which.ravel(), weights=scores.ravel(), minlength=bins) / np.maximum(counts, 1)
    observed = np.bincount(which.ravel(), weights=truth.ravel().astype(float), minlength=bins) / np.maximum(counts, 1)
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(4.2, 5.0), height_ratios=(3, 1), sharex=True)
    upper.plot((0, 1), (0, 1), color="grey", linestyle=":", linewidth=1)
    upper.plot(stated[counts > 0], observed[counts > 0], marker="o", linewidth=1.4)
    upper.set(ylabel="observed frequency", xlim=(0, 1), ylim=(0, 1))
    upper.grid(alpha=0.25)
    lower.bar((edges[:-1] + edges[1:]) / 2, counts, width=0.08)
    lower.set(yscale="log", xlabel="stated probability", ylabel="pairs")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
