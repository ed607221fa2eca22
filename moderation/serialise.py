"""The contract's JSON: verdicts and text scores as plain objects, keys exactly as other programs read them."""

from __future__ import annotations

import json
from typing import Any

from moderation.types import LABELS, BankMatch, Finding, Utterance, Verdict

SCHEMA = 1


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """One verdict as the contract's object (schema 1)."""
    return {
        "schema": SCHEMA,
        "id": verdict.id,
        "path": verdict.path,
        "sha256": verdict.sha256,
        "duration_s": _seconds(verdict.duration_s),
        "suggestion": verdict.suggestion.value if verdict.suggestion else None,
        "findings": [finding_json(f) for f in verdict.findings],
        "scores": {label: round(verdict.scores.get(label, 0.0), 4) for label in LABELS},
        "transcript": [utterance_json(u) for u in verdict.transcript],
        "versions": {
            "moderation": verdict.versions.moderation,
            "policy": verdict.versions.policy,
            "bundles": dict(verdict.versions.bundles),
        },
        "timings_s": {name: round(value, 3) for name, value in verdict.timings_s.items()},
        "warnings": list(verdict.warnings),
        "error": {"code": verdict.error.code, "message": verdict.error.message} if verdict.error else None,
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """One finding; `how` is an addition to the contract's keys, for people."""
    return {
        "label": finding.label,
        "score": round(finding.score, 4),
        "action": finding.action.value,
        "source": finding.source,
        "start_s": _seconds(finding.start_s),
        "end_s": _seconds(finding.end_s),
        "text": finding.text,
        "span": list(finding.span) if finding.span else None,
        "normalised": finding.normalised,
        "box": finding.box.as_list() if finding.box else None,
        "match": _match_json(finding.match) if finding.match else None,
        "detector": finding.detector,
        "basis": finding.basis,
        "snapshot": finding.snapshot,
        "how": finding.how,
    }


def utterance_json(utterance: Utterance) -> dict[str, Any]:
    """One line of the transcript."""
    return {
        "start_s": _seconds(utterance.start_s),
        "end_s": _seconds(utterance.end_s),
        "text": utterance.text,
        "source": utterance.source,
    }


def json_line(value: dict[str, Any]) -> str:
    """One line of JSON, UTF-8 and not ASCII-escaped; lone surrogates (undecodable names) are escaped."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, allow_nan=False)
    return line


def _match_json(match: BankMatch) -> dict[str, Any]:
    return {
        "name": match.name,
        "similarity": round(match.similarity, 4),
        "picture": match.picture,
        "start_s": _seconds(match.start_s),
        "end_s": _seconds(match.end_s),
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
