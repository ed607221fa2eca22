"""One command that shows whether a machine can train and infer: a few steps, and answers against the CPU's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from moderation.inference.bundle import PREPROCESSOR, TOKENIZER, open_bundle
from moderation.inference.preprocess import TextPreprocessor, TextPreprocessorConfig
from moderation.inference.session import PROVIDER_NAMES, SessionSettings
from moderation.text.classifier import TextClassifier, TextClassifierSettings
from training.batches import Batcher
from training.bundles import items_of, restore_bundle
from training.config import Stage, TextTraining
from training.corpus import load_training
from training.fit import text_loss

_STEPS, _ITEMS = 20, 256


def check_device(bundle: Path) -> dict[str, Any]:
    """Train a few steps and score a few texts on CUDA where there is one; `measured_on_cuda` says whether it was.

    `loss`: of the first and last step, the same batch; `largest_difference`: between the logits of the provider and
    the CPU's, int8 on both sides.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    examples = load_training()[:_ITEMS]
    report: dict[str, Any] = {"measured_on_cuda": device.type == "cuda", "device": str(device)}
    if device.type == "cuda":
        report["name"] = torch.cuda.get_device_name()
    report["training"] = _train(bundle, device)

    cpu = TextClassifier(TextClassifierSettings(bundle=bundle))
    expected = cpu.logits(items_of(examples))
    if PROVIDER_NAMES["cuda"] in onnxruntime.get_available_providers():
        cuda = TextClassifier(TextClassifierSettings(bundle=bundle, session=SessionSettings(provider="cuda")))
        started = time.perf_counter()
        found = cuda.logits(items_of(examples))
        report["inference"] = {
            "provider": cuda.provider,
            "texts_per_second": len(examples) / (time.perf_counter() - started),
            "largest_difference": float(np.abs(found - expected).max()),
        }
    else:
        report["inference"] = "not measured: this ONNX Runtime has no CUDA provider (install onnxruntime-gpu)"
    return report


def _train(bundle: Path, device: torch.device) -> dict[str, float]:
    opened = open_bundle(bundle)
    model = restore_bundle(bundle).to(device).train()
    preprocessor = TextPreprocessor(opened.file(TOKENIZER), opened.read(PREPROCESSOR, TextPreprocessorConfig))
    config = TextTraining(name="check", stages=(Stage(epochs=1, learning_rate=1e-4),))
    batch = Batcher(preprocessor, model.config.labels, config).collate(load_training()[: config.batch_size])
    assert batch is not None
    batch = batch.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    losses = []
    started = time.perf_counter()
    for _ in range(_STEPS):
        with torch.autocast(device.type, torch.bfloat16):
            items, _ = model(batch.ids, batch.mask, batch.category, batch.source)
        loss = text_loss(items[: len(batch.target)], batch.target, batch.known)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return {
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "steps_per_second": _STEPS / (time.perf_counter() - started),
    }
