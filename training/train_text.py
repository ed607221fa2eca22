"""Read this first: labelled texts in, a calibrated, measured, hashed bundle out.

    examples ─► split by scene ─► teacher ─► student, n-grams ─► calibrate on unseen items ─► export ─► bundle

Three ways in: `train` from a pretrained encoder and the corpus; `renew` from a bundle once the corpus has grown, as
the shipped one is; `train_on` from a bundle and the user's own labels. All can be killed and started again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.text import TextClassifier, shallower
from moderation.inference.bundle import PREPROCESSOR, TOKENIZER, Bundle, open_bundle
from moderation.inference.preprocess import TextPreprocessor, TextPreprocessorConfig
from moderation.policy.load import Policy
from moderation.types import TEXT_LABELS
from training.batches import Batcher
from training.bundles import Trained, restore_bundle, restore_ngrams, write_bundle
from training.config import TextTraining
from training.corpus import corpus_hash, load_calibration, load_training
from training.duplicates import split
from training.encoders import load_encoder, prune
from training.errors import DataError, TrainingError
from training.examples import Example
from training.export import round_words
from training.fit import fit, predict
from training.lexicon import lexicon_examples
from training.metrics import average_precisions
from training.ngrams import fit_ngrams

logger = logging.getLogger(__name__)

_RUN = "run.json"


@dataclass(frozen=True, slots=True)
class Parts:
    """Examples by what they are for. Nothing of `calibration` or `development` is trained on."""

    training: Sequence[Example]
    development: Sequence[Example]
    calibration: Sequence[Example]

    @property
    def held_out(self) -> dict[str, list[str]]:
        """Ids of what is not trained on."""
        return {name: [e.id for e in getattr(self, name)] for name in ("development", "calibration")}


def train(config: TextTraining, out: Path, command: str = "") -> Path:
    """The whole way from a pretrained encoder and the corpus to a bundle in `out/bundle`; returns its folder."""
    examples = load_training()
    _claim(out, config, corpus_hash())
    parts = _with_more_ordinary(_split(config, examples))
    encoder = prune(load_encoder(config.encoder), (e.text for e in examples))
    reading = TextPreprocessorConfig(
        max_tokens=config.max_tokens, overlap=config.overlap, categories=config.categories, sources=config.sources
    )
    preprocessor = TextPreprocessor(encoder.tokenizer(), reading)
    model = encoder.classifier(TEXT_LABELS, config.categories, reading.trained_sources, dropout=config.dropout)
    round_words(model)
    return _on_corpus(config, model, preprocessor, parts, out, {"encoder": encoder.name}, command)


def renew(bundle: Path, config: TextTraining, out: Path, command: str = "") -> Path:
    """Go on from `bundle` with the corpus as it is now; what the bundle held out stays held out."""
    opened = open_bundle(bundle)
    model = restore_bundle(bundle, dropout=config.dropout)
    _claim(out, config, f"{opened.digest} {corpus_hash()}")
    parts = _with_more_ordinary(_split_as_before(config, opened, load_training()))
    preprocessor = TextPreprocessor(opened.file(TOKENIZER), opened.read(PREPROCESSOR, TextPreprocessorConfig))
    return _on_corpus(config, model, preprocessor, parts, out, {"bundle": opened.version}, command)


def _on_corpus(
    config: TextTraining,
    model: TextClassifier,
    preprocessor: TextPreprocessor,
    parts: Parts,
    out: Path,
    begun_from: dict[str, str],
    command: str,
) -> Path:
    """Both halves fitted to the corpus and the lexicon, and their bundle."""
    labels = model.config.labels
    training = [*parts.training, *_lexicon_share(config, len(parts.training))]
    model = _stages(config, model, Batcher(preprocessor, labels, config), training, parts.development, out)
    ngrams = fit_ngrams(training, labels, config.ngrams)
    trained = Trained(
        model, ngrams, preprocessor.tokenizer, preprocessor.config, labels, parts.calibration,
        float_logits=predict(model, preprocessor, parts.calibration, ngrams),
        held_out=parts.held_out,
        origin={**begun_from, "data": f"training/corpus, sha256:{corpus_hash()}", "command": command},
    )  # fmt: skip
    return write_bundle(trained, config, out / "bundle")


def train_on(bundle: Path, config: TextTraining, examples: Sequence[Example], out: Path, command: str = "") -> Path:
    """Go on from `bundle` with the user's `examples`; labels that these do not decide stay as they were.

    Items of the corpus are mixed in against forgetting (`replay`), and thresholds of labels that the user's data
    decide are set anew from the held-out part of both.
    """
    opened = open_bundle(bundle)
    model = restore_bundle(bundle, dropout=config.dropout)
    labels = model.config.labels
    data = hashlib.sha256("\n".join(sorted(f"{e.text}\0{sorted(e.labels)}" for e in examples)).encode()).hexdigest()
    _claim(out, config, f"{opened.digest} {data}")
    own = _split(config, examples)
    corpus = _with_more_ordinary(_split_as_before(config, opened, load_training()))
    reading = opened.read(PREPROCESSOR, TextPreprocessorConfig)
    preprocessor = TextPreprocessor(opened.file(TOKENIZER), reading)
    batcher = Batcher(preprocessor, labels, config)
    replay = _sample(corpus.training, round(config.replay * len(own.training)))

    training = [*own.training, *replay]
    old = restore_ngrams(bundle)
    before = predict(model, preprocessor, own.calibration, old)
    model = _stages(config, model, batcher, training, [*own.development, *corpus.development], out)
    ngrams = fit_ngrams(training, labels, config.ngrams, old)
    after = predict(model, preprocessor, own.calibration, ngrams)
    held_out = [*own.calibration, *corpus.calibration]
    trained = Trained(
        model, ngrams, preprocessor.tokenizer, reading, labels, held_out,
        float_logits=predict(model, preprocessor, held_out, ngrams),
        held_out=corpus.held_out,
        origin={"bundle": opened.version, "data": f"own, sha256:{data}", "command": command},
        history={"before_after": compare(before, after, own.calibration, labels)},
    )  # fmt: skip
    return write_bundle(trained, config, out / "bundle")


def compare(
    before: NDArray[np.floating], after: NDArray[np.floating], examples: Sequence[Example], labels: Sequence[str]
) -> dict[str, Any]:
    """PR-AUC of each label on the user's held-out rows, before and after; both models saw none of them."""
    old, new = (average_precisions(logits, examples, labels) for logits in (before, after))
    positives = {label: sum(label in e.labels for e in examples) for label in old}
    return {"items": len(examples)} | {
        label: {"positives": positives[label], "before": old[label], "after": new[label]} for label in old
    }


