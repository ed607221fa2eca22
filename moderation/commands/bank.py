"""`moderation bank`: add, list, switch off and remove what later scans are compared with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moderation.bank.folder import BankEntry, BankFolder, Kind, default_bank
from moderation.commands.arguments import SubParsers, add_bank_option, add_command, add_json_option
from moderation.errors import BankError, InputError
from moderation.serialise import json_line


def add_parser(commands: SubParsers) -> None:
    parser = commands.add_parser("bank", help="what scans are compared with: clips that were confirmed as violations")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = add_command(
        actions,
        "add",
        run_add,
        summary="add a clip that was confirmed as a violation",
        example='  moderation bank add --kind violation "tea that cures diabetes" clip.mp4',
    )
    add.add_argument("--kind", choices=get_args(Kind), required=True, help="what it is")
    add.add_argument("name", metavar="NAME", help="what reviewers will read")
    add.add_argument("paths", nargs="+", type=Path, metavar="CLIP", help="a video or picture")
    listing = add_command(actions, "list", run_list, summary="list the bank", example="  moderation bank list")
    disable = add_command(
        actions,
        "disable",
        run_disable,
        summary="keep an entry without using it",
        example="  moderation bank disable 3f2a9c",
    )
    enable = add_command(
        actions, "enable", run_enable, summary="use an entry again", example="  moderation bank enable 3f2a9c"
    )
    remove = add_command(
        actions, "remove", run_remove, summary="delete an entry", example="  moderation bank remove 3f2a9c"
    )
    for one in (disable, enable, remove):
        one.add_argument("id", metavar="ID", help="its id or the beginning of it, see `list`")
    for one in (add, listing, disable, enable, remove):
        add_bank_option(one)
        add_json_option(one)


def run_add(args: argparse.Namespace) -> int:
    """Every clip is tried; 1 where one could not be read or is there already."""
    from moderation.bank.violations import hash_clip
    from moderation.media import open_media

    bank, failed, added = _bank(args), False, []
    for path in args.paths:
        try:
            with open_media(path) as media:
                content = hash_clip(media)
                for warning in media.warnings:
                    sys.stderr.write(f"moderation bank: {path}: {warning}\n")
                duration = media.info.duration_s
                added.append(bank.add(args.kind, media.sha256[:16], args.name, content.to_bytes(), duration))
        except (InputError, BankError) as error:
            sys.stderr.write(f"moderation bank: {error}\n")
            failed = True
    _show(added, as_json=args.json)
    return 1 if failed else 0


def run_list(args: argparse.Namespace) -> int:
    _show(_bank(args).entries(), as_json=args.json)
    return 0


def run_disable(args: argparse.Namespace) -> int:
    _show([_bank(args).enable(args.id, enabled=False)], as_json=args.json)
    return 0


def run_enable(args: argparse.Namespace) -> int:
    _show([_bank(args).enable(args.id, enabled=True)], as_json=args.json)
    return 0


def run_remove(args: argparse.Namespace) -> int:
    _show([_bank(args).remove(args.id)], as_json=args.json)
    return 0


def _bank(args: argparse.Namespace) -> BankFolder:
    return BankFolder(args.bank or default_bank())


def _show(entries: tuple[BankEntry, ...] | list[BankEntry], *, as_json: bool) -> None:
    if as_json:
        for entry in entries:
            print(json_line(entry.model_dump(mode="json")), flush=True)
        return
    if not entries:
        return
    table = Table(header_style="bold")
    for column in ("id", "kind", "name", "seconds", "added", "in use"):
        table.add_column(column, overflow="fold")
    for e in entries:
        seconds = "" if e.duration_s is None else f"{e.duration_s:.1f}"
        table.add_row(e.id, e.kind, escape(e.name), seconds, e.added, "yes" if e.enabled else "no")
    Console().print(table)
