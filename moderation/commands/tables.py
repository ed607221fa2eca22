"""Verdicts for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
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
    for finding in verdict.findings:
        for line in _lines(finding):
            console.print(line)
    for warning in verdict.warnings:
        console.print(f"  [yellow]warning[/yellow] {escape(warning)}")
    if page is not None:
        console.print(f"  report {escape(str(page))}", style="dim")
    console.print()


def summary_table(verdicts: Sequence[Verdict]) -> Table:
    """A clip a block: its verdict, and a row for each label with the first moment and words that speak for it."""
    table = Table(box=SIMPLE_HEAD, header_style="dim", padding=(0, 1), pad_edge=False)
    for column in ("verdict", "clip", "label", "at"):
        table.add_column(column, no_wrap=True)
    table.add_column("words", overflow="fold")
    for verdict in verdicts:
        outcome = verdict.suggestion.value if verdict.suggestion else "error"
        by_label: dict[str, list[Finding]] = {}
        for finding in verdict.findings:
            by_label.setdefault(finding.label, []).append(finding)
        head = (Text(f" {outcome.upper()} ", style=STYLES.get(outcome, "")), Path(verdict.path).name)
        rows = [_row(label, found) for label, found in by_label.items()]
        for number, row in enumerate(rows or [(verdict.error.code if verdict.error else "", "", Text())]):
            table.add_row(*(head if number == 0 else ("", "")), *row, end_section=number >= len(rows) - 1)
    return table


def _row(label: str, found: Sequence[Finding]) -> tuple[str, str, Text]:
    first = found[0]
    name = f"{label} ×{len(found)}" if len(found) > 1 else label
    return name, clock(first.start_s) if first.start_s is not None else first.source, Text(_quote(first))


def _lines(finding: Finding) -> Iterator[Text]:
    """A finding as people read it: what and when, the words with the offending ones marked, the law."""
    colour = "red" if finding.action.value == "block" else "yellow"
    what = Text.assemble(("  " + finding.action.value.ljust(7), f"bold {colour}"), (finding.label, "bold"))
    yield what.append(f"  {_when(finding)} {finding.source}".rstrip(), style="dim")
    words = Text("         ").append_text(_marked(finding))
    if finding.normalised and finding.normalised not in (finding.text or ""):
        words.append(f"  → {finding.normalised}", style="dim")
    yield words
    yield Text(f"         {finding.basis}", style="dim")


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
