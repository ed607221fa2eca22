"""The `moderation` console script: parse, call, print. Each subcommand is a module of `moderation.commands`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from moderation import __version__
from moderation.commands import bank, bench, demo, models, policy, scan, text
from moderation.errors import ModerationError
from moderation.telemetry import configure_logging

COMMANDS = (scan, text, demo, bank, policy, models, bench)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0 every input got a verdict, 1 some input failed, 2 wrong use."""
    args = _parser().parse_args(argv)
    configure_logging(args.log_level, as_json=args.log_json)
    try:
        return args.run(args)
    except ModerationError as error:
        # A bad policy folder or a missing model: nothing was scored, and the message says what to do.
        sys.stderr.write(f"moderation: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output is gone (`| head`); Python would complain once more while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="moderation",
        description="Score videos, pictures and texts of live commerce for prohibited claims and counterfeit cues.",
    )
    parser.add_argument("--version", action="version", version=f"moderation {__version__}")
    parser.add_argument("--log-level", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    parser.add_argument("--log-json", action="store_true", help="logs as JSON lines, for log collectors")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser
