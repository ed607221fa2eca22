"""`moderation bank`: add, list, switch off and remove what scans are compared with: known clips, brands' logos."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
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
    parser = commands.add_parser("bank", help="what scans are compared with: known clips and logos")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = add_command(
        actions,
        "add",
        run_add,
        summary="add clips that were confirmed as violations, or pictures of a brand's logo",
        example='  moderation bank add --kind violation "tea that cures diabetes" clip.mp4\n'
        "  moderation bank add --kind brand Nike swoosh.svg shoe.jpg",
    )
    add.add_argument("--kind", choices=get_args(Kind), required=True, help="what it is")
    add.add_argument("name", metavar="NAME", help="what reviewers will read; the brand's name")
    add.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE", help="a video or picture; of a brand, its logo as SVG or picture"
    )
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
        one.add_argument(
            "id", metavar="ID", help="its id or the beginning of it, see `list`; of a brand of the program, its name"
        )
    listing.add_argument("--starter", action="store_true", help="also list the brands that come with the program")
    for one in (add, listing, disable, enable, remove):
        add_bank_option(one)
        add_json_option(one)


def run_add(args: argparse.Namespace) -> int:
    """Every file is tried; 1 where one could not be read or is there already."""
    bank, failed, added = _bank(args), False, []
    add = _clip_adder(bank, args.name) if args.kind == "violation" else _brand_adder(bank, args.name)
    for path in args.paths:
        try:
            added.append(add(path))
        except (InputError, BankError) as error:
            sys.stderr.write(f"moderation bank: {error}\n")
            failed = True
    _show(added, as_json=args.json)
    return 1 if failed else 0


def run_list(args: argparse.Namespace) -> int:
    """The user's own entries, then how many brands come with the program (all of them with `--starter`)."""
    bank = _bank(args)
    starter, off = _starter(), bank.starter_off()
    shown = [e.model_copy(update={"enabled": e.id not in off}) for e in starter.values()]
    _show([*bank.entries(), *(shown if args.starter else ())], as_json=args.json)
    if not args.starter and not args.json:
        in_use = sum(e.enabled for e in shown)
        print(f"and {in_use} of {len(shown)} brands that come with the program; `--starter` lists them")
    return 0


def run_disable(args: argparse.Namespace) -> int:
    return _switch(args, enabled=False)


def run_enable(args: argparse.Namespace) -> int:
    return _switch(args, enabled=True)


def run_remove(args: argparse.Namespace) -> int:
    if args.id in _starter():
        raise BankError(f"{args.id} comes with the program. `moderation bank disable {args.id}` puts it out of use.")
    _show([_bank(args).remove(args.id)], as_json=args.json)
    return 0


def _switch(args: argparse.Namespace, *, enabled: bool) -> int:
    """An own entry by its id or the beginning of it; one that comes with the program by its id or its brand's name."""
    bank = _bank(args)
    chosen = [e for e in _starter().values() if args.id == e.id or args.id.lower() == e.name.lower()]
    for entry in chosen:
        bank.enable_starter(entry.id, enabled=enabled)
    changed = [e.model_copy(update={"enabled": enabled}) for e in chosen]
    _show(changed or [bank.enable(args.id, enabled=enabled)], as_json=args.json)
    return 0


def _clip_adder(bank: BankFolder, name: str) -> Callable[[Path], BankEntry]:
    from moderation.bank.violations import hash_clip
    from moderation.media import open_media

    def add(path: Path) -> BankEntry:
        with open_media(path) as media:
            content = hash_clip(media)
            for warning in media.warnings:
                sys.stderr.write(f"moderation bank: {path}: {warning}\n")
            return bank.add("violation", media.sha256[:16], name, content.to_bytes(), media.info.duration_s)

    return add


def _brand_adder(bank: BankFolder, name: str) -> Callable[[Path], BankEntry]:
    from moderation.bank.brands import BrandContent
    from moderation.bank.pictures import read_picture
    from moderation.visual.logos import LogoFinder

    finder = LogoFinder()

    def add(path: Path) -> BankEntry:
        picture = read_picture(path)
        return bank.add("brand", picture.sha256[:16], name, BrandContent.of(picture, finder).to_bytes(), None)

    return add


def _starter() -> dict[str, BankEntry]:
    """Brands that come with the program, by id; none where it was installed without its logo bundle."""
    from moderation.bank.brands import starter_entries
    from moderation.inference.bundle import open_bundle, shipped_bundle

    folder = shipped_bundle("logo")
    return {} if folder is None else {e.id: e for e, *_ in starter_entries(open_bundle(folder))}


def _bank(args: argparse.Namespace) -> BankFolder:
    return BankFolder(args.bank or default_bank())


def _show(entries: Sequence[BankEntry], *, as_json: bool) -> None:
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
