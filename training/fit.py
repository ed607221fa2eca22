"""One fit: the loop over epochs and batches, with checkpoints, resumption, early stopping and TensorBoard."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from models.text import TextClassifier
from moderation.inference.batching import batches
from moderation.inference.ngrams import NgramModel
from moderation.inference.preprocess import TextPreprocessor
from training.batches import Batch, Batcher
from training.config import Stage, TextTraining
from training.examples import Example
from training.export import INPUTS
from training.metrics import macro_average_precision
from training.schedule import warmup_then_cosine

logger = logging.getLogger(__name__)

BEST = "best.safetensors"
_STATE, _PROGRESS = "checkpoint", "progress.json"
_PREDICTED, _PREDICTED_CELLS = 64, 8192


@dataclass
class Progress:
    """Where a fit stands; with the checkpoint beside it, it goes on from there to the same end."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = -1.0
    best_epoch: int = -1
    finished: bool = False


def fit(
    model: TextClassifier,
    stage: Stage,
    config: TextTraining,
    batcher: Batcher,
    training: Sequence[Example],
    development: Sequence[Example],
    folder: Path,
    teacher: TextClassifier | None = None,
) -> TextClassifier:
    """Train `model`; returns it with the weights of the epoch that was best on `development` (macro PR-AUC).

    A finished fit in `folder` is loaded, an unfinished one resumed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress = _read_progress(folder)
    if not progress.finished:
        accelerator = Accelerator(mixed_precision=_precision(config), log_with="tensorboard", project_dir=folder)
        set_seed(config.seed)
        _run(accelerator, model, stage, config, batcher, training, development, folder, progress, teacher)
    model.load_state_dict(load_file(folder / BEST))
    return model.eval().cpu()


def _run(
    accelerator: Accelerator,
    model: TextClassifier,
    stage: Stage,
    config: TextTraining,
    batcher: Batcher,
    training: Sequence[Example],
    development: Sequence[Example],
    folder: Path,
    progress: Progress,
    teacher: TextClassifier | None,
) -> None:
    accelerator.init_trackers("logs")
    model.freeze_words()
    steps = batcher.batches_per_epoch(len(training)) * stage.epochs
    optimizer = torch.optim.AdamW(_groups(model, stage), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warmup_then_cosine(steps, max(int(steps * stage.warmup), 1))
    )
    prepared, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
    if teacher is not None:
        teacher = teacher.to(accelerator.device).eval()
    if (folder / _STATE).exists():
        accelerator.load_state(str(folder / _STATE))
        logger.info("%s: going on at epoch %d, batch %d", folder, progress.epoch + 1, progress.batch)
    neighbours = [e for e in training if not e.labels and e.known == frozenset(batcher.labels)]
    with tqdm(total=steps, initial=progress.step, desc=folder.name, unit="batch") as bar:
        while progress.epoch < stage.epochs:
            prepared.train()
            for number, batch in _share(accelerator, batcher.epoch(training, neighbours, progress.epoch)):
                if number < progress.batch:
                    continue
                batch = batch.to(accelerator.device)
                with accelerator.autocast():
                    loss = _loss(prepared, batch, config, stage, teacher)
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(prepared.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                progress.batch, progress.step = number + 1, progress.step + 1
                bar.update()
                if progress.step % 20 == 0:
                    bar.set_postfix(loss=f"{loss.item():.3f}", best=f"{progress.best:.4f}")
                    accelerator.log({"loss": loss.item(), "rate": schedule.get_last_lr()[-1]}, step=progress.step)
                if progress.step % config.checkpoint_every == 0:
                    _save(accelerator, folder, progress)
            score = _development_score(accelerator, accelerator.unwrap_model(prepared), batcher, development)
            accelerator.log({"development macro PR-AUC": score}, step=progress.step)
            logger.info("%s: epoch %d, development macro PR-AUC %.4f", folder.name, progress.epoch + 1, score)
            if score > progress.best:
                progress.best, progress.best_epoch = score, progress.epoch
                if accelerator.is_main_process:
                    save_file(accelerator.unwrap_model(prepared).state_dict(), folder / BEST)
            progress.epoch, progress.batch = progress.epoch + 1, 0
            stop = progress.epoch - 1 - progress.best_epoch >= stage.patience
            progress.finished = stop or progress.epoch == stage.epochs
            _save(accelerator, folder, progress)
            if stop:
                break
    # Preparing put the mixed precision into the model itself, which is exported and measured without it.
    accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)
    accelerator.end_training()


def predict(
    model: TextClassifier, reader: TextPreprocessor, examples: Sequence[Example], ngrams: NgramModel | None = None
) -> NDArray[np.float32]:
    """Logits (n, K) in float32; the maximum over the windows of a text, −30 where there is nothing to read.

    With `ngrams`, their logits are added window by window, as a worker does.
    """
    device = next(model.parameters()).device
    cut = reader.windows([e.text for e in examples])
    owners = np.array([owner for owner, windows in enumerate(cut) for _ in windows], np.int64)
    windows = [window for of_one in cut for window in of_one]
    logits = np.full((len(examples), len(model.config.labels)), -30.0, np.float32)
    model.eval()
    with torch.inference_mode():
        for rows in batches([len(w) for w in windows], most_items=_PREDICTED, most_cells=_PREDICTED_CELLS):
            some = [windows[i] for i in rows]
            of = [examples[owners[i]] for i in rows]
            batch = reader.batch(some, [e.category for e in of], [e.source for e in of])
            items, _ = model(*(torch.from_numpy(batch.feeds()[name]).to(device) for name in INPUTS))
            found = items.float().cpu().numpy()
            if ngrams is not None:
                found = found + ngrams.logits([w.text for w in some])
            np.maximum.at(logits, owners[rows], found)
    return logits


def over_windows(items: Tensor, owner: Tensor, count: int) -> Tensor:
    """Maximum over the windows of each text: (W, K) → (count, K)."""
    index = owner[:, None].expand_as(items)
    empty = torch.full((count, items.shape[1]), -torch.inf, dtype=items.dtype, device=items.device)
    return empty.scatter_reduce(0, index, items, "amax")


def _loss(
    model: torch.nn.Module, batch: Batch, config: TextTraining, stage: Stage, teacher: TextClassifier | None
) -> Tensor:
    """Binary cross-entropy of texts and tokens where the truth is known; with a teacher, of its answers too."""
    items, votes, states = model(batch.ids, batch.mask, batch.category, batch.source, with_states=True)
    pooled = over_windows(items, batch.owner, len(batch.target))
    hard = text_loss(pooled, batch.target, batch.known)
    hard = hard + config.token_loss * _token_loss(votes, batch.token_target, batch.token_known, batch.mask)
    if teacher is None or stage.distil == 0.0:
        return hard
    with torch.no_grad():
        taught_items, taught_votes, taught = teacher(
            batch.ids, batch.mask, batch.category, batch.source, with_states=True
        )
    soft = text_loss(items, taught_items.sigmoid(), torch.ones_like(taught_items))
    soft = soft + config.token_loss * _token_loss(
        votes, taught_votes.sigmoid(), torch.ones_like(taught_votes), batch.mask
    )
    # Near states make near answers, and say more than these (as in DistilBERT, Sanh et al. 2019).
    apart = 1.0 - functional.cosine_similarity(states.float(), taught.float(), dim=-1)
    soft = soft + stage.state_loss * (apart * batch.mask).sum() / batch.mask.sum()
    return (1.0 - stage.distil) * hard + stage.distil * soft


def text_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (losses * known).sum() / len(logits)


def _token_loss(logits: Tensor, target: Tensor, known: Tensor, mask: Tensor) -> Tensor:
    losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    inside = known * mask[:, :, None]
    return (losses * inside).sum() / mask.sum()


def _groups(model: TextClassifier, stage: Stage) -> list[dict]:
    """Deeper layers learn faster (Howard & Ruder 2018), the new head fastest; biases and norms do not decay."""
    depth = model.config.layers
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("encoder.encoder.layer."):
            below = depth - 1 - int(name.split(".")[3])
            rate = stage.learning_rate * stage.layer_decay**below
        elif name.startswith("encoder."):
            rate = stage.learning_rate * stage.layer_decay**depth
        else:
            rate = stage.head_learning_rate
        decay = 0.0 if parameter.ndim == 1 else stage.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()]


def _share(accelerator: Accelerator, batches: Iterator[Batch]) -> Iterator[tuple[int, Batch]]:
    """Every process sees every nth batch; the numbers count its own."""
    mine = (b for i, b in enumerate(batches) if i % accelerator.num_processes == accelerator.process_index)
    return enumerate(mine)


def _development_score(
    accelerator: Accelerator, model: TextClassifier, batcher: Batcher, development: Sequence[Example]
) -> float:
    with accelerator.autocast():
        logits = predict(model, batcher.reader, development)
    return macro_average_precision(logits, development, batcher.labels)


def _precision(config: TextTraining) -> str:
    """`auto`: bfloat16 where the device computes in it, which is no gain where it is emulated."""
    if config.precision != "auto":
        return config.precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


def _read_progress(folder: Path) -> Progress:
    path = folder / _PROGRESS
    return Progress(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Progress()


def _save(accelerator: Accelerator, folder: Path, progress: Progress) -> None:
    """Checkpoint, then progress: a kill between them repeats a few batches, never skips any."""
    accelerator.save_state(str(folder / _STATE))
    if accelerator.is_main_process:
        partial = folder / f"{_PROGRESS}.part"
        partial.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        partial.replace(folder / _PROGRESS)
