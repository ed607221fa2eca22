"""What the classifier has to beat: terms alone, and a linear model over character n-grams trained on the same data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from moderation.policy.load import Policy
from moderation.scoring import TextScorer
from moderation.text.classifier import TextClassifier
from moderation.text.normalise import normalise
from moderation.types import Source, TextRequest
from training.examples import Example
from training.metrics import truth


def flagged_by(classifier: TextClassifier, examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.bool_]:
    """What `moderation text` flags (n, K): terms and classifier together, under the shipped policy."""
    scores = TextScorer(_policy(), classifier).score_many(_requests(examples))
    return np.array([[label in score.labels for label in labels] for score in scores])


def terms_alone(examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.float32]:
    """Scores (n, K) of the shipped lexicon without the classifier: 0, 0.6 or 0.95 by the strength of the term."""
    scores = TextScorer(_policy(), None).score_many(_requests(examples))
    return np.array([[score.scores[label] for label in labels] for score in scores], np.float32)


def linear_ngrams(
    training: Sequence[Example], examples: Sequence[Example], labels: Sequence[str], *, seed: int
) -> NDArray[np.float32]:
    """Probabilities (n, K) of TF-IDF over 1 to 4 characters and logistic regression, one label against the rest."""
    read = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 4), min_df=2, sublinear_tf=True, preprocessor=lambda text: normalise(text).text
    )
    model = OneVsRestClassifier(LogisticRegression(C=20.0, class_weight="balanced", max_iter=1000, random_state=seed))
    decided = [e for e in training if set(labels) <= e.known]
    model.fit(read.fit_transform([e.text for e in decided]), truth(decided, labels)[0])
    return cast("NDArray[np.float32]", model.predict_proba(read.transform([e.text for e in examples])))


def _policy() -> Policy:
    """The shipped policy with comments counted, since the test split has some."""
    policy = Policy.load()
    return replace(policy, rules=policy.rules.model_copy(update={"score_comments": True}))


def _requests(examples: Sequence[Example]) -> list[TextRequest]:
    return [TextRequest(e.id, e.text, e.category, cast("Source", e.source)) for e in examples]
