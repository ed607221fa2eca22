"""From evidence to a suggestion: thresholds, category switches, legal basis.

Everything that found something (terms, the classifier, codes, metadata rules) reports the same `Finding`; this
module gives each its action and sums them up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from moderation.metadata import VideoMetadata
from moderation.policy.load import Policy
from moderation.policy.schema import LabelPolicy, Switch
from moderation.text.normalise import normalise
from moderation.text.reading import Reading
from moderation.types import LABELS, Action, Finding, Source

if TYPE_CHECKING:
    from moderation.text.meaning import Meaning

# What a bundle suggests for labels whose threshold is `auto`: label → (review, block); None means never.
AutoThresholds = Mapping[str, tuple[float, float | None]]
MOST_OF_A_TERM = 60


def term_findings(policy: Policy, readings: Sequence[Reading], meta: VideoMetadata | None) -> list[Finding]:
    """Findings of the lexicon. A term's strength names its action; `off` lowers or drops it."""
    findings = []
    for reading in readings:
        utterance, match = reading.utterance, reading.match
        if not counts(policy, utterance.source):
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


def classifier_findings(
    policy: Policy, meanings: Sequence[Meaning], meta: VideoMetadata | None, auto: AutoThresholds
) -> list[Finding]:
    """Findings of the classifier: one for each label that reaches review, with its strongest words as the span.

    What a part of a joined utterance says by itself is not said again by the whole.
    """
    findings = []
    for meaning in meanings:
        utterance = meaning.utterance
        if not counts(policy, utterance.source):
            continue
        for label, evidence in meaning.classification.evidence.items():
            rules, suggested = policy.rules.labels[label], auto.get(label)
            if any(_score_action(rules, p.scores[label], suggested) is not Action.PASS for p in meaning.parts):
                continue
            span = evidence.spans[0] if evidence.spans else (0, len(utterance.text))
            found = Finding(
                label=label,
                score=meaning.classification.scores[label],
                action=Action.PASS,
                source=utterance.source,
                detector="text-classifier",
                start_s=utterance.start_s,
                end_s=utterance.end_s,
                text=utterance.text,
                span=span,
                normalised=normalise(utterance.text[slice(*span)]).text,
                box=utterance.box,
                how="meaning: the words that weigh most",
            )
            settled = settle(policy, found, meta, auto)
            if settled is not None:
                findings.append(settled)
    return findings


def fuse(terms: Sequence[Finding], meant: Sequence[Finding]) -> list[Finding]:
    """Findings of both detectors, once where both mean the same words of the same utterance for the same label.

    The more severe one stays, and among equals the term, which names what was matched; it takes the higher score.
    """
    kept = list(terms)
    for finding in meant:
        twin = next((i for i, other in enumerate(kept) if _same_evidence(other, finding)), None)
        if twin is None:
            kept.append(finding)
            continue
        first, second = sorted((kept[twin], finding), key=lambda f: -f.action.severity)
        also = f"{first.how}; also {second.detector} ({second.score:.2f})"
        kept[twin] = replace(first, score=max(first.score, second.score), how=also)
    return kept


def counts(policy: Policy, source: Source) -> bool:
    """Whether words of this source are held against the seller at all."""
    return source != "comment" or policy.rules.score_comments


def _same_evidence(a: Finding, b: Finding) -> bool:
    if (a.label, a.source, a.text, a.start_s, a.end_s) != (b.label, b.source, b.text, b.start_s, b.end_s):
        return False
    return bool(a.span and b.span and a.span[0] < b.span[1] and b.span[0] < a.span[1])


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


def label_scores(
    policy: Policy, findings: Iterable[Finding], meanings: Iterable[Meaning] = (), meta: VideoMetadata | None = None
) -> dict[str, float]:
    """The highest score of each label, of findings and of what the classifier thought below every threshold.

    0 where nothing was found or looked at, and for labels that the policy switches off here.
    """
    scores = dict.fromkeys(LABELS, 0.0)
    for finding in findings:
        scores[finding.label] = max(scores[finding.label], finding.score)
    for meaning in meanings:
        if meaning.parts or not counts(policy, meaning.utterance.source):
            continue
        for label, score in meaning.classification.scores.items():
            if score > scores[label] and not switched_off(policy, label, meta):
                scores[label] = score
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


def _score_action(label: LabelPolicy, score: float, auto: tuple[float, float | None] | None) -> Action:
    for action, threshold, calibrated in (
        (Action.BLOCK, label.block, auto[1] if auto else None),
        (Action.REVIEW, label.review, auto[0] if auto else None),
    ):
        limit = calibrated if threshold == "auto" else threshold
        if isinstance(limit, (int, float)) and score >= limit:
            return action
    return Action.PASS
