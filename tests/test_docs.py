"""What the README promises exists: commands, make targets, rooms, file sizes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from moderation.cli import COMMANDS, _parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
ROOMS = sorted(p for p in (ROOT / "moderation").iterdir() if p.is_dir() and (p / "__init__.py").exists())


@pytest.mark.parametrize("command", [c.__name__.rsplit(".", 1)[1] for c in COMMANDS])
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert f"moderation {command}" in README


@pytest.mark.parametrize("command", [c.__name__.rsplit(".", 1)[1] for c in COMMANDS])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = {"policy": ["check"], "models": ["list"], "bank": ["add"]}
    words = [command, *first.get(command, [])]
    with pytest.raises(SystemExit) as stop:
        _parser().parse_args([*words, "--help"])
    assert stop.value.code == 0
    assert "example:" in capsys.readouterr().out


def _readme_commands() -> list[str]:
    blocks = re.findall(r"```(?:sh|console|bash)\n(.*?)```", README, re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("moderation ")]


@pytest.mark.parametrize("line", _readme_commands())
def test_every_command_line_of_the_readme_parses(line: str) -> None:
    words = shlex.split(line.split(" > ")[0].split(" < ")[0].split(" | ")[0])
    _parser().parse_args(words[1:])


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", README, re.MULTILINE))
    assert {a or b for a, b in named} <= targets


@pytest.mark.parametrize("room", [*ROOMS, ROOT / "models", ROOT / "training", ROOT / "configs"], ids=lambda p: p.name)
def test_every_room_has_a_readme(room: Path) -> None:
    if room.name == "commands":
        pytest.skip("one module a subcommand; the README at the top documents them")
    assert (room / "README.md").is_file()


def test_every_picture_and_link_of_the_readme_exists() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing


@pytest.mark.parametrize("path", sorted((ROOT / "moderation").rglob("*.py")), ids=lambda p: p.name)
def test_files_fit_in_the_head(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 500
