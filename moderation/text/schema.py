"""YAML read with the line of every value, and mistakes collected rather than raised one at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from moderation.errors import PolicyError


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing wrong in a policy file: where, what, and what to do. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f" -> {self.fix}" if self.fix else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{fix}"


def raise_for(mistakes: Iterable[Mistake]) -> None:
    """Raise PolicyError with every mistake on a line of its own, if there is one."""
    lines = [str(m) for m in sorted(mistakes)]
    if lines:
        raise PolicyError(f"{len(lines)} mistake(s) in the policy:\n" + "\n".join(lines))


class Reader:
    """Checks YAML nodes against what is expected and notes each mistake with its place."""

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        self.path = path
        self.mistakes = mistakes

    def root(self) -> yaml.Node | None:
        """The document's root, or None (with a mistake noted) where it cannot be read."""
        try:
            with self.path.open(encoding="utf-8") as stream:
                node = yaml.compose(stream, Loader=_LOADER)
        except (OSError, UnicodeDecodeError) as error:
            self.mistakes.append(Mistake(self.path.name, 1, 1, f"cannot be read: {error}", "check the file"))
            return None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            problem = getattr(error, "problem", None) or str(error)
            fix = "quote the value with single quotes if it holds any of : , { } [ ] # *"
            self.mistakes.append(Mistake(self.path.name, line, column, f"not YAML: {problem}", fix))
            return None
        if node is None:
            self.mistakes.append(Mistake(self.path.name, 1, 1, "the file is empty", "write its keys, or delete it"))
        return node

    def note(self, node: yaml.Node, message: str, fix: str = "", *, column: int = 0) -> None:
        mark = node.start_mark
        self.mistakes.append(Mistake(self.path.name, mark.line + 1, mark.column + 1 + column, message, fix))

    def mapping(self, node: yaml.Node, known: Collection[str] | None = None) -> dict[str, yaml.Node]:
        """Key → node. Unknown and repeated keys are noted; `known` None accepts any name."""
        if not isinstance(node, yaml.MappingNode):
            self.note(node, "expected keys and values", "write {key: value, …}")
            return {}
        out: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if known is not None and name not in known:
                self.note(key, f"unknown key '{name}'", f"known keys: {', '.join(sorted(known))}")
            elif name in out:
                self.note(key, f"key '{name}' is given twice", "keep one")
            else:
                out[name] = value
        return out

    def items(self, node: yaml.Node | None) -> list[yaml.Node]:
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.note(node, "expected a list", "write [a, b, …]")
            return []
        return list(node.value)

    def text(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL or not node.value.strip():
            self.note(node, "expected text", "write it in single quotes")
            return None
        return node.value

    def texts(self, node: yaml.Node | None) -> tuple[str, ...]:
        """A list of strings; one string stands for a list of one."""
        if node is None:
            return ()
        nodes = [node] if isinstance(node, yaml.ScalarNode) else self.items(node)
        return tuple(t for n in nodes if (t := self.text(n)) is not None)

    def choice(self, node: yaml.Node, choices: Collection[str], what: str) -> str | None:
        value = self.text(node)
        if value is not None and value not in choices:
            self.note(node, f"unknown {what} '{value}'", f"one of: {', '.join(sorted(choices))}")
            return None
        return value

    def choices(self, node: yaml.Node | None, choices: Collection[str], what: str) -> tuple[str, ...]:
        return tuple(c for n in self.items(node) if (c := self.choice(n, choices, what)) is not None)

    def flag(self, fields: Mapping[str, yaml.Node], key: str, *, default: bool) -> bool:
        node = fields.get(key)
        if node is None:
            return default
        value = node.value.lower() if isinstance(node, yaml.ScalarNode) else ""
        if value not in ("true", "false"):
            self.note(node, f"'{key}' is true or false", "write true or false")
            return default
        return value == "true"

    def whole(self, fields: Mapping[str, yaml.Node], key: str, *, default: int, low: int, high: int) -> int:
        node = fields.get(key)
        if node is None:
            return default
        value: Any = node.value
        if not isinstance(value, str) or not value.isdecimal() or not low <= int(value) <= high:
            self.note(node, f"'{key}' is a whole number from {low} to {high}", f"write {key}: {default}")
            return default
        return int(value)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"
