"""`moderation policy check`: validate a policy folder, explain each mistake with its line and the fix."""

from __future__ import annotations

import argparse
from pathlib import Path

from moderation.commands.arguments import SubParsers, add_command
from moderation.policy.check import check_policy

EXAMPLE = "  moderation policy check configs/policy"


def add_parser(commands: SubParsers) -> None:
    parser = commands.add_parser("policy", help="validate a policy")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = add_command(
        actions, "check", run, summary="explain each mistake of a policy with its line and fix", example=EXAMPLE
    )
    check.add_argument("path", type=Path, metavar="FILE", help="a policy folder, or one file of it")


def run(args: argparse.Namespace) -> int:
    result = check_policy(args.path)
    for mistake in result.mistakes:
        print(mistake)
    if result.mistakes:
        print(f"{len(result.mistakes)} mistake(s) in {args.path}")
        return 1
    print(f"{args.path}: no mistakes. {result.summary}")
    return 0
