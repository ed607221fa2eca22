"""Score a text alone: the same terms, classifier and policy as a scan, without media."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moderation.metadata import VideoMetadata
from moderation.policy.decide import classifier_findings, fuse, label_scores, suggest, term_findings
from moderation.policy.load import Policy
from moderation.text.classifier import Classification, TextClassifier, TextClassifierSettings
from moderation.text.matcher import TermMatch, TermMatcher, TextItem
from moderation.text.meaning import Meaning
from moderation.text.reading import Reading
from moderation.types import TEXT_LABELS, TextRequest, TextScore, TextSpan, Utterance


class TextScorer:
    """Scores texts with a policy and a classifier loaded once; safe to share between threads.

    `classifier` None leaves the terms alone to decide.
    """

    def __init__(self, policy: Policy, classifier: TextClassifier | None) -> None:
        self._policy = policy
        self._matcher = TermMatcher(policy.lexicon, policy.guards)
        self._classifier = classifier

    @classmethod
    def load(cls, folder: Path | None = None, bundle: Path | None = None) -> TextScorer:
        """With the policy and the bundle of these folders, or the shipped ones. Raises PolicyError, BundleError."""
        return cls(Policy.load(folder), TextClassifier(TextClassifierSettings(bundle=bundle)))

    def score(self, item: TextRequest) -> TextScore:
        """Scores, labels and evidence spans of one text."""
        return self.score_many([item])[0]

    def score_many(self, items: Sequence[TextRequest]) -> list[TextScore]:
        """The same for many texts, which costs much less than one by one."""
        texts = [TextItem(item.text, item.category, item.source) for item in items]
        matches = self._matcher.match_many(texts)
        classified = self._classifier.classify(texts) if self._classifier else [None] * len(items)
        return [self._decide(*parts) for parts in zip(items, matches, classified, strict=True)]

    def _decide(
        self, item: TextRequest, matches: Sequence[TermMatch], classification: Classification | None
    ) -> TextScore:
        utterance = Utterance(item.text, item.source)
        meta = VideoMetadata.model_validate({"category": item.category}) if item.category else None
        findings = term_findings(self._policy, [Reading(utterance, match) for match in matches], meta)
        meanings = [Meaning(utterance, classification)] if classification else []
        if self._classifier:
            auto = self._classifier.thresholds
            findings = fuse(findings, classifier_findings(self._policy, meanings, meta, auto))
        scores = label_scores(self._policy, findings, meanings, meta)
        found = {f.label for f in findings}
        return TextScore(
            id=item.id,
            scores={label: scores[label] for label in TEXT_LABELS},
            labels=tuple(label for label in TEXT_LABELS if label in found),
            spans=tuple(TextSpan(f.label, f.span[0], f.span[1], f.score, f.detector) for f in findings if f.span),
            action=suggest(findings),
        )
