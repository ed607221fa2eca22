"""The frozen dataclasses that cross room borders, in the order data flows.

Times are seconds as floats from the start of the video. Boxes are fractions of the displayed
frame (rotation applied, square pixels). Spans are half-open character ranges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Source = Literal["speech", "screen", "subtitle", "title", "description", "comment", "visual", "metadata", "bank"]
Detector = Literal["text-classifier", "lexicon", "logo", "obscured-logo", "qr", "price", "qualification", "bank"]

TEXT_LABELS: tuple[str, ...] = (
    "absolute_term", "medical_claim", "efficacy_guarantee", "income_guarantee", "education_guarantee",
    "price_deception", "authority_endorsement", "off_platform_diversion", "prohibited_goods",
    "disparagement", "superstition", "counterfeit_term",
)  # fmt: skip
PICTURE_LABELS: tuple[str, ...] = (
    "brand_unauthorised", "logo_obscured", "qr_code_diversion", "price_anomaly",
    "missing_qualification", "known_violation",
)  # fmt: skip
LABELS: tuple[str, ...] = TEXT_LABELS + PICTURE_LABELS

CATEGORIES: tuple[str, ...] = (
    "food", "health_food", "cosmetics", "drug", "medical_device", "apparel", "footwear", "bags",
    "jewellery", "appliance", "electronics", "finance", "education", "baby", "home", "other",
)  # fmt: skip


class Action(StrEnum):
    """What to do about a finding or a video, mildest first."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    REVIEW = "review"
    BLOCK = "block"

    @property
    def severity(self) -> int:
        return ("pass", "review", "block").index(self.value)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle as fractions (0..1) of the displayed frame, origin top left."""

    x0: float
    y0: float
    x1: float
    y1: float

    def as_list(self) -> list[float]:
        return [round(v, 4) for v in (self.x0, self.y0, self.x1, self.y1)]


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What the container declares and the probe confirmed.

    `width` and `height` are pixels as displayed (rotation and sample aspect ratio applied), 0
    without pictures. `duration_s` is None where the container states none.
    """

    container: str
    duration_s: float | None
    width: int
    height: int
    fps: float | None
    video_codec: str | None
    audio_codec: str | None
    subtitle_codecs: tuple[str, ...] = ()
    is_picture: bool = False

    @property
    def has_video(self) -> bool:
        return self.video_codec is not None

    @property
    def has_audio(self) -> bool:
        return self.audio_codec is not None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture.

    `image` is (H, W, 3) uint8, BGR (OpenCV's order), as displayed: rotation applied, square
    pixels. `pts_s` is the frame's own presentation time, not the time asked for.
    """

    pts_s: float
    image: NDArray[np.uint8]
    keyframe: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Mono float32 samples in -1..1 at `rate` Hz; `start_s` is the time of the first sample."""

    samples: NDArray[np.float32]
    rate: int = 16000
    start_s: float = 0.0

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Utterance:
    """Words with the time (and, on screen, the place) at which they were spoken or shown.

    `start_s` and `end_s` are None for title, description and other metadata. `confidence` is the
    recogniser's own figure in 0..1 where it has one.
    """

    text: str
    source: Source
    start_s: float | None = None
    end_s: float | None = None
    box: Box | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class BankMatch:
    """The bank entry that a finding matched, with the matched moment in the bank's own clip."""

    name: str
    similarity: float
    picture: str | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of evidence for one label, exactly as the contract prints it.

    `span` counts characters of `text`; `normalised` is the reading that matched; `how` says in a
    few words for people what matched and by which route (spelling, sound, pattern).
    """

    label: str
    score: float
    action: Action
    source: Source
    detector: Detector
    start_s: float | None = None
    end_s: float | None = None
    text: str | None = None
    span: tuple[int, int] | None = None
    normalised: str | None = None
    box: Box | None = None
    match: BankMatch | None = None
    basis: str = ""
    snapshot: str | None = None
    how: str = ""


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """The `error` object of a failed verdict."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Versions:
    """What produced a verdict: software, policy hash, and each model that was used."""

    moderation: str
    policy: str
    bundles: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one video, picture or live segment."""

    id: str
    path: str
    sha256: str | None
    duration_s: float | None
    suggestion: Action | None
    findings: tuple[Finding, ...]
    scores: dict[str, float]
    transcript: tuple[Utterance, ...]
    versions: Versions
    timings_s: dict[str, float]
    warnings: tuple[str, ...] = ()
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A text with the goods' category and where it was seen, as far as known."""

    id: Any
    text: str
    category: str | None = None
    source: Source = "speech"


@dataclass(frozen=True, slots=True)
class TextSpan:
    """Evidence in a text: half-open character offsets into it as given."""

    label: str
    start: int
    end: int
    score: float
    detector: str


@dataclass(frozen=True, slots=True)
class TextScore:
    """The answer for one text; `labels` are those at the review threshold or above."""

    id: Any
    scores: dict[str, float]
    labels: tuple[str, ...]
    spans: tuple[TextSpan, ...]
    action: Action

    def as_json(self) -> dict[str, Any]:
        """The contract's object of `moderation text --json`."""
        return {
            "id": self.id,
            "scores": {label: round(score, 4) for label, score in self.scores.items()},
            "labels": list(self.labels),
            "spans": [
                {"label": s.label, "start": s.start, "end": s.end, "score": round(s.score, 4), "detector": s.detector}
                for s in self.spans
            ],
        }
