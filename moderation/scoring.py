"""Score a text alone: the same terms and policy as a scan, without media."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moderation.metadata import VideoMetadata
from moderation.policy.decide import label_scores, suggest, term_findings
from moderation.policy.load import Policy
from moderation.text.matcher import TermMatcher
from moderation.text.reading import read
from moderation.types import TEXT_LABELS, Action, Source, Utterance


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


class TextScorer:
    """Scores texts with a policy loaded once; safe to share between threads."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._matcher = TermMatcher(policy.lexicon, policy.guards)

    @classmethod
    def load(cls, folder: Path | None = None) -> TextScorer:
        """With the policy of `folder`, or the shipped one. Raises PolicyError."""
        return cls(Policy.load(folder))

    def score(self, item: TextRequest) -> TextScore:
        """Scores, labels and evidence spans of one text."""
        utterance = Utterance(item.text, item.source)
        readings = read([utterance], self._matcher, category=item.category)
        meta = VideoMetadata.model_validate({"category": item.category}) if item.category else None
        findings = term_findings(self._policy, readings, meta)
        scores = label_scores(findings)
        return TextScore(
            id=item.id,
            scores={label: scores[label] for label in TEXT_LABELS},
            labels=tuple(label for label in TEXT_LABELS if scores[label] > 0),
            spans=tuple(TextSpan(f.label, f.span[0], f.span[1], f.score, f.detector) for f in findings if f.span),
            action=suggest(findings),
        )
