"""From logits to probabilities, and from probabilities to the thresholds that `auto` stands for.

Everything here is computed on items that trained nothing. Review thresholds keep the share of innocent texts that are
flagged for *any* label within a limit. Block thresholds keep precision at a stated prevalence, with a guarantee for
finite samples (Learn Then Test, Angelopoulos et al. 2021: thresholds are tested from strict to lenient by
Clopper-Pearson bounds until one fails); without that guarantee a label is never blocked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import beta

from moderation.inference.bundle import Calibration, LabelConfig, Thresholds
from training.config import TextTraining
from training.examples import Example
from training.metrics import truth

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]

# Platt scaling is pulled towards "leave as is" with the weight of about this many items.
_PRIOR = 2.0
_CONFIDENCE = 0.9
_BOOTSTRAP = 200
_NEVER = 0.999
_LEAST_REVIEW = 0.05


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What `config.json` gets, and the evidence for it: intervals are 90% by bootstrap over groups."""

    labels: tuple[LabelConfig, ...]
    review_interval: tuple[float, float]
    block_guarantee: dict[str, float] = field(default_factory=dict)


def calibrate(
    logits: Floats, examples: Sequence[Example], labels: Sequence[str], config: TextTraining
) -> CalibrationReport:
    """Calibration and thresholds from logits (n, K) of items that the model has not seen."""
    applies, known = truth(examples, labels)
    calibrations = [platt(logits[known[:, k], k], applies[known[:, k], k]) for k in range(len(labels))]
    scores = np.stack([probability(logits[:, k], c) for k, c in enumerate(calibrations)], axis=1)
    limits = (config.review_false_positives, config.contrast_false_positives)
    review = _rounded_up(review_threshold(scores, examples, applies, known, limits))
    interval = _bootstrap_review(scores, examples, applies, known, limits, seed=config.seed)
    block, guarantee = block_thresholds(
        scores, applies, known, precision=config.block_precision, prevalence=config.prevalence
    )
    return CalibrationReport(
        tuple(
            LabelConfig(
                name=label,
                calibration=calibration,
                thresholds=Thresholds(review=review, block=None if limit is None else max(limit, review)),
            )
            for label, calibration, limit in zip(labels, calibrations, block, strict=True)
        ),
        interval,
        guarantee,
    )


def platt(logits: Floats, applies: Bools) -> Calibration:
    """Slope and offset that make sigmoid(slope · logit + offset) most likely; as is where one class is missing."""
    if applies.all() or not applies.any():
        return Calibration()
    x, y = logits.astype(np.float64), applies.astype(np.float64)

    def loss(parameters: NDArray[np.float64]) -> float:
        z = np.exp(parameters[0]) * x + parameters[1]
        return float((np.logaddexp(0.0, z) - y * z).sum() + _PRIOR * (parameters**2).sum())

    slope, offset = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    return Calibration(slope=round(float(np.exp(slope)), 5), offset=round(float(offset), 5))


def probability(logits: Floats, calibration: Calibration) -> Floats:
    """Calibrated probabilities of logits of one label."""
    return 1.0 / (1.0 + np.exp(-np.clip(calibration.slope * logits + calibration.offset, -60.0, 60.0)))


def review_threshold(
    scores: Floats, examples: Sequence[Example], applies: Bools, known: Bools, limits: tuple[float, float]
) -> float:
    """The lowest probability from which on at most `limits` of ordinary copy and of contrasts are flagged at all.

    One probability for all labels: where scores are calibrated, that finds the most violations for the false alarms
    that it costs (Neyman-Pearson). Measured, 4 points more of them than one quantile of each label's own scores.
    """
    innocent = ~applies.any(axis=1) & known.all(axis=1)
    ordinary = np.array([e.kind == "ordinary" for e in examples], bool)
    highest = scores.max(axis=1)
    groups = [np.sort(highest[innocent & chosen]) for chosen in (ordinary, ~ordinary)]
    lowest = _LEAST_REVIEW
    for group, limit in zip(groups, limits, strict=True):
        allowed = int(limit * len(group))
        if len(group) > allowed:
            lowest = max(lowest, float(np.nextafter(group[len(group) - 1 - allowed], 1.0)))
    return min(lowest, _NEVER)


