"""From evidence to a suggestion: thresholds, category switches, legal basis.

Everything that found something (terms, codes, metadata rules, and later the models) reports the same
`Finding`; this module gives each its action and sums them up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from moderation.metadata import VideoMetadata
from moderation.policy.load import Policy
from moderation.policy.schema import LabelPolicy, Switch
from moderation.text.reading import Reading
from moderation.types import LABELS, Action, Finding

# What a bundle suggests for labels whose threshold is `auto`: label → (review, block).
AutoThresholds = Mapping[str, tuple[float, float]]
MOST_OF_A_TERM = 60


def term_findings(policy: Policy, readings: Sequence[Reading], meta: VideoMetadata | None) -> list[Finding]:
    """Findings of the lexicon. A term's strength names its action; `off` lowers or drops it."""
    findings = []
    for reading in readings:
        utterance, match = reading.utterance, reading.match
        if utterance.source == "comment" and not policy.rules.score_comments:
            continue
        label = policy.rules.labels[match.label]
        action = _strength_action(label, match.strength)
        if action is Action.PASS or switched_off(policy, match.label, meta):
            continue
        scores = policy.rules.lexicon_scores
        findings.append(
            Finding(
                label=match.label,
                score=scores.block if match.strength == "block" else scores.review,
                action=action,
                source=utterance.source,
                detector="lexicon",
                start_s=utterance.start_s,
                end_s=utterance.end_s,
                text=utterance.text,
                span=(match.start, match.end),
                normalised=match.normalised,
                box=utterance.box,
                basis=label.basis,
                how=f"{match.how}: {_shortened(match.term)} ({match.entry})",
            )
        )
    return findings


def _shortened(term: str) -> str:
    """A pattern may fill half a page; its place in the lexicon tells the rest."""
    return term if len(term) <= MOST_OF_A_TERM else f"{term[:MOST_OF_A_TERM]}…"


def settle(
    policy: Policy, finding: Finding, meta: VideoMetadata | None, auto: AutoThresholds | None = None
) -> Finding | None:
    """Give a scored finding its action and basis; None where it stays below review or is switched off."""
    label = policy.rules.labels[finding.label]
    action = _score_action(label, finding.score, (auto or {}).get(finding.label))
    if action is Action.PASS or switched_off(policy, finding.label, meta):
        return None
    return replace(finding, action=action, basis=label.basis)


def suggest(findings: Iterable[Finding]) -> Action:
    """The most severe action of all findings; pass where there is none."""
    return max((f.action for f in findings), key=lambda a: a.severity, default=Action.PASS)


def label_scores(findings: Iterable[Finding]) -> dict[str, float]:
    """The highest score of each label; 0 where nothing was found."""
    scores = dict.fromkeys(LABELS, 0.0)
    for finding in findings:
        scores[finding.label] = max(scores[finding.label], finding.score)
    return scores


def switched_off(policy: Policy, label: str, meta: VideoMetadata | None) -> bool:
    """Whether a category switch of the policy exempts this clip from `label`."""
    if meta is None or meta.category is None:
        return False
    return any(
        switch.label == label and meta.category in switch.categories and _qualified(policy, switch, meta)
        for switch in policy.rules.switches
    )


def _qualified(policy: Policy, switch: Switch, meta: VideoMetadata) -> bool:
    return all(
        any(
            re.search(need.pattern, given, re.IGNORECASE)
            for need in policy.qualifications.named(name)
            for given in meta.qualifications
        )
        for name in switch.needs_qualification
    )


def _strength_action(label: LabelPolicy, strength: str) -> Action:
    if strength == "block" and label.block != "off":
        return Action.BLOCK
    return Action.PASS if label.review == "off" else Action.REVIEW


def _score_action(label: LabelPolicy, score: float, auto: tuple[float, float] | None) -> Action:
    for action, threshold, calibrated in (
        (Action.BLOCK, label.block, auto[1] if auto else None),
        (Action.REVIEW, label.review, auto[0] if auto else None),
    ):
        limit = calibrated if threshold == "auto" else threshold
        if isinstance(limit, (int, float)) and score >= limit:
            return action
    return Action.PASS
