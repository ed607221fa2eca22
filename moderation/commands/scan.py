"""`moderation scan`: score videos and pictures, print a verdict for each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from moderation.commands.arguments import (
    SubParsers,
    add_bank_option,
    add_command,
    add_json_option,
    add_policy_option,
    add_text_bundle_option,
)
from moderation.serialise import json_line, verdict_json
from moderation.telemetry import settle_memory
from moderation.types import Verdict

if TYPE_CHECKING:
    from moderation.pipeline import Scan, Scanner
    from moderation.settings import ScanSettings

EXAMPLE = """  moderation scan clip.mp4 --meta clip.json --report out/
  moderation scan clips/*.mp4 --json > verdicts.jsonl"""


def add_parser(commands: SubParsers) -> None:
    parser = add_command(
        commands, "scan", run, summary="score videos and pictures, print a verdict for each", example=EXAMPLE
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a video, or a listing's picture")
    parser.add_argument("--meta", type=Path, metavar="FILE", help="metadata of the one PATH (else NAME.json beside it)")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write an HTML page with evidence for each PATH")
    parser.add_argument("--no-speech", action="store_true", help="do not run speech recognition")
    parser.add_argument("--refuse-long", action="store_true", help="refuse videos above the duration limit")
    add_policy_option(parser)
    add_text_bundle_option(parser)
    add_bank_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    if args.meta is not None and len(args.paths) > 1:
        sys.stderr.write("moderation scan: --meta goes with one PATH; put NAME.json beside each of several.\n")
        return 2
    with open_scanner(scan_settings(args)) as scanner:
        failed = False
        reports = Reports(args.report, scanner) if args.report else None
        for path, scan in scan_each(scanner, args.paths, args.meta, with_pictures=reports is not None):
            page = reports.add(scan, title=path.name) if reports else None
            show(scan.verdict, page, as_json=args.json)
            failed |= scan.verdict.error is not None
        if reports:
            reports.finish()
    return 1 if failed else 0


def open_scanner(settings: ScanSettings | None = None) -> Scanner:
    """A scanner with its models and policy loaded, which live as long as the command."""
    from moderation.pipeline import Scanner

    scanner = Scanner(settings)
    settle_memory()
    return scanner


def scan_settings(args: argparse.Namespace) -> ScanSettings:
    """The settings that the options of this command ask for."""
    from moderation.settings import ScanSettings
    from moderation.text.classifier import TextClassifierSettings

    settings = ScanSettings(policy=args.policy, text=TextClassifierSettings(bundle=args.text_bundle))
    if args.bank is not None:
        settings = replace(settings, bank=args.bank)
    if args.no_speech:
        settings = replace(settings, speech=None)
    if args.refuse_long:
        settings = replace(settings, limits=replace(settings.limits, refuse_long=True))
    return settings


def scan_each(
    scanner: Scanner, paths: Iterable[Path], meta: Path | None = None, *, with_pictures: bool
) -> Iterator[tuple[Path, Scan]]:
    """Scan paths in turn; a progress bar on a terminal when there are several."""
    todo = list(paths)
    for path in tqdm(todo, unit="clip", disable=len(todo) < 2 or not sys.stderr.isatty(), file=sys.stderr):
        yield path, scanner.scan(path, meta_path=meta, with_pictures=with_pictures)


def show(verdict: Verdict, page: Path | None, *, as_json: bool) -> None:
    """Print one verdict: a JSON line, or a table for people."""
    if as_json:
        print(json_line(verdict_json(verdict)), flush=True)
        return
    from moderation.commands.tables import verdict_panel

    verdict_panel(verdict, page)


class Reports:
    """Writes report pages into a folder, and an index when there are several. Names never collide."""

    def __init__(self, folder: Path, scanner: Scanner) -> None:
        self._folder = folder
        self._rules = scanner.policy.rules
        self._entries: list[tuple[Verdict, str]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, scan: Scan, *, title: str) -> Path:
        """Write one page and its snapshots; returns the page's path."""
        from moderation.evidence import write_snapshots
        from moderation.report import render_report

        name = self._free_name(scan.verdict.id)
        page = render_report(scan.verdict, scan.evidence, self._rules, title=title)
        path = self._folder / name
        path.write_text(page, "utf-8")
        if scan.evidence is not None:
            write_snapshots(self._folder, scan.evidence)
        self._entries.append((scan.verdict, name))
        return path

    def finish(self) -> Path | None:
        """Write the index of several pages."""
        from moderation.report import render_index

        if len(self._entries) < 2:
            return None
        path = self._folder / "index.html"
        path.write_text(render_index(self._entries), "utf-8")
        return path

    def _free_name(self, video_id: str) -> str:
        stem = video_id.encode("utf-8", "replace").decode("utf-8").replace("/", "_") or "clip"
        taken = {name for _, name in self._entries} | {"index.html"}
        name, count = f"{stem}.html", 1
        while name in taken:
            count += 1
            name = f"{stem}-{count}.html"
        return name
