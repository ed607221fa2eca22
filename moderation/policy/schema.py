"""The strict schema of a policy folder's own files: policy.yaml, brands.yaml, qualifications.yaml.

Lexicons and guards have their schema in `moderation.text`, which compiles them.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from moderation.metadata import Category
from moderation.types import LABELS

Score = Annotated[float, Field(ge=0, le=1)]


def _yaml_off(value: object) -> object:
    # YAML 1.1 reads a bare `off` as false.
    return "off" if value is False else value


Threshold = Annotated[Score | Literal["off", "auto"], BeforeValidator(_yaml_off)]


def _regex(value: str) -> str:
    try:
        re.compile(value, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"no valid regular expression ({error}); escape the special characters with \\") from error
    return value


Regex = Annotated[str, Field(min_length=1), AfterValidator(_regex)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelPolicy(Strict):
    """One label: when to act, on what legal basis, and what reviewers are told."""

    title: dict[Literal["zh", "en"], str]
    review: Threshold
    block: Threshold
    basis: str
    guidance: str
    allowed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> LabelPolicy:
        if isinstance(self.review, float) and isinstance(self.block, float) and self.review > self.block:
            raise ValueError(f"review ({self.review}) is above block ({self.block}); swap them")
        return self


class LexiconScores(Strict):
    """The figure shown as `score` for a term of each strength."""

    review: Score
    block: Score


class Switch(Strict):
    """Switches a label off in some goods categories, always or only with proven qualifications."""

    label: str
    categories: tuple[Category, ...]
    needs_qualification: tuple[str, ...] = ()
    reason: str

    @field_validator("label")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in LABELS:
            raise ValueError(f"no such label; labels: {', '.join(LABELS)}")
        return value


class BrandWordScores(Strict):
    title: Score
    description: Score
    spoken: Score


class BrandWordRules(Strict):
    """When a brand named in words counts as goods of that brand. Windows are in characters."""

    score: BrandWordScores
    selling_words: tuple[str, ...]
    selling_window: Annotated[int, Field(ge=0, le=100)]
    min_mentions: Annotated[int, Field(ge=1)]
    not_goods_words: tuple[str, ...]
    not_goods_window: Annotated[int, Field(ge=0, le=100)]


class SeenLongEnough(Strict):
    """From when on something seen counts: this share of a frame once, this many frames, and this share of the frames
    between its first and its last."""

    min_share: Score
    min_frames: Annotated[int, Field(ge=1)]
    min_frame_share: Score


class BrandPictureRules(SeenLongEnough):
    """A brand's logo seen. Likeness (a cosine) from `similar` to 1 makes a score from `score` to `most`; the next brand
    must be less alike by `lead`."""

    score: Score
    most: Score
    similar: Score
    lead: Score


class HiddenLogoRules(SeenLongEnough):
    """A hidden place; one that is larger than `max_share` of the frame hides more than a logo."""

    score: Score
    max_share: Score


class PriceScores(Strict):
    below_floor: Score
    severe: Score


class PriceRules(Strict):
    severe_factor: Annotated[float, Field(gt=0, lt=1)]
    score: PriceScores
    exempt_words: tuple[str, ...]


class QrScores(Strict):
    contact: Score
    other: Score


class QrRules(Strict):
    score: QrScores
    contact: tuple[Regex, ...]
    allowed: tuple[Regex, ...] = ()


class PolicyFile(Strict):
    """policy.yaml."""

    version_of_schema: Literal[1] = Field(alias="schema")
    name: str
    version: str
    lexicon_scores: LexiconScores
    score_comments: bool = False
    labels: dict[str, LabelPolicy]
    switches: tuple[Switch, ...] = ()
    disabled_guards: tuple[str, ...] = ()
    brand_words: BrandWordRules
    brand_pictures: BrandPictureRules
    hidden_logos: HiddenLogoRules
    price: PriceRules
    qualification_score: Score
    qr: QrRules

    @field_validator("labels")
    @classmethod
    def _every_label(cls, value: dict[str, LabelPolicy]) -> dict[str, LabelPolicy]:
        if unknown := sorted(set(value) - set(LABELS)):
            raise ValueError(f"no such label: {', '.join(unknown)}; labels: {', '.join(LABELS)}")
        if missing := [label for label in LABELS if label not in value]:
            raise ValueError(f"labels missing: {', '.join(missing)}; add them, with `off` where they are not wanted")
        return value


class Brand(Strict):
    """One consumer brand. `ambiguous` names are ordinary words and count only near a `context` word."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    names: Annotated[tuple[str, ...], Field(min_length=1)]
    ambiguous: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    floor_price: dict[Category, Annotated[float, Field(gt=0)]] = {}
    shared: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Brand:
        if stray := [name for name in self.ambiguous if name not in self.names]:
            raise ValueError(f"ambiguous names {stray} are not among `names`; add them there")
        if self.ambiguous and not self.context:
            raise ValueError("`ambiguous` needs `context`: the words that must be near")
        return self


class BrandsFile(Strict):
    """brands.yaml. Floor prices are in CNY for new goods."""

    brands: tuple[Brand, ...]

    @field_validator("brands")
    @classmethod
    def _unique(cls, value: tuple[Brand, ...]) -> tuple[Brand, ...]:
        seen: dict[str, str] = {}
        for brand in value:
            for name in {brand.key, *(n.lower() for n in brand.names)}:
                if seen.setdefault(name, brand.key) != brand.key:
                    raise ValueError(f"'{name}' names both {seen[name]} and {brand.key}; keep one")
        return value


class Qualification(Strict):
    """A licence or mark, told by the form of its number."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str = ""
    pattern: Regex
    example: str
    not_example: str

    @model_validator(mode="after")
    def _examples_hold(self) -> Qualification:
        if not re.search(self.pattern, self.example, re.IGNORECASE):
            raise ValueError(f"pattern does not match its example {self.example!r}; mend one of them")
        if re.search(self.pattern, self.not_example, re.IGNORECASE):
            raise ValueError(f"pattern matches its not_example {self.not_example!r}; make it stricter")
        return self


class QualificationRule(Strict):
    """Goods of `category` (with one of the words of `when` in their texts) need one of `needs`."""

    category: Category
    always: bool = False
    when: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    needs: Annotated[tuple[Qualification, ...], Field(min_length=1)]
    basis: str
    note: str = ""

    @model_validator(mode="after")
    def _triggered(self) -> QualificationRule:
        if self.always == bool(self.when):
            raise ValueError("give either `always: true` or a list of words in `when`")
        return self


class QualificationsFile(Strict):
    """qualifications.yaml."""

    rules: tuple[QualificationRule, ...]

    def named(self, name: str) -> list[Qualification]:
        return [need for rule in self.rules for need in rule.needs if need.name == name]
