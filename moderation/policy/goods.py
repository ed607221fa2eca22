"""Rules on the goods themselves: implausible prices and missing licences, from metadata and titles."""

from __future__ import annotations

import re
from functools import lru_cache

from moderation.metadata import VideoMetadata
from moderation.policy.brands import BrandWords, goods_words, speaks_of
from moderation.policy.schema import Brand, PriceRules, QualificationRule, QualificationsFile
from moderation.text.normalise import normalise
from moderation.types import Action, Finding


def price_findings(words: BrandWords, rules: PriceRules, meta: VideoMetadata) -> list[Finding]:
    """`price_anomaly`: a brand in title or description below its floor for new goods (CNY only)."""
    if meta.price is None or meta.category is None or meta.currency not in {None, "CNY"}:
        return []
    if _contains(_texts(meta), rules.exempt_words):
        return []
    findings = []
    for brand in _brands_named(words, meta):
        floor = brand.floor_price.get(meta.category)
        if floor is None or meta.price >= floor:
            continue
        severe = meta.price < floor * rules.severe_factor
        findings.append(
            Finding(
                label="price_anomaly",
                score=rules.score.severe if severe else rules.score.below_floor,
                action=Action.REVIEW,
                source="metadata",
                detector="price",
                text=f"{brand.key}: {meta.price:g} CNY",
                normalised=f"floor for {meta.category}: {floor:g} CNY",
                how=f"price: {meta.price:g} is below the floor of {floor:g} CNY for {brand.key} {meta.category}",
            )
        )
    return findings


def qualification_findings(rules: QualificationsFile, score: float, meta: VideoMetadata) -> list[Finding]:
    """`missing_qualification`: one finding for each rule that applies and is not met."""
    texts = _texts(meta)
    return [
        _missing(rule, score, meta)
        for rule in rules.rules
        if rule.category == meta.category and _applies(rule, texts) and not _met(rule, meta)
    ]


def _applies(rule: QualificationRule, texts: str) -> bool:
    return not _contains(texts, rule.unless) and (rule.always or _contains(texts, rule.when))


def _met(rule: QualificationRule, meta: VideoMetadata) -> bool:
    return any(re.search(need.pattern, given, re.IGNORECASE) for need in rule.needs for given in meta.qualifications)


def _missing(rule: QualificationRule, score: float, meta: VideoMetadata) -> Finding:
    needed = " / ".join(need.title or need.name for need in rule.needs)
    given = ", ".join(meta.qualifications) or "none"
    return Finding(
        label="missing_qualification",
        score=score,
        action=Action.REVIEW,
        source="metadata",
        detector="qualification",
        text=f"{meta.category}: {needed}",
        normalised=f"given: {given}",
        how=f"qualification: {rule.category} needs {needed}; given: {given}. {rule.basis}",
    )


def _brands_named(words: BrandWords, meta: VideoMetadata) -> list[Brand]:
    brands = {m.brand.key: m.brand for u in meta.utterances() for m in words.mentions(u, meta.category)}
    return list(brands.values())


def _texts(meta: VideoMetadata) -> str:
    """Title and description, normalised; the line break keeps words from forming across them."""
    return normalise("\n".join(u.text for u in meta.utterances())).text


def _contains(normalised: str, words: tuple[str, ...]) -> bool:
    return speaks_of(_compiled(words), normalised)


@lru_cache(maxsize=1024)
def _compiled(words: tuple[str, ...]) -> re.Pattern[str]:
    return goods_words(words)