def _stages(
    config: TextTraining,
    model: TextClassifier,
    batcher: Batcher,
    training: Sequence[Example],
    development: Sequence[Example],
    out: Path,
) -> TextClassifier:
    """One fit after another; a stage that keeps only some layers is taught by the one before it."""
    for number, stage in enumerate(config.stages, start=1):
        teacher = model if stage.keep_layers else None
        student = shallower(model, stage.keep_layers) if stage.keep_layers else model
        logger.info("stage %d: %d layers, %d items", number, student.config.layers, len(training))
        model = fit(student, stage, config, batcher, training, development, out / f"stage{number}", teacher)
    return model


def _split(config: TextTraining, examples: Sequence[Example]) -> Parts:
    shares = (1.0 - config.development - config.calibration, config.development, config.calibration)
    parts = Parts(*split(examples, shares, seed=config.seed))
    if not all((parts.training, parts.development, parts.calibration)):
        raise DataError(
            f"{len(examples)} rows in too few groups to be split into training, development and calibration. "
            "Add rows, or give related rows fewer common groups."
        )
    return parts


def _split_as_before(config: TextTraining, bundle: Bundle, corpus: Sequence[Example]) -> Parts:
    """The corpus as the bundle's own run split it: what that trained on can calibrate nothing any more."""
    held_out = bundle.manifest.training.get("held_out")
    if not held_out:
        return _split(config, corpus)
    purpose = {identity: name for name, ids in held_out.items() for identity in ids}
    parts: dict[str, list[Example]] = {"training": [], "development": [], "calibration": []}
    for example in corpus:
        parts[purpose.get(example.id, "training")].append(example)
    return Parts(**parts)


def _with_more_ordinary(parts: Parts) -> Parts:
    """With the ordinary copy that is only for calibration: one in a hundred flagged takes hundreds to be seen."""
    return replace(parts, calibration=[*parts.calibration, *load_calibration()])


def _lexicon_share(config: TextTraining, items: int) -> list[Example]:
    return _sample(lexicon_examples(Policy.load().lexicon), round(config.lexicon_share * items))


def _sample(examples: Sequence[Example], count: int) -> list[Example]:
    """The same `count` examples each time, in an order that depends on their texts alone."""
    return sorted(examples, key=lambda e: hashlib.sha256(e.text.encode("utf-8", "surrogatepass")).digest())[:count]


def _claim(out: Path, config: TextTraining, data: str) -> None:
    """Begin a run in `out`, or go on with the same one. Raises TrainingError where another one lies there."""
    out.mkdir(parents=True, exist_ok=True)
    mine = {"config": config.model_dump(mode="json"), "data": data}
    path = out / _RUN
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != mine:
        raise TrainingError(f"{out}: holds a run with other settings or data. Give another --out, or remove it.")
    path.write_text(json.dumps(mine, ensure_ascii=False, indent=1), encoding="utf-8")
