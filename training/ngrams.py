"""Fit the n-gram half of the text classifier: logistic regression, from zero or from a bundle.

With a bundle's weights to go on from, the penalty pulls towards these instead of towards zero, so labels and wording
that the new data say nothing about stay as they were.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from moderation.inference.ngrams import NgramModel, count_ngrams
from moderation.text.normalise import normalise
from training.config import Ngrams
from training.examples import Example
from training.metrics import truth

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
_MOST_STEPS = 200


def fit_ngrams(
    examples: Sequence[Example], labels: Sequence[str], settings: Ngrams, start: NgramModel | None = None
) -> NgramModel:
    """Weights for `labels` in the order given, rounded to int8. Labels of an example that are unknown do not count."""
    counted = count_ngrams([normalise(e.text).text for e in examples])
    model = _vocabulary(counted.keys, len(examples), len(labels), settings, start)
    rows, columns, values = model.features(counted)
    features = csr_matrix((values, (rows, columns)), shape=(len(examples), len(model.keys)))
    before = _float_weights(model)
    applies, known = truth(examples, labels)
    weights, bias = before.copy(), model.bias.astype(np.float64)
    for k, label in enumerate(labels):
        chosen = known[:, k]
        if not 0 < applies[chosen, k].sum() < chosen.sum():
            logger.info("n-grams: %s has one kind of examples only and stays as it was", label)
            continue
        weights[:, k], bias[k] = _logistic_regression(
            features[chosen], applies[chosen, k], before[:, k], float(bias[k]), settings.strength
        )
    logger.info("n-grams: %d of %d examples", len(model.keys), len(examples))
    return _rounded(model, weights, bias)


def _vocabulary(
    keys: NDArray[np.uint32], examples: int, labels: int, settings: Ngrams, start: NgramModel | None
) -> NgramModel:
    """The n-grams of enough examples, beside those of `start` with their weights; new ones weigh nothing yet."""
    found, frequency = np.unique(keys, return_counts=True)
    enough = frequency >= settings.min_examples
    found, frequency = found[enough], frequency[enough]
    idf = (np.log((1.0 + examples) / (1.0 + frequency)) + 1.0).astype(np.float32)
    if start is None:
        zeros = np.zeros((len(found), labels), np.int8)
        return NgramModel(found, idf, zeros, np.ones(labels, np.float32), np.zeros(labels, np.float32))
    new = ~np.isin(found, start.keys)
    order = np.argsort(together := np.concatenate((start.keys, found[new])))
    return NgramModel(
        together[order],
        np.concatenate((start.idf, idf[new]))[order],
        np.concatenate((start.weights, np.zeros((int(new.sum()), labels), np.int8)))[order],
        start.scale,
        start.bias,
    )


def _logistic_regression(
    features: csr_matrix, applies: NDArray[np.bool_], before: Floats, bias: float, strength: float
) -> tuple[Floats, float]:
    """L2-penalised around `before`; both classes weigh the same in sum, as a label is rare."""
    share = applies.mean()
    weight = strength * np.where(applies, 0.5 / share, 0.5 / (1.0 - share))
    signs = np.where(applies, 1.0, -1.0)
    transposed = features.T.tocsr()

    def loss(moved: Floats) -> tuple[float, Floats]:
        margin = signs * (features @ (before + moved[:-1]) + bias + moved[-1])
        pull = -signs * weight / (1.0 + np.exp(np.clip(margin, -60.0, 60.0)))
        value = float(weight @ np.logaddexp(0.0, -margin) + 0.5 * moved[:-1] @ moved[:-1])
        return value, np.append(transposed @ pull + moved[:-1], pull.sum())

    moved = minimize(
        loss, np.zeros(len(before) + 1), jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS, "ftol": 1e-7}
    ).x
    return before + moved[:-1], bias + float(moved[-1])


def _float_weights(model: NgramModel) -> Floats:
    return model.weights.astype(np.float64) * model.scale


def _rounded(model: NgramModel, weights: Floats, bias: Floats) -> NgramModel:
    """The weights in int8, one scale a label."""
    scale = np.maximum(np.abs(weights).max(axis=0, initial=0.0), 1e-6) / 127.0
    rounded = np.round(weights / scale).astype(np.int8)
    # What has no weight for any label needs no place, unless it lengthens the texts that hold it: kept.
    return NgramModel(model.keys, model.idf, rounded, scale.astype(np.float32), bias.astype(np.float32))
