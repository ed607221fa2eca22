"""The text classifier: a BERT encoder whose tokens vote for labels, so that a score comes with its evidence.

Each token votes twice for each label: as evidence (is this word part of the claim?), pooled by a smooth maximum, and
as context (what is the text about?), pooled by the mean, which is how the E5 encoders were trained to be read. The
goods' category and the text's source are added to every input embedding, as segment embeddings are (Devlin et al.
2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel


@dataclass(frozen=True, slots=True)
class TextModelConfig:
    """Sizes of the encoder and what it is asked. `categories` and `sources` leave out "unknown", which is index 0."""

    vocab_size: int
    labels: tuple[str, ...]
    categories: tuple[str, ...]
    sources: tuple[str, ...]
    layers: int = 12
    hidden: int = 384
    heads: int = 12
    intermediate: int = 1536
    positions: int = 512
    dropout: float = 0.1


class TextClassifier(nn.Module):
    """Multi-label classifier with one vote a token.

    `forward` takes `ids` and `mask` (B, L) int64, `category` and `source` (B,) int64 with 0 for unknown, and returns
    item logits (B, K) and token logits (B, L, K), float32; logits of padding mean nothing. With `with_states` the
    encoder's last layer (B, L, H) comes third.
    """

    def __init__(self, config: TextModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = BertModel(
            BertConfig(
                vocab_size=config.vocab_size,
                hidden_size=config.hidden,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.intermediate,
                max_position_embeddings=config.positions,
                hidden_dropout_prob=config.dropout,
                attention_probs_dropout_prob=config.dropout,
            ),
            add_pooling_layer=False,
        )
        self.category = nn.Embedding(len(config.categories) + 1, config.hidden)
        self.source = nn.Embedding(len(config.sources) + 1, config.hidden)
        nn.init.zeros_(self.category.weight)
        nn.init.zeros_(self.source.weight)
        self.dropout = nn.Dropout(config.dropout)
        self.votes = nn.Linear(config.hidden, len(config.labels))
        # Nearly all tokens are no evidence; starting there keeps the first steps from undoing the encoder.
        nn.init.constant_(self.votes.bias, -4.0)
        self.context = nn.Linear(config.hidden, len(config.labels))
        self.weight = nn.Parameter(torch.ones(len(config.labels)))

    def forward(
        self, ids: Tensor, mask: Tensor, category: Tensor, source: Tensor, with_states: bool = False
    ) -> tuple[Tensor, ...]:
        words = self.encoder.embeddings.word_embeddings(ids)
        told = self.category(category) + self.source(source)
        hidden = self.encoder(inputs_embeds=words + told[:, None, :], attention_mask=mask).last_hidden_state
        votes = self.votes(self.dropout(hidden)).float()
        context = self.context(self.dropout(mean(hidden.float(), mask)))
        items = context.float() + self.weight * smooth_maximum(votes, mask)
        return (items, votes, hidden) if with_states else (items, votes)

    def freeze_words(self) -> None:
        """Keep the word embeddings as they are: most of the weights, and a small corpus sees few of the words."""
        self.encoder.embeddings.word_embeddings.weight.requires_grad_(False)


def smooth_maximum(votes: Tensor, mask: Tensor) -> Tensor:
    """Log-sum-exp (B, K) of token logits (B, L, K) where `mask` (B, L) is 1: one strong token is enough, and several
    weak ones do not add up to it as they would in a sum."""
    return votes.masked_fill(mask[:, :, None] == 0, -1e4).logsumexp(dim=1)


def mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean (B, H) of token states (B, L, H) where `mask` (B, L) is 1."""
    weight = mask[:, :, None].to(hidden.dtype)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1)


def shallower(model: TextClassifier, layers: Sequence[int]) -> TextClassifier:
    """A copy with only these encoder layers (indexes from 0), the start of a student for distillation."""
    student = TextClassifier(replace(model.config, layers=len(layers)))
    kept = {f"encoder.encoder.layer.{old}.": f"encoder.encoder.layer.{new}." for new, old in enumerate(layers)}
    weights = {}
    for name, value in model.state_dict().items():
        if name.startswith("encoder.encoder.layer."):
            prefix = ".".join(name.split(".")[:4]) + "."
            if prefix not in kept:
                continue
            name = kept[prefix] + name.removeprefix(prefix)
        weights[name] = value.clone()
    student.load_state_dict(weights)
    return student
