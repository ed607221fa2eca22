"""One labelled text, and the way it is written in a file: `喝了它[糖尿病都能好](medical_claim)`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from moderation.types import TEXT_LABELS
from training.errors import DataError

_SPAN = re.compile(r"\[([^\[\]]+)\]\(([a-z_, ]+)\)")


@dataclass(frozen=True, slots=True)
class Span:
    """Words that carry a label: half-open character range of the text."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Example:
    """A text with what is known about it.

    `labels` are those that apply, `known` those that were decided at all: the rest count neither for nor against.
    `spans_known` says whether `spans` names all evidence. Examples of one `group` are never split apart.
    `kind` is `ordinary` for copy that does not even resemble a violation, else empty.
    """

    id: str
    text: str
    labels: frozenset[str]
    category: str | None = None
    source: str = "speech"
    group: str = ""
    language: str = "zh"
    spans: tuple[Span, ...] = ()
    spans_known: bool = True
    known: frozenset[str] = field(default=frozenset(TEXT_LABELS))
    kind: str = ""


def parse_inline(marked: str, *, names: Iterable[str] = TEXT_LABELS) -> tuple[str, tuple[Span, ...]]:
    """The text without its marks, and the spans. Raises DataError at an unknown label or a broken mark."""
    known, text, spans, at = set(names), [], [], 0
    length = 0
    for mark in _SPAN.finditer(marked):
        before = marked[at : mark.start()]
        text.append(before)
        length += len(before)
        for label in (name.strip() for name in mark[2].split(",")):
            if label not in known:
                raise DataError(f"unknown label {label!r} in {mark[0]!r}. Labels: {', '.join(sorted(known))}.")
            spans.append(Span(label, length, length + len(mark[1])))
        text.append(mark[1])
        length += len(mark[1])
        at = mark.end()
    text.append(marked[at:])
    plain = "".join(text)
    if "](" in plain:
        raise DataError(f"a broken mark in {marked!r}. Write [words](label) or [words](label,label).")
    return plain, tuple(spans)


def format_inline(text: str, spans: Iterable[Span]) -> str:
    """The inverse of `parse_inline`; spans that overlap in part are given as one mark over both."""
    merged: list[tuple[int, int, list[str]]] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if merged and span.start < merged[-1][1]:
            start, end, labels = merged[-1]
            merged[-1] = (start, max(end, span.end), [*labels, *([span.label] if span.label not in labels else [])])
        else:
            merged.append((span.start, span.end, [span.label]))
    for start, end, labels in reversed(merged):
        text = f"{text[:start]}[{text[start:end]}]({','.join(labels)}){text[end:]}"
    return text
