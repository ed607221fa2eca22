"""YAML with line numbers: every value of a document can be traced to the line that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from moderation.text.schema import Mistake

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML file with the line (from 1) of each value, keyed by its path of keys and indices."""

    path: Path
    data: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """The line of the value at `location`, or of the nearest value around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def read_document(path: Path) -> Document | Mistake:
    """Parse one YAML file; a syntax error or an unreadable file is a Mistake."""
    try:
        text = path.read_text("utf-8")
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        return Mistake(path.name, 1, 1, f"cannot be read ({error.strerror})", "put the file there or check its rights")
    except UnicodeDecodeError as error:
        return Mistake(path.name, 1, 1, f"not UTF-8 (byte {error.start})", "save the file as UTF-8")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        fix = "quote the value if it holds any of : # { ["
        return Mistake(path.name, line, column, f"not YAML: {error.problem}", fix)
    lines: dict[Location, int] = {}
    duplicates: list[Mistake] = []
    if node is not None:
        _walk(node, (), lines, duplicates, path.name)
    return duplicates[0] if duplicates else Document(path, data, lines)


def _walk(
    node: yaml.Node, location: Location, lines: dict[Location, int], duplicates: list[Mistake], name: str
) -> None:
    lines[location] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child = (*location, key.value)
            if child in lines:
                # YAML keeps the last of two equal keys silently; a policy must not.
                mark = key.start_mark
                duplicates.append(
                    Mistake(name, mark.line + 1, mark.column + 1, f"key '{key.value}' is given twice", "keep one")
                )
            _walk(value, child, lines, duplicates, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*location, index), lines, duplicates, name)


def validate(document: Document, model: type[Model]) -> Model | list[Mistake]:
    """Check a document against a strict schema; each mistake carries its line and what to do."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        return [
            Mistake(document.path.name, document.line(tuple(e["loc"])), 1, *_explain(model, e)) for e in error.errors()
        ]


def _explain(model: type[BaseModel], error: Any) -> tuple[str, str]:
    """What is wrong and what to do about it."""
    where = ".".join(str(part) for part in error["loc"]) or "the file"
    if error["type"] == "extra_forbidden":
        return f"unknown key '{where}'", _known_keys(model, error["loc"])
    if error["type"] == "missing":
        return f"'{where}' is missing", "add it"
    message, _, fix = error["msg"].removeprefix("Value error, ").partition("; ")
    found = "" if isinstance(error["input"], (dict, list, tuple)) else f" (found: {str(error['input'])[:60]!r})"
    return f"'{where}': {message[:1].lower()}{message[1:]}{found}", fix


def _known_keys(model: Any, location: Location) -> str:
    """The keys allowed where an unknown one was found, so that the fix can be read off."""
    for part in location[:-1]:
        if isinstance(part, int) or not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        field = model.model_fields.get(part)
        if field is None:
            continue
        inner = [a for a in _flatten(field.annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
        model = inner[0] if inner else model
    fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
    return "known keys: " + ", ".join(f.alias or name for name, f in fields.items())


def _flatten(annotation: Any) -> list[Any]:
    args = getattr(annotation, "__args__", ())
    return [annotation, *(found for arg in args for found in _flatten(arg))] if args else [annotation]
