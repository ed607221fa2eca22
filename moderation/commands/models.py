"""`moderation models`: what is loaded, with versions and SHA-256; `verify` hashes the files again."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from moderation.commands.arguments import SubParsers, add_command, add_json_option
from moderation.inventory import ModelFile, installed_models
from moderation.serialise import json_line


def add_parser(commands: SubParsers) -> None:
    parser = commands.add_parser("models", help="what is loaded, with versions and SHA-256")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = add_command(
        actions, "list", run_list, summary="list models with versions and hashes", example="  moderation models list"
    )
    add_json_option(listing)
    verify = add_command(
        actions,
        "verify",
        run_verify,
        summary="hash the files of all models and compare with what is expected",
        example="  moderation models verify",
    )
    add_json_option(verify)


def run_list(args: argparse.Namespace) -> int:
    _show(installed_models(), as_json=args.json)
    return 0


def run_verify(args: argparse.Namespace) -> int:
    files = installed_models()
    _show(files, as_json=args.json)
    # Speech is optional: a model that is not installed is no mistake, one that is not what it should be is.
    return 0 if all(f.is_verified or (f.sha256 is None and f.model == "asr") for f in files) else 1


def _show(files: list[ModelFile], *, as_json: bool) -> None:
    if as_json:
        for file in files:
            print(json_line(file.as_json()), flush=True)
        return
    table = Table(header_style="bold")
    for column in ("model", "version", "file", "MB", "sha256", "state"):
        table.add_column(column, overflow="fold")
    for f in files:
        table.add_row(f.model, f.version, f.name, f"{f.size / 1e6:.1f}", (f.sha256 or "")[:16], f.state)
    Console().print(table)
