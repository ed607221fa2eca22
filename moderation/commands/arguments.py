"""What several subcommands share: parser set-up and common options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

SubParsers = Any  # argparse keeps the class private


def add_command(
    commands: SubParsers, name: str, run: Callable[[argparse.Namespace], int], *, summary: str, example: str
) -> argparse.ArgumentParser:
    """A subcommand whose --help ends with an example that can be pasted."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_policy_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", type=Path, metavar="DIR", help="policy folder instead of the shipped one")


def add_text_bundle_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--text-bundle", type=Path, metavar="DIR", help="bundle of the text classifier instead of the shipped one"
    )


def add_bank_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bank", type=Path, metavar="DIR", help="bank folder (default: $MODERATION_BANK, or the user's data folder)"
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line on standard output")
