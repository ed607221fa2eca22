"""A text bundle small enough to make in a test: one layer, single characters as pieces, random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from models.text import TextClassifier, TextModelConfig
from moderation.inference.preprocess import TextPreprocessorConfig
from moderation.types import CATEGORIES, TEXT_LABELS
from training.bundles import Trained, write_bundle
from training.config import Ngrams, Stage, TextTraining
from training.encoders import SPECIAL
from training.examples import Example, Span
from training.export import round_words
from training.ngrams import fit_ngrams

LETTERS = (
    "▁,.!?abcdefghijklmnopqrstuvwxyz0123456789"
    "的一是不了人我在有他这中大来上个国喝茶治好糖尿病血压高低价最第买送微信加群"
)
# Ids of `tiny_examples` that a tiny bundle says it did not train on.
TINY_HELD_OUT = {"development": [str(i) for i in range(0, 12)], "calibration": [str(i) for i in range(12, 24)]}
SOURCES = {"speech": "speech", "subtitle": "speech", "title": "title", "comment": "comment"}


def tiny_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([(p, 0.0) for p in SPECIAL] + [(c, -5.0) for c in LETTERS], unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return tokenizer


def tiny_reading(max_tokens: int = 16) -> TextPreprocessorConfig:
    return TextPreprocessorConfig(max_tokens=max_tokens, overlap=4, categories=CATEGORIES, sources=SOURCES)


def tiny_model(labels: tuple[str, ...] = TEXT_LABELS) -> TextClassifier:
    torch.manual_seed(0)
    model = TextClassifier(
        TextModelConfig(
            vocab_size=len(SPECIAL) + len(LETTERS),
            labels=labels,
            categories=CATEGORIES,
            sources=tiny_reading().trained_sources,
            layers=2,
            hidden=32,
            heads=1,
            intermediate=64,
            positions=64,
        )
    )
    for embedding in (model.category, model.source):
        torch.nn.init.normal_(embedding.weight, std=0.5)
    round_words(model)
    return model.eval()


def tiny_config(**changes: object) -> TextTraining:
    stage = Stage(epochs=2, learning_rate=1e-3)
    return TextTraining.model_validate(
        {
            "name": "text-tiny-1",
            "batch_size": 8,
            "stages": (stage,),
            "checkpoint_every": 3,
            "precision": "no",
            **changes,
        }
    )


def tiny_examples(count: int = 60) -> list[Example]:
    """Half of them promise a cure (`治好`), in scenes of four."""
    made = []
    for i in range(count):
        goods = f"{'喝茶' if i % 3 else '买茶'} {i}{chr(97 + i % 26)}{chr(97 + i * 7 % 26)}"
        text = f"{goods} 治好糖尿病" if i % 2 else f"{goods} 好喝不贵"
        at = text.find("治好")
        spans = (Span("medical_claim", at, len(text)),) if i % 2 else ()
        made.append(
            Example(
                id=str(i),
                text=text,
                labels=frozenset({"medical_claim"} if i % 2 else ()),
                category="food",
                group=f"scene{i // 4}",
                spans=spans,
                kind="" if i % 4 else "ordinary",
            )
        )
    return made


def write_tiny_bundle(folder: Path) -> Path:
    """A whole bundle in `folder`; its scores mean nothing, everything else about it is real."""
    model, examples = tiny_model(), tiny_examples()
    undecided = fit_ngrams([replace(e, labels=frozenset()) for e in examples], TEXT_LABELS, Ngrams())
    logits = np.random.default_rng(0).normal(size=(len(examples), len(TEXT_LABELS))).astype(np.float32)
    trained = Trained(
        model,
        undecided,
        tiny_tokenizer(),
        tiny_reading(),
        TEXT_LABELS,
        examples,
        float_logits=logits,
        origin={"encoder": "tiny", "data": "made in a test", "command": "pytest"},
        held_out=TINY_HELD_OUT,
    )
    return write_bundle(trained, tiny_config(), folder)
