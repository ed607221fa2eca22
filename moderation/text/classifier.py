"""The trained text classifier: calibrated probabilities for each label, with the words that carry them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moderation.errors import BundleError
from moderation.inference.batching import batches
from moderation.inference.bundle import CONFIG as CONFIG_FILE
from moderation.inference.bundle import (
    MODEL,
    NGRAMS,
    PREPROCESSOR,
    TOKENIZER,
    TextBundleConfig,
    open_bundle,
    shipped_bundle,
)
from moderation.inference.ngrams import NgramModel
from moderation.inference.preprocess import TextPreprocessor, TextPreprocessorConfig, Window
from moderation.inference.session import ModelSession, SessionSettings
from moderation.text.matcher import TextItem
from moderation.types import TEXT_LABELS

TASK = "text-classification"
_OUTPUTS = ("logits", "token_logits")
# Two strong tokens with one weak token between them are one piece of evidence.
_MOST_GAP = 1
_MOST_SPANS = 8


@dataclass(frozen=True, slots=True)
class TextClassifierSettings:
    """`bundle` None means the shipped one. Texts are read `texts_at_once` at a time, so that memory stays flat."""

    bundle: Path | None = None
    session: SessionSettings = field(default_factory=SessionSettings)
    batch_items: int = 32
    batch_tokens: int = 4096
    texts_at_once: int = 512
    # Evidence is looked for from this probability on; below it nobody asks for the words.
    evidence_from: float = 0.05


@dataclass(frozen=True, slots=True)
class Evidence:
    """The words of one label: half-open character ranges of the text as given, strongest first."""

    label: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """One text's calibrated probabilities by label, and the words of those that are not negligible."""

    scores: dict[str, float]
    evidence: dict[str, Evidence]