def block_thresholds(
    scores: Floats, applies: Bools, known: Bools, *, precision: float, prevalence: float
) -> tuple[list[float | None], dict[str, float]]:
    """One threshold for all labels, tested on all pairs of an item and a label that does not apply to it.

    A single label has too few innocent items to show the false-positive rate that `precision` at `prevalence` asks
    for (about 3 in 10,000); pooled over labels there are enough. A label with a false block of its own at that
    threshold is left out of blocking. Returns None for all labels where no threshold passes.
    """
    labels = range(scores.shape[1])
    wrong = np.sort(scores[~applies & known])
    right = np.sort(scores[applies & known])
    if not wrong.size or not right.size:
        return [None for _ in labels], {}
    found: tuple[float, float, float] | None = None
    for threshold in np.round(np.arange(0.995, 0.5, -0.005), 4):
        hits, misses = int((right >= threshold).sum()), int((right < threshold).sum())
        false, true = int((wrong >= threshold).sum()), int((wrong < threshold).sum())
        recall = _lower(hits, misses)
        allowed = recall * prevalence * (1.0 - precision) / ((1.0 - prevalence) * precision)
        if _upper(false, true) > allowed:
            if found is not None or false:
                break
            continue
        found = (float(threshold), _upper(false, true), recall)
    if found is None:
        return [None for _ in labels], {}
    threshold, rate, recall = found
    clean = [not (scores[~applies[:, k] & known[:, k], k] >= threshold).any() for k in labels]
    guarantee = {
        "threshold": threshold, "false_positive_rate_at_most": rate, "recall_at_least": recall,
        "confidence": _CONFIDENCE, "innocent_pairs": float(wrong.size), "violating_pairs": float(right.size),
    }  # fmt: skip
    return [threshold if ok and applies[:, k].any() else None for k, ok in enumerate(clean)], guarantee


def expected_calibration_error(scores: Floats, applies: Bools, *, least: float = 0.1, bins: int = 10) -> float:
    """ECE over pooled scores of at least `least`, in equally filled bins (Nixon et al. 2019, adaptive)."""
    chosen = scores >= least
    s, y = scores[chosen], applies[chosen].astype(float)
    if not s.size:
        return 0.0
    order = np.argsort(s)
    return float(
        sum(abs(s[part].mean() - y[part].mean()) * len(part) for part in np.array_split(order, bins) if len(part))
        / s.size
    )


def _bootstrap_review(
    scores: Floats,
    examples: Sequence[Example],
    applies: Bools,
    known: Bools,
    limits: tuple[float, float],
    *,
    seed: int,
) -> tuple[float, float]:
    """90% interval of the review threshold, by bootstrap over groups."""
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = defaultdict(list)
    for i, example in enumerate(examples):
        members[example.group or example.id].append(i)
    groups = [np.array(rows) for rows in members.values()]
    found = []
    for _ in range(_BOOTSTRAP):
        rows = np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])
        drawn = [examples[i] for i in rows]
        found.append(review_threshold(scores[rows], drawn, applies[rows], known[rows], limits))
    low, high = np.quantile(found, (0.05, 0.95))
    return _rounded_up(low), _rounded_up(high)


def _upper(events: int, others: int) -> float:
    return float(beta.ppf(_CONFIDENCE, events + 1, others)) if others else 1.0


def _lower(events: int, others: int) -> float:
    return float(beta.ppf(1.0 - _CONFIDENCE, events, others + 1)) if events else 0.0


def _rounded_up(value: float) -> float:
    """Four digits, never below what was found: a threshold rounded down would let more through than was allowed."""
    return float(np.ceil(value * 1e4) / 1e4)
