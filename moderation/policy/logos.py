"""What was seen of logos → findings: a brand that the seller has no authorisation for, and a logo that was hidden."""

from __future__ import annotations

from collections.abc import Sequence

from moderation.metadata import VideoMetadata
from moderation.policy.brands import BrandWords
from moderation.policy.schema import BrandPictureRules, HiddenLogoRules, SeenLongEnough
from moderation.types import Action, BankMatch, Finding
from moderation.visual.known_brands import BrandMatch
from moderation.visual.sightings import LogoSighting


def logo_findings(
    words: BrandWords, rules: BrandPictureRules, sightings: Sequence[LogoSighting], meta: VideoMetadata, frames: int
) -> list[Finding]:
    """`brand_unauthorised` for each brand of the bank that was seen large and long enough, its surest sighting.

    `frames` is how many were looked at in the whole video: a picture, or a clip of a second, need show it only once.
    """
    authorised = words.keys(meta.authorised_brands)
    best: dict[str, tuple[BrandMatch, LogoSighting]] = {}
    for seen in sightings:
        match = seen.match
        if match is None or not _long_enough(rules, seen, frames) or match.lead < rules.lead:
            continue
        if words.keys([match.name]) & authorised:
            continue
        known = best.get(match.name)
        if known is None or match.similarity > known[0].similarity:
            best[match.name] = match, seen
    return [_brand_finding(rules, match, seen) for match, seen in best.values()]


def hidden_logo_findings(rules: HiddenLogoRules, sightings: Sequence[LogoSighting], frames: int) -> list[Finding]:
    """`logo_obscured` for each place that stayed hidden large and long enough."""
    return [
        Finding(
            label="logo_obscured",
            score=round(min(rules.score + (1.0 - rules.score) * seen.score / 2, 1.0), 4),
            action=Action.REVIEW,
            source="visual",
            detector="obscured-logo",
            start_s=seen.start_s,
            end_s=seen.end_s,
            box=seen.box,
            how=f"hidden in {seen.frames} of {seen.looked} frames, {seen.share:.1%} of the picture; "
            f"detector {seen.score:.2f}",
        )
        for seen in sightings
        if seen.match is None and seen.share <= rules.max_share and _long_enough(rules, seen, frames)
    ]


def _long_enough(rules: SeenLongEnough, seen: LogoSighting, frames: int) -> bool:
    """Large enough once, and in at least k frames and a share of those in between; k is less in a video of few."""
    often = seen.frames >= min(rules.min_frames, frames) and seen.frames >= rules.min_frame_share * seen.looked
    return often and seen.share >= rules.min_share


def _brand_finding(rules: BrandPictureRules, match: BrandMatch, seen: LogoSighting) -> Finding:
    sure = (match.similarity - rules.similar) / (1.0 - rules.similar)
    return Finding(
        label="brand_unauthorised",
        score=round(rules.score + (rules.most - rules.score) * min(max(sure, 0.0), 1.0), 4),
        action=Action.REVIEW,
        source="visual",
        detector="logo",
        start_s=seen.start_s,
        end_s=seen.end_s,
        text=match.name,
        box=seen.box,
        match=BankMatch(match.name, round(match.similarity, 4), picture=f"bank/{match.id}/logo.jpg"),
        how=f"brand: looks like {match.name} ({match.similarity:.2f}) in {seen.frames} of {seen.looked} frames, "
        f"{seen.share:.1%} of the picture; not among authorised_brands",
    )
