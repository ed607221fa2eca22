"""QR codes against the policy: whose code it is and where it leads."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

from moderation.policy.schema import QrRules
from moderation.types import Action, Finding
from moderation.visual.qr import CodeSighting

# What a reviewer sees of a payload; the rest of a long one says nothing more.
MAX_PAYLOAD = 500


def code_findings(rules: QrRules, sightings: Iterable[CodeSighting]) -> list[Finding]:
    """`qr_code_diversion` for each code that is not the platform's own; higher where it leads to a chat."""
    return [
        Finding(
            label="qr_code_diversion",
            score=rules.score.contact if _is_contact(rules, sighting.text) else rules.score.other,
            action=Action.REVIEW,
            source="visual",
            detector="qr",
            start_s=sighting.start_s,
            end_s=sighting.end_s,
            text=sighting.text[:MAX_PAYLOAD],
            normalised=sighting.text[:MAX_PAYLOAD],
            box=sighting.box,
            how=f"{sighting.symbology}: leads to {sighting.text[:80]}",
        )
        for sighting in sightings
        if not _matches(rules.allowed, sighting.text)
    ]


def _is_contact(rules: QrRules, payload: str) -> bool:
    # Full-width letters are read as plain ones, and an address inside another is read decoded.
    return _matches(rules.contact, unicodedata.normalize("NFKC", unquote(payload)))


def _matches(patterns: tuple[str, ...], payload: str) -> bool:
    return any(re.search(pattern, payload, re.IGNORECASE) for pattern in patterns)
