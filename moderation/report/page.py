"""Lay a verdict out for people: evidence frames, a timeline by label, the transcript, the law.

The page loads nothing from elsewhere and runs no script; a content-security policy in its head says so.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from moderation.evidence import Evidence, Moment
from moderation.policy.schema import PolicyFile
from moderation.types import LABELS, Finding, Utterance, Verdict

# One hue a label, by steps of the golden ratio around a wheel without the greens, which would say that all is well.
HUES = {label: (170 + round(index * 0.618034 * 260) % 260) % 360 for index, label in enumerate(LABELS)}


@dataclass(frozen=True, slots=True)
class Bar:
    """A finding on the timeline, in percent of the clip's length."""

    left: float
    width: float
    hint: str
    is_block: bool


def render_report(verdict: Verdict, evidence: Evidence | None, rules: PolicyFile, *, title: str | None = None) -> str:
    """The page of one verdict as HTML."""
    findings = sorted(
        verdict.findings, key=lambda f: (-f.action.severity, f.start_s if f.start_s is not None else -1.0)
    )
    return (
        _environment()
        .get_template("report.html")
        .render(
            v=verdict,
            title=title or verdict.path,
            findings=findings,
            moments={name: _data_uri(m) for name, m in evidence.moments.items()} if evidence else {},
            shapes={name: (m.width, m.height) for name, m in evidence.moments.items()} if evidence else {},
            strip=[(m.time_s, _data_uri(m)) for m in evidence.strip] if evidence else [],
            rows=_timeline(verdict),
            ticks=_ticks(verdict.duration_s),
            transcript=[(u, _mark(u, verdict.findings)) for u in verdict.transcript],
            labels=rules.labels,
            hues=HUES,
        )
    )


def render_index(entries: Sequence[tuple[Verdict, str]]) -> str:
    """A page that lists several verdicts; each entry is a verdict and the name of its report file."""
    return _environment().get_template("index.html").render(entries=entries, hues=HUES)


def marked_text(text: str, spans: Sequence[tuple[int, int, str]]) -> Markup:
    """`text` with each (start, end, label) span marked; overlapping spans are cut at each other's borders."""
    cuts = sorted({0, len(text), *(p for s, e, _ in spans for p in (s, e) if 0 <= p <= len(text))})
    parts: list[Markup] = []
    for start, end in pairwise(cuts):
        inside = sorted({label for s, e, label in spans if s <= start and end <= e})
        piece = escape(text[start:end])
        if inside:
            hue = HUES.get(inside[0], 0)
            piece = Markup('<mark style="--hue:{}" title="{}">{}</mark>').format(hue, ", ".join(inside), piece)
        parts.append(piece)
    return Markup("").join(parts)


def clock(seconds: float | None) -> str:
    """Seconds as m:ss.t for people; a dash without a time."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(max(seconds, 0.0), 60)
    return f"{int(minutes)}:{rest:04.1f}"


def _timeline(verdict: Verdict) -> list[tuple[str, list[Bar]]]:
    duration = verdict.duration_s or 0.0
    if duration <= 0:
        return []
    rows = []
    for label in LABELS:
        timed = [f for f in verdict.findings if f.label == label and f.start_s is not None]
        if timed:
            rows.append((label, [_bar(f, duration) for f in timed]))
    return rows


def _bar(finding: Finding, duration: float) -> Bar:
    start = min(finding.start_s or 0.0, duration)
    end = min(finding.end_s if finding.end_s is not None else start, duration)
    left = 100 * start / duration
    width = min(max(100 * (end - start) / duration, 0.8), 100 - left)
    hint = f"{clock(start)}–{clock(end)} {finding.source}: {(finding.text or '')[:80]}"
    return Bar(round(left, 2), round(width, 2), hint, finding.action.severity == 2)


def _ticks(duration: float | None) -> list[tuple[float, str]]:
    if not duration or duration <= 0:
        return []
    step = next((s for s in (1, 2, 5, 10, 30, 60, 300, 600, 1800) if duration / s <= 10), 3600)
    return [(round(100 * t / duration, 2), clock(t)[:-2]) for t in range(0, int(duration) + 1, step)]


def _mark(utterance: Utterance, findings: Sequence[Finding]) -> Markup:
    """Marks of every finding in this line, also of claims that were read across two lines."""
    spans = []
    for finding in findings:
        if finding.span is None or finding.text is None or finding.source != utterance.source:
            continue
        offset = finding.text.find(utterance.text)
        overlaps = utterance.start_s is None or (
            finding.start_s is not None
            and finding.end_s is not None
            and utterance.end_s is not None
            and finding.start_s <= utterance.end_s
            and utterance.start_s <= finding.end_s
        )
        if offset >= 0 and overlaps:
            start = max(finding.span[0] - offset, 0)
            end = min(finding.span[1] - offset, len(utterance.text))
            if start < end:
                spans.append((start, end, finding.label))
    return marked_text(utterance.text, spans)


def _data_uri(moment: Moment) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(moment.jpeg).decode("ascii")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("moderation.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["clock"] = clock
    environment.globals["marked"] = marked_text
    return environment