class TextClassifier:
    """Scores texts with one bundle. Safe to share between threads."""

    def __init__(self, settings: TextClassifierSettings | None = None) -> None:
        """Raises BundleError where the bundle is missing or not what its manifest says; ModelError where it fails."""
        self.settings = settings or TextClassifierSettings()
        folder = self.settings.bundle or shipped_bundle("text")
        if folder is None:
            raise BundleError("no text classifier ships with this installation. Give --text-bundle FOLDER.")
        bundle = open_bundle(folder)
        self.config = bundle.read(CONFIG_FILE, TextBundleConfig)
        self.version = bundle.version
        self.labels = tuple(label.name for label in self.config.labels)
        if self.config.task != TASK or not set(self.labels) <= set(TEXT_LABELS):
            raise BundleError(f"{folder}: a bundle for {self.config.task!r} with labels {self.labels}, not for texts.")
        self.preprocessor = TextPreprocessor(bundle.file(TOKENIZER), bundle.read(PREPROCESSOR, TextPreprocessorConfig))
        self._session = ModelSession(bundle.file(MODEL), self.settings.session)
        self._ngrams = NgramModel.load(bundle.file(NGRAMS), len(self.labels))
        self._slope = np.array([label.calibration.slope for label in self.config.labels], np.float32)
        self._offset = np.array([label.calibration.offset for label in self.config.labels], np.float32)

    @property
    def thresholds(self) -> dict[str, tuple[float, float | None]]:
        """What `auto` means: label → (review, block or None)."""
        return {c.name: (c.thresholds.review, c.thresholds.block) for c in self.config.labels}

    @property
    def provider(self) -> str:
        """The execution provider in use."""
        return self._session.provider

    def classify(self, items: Sequence[TextItem]) -> list[Classification]:
        """Probabilities and evidence of each text. A text with nothing to read in it scores 0."""
        found: list[Classification] = []
        for begin in range(0, len(items), self.settings.texts_at_once):
            found += self._classify_some(items[begin : begin + self.settings.texts_at_once])
        return found

    def logits(self, items: Sequence[TextItem]) -> NDArray[np.float32]:
        """Uncalibrated logits (n, K), the maximum over the windows of each text; for calibration and measuring."""
        logits = np.full((len(items), len(self.labels)), -30.0, np.float32)
        for begin in range(0, len(items), self.settings.texts_at_once):
            some = items[begin : begin + self.settings.texts_at_once]
            owners, _, scored = self._run(some)
            for owner, (item_logits, _) in zip(owners, scored, strict=True):
                np.maximum(logits[begin + owner], item_logits, out=logits[begin + owner])
        return logits

    def _classify_some(self, items: Sequence[TextItem]) -> list[Classification]:
        owners, windows, scored = self._run(items)
        scores = np.zeros((len(items), len(self.labels)), np.float32)
        spans: list[dict[int, list[tuple[float, int, int]]]] = [{} for _ in items]
        for owner, window, (item_logits, votes) in zip(owners, windows, scored, strict=True):
            probabilities = _sigmoid(self._slope * item_logits + self._offset)
            np.maximum(scores[owner], probabilities, out=scores[owner])
            for k in np.flatnonzero(probabilities >= self.settings.evidence_from).tolist():
                words = _evidence(votes[:, k], window, self.config.evidence)
                spans[owner].setdefault(k, []).extend((float(probabilities[k]), a, b) for a, b in words)
        return [self._classification(row, found) for row, found in zip(scores, spans, strict=True)]

    def _classification(
        self, row: NDArray[np.float32], found: dict[int, list[tuple[float, int, int]]]
    ) -> Classification:
        evidence = {}
        for k, words in found.items():
            label = self.labels[k]
            evidence[label] = Evidence(label, _merged(words))
        return Classification(dict(zip(self.labels, row.tolist(), strict=True)), evidence)

    def _run(
        self, items: Sequence[TextItem]
    ) -> tuple[list[int], list[Window], list[tuple[NDArray[np.float32], NDArray[np.float32]]]]:
        """Every window with the text it belongs to, its logits (K,) and token logits (L, K)."""
        cut = self.preprocessor.windows([item.text for item in items])
        owners = [owner for owner, windows in enumerate(cut) for _ in windows]
        windows = [window for of_one in cut for window in of_one]
        scored: list = [None] * len(windows)
        groups = batches(
            [len(w) for w in windows], most_items=self.settings.batch_items, most_cells=self.settings.batch_tokens
        )
        for group in groups:
            batch = self.preprocessor.batch(
                [windows[i] for i in group],
                [items[owners[i]].category for i in group],
                [items[owners[i]].source for i in group],
            )
            item_logits, votes = self._session.run(_OUTPUTS, batch.feeds())
            item_logits += self._ngrams.logits([windows[i].text for i in group])
            for row, i in enumerate(group):
                scored[i] = (item_logits[row], votes[row, : len(windows[i])])
        return owners, windows, scored


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1.0 / (1.0 + np.exp(-np.clip(x, -60.0, 60.0)))).astype(np.float32)


def _evidence(votes: NDArray[np.float32], window: Window, share: float) -> list[tuple[int, int]]:
    """Ranges of the text whose tokens vote at least `share` × the strongest of them; the frame has no place in it."""
    inner = _sigmoid(votes[1:-1])
    if not inner.size:
        return []
    strong = np.flatnonzero(inner >= share * inner.max()) + 1
    runs = np.split(strong, np.flatnonzero(np.diff(strong) > _MOST_GAP + 1) + 1)
    runs.sort(key=lambda run: -float(votes[run].max()))
    return [(int(window.starts[run[0]]), int(window.ends[run[-1]])) for run in runs]


def _merged(words: list[tuple[float, int, int]]) -> tuple[tuple[int, int], ...]:
    """The strongest ranges, without those that overlap a stronger one (two windows see the words of their overlap)."""
    kept: list[tuple[int, int]] = []
    for _, a, b in sorted(words, key=lambda w: -w[0]):
        if len(kept) == _MOST_SPANS:
            break
        if all(b <= c or a >= d for c, d in kept):
            kept.append((a, b))
    return tuple(kept)
