"""Examples → tensors: changed anew in every epoch, cut into windows, with targets for texts and tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from moderation.inference.preprocess import TextPreprocessor, Window
from training.config import TextTraining
from training.examples import Example
from training.noise import among_others, evaded, heard


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """`ids`, `mask` (W, L); `category`, `source`, `owner` (W,): which text a window belongs to.

    `target`, `known` (N, K) for texts; `token_target`, `token_known` (W, L, K) for tokens. Float32 but for the ids.
    """

    ids: Tensor
    mask: Tensor
    category: Tensor
    source: Tensor
    owner: Tensor
    target: Tensor
    known: Tensor
    token_target: Tensor
    token_known: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))


class Batcher:
    """Makes the batches of one run; the same seed, epoch and examples give the same batches."""

    def __init__(self, reader: TextPreprocessor, labels: Sequence[str], config: TextTraining) -> None:
        self.labels = tuple(labels)
        self.reader = reader
        self._config = config
        self._column = {label: k for k, label in enumerate(labels)}

    def epoch(self, examples: Sequence[Example], neighbours: Sequence[Example], epoch: int) -> Iterator[Batch]:
        """All examples once, shuffled and changed, texts of like length together."""
        rng = random.Random(f"{self._config.seed}/{epoch}")  # noqa: S311 - not a secret
        order = list(range(len(examples)))
        rng.shuffle(order)
        pools = {
            language: [n for n in neighbours if n.language == language] for language in {e.language for e in examples}
        }
        size = self._config.batch_size
        for begin in range(0, len(order), size * 16):
            chunk = [self._changed(examples[i], pools, rng) for i in order[begin : begin + size * 16]]
            chunk.sort(key=lambda e: len(e.text))
            parts = [chunk[i : i + size] for i in range(0, len(chunk), size)]
            rng.shuffle(parts)
            for part in parts:
                batch = self.collate(part, rng)
                if batch is not None:
                    yield batch

    def batches_per_epoch(self, count: int) -> int:
        return -(-count // self._config.batch_size)

    def collate(self, examples: Sequence[Example], rng: random.Random | None = None) -> Batch | None:
        """One batch; with `rng`, context is hidden and long texts are sampled, as training wants it."""
        windows, owners, kept = [], [], []
        for example, cut in zip(examples, self.reader.windows([e.text for e in examples]), strict=True):
            if not cut:
                continue
            if rng is not None and len(cut) > self._config.most_windows:
                cut = [cut[i] for i in sorted(rng.sample(range(len(cut)), self._config.most_windows))]
            owners += [len(kept)] * len(cut)
            windows += cut
            kept.append(example)
        if not kept:
            return None
        hide = [rng is not None and rng.random() < self._config.hide_context for _ in kept]
        arrays = self.reader.batch(
            windows,
            [None if hide[o] else kept[o].category for o in owners],
            ["" if hide[o] and rng is not None and rng.random() < 0.7 else kept[o].source for o in owners],
        )
        target, known = self._targets(kept)
        token_target, token_known = self._token_targets(kept, windows, owners, target, known, arrays.ids.shape[1])
        return Batch(
            torch.from_numpy(arrays.ids), torch.from_numpy(arrays.mask), torch.from_numpy(arrays.category),
            torch.from_numpy(arrays.source), torch.tensor(owners), torch.from_numpy(target), torch.from_numpy(known),
            torch.from_numpy(token_target), torch.from_numpy(token_known),
        )  # fmt: skip

    def _changed(self, example: Example, pools: dict[str, list[Example]], rng: random.Random) -> Example:
        noise = self._config.noise
        pool = pools[example.language]
        if pool and rng.random() < noise.among_others:
            others = rng.sample(pool, min(rng.randint(1, noise.most_neighbours), len(pool)))
            example = among_others(example, others, rng)
        draw = rng.random()
        if draw < noise.heard:
            changed = heard(example, rng)
        elif draw < noise.heard + noise.evaded:
            changed = evaded(example, rng)
        else:
            return example
        # What no longer holds its evidence (all of it swallowed) is no example of its label.
        return changed if len(changed.spans) == len(example.spans) else example

    def _targets(self, examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
        target = np.zeros((len(examples), len(self.labels)), np.float32)
        known = np.zeros_like(target)
        for row, example in enumerate(examples):
            for k, label in enumerate(self.labels):
                target[row, k] = label in example.labels
                known[row, k] = label in example.known
        return target, known

    def _token_targets(
        self,
        examples: Sequence[Example],
        windows: Sequence[Window],
        owners: Sequence[int],
        target: np.ndarray,
        known: np.ndarray,
        length: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """1 where a token overlaps a span of the label; the frame is evidence of nothing.

        Where the evidence of a label is not marked, its tokens are unknown; where the label does not apply, all are 0.
        """
        tokens = np.zeros((len(windows), length, len(self.labels)), np.float32)
        sure = np.zeros_like(tokens)
        for row, (window, owner) in enumerate(zip(windows, owners, strict=True)):
            example = examples[owner]
            decided = known[owner] * (1.0 if example.spans_known else 1.0 - target[owner])
            sure[row, : len(window)] = decided
            for span in example.spans:
                k = self._column.get(span.label)
                if k is None:
                    continue
                hit = (window.starts < span.end) & (window.ends > span.start)
                tokens[row, : len(window), k] = np.maximum(tokens[row, : len(window), k], hit)
        return tokens, sure
