"""The user's own labels: JSON Lines or TSV, in any of the usual shapes, checked row by row before anything is trained.

A row has `text`, and its labels as one of
- `labels`: names separated by commas (JSON: a list); empty means none of the labels that the file is about;
- one column a label, with 1, 0 or nothing (not decided);
- `label`: 1 or 0 for the one label that `--label` names (binary data).
Optional: `category`, `source`, `group` (rows that must not be split apart), `language`, and in JSON `spans`
(`{"label", "start", "end"}`); a text may also carry its spans inline, `[words](label)`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from moderation.types import CATEGORIES, TEXT_LABELS, Source
from training.errors import DataError
from training.examples import Example, Span, parse_inline

_MOST_COMPLAINTS = 20
_MOST_CHARACTERS = 1 << 20
_OPTIONAL = {"id", "category", "source", "group", "language", "spans"}
_YES, _NO = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no"})


@dataclass(frozen=True, slots=True)
class _Shape:
    """Which labels the file is about, and how its rows say so."""

    labels: frozenset[str]
    columns: tuple[str, ...]
    binary: str | None


def load_table(path: Path, *, label: str | None = None, labels: Sequence[str] | None = None) -> list[Example]:
    """All rows of a file. `label` names the label of a 0/1 column `label`; `labels` what a `labels` column is about
    (default: those that occur in it).

    Raises DataError that lists the first rows with mistakes, each with its number; nothing is skipped silently
    but exact repetitions with the same labels.
    """
    rows = list(_rows(path))
    if not rows:
        raise DataError(f"{path}: no rows. Give a header and at least one text.")
    shape = _shape(path, rows, label, labels)
    examples: list[Example] = []
    complaints: list[str] = []
    seen: dict[str, tuple[int, Example]] = {}
    for number, row in rows:
        try:
            example = _example(path, number, row, shape)
        except DataError as error:
            complaints.append(f"row {number}: {error}")
            continue
        before = seen.setdefault(example.text, (number, example))
        if before[1] is example:
            examples.append(example)
        elif before[1].labels != example.labels:
            complaints.append(f"row {number}: the same text as row {before[0]} with other labels; keep one of them")
    if complaints:
        shown = "\n  ".join(complaints[:_MOST_COMPLAINTS])
        raise DataError(f"{path}: {len(complaints)} of {len(rows)} rows have mistakes:\n  {shown}")
    for name in sorted(shape.labels):
        decided = [name in e.labels for e in examples if name in e.known]
        if not any(decided) or all(decided):
            kind = "applies to none" if not any(decided) else "applies to all"
            raise DataError(f"{path}: {name} {kind} of the rows; add rows of the other kind, or leave the label out.")
    return examples


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their line numbers (a TSV's header is line 1)."""
    text = _decoded(path)
    if path.suffix.lower() in {".jsonl", ".json", ".ndjson"}:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield number, _json_row(path, number, line)
        return
    reader = csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    if not reader.fieldnames or "text" not in reader.fieldnames:
        raise DataError(f"{path}: the first line must name the columns, tab-separated, `text` among them.")
    for number, row in enumerate(reader, start=2):
        if None in row or None in row.values():
            raise DataError(f"{path}: row {number}: not {len(reader.fieldnames)} tab-separated cells.")
        yield number, {key.strip(): value for key, value in row.items()}


