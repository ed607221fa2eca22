"""`moderation bench`: measured speed of every stage on this machine, as a table and as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from moderation.commands.arguments import SubParsers, add_command, add_json_option
from moderation.serialise import json_line

if TYPE_CHECKING:
    from moderation.bench.run import Figure

STAGES = ("decode", "ocr", "logos", "text", "meaning", "scan", "scan-speech")
EXAMPLE = """  moderation bench
  moderation bench --stage text --stage decode --json"""


def add_parser(commands: SubParsers) -> None:
    parser = add_command(
        commands, "bench", run, summary="measured speed of every stage on this machine", example=EXAMPLE
    )
    parser.add_argument("--stage", action="append", choices=STAGES, help="only this stage; may be repeated")
    parser.add_argument("--no-speech", action="store_true", help="leave the scan with speech out")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the made clip in DIR")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    from moderation.bench.run import machine, run_bench

    stages = tuple(args.stage or STAGES)
    with tempfile.TemporaryDirectory() as scratch:
        figures = run_bench(args.keep or Path(scratch), stages=stages, speech=not args.no_speech)
        if args.json:
            print(json_line({"machine": machine()}), flush=True)
            for figure in figures:
                print(json_line(dataclasses.asdict(figure)), flush=True)
            return 0
        _table(figures, machine())
    return 0


def _table(figures: Iterable[Figure], on: dict[str, str | int]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=", ".join(str(v) for v in on.values()), header_style="bold")
    table.add_column("stage")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("target")
    for figure in figures:
        mark = "" if figure.met is None else " [green]met[/green]" if figure.met else " [red]missed[/red]"
        table.add_row(figure.stage, figure.name, f"{figure.value:g} {figure.unit}", f"{figure.target or ''}{mark}")
    Console().print(table)
