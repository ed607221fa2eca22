"""What a transcript means: the classifier's probabilities for each utterance, and for two that belong together.

As with terms (`reading.py`), a claim may begin in one utterance and end in the next; so consecutive ones are also
classified as a pair. A pair speaks only for labels that neither of the two carries alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moderation.text.classifier import Classification, TextClassifier
from moderation.text.matcher import TextItem
from moderation.text.reading import consecutive_pairs
from moderation.types import Utterance


@dataclass(frozen=True, slots=True)
class Meaning:
    """An utterance with its classification; for one joined from two, `parts` holds theirs."""

    utterance: Utterance
    classification: Classification
    parts: tuple[Classification, ...] = ()


def understand(
    utterances: Sequence[Utterance], classifier: TextClassifier, *, category: str | None = None
) -> list[Meaning]:
    """Every utterance in order, then every pair, classified together in batches."""
    pairs = list(consecutive_pairs(utterances))
    texts = [*utterances, *(pair.joined for pair in pairs)]
    found = classifier.classify([TextItem(u.text, category, u.source) for u in texts])
    alone, together = found[: len(utterances)], found[len(utterances) :]
    meanings = [Meaning(u, c) for u, c in zip(utterances, alone, strict=True)]
    meanings += [
        Meaning(pair.joined, c, (alone[pair.first], alone[pair.second]))
        for pair, c in zip(pairs, together, strict=True)
    ]
    return meanings
