"""The loop that both networks are trained by: steps, averaged weights, checkpoints, TensorBoard."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

from training.config import LogoStage
from training.schedule import warmup_then_cosine

logger = logging.getLogger(__name__)

_CHECKPOINT, FINAL = "checkpoint.pt", "final.pt"
_EMA_DECAY = 0.998
_LARGEST_GRADIENT = 5.0  # norm
_LOG_EVERY = 50  # steps
# What is left of the learning rate at the end.
FLOOR = 0.02


class FromStep(Sampler[int]):
    """Numbers of made examples from a step on: a resumed run makes the same ones as one never stopped."""

    def __init__(self, begin: int, end: int) -> None:
        self.begin, self.end = begin, end

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.begin, self.end))

    def __len__(self) -> int:
        return self.end - self.begin


def train_steps(
    model: nn.Module,
    loss_of: Callable[[nn.Module, Any], Tensor],
    groups: Sequence[dict[str, Any]],
    examples: Dataset[Any],
    collate: Callable[[list[Any]], Any],
    stage: LogoStage,
    folder: Path,
    *,
    seed: int,
    workers: int,
) -> nn.Module:
    """Train for `stage.steps` batches; returns the model with averaged weights, on the CPU, for inference.

    `groups` are AdamW's groups of parameters, `loss_of` maps the model and a batch of `collate` to a scalar, and
    `examples` makes its i-th example from i alone. A finished run in `folder` is loaded, an unfinished one goes on
    from its last checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    averaged = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    if (folder / FINAL).exists():
        averaged.load_state_dict(torch.load(folder / FINAL, map_location="cpu", weights_only=True))
        return averaged
    accelerator = Accelerator(log_with="tensorboard", project_dir=folder)
    accelerator.init_trackers("logs")
    set_seed(seed)
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_then_cosine(stage.steps, stage.warmup_steps, FLOOR))
    model.to(memory_format=torch.channels_last)
    prepared, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
    averaged.to(accelerator.device)
    step = 0
    if (path := folder / _CHECKPOINT).exists():
        state = torch.load(path, map_location=accelerator.device, weights_only=True)
        accelerator.unwrap_model(prepared).load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        step = state["step"]
        logger.info("%s: going on at step %d", folder, step)
    sampler = FromStep(step * stage.batch_size, stage.steps * stage.batch_size)
    loader = accelerator.prepare(
        DataLoader(examples, stage.batch_size, sampler=sampler, num_workers=workers, collate_fn=collate, drop_last=True)
    )
    prepared.train()
    total = 0.0
    with tqdm(total=stage.steps, initial=step, desc=folder.name, unit="batch") as bar:
        for batch in loader:
            loss = loss_of(prepared, batch)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(prepared.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            step += 1
            # A young average forgets fast, so that it does not keep the weights it began with.
            decay = min(_EMA_DECAY, (1 + step) / (10 + step))
            _update_average(averaged, accelerator.unwrap_model(prepared), decay)
            total += loss.item()
            bar.update()
            if step % _LOG_EVERY == 0:
                logger.info("%s: step %d, loss %.3f", folder.name, step, total / _LOG_EVERY)
                accelerator.log({"loss": total / _LOG_EVERY, "rate": schedule.get_last_lr()[-1]}, step=step)
                total = 0.0
            if step % stage.checkpoint_every == 0 and accelerator.is_main_process:
                part = path.with_suffix(".part")
                torch.save(
                    {
                        "model": accelerator.unwrap_model(prepared).state_dict(), "averaged": averaged.state_dict(),
                        "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "step": step,
                    },
                    part,
                )  # fmt: skip
                part.replace(path)
    accelerator.end_training()
    averaged.cpu()
    part = folder / f"{FINAL}.part"
    torch.save(averaged.state_dict(), part)
    part.replace(folder / FINAL)
    return averaged


@torch.no_grad()
def _update_average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    """An exponential moving average of weights, and of the running figures of batch normalisation."""
    for mine, theirs in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.mul_(decay).add_(theirs, alpha=1 - decay)
        else:
            mine.copy_(theirs)