def _decoded(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    if b"\0" in raw:
        raise DataError(f"{path}: contains NUL bytes (UTF-16, or no text?). Save it as UTF-8.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        kind = "it looks like GBK" if _is_gbk(raw) else f"byte 0x{raw[error.start]:02x} is no UTF-8"
        hint = f"iconv -f GB18030 -t UTF-8 {path.name}" if _is_gbk(raw) else "convert it to UTF-8"
        raise DataError(f"{path}: row {line}: not UTF-8; {kind}. Run `{hint}`.") from error


def _is_gbk(raw: bytes) -> bool:
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return True


def _json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: row {number}: no valid JSON ({error}). Write one object a line.") from error
    if not isinstance(row, dict):
        raise DataError(f"{path}: row {number}: a JSON {type(row).__name__}, not an object.")
    return row


def _shape(
    path: Path, rows: Sequence[tuple[int, dict[str, Any]]], label: str | None, labels: Sequence[str] | None
) -> _Shape:
    keys = set().union(*(row for _, row in rows))
    _require_known(path, [*(labels or ()), *([label] if label else ())])
    if "label" in keys:
        if label is None:
            raise DataError(f"{path}: a column `label` with 1 and 0: say which label it is with --label NAME.")
        return _Shape(frozenset({label}), (), label)
    if "labels" in keys:
        named = labels or {name for _, row in rows for name in _names(row.get("labels")) if name in TEXT_LABELS}
        return _Shape(frozenset(named or TEXT_LABELS), (), None)
    columns = tuple(name for name in TEXT_LABELS if name in keys)
    if not columns:
        extra = sorted(keys - _OPTIONAL - {"text"})
        raise DataError(
            f"{path}: no labels: a column `labels`, `label` or one named as a label is needed; found "
            f"{', '.join(extra) or 'none besides text'}. Labels: {', '.join(TEXT_LABELS)}."
        )
    unknown = sorted(keys - _OPTIONAL - {"text"} - set(columns))
    if unknown:
        raise DataError(f"{path}: unknown columns {', '.join(unknown)}. Labels: {', '.join(TEXT_LABELS)}.")
    return _Shape(frozenset(columns), columns, None)


def _require_known(path: Path, names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in TEXT_LABELS]
    if unknown:
        raise DataError(f"{path}: unknown labels {', '.join(unknown)}. Labels: {', '.join(TEXT_LABELS)}.")


def _names(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(name) for name in value]
    return [name.strip() for name in str(value or "").replace(";", ",").split(",") if name.strip()]


def _example(path: Path, number: int, row: dict[str, Any], shape: _Shape) -> Example:
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        raise DataError("`text` is missing or empty")
    if len(text) > _MOST_CHARACTERS:
        raise DataError(f"{len(text)} characters; the limit is {_MOST_CHARACTERS}")
    text, inline = parse_inline(text)
    labels, known = _decided(row, shape)
    spans = (*inline, *_spans(row, len(text)))
    if stray := {s.label for s in spans} - labels:
        raise DataError(f"spans of {', '.join(sorted(stray))}, which the row does not have")
    category, source = row.get("category") or None, row.get("source") or "speech"
    if category is not None and category not in CATEGORIES:
        raise DataError(f"category {category!r} is not one of {', '.join(CATEGORIES)}")
    if source not in get_args(Source):
        raise DataError(f"source {source!r} is not one of {', '.join(get_args(Source))}")
    return Example(
        id=str(row.get("id") or f"{path.stem}-{number}"),
        text=text,
        labels=labels,
        category=category,
        source=source,
        group=str(row.get("group") or ""),
        language=str(row.get("language") or ("zh" if any("\u4e00" <= c <= "\u9fff" for c in text) else "en")),
        spans=spans,
        spans_known=labels <= {s.label for s in spans},
        known=known,
    )


def _decided(row: dict[str, Any], shape: _Shape) -> tuple[frozenset[str], frozenset[str]]:
    """Labels that apply, and labels that were decided."""
    if shape.binary:
        answer = _answer(row.get("label"), "label")
        if answer is None:
            raise DataError("`label` is empty; write 1 or 0")
        return frozenset({shape.binary} if answer else ()), shape.labels
    if not shape.columns:
        names = frozenset(_names(row.get("labels")))
        if stray := names - shape.labels:
            raise DataError(f"unknown labels {', '.join(sorted(stray))}; known: {', '.join(sorted(shape.labels))}")
        return names, shape.labels
    answers = {name: _answer(row.get(name), name) for name in shape.columns}
    known = frozenset(name for name, answer in answers.items() if answer is not None)
    return frozenset(name for name, answer in answers.items() if answer), known


def _answer(value: object, column: str) -> bool | None:
    text = str(value if value is not None else "").strip().lower()
    if not text:
        return None
    if text not in _YES | _NO:
        raise DataError(f"`{column}` is {text!r}; write 1 or 0")
    return text in _YES


def _spans(row: dict[str, Any], length: int) -> list[Span]:
    given = row.get("spans") or []
    if not isinstance(given, list):
        raise DataError("`spans` is no list")
    spans = []
    for item in given:
        try:
            span = Span(str(item["label"]), int(item["start"]), int(item["end"]))
        except (TypeError, KeyError, ValueError) as error:
            raise DataError("a span needs `label`, `start` and `end`") from error
        if not 0 <= span.start < span.end <= length:
            raise DataError(f"span {span.start}–{span.end} lies outside a text of {length} characters")
        spans.append(span)
    return spans
