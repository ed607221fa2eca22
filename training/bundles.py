"""A trained model → a bundle: exported, quantised, calibrated as it will run, described, hashed."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.text import TextClassifier as TorchClassifier
from moderation.inference.bundle import (
    CARD,
    CONFIG,
    MODEL,
    NGRAMS,
    PREPROCESSOR,
    TOKENIZER,
    LabelConfig,
    TextBundleConfig,
    Thresholds,
    open_bundle,
    write_manifest,
)  # fmt: skip
from moderation.inference.ngrams import NgramModel
from moderation.inference.preprocess import TextPreprocessorConfig
from moderation.text.classifier import TASK, TextClassifier, TextClassifierSettings
from moderation.text.matcher import TextItem
from moderation.types import Source
from training.calibrate import calibrate, expected_calibration_error, probability
from training.card import write_card
from training.config import TextTraining
from training.examples import Example
from training.export import export_float, export_half, quantise, restore
from training.metrics import average_precisions, macro_f1, truth

logger = logging.getLogger(__name__)

Floats = NDArray[np.floating]
HALF_MODEL = "model_fp16.onnx"


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a run ends with. `float_logits` (n, K): the model's own logits of the calibration items, before int8.

    `held_out`: ids of the corpus's items that trained nothing, by what they were for; whoever goes on from the bundle
    must know them.
    """

    model: TorchClassifier
    ngrams: NgramModel
    tokenizer: Tokenizer
    reading: TextPreprocessorConfig
    labels: tuple[str, ...]
    calibration: Sequence[Example]
    float_logits: Floats
    origin: Mapping[str, str]
    held_out: Mapping[str, Sequence[str]]
    history: Mapping[str, Any] = field(default_factory=dict)


def write_bundle(trained: Trained, config: TextTraining, folder: Path) -> Path:
    """Write the bundle into `folder`, replacing what lies there only when all of it is done."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        draft = Path(temporary) / "bundle"
        draft.mkdir()
        graph = Path(temporary) / "float.onnx"
        parity = export_float(trained.model, graph)
        quantise(graph, draft / MODEL)
        trained.ngrams.save(draft / NGRAMS)
        trained.tokenizer.save(str(draft / TOKENIZER), pretty=False)
        _write_json(draft / PREPROCESSOR, trained.reading.model_dump(mode="json"))
        undecided = tuple(LabelConfig(name=n, thresholds=Thresholds(review=0.5)) for n in trained.labels)
        _write_config(draft, config.name, undecided)
        write_manifest(draft, config.name, {}, {})
        # Calibrated on what the int8 graph says, since that is what will run.
        logits = TextClassifier(TextClassifierSettings(bundle=draft)).logits(items_of(trained.calibration))
        report = calibrate(logits, trained.calibration, trained.labels, config)
        _write_config(draft, config.name, report.labels)
        metrics = {
            "calibration": {
                "items": len(trained.calibration),
                **_at_thresholds(logits, trained.calibration, report.labels),
                "review_threshold": report.labels[0].thresholds.review,
                "review_interval": report.review_interval,
                "block_guarantee": report.block_guarantee,
                "parity": parity,
                "int8_cost": _int8_cost(trained, logits, report.labels),
            },
            **trained.history,
        }
        training = {**trained.origin, "commit": _commit(), "config": config.model_dump(mode="json")}
        training["held_out"] = {name: sorted(ids) for name, ids in trained.held_out.items()}
        write_card(draft / CARD, config.name, training, metrics)
        write_manifest(draft, config.name, training, metrics)
        if folder.exists():
            shutil.rmtree(folder)
        shutil.move(draft, folder)
    logger.info("wrote %s", folder)
    return folder


def add_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Put figures that were measured later into a bundle's card and manifest; what lies beside them is hashed too."""
    manifest = open_bundle(folder).manifest
    together = {**manifest.metrics, **metrics}
    write_card(folder / CARD, manifest.name, manifest.training, together)
    write_manifest(folder, manifest.name, manifest.training, together)


def add_half(folder: Path) -> Path:
    """Add the float16 graph for GPUs to a bundle."""
    opened = open_bundle(folder)
    target = folder / HALF_MODEL
    export_half(restore_bundle(folder), target)
    write_manifest(folder, opened.name, opened.manifest.training, opened.manifest.metrics)
    return target


def restore_bundle(folder: Path, dropout: float = 0.1) -> TorchClassifier:
    """The PyTorch model of a bundle, as far as int8 kept it."""
    opened = open_bundle(folder)
    reading = opened.read(PREPROCESSOR, TextPreprocessorConfig)
    labels = [label.name for label in opened.read(CONFIG, TextBundleConfig).labels]
    return restore(
        opened.file(MODEL),
        labels=labels,
        categories=reading.categories,
        sources=reading.trained_sources,
        dropout=dropout,
    )


def restore_ngrams(folder: Path) -> NgramModel:
    """The n-gram half of a bundle."""
    opened = open_bundle(folder)
    return NgramModel.load(opened.file(NGRAMS), len(opened.read(CONFIG, TextBundleConfig).labels))


def items_of(examples: Sequence[Example]) -> list[TextItem]:
    """Examples as a worker meets them."""
    return [TextItem(e.text, e.category, cast("Source", e.source)) for e in examples]


def _at_thresholds(logits: Floats, examples: Sequence[Example], labels: Sequence[LabelConfig]) -> dict[str, Any]:
    """Figures on the items that set the thresholds: a little too good, unlike those on the test split."""
    names = [label.name for label in labels]
    applies, known = truth(examples, names)
    scores, flagged = _scores(logits, labels)
    by_label = average_precisions(scores, examples, names)
    return {
        "pr_auc": {"macro": float(np.mean(list(by_label.values()))), **by_label},
        "macro_f1_at_review": macro_f1(applies, flagged & known),
        "calibration_error": expected_calibration_error(scores[known], applies[known]),
    }


def _int8_cost(trained: Trained, int8_logits: Floats, labels: Sequence[LabelConfig]) -> dict[str, float]:
    applies, known = truth(trained.calibration, trained.labels)
    f1 = [macro_f1(applies, _scores(logits, labels)[1] & known) for logits in (trained.float_logits, int8_logits)]
    return {"macro_f1_float": f1[0], "macro_f1_int8": f1[1], "lost_points": 100.0 * (f1[0] - f1[1])}


def _scores(logits: Floats, labels: Sequence[LabelConfig]) -> tuple[Floats, NDArray[np.bool_]]:
    scores = np.stack([probability(logits[:, k], label.calibration) for k, label in enumerate(labels)], axis=1)
    return scores, scores >= np.array([label.thresholds.review for label in labels])


def _write_config(folder: Path, name: str, labels: Sequence[LabelConfig]) -> None:
    config = TextBundleConfig.model_validate({"schema": 1, "name": name, "task": TASK, "labels": labels})
    _write_json(folder / CONFIG, config.model_dump(mode="json", by_alias=True))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _commit() -> str:
    """The commit that is checked out, with a mark where files differ from it; `unknown` outside a repository."""
    try:
        head, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + (" with changes" if changes else "")


def _git(*words: str) -> str:
    here = Path(__file__).parent
    return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
