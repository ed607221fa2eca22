"""`moderation demo`: the whole thing on sample clips that it makes itself, on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from tqdm import tqdm

from moderation.commands.arguments import SubParsers, add_command
from moderation.commands.scan import Reports, open_scanner, scan_each

EXAMPLE = "  moderation demo --once"


def add_parser(commands: SubParsers) -> None:
    parser = add_command(
        commands,
        "demo",
        run,
        summary="make sample clips, score them, show the verdicts and where their pages are",
        example=EXAMPLE,
    )
    parser.add_argument("--out", type=Path, default=Path("demo-out"), metavar="DIR", help="default: demo-out")
    parser.add_argument("--once", action="store_true", help="end after the verdicts (nothing else runs yet)")


def run(args: argparse.Namespace) -> int:
    from moderation.clips.make import make_clips
    from moderation.clips.samples import demo_plans
    from moderation.commands.tables import summary_table

    console = Console(highlight=False)
    plans = tqdm(demo_plans(), desc="making clips", unit="clip", disable=not sys.stderr.isatty())
    paths = make_clips(plans, args.out / "clips")
    verdicts, failed = [], False
    with open_scanner() as scanner:
        reports = Reports(args.out / "reports", scanner)
        for path, scan in scan_each(scanner, paths, with_pictures=True):
            reports.add(scan, title=path.name)
            verdicts.append(scan.verdict)
            failed |= scan.verdict.error is not None
        index = reports.finish()
    console.print(summary_table(verdicts))
    console.print(f"\nA page of evidence for each clip: {index.resolve().as_uri() if index else args.out}")
    console.print(f"Next: moderation scan YOUR_CLIP.mp4 --report {args.out / 'mine'}")
    return 1 if failed else 0
