"""Verdicts for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from moderation.report.page import clock
from moderation.types import Finding, Verdict

STYLES = {"pass": "bold white on green", "review": "bold black on yellow", "block": "bold white on red"}


def verdict_panel(verdict: Verdict, page: Path | None) -> None:
    """Print one verdict with its findings and warnings."""
    console = Console(highlight=False)
    outcome = verdict.suggestion.value if verdict.suggestion else "error"
    head = Text.assemble((f" {outcome.upper()} ", STYLES.get(outcome, "bold white on grey30")), f"  {verdict.path}")
    head.append(f"  {clock(verdict.duration_s)}  scored in {verdict.timings_s.get('total', 0.0):.1f} s", style="dim")
    console.print(head)
    if verdict.error:
        console.print(f"  [red]{verdict.error.code}[/red]: {escape(verdict.error.message)}")
    if verdict.findings:
        console.print(_findings(verdict.findings))
    for warning in verdict.warnings:
        console.print(f"  [yellow]warning[/yellow] {escape(warning)}")
    if page is not None:
        console.print(f"  report {escape(str(page))}", style="dim")
    console.print()


def summary_table(rows: Sequence[tuple[Verdict, Path]]) -> Table:
    """One line a clip: verdict, what was found first, the name of its page."""
    table = Table(title=None, header_style="bold", expand=False)
    for column in ("verdict", "clip", "evidence", "page"):
        table.add_column(column, overflow="fold")
    for verdict, page in rows:
        outcome = verdict.suggestion.value if verdict.suggestion else "error"
        words = [f"{f.label} {_when(f)}: {_quote(f)}" for f in verdict.findings[:3]]
        if len(verdict.findings) > 3:
            words.append(f"and {len(verdict.findings) - 3} more")
        evidence = "\n".join(words) or (verdict.error.code if verdict.error else "–")
        badge = Text(f" {outcome.upper()} ", style=STYLES.get(outcome, ""))
        table.add_row(badge, Path(verdict.path).name, Text(evidence), page.name)
    return table


def _findings(findings: Sequence[Finding]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 2))
    for column in ("action", "label", "time", "source", "words", "read as", "law"):
        table.add_column(column, overflow="fold")
    for f in findings:
        colour = "red" if f.action.value == "block" else "yellow"
        table.add_row(
            Text(f.action.value, style=colour), f.label, _when(f), f.source, _marked(f), f.normalised or "", f.basis
        )
    return table


def _when(finding: Finding) -> str:
    return "" if finding.start_s is None else f"{clock(finding.start_s)}–{clock(finding.end_s)}"


def _quote(finding: Finding) -> str:
    text = finding.text or finding.how
    if finding.span:
        return text[finding.span[0] : finding.span[1]]
    return text[:60]


def _marked(finding: Finding) -> Text:
    text = Text((finding.text or "")[:200])
    if finding.span:
        text.stylize("bold underline", finding.span[0], finding.span[1])
    return text
