"""Guards and exemptions: when the words of a violation are none.

A guard looks at the clause and the sentence around a match: a denial before it, a warning after it,
a quotation, the hints and grades that the enforcement guide leaves alone. It never reaches across a
contrast (但是, but), because a disclaimer followed by a claim is still a claim. All of it is data in
`guards.yaml`; each guard carries examples that it must drop and must keep.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import yaml

from moderation.text.patterns import PatternError, compile_pattern
from moderation.text.schema import Mistake, Reader, raise_for
from moderation.types import TEXT_LABELS, Source

_SENTENCE_END = re.compile(r"[。!?;\n]|\.(?= )")
_FILE_KEYS = ("clause_openers", "guards", "exemptions")
_KEYS = (
    "name", "why", "basis", "labels", "not_labels", "sources", "before", "reach", "after", "around", "covers",
    "sentence", "unless", "drops", "keeps",
)  # fmt: skip
_MARK = re.compile(r"^(.*)\[\[(.+)\]\](.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence with one hit in it, `text[start:end]`, and its line in the file."""

    text: str
    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """One reason to let a match go; it holds where any of its looks does.

    `before` ends at most `reach` characters before the match, in its clause; `after` begins behind the
    match, before the sentence ends or turns; `around` lies anywhere in the clause; `covers` overlaps
    the match; `sentence`: each of these occurs in the sentence. `unless` in the clause keeps the match.
    """

    name: str
    why: str
    basis: str
    labels: frozenset[str]
    sources: frozenset[str]
    before: re.Pattern[str] | None
    after: re.Pattern[str] | None
    around: re.Pattern[str] | None
    covers: re.Pattern[str] | None
    sentence: tuple[re.Pattern[str], ...]
    unless: re.Pattern[str] | None
    drops: tuple[Example, ...]
    keeps: tuple[Example, ...]
    exemption: bool

    def holds(self, text: str, start: int, end: int, place: Place) -> bool:
        """Whether the guard lets `text[start:end]` go; `place` bounds its clause and sentence."""
        if self.unless and self.unless.search(text, place.clause_start, place.clause_end):
            return False
        if self.before and self.before.search(text, place.clause_start, start):
            return True
        if self.after and self.after.search(text, end, place.turn):
            return True
        if self.around and self.around.search(text, place.clause_start, place.clause_end):
            return True
        if self.covers and _overlaps(self.covers, text, start, end, place):
            return True
        return bool(self.sentence) and all(
            p.search(text, place.sentence_start, place.sentence_end) for p in self.sentence
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a match stands: half-open ranges of its clause and sentence; `turn` is the first contrast
    word behind the match, or the end of the sentence."""

    clause_start: int
    clause_end: int
    sentence_start: int
    sentence_end: int
    turn: int


@dataclass(frozen=True, slots=True, eq=False)
class Guards:
    """All guards and exemptions of a policy."""

    guards: tuple[Guard, ...]
    clause_end: re.Pattern[str]
    openers: re.Pattern[str]

    @staticmethod
    def load(path: Path) -> Guards:
        """Read `guards.yaml`; PolicyError lists every mistake with file, line and fix."""
        guards, mistakes = Guards.read(path)
        raise_for(mistakes)
        return guards

    @staticmethod
    def read(path: Path) -> tuple[Guards, list[Mistake]]:
        """What can be used of the file, and what is wrong with the rest."""
        mistakes: list[Mistake] = []
        return _GuardFile(path, mistakes).read(), mistakes

    @staticmethod
    def none() -> Guards:
        """No guard at all: every match stands."""
        return Guards((), _SENTENCE_END, re.compile("(?!)"))

    def without(self, names: Collection[str]) -> Guards:
        """The same with the named guards or exemptions switched off; KeyError for an unknown name."""
        unknown = set(names) - {g.name for g in self.guards}
        if unknown:
            raise KeyError(f"no guard named {', '.join(sorted(unknown))}")
        return replace(self, guards=tuple(g for g in self.guards if g.name not in names))

    def reason(
        self, text: str, start: int, end: int, *, label: str, source: str, breaks: list[int], general: bool = True
    ) -> Guard | None:
        """The first guard that lets `text[start:end]` go, or None.

        `breaks`: sorted indexes at which a clause ends without punctuation. `general` False tries the
        exemptions only.
        """
        place: Place | None = None
        for guard in self.guards:
            if label not in guard.labels or source not in guard.sources or not (general or guard.exemption):
                continue
            if place is None:
                place = self.place(text, start, end, breaks)
            if guard.holds(text, start, end, place):
                return guard
        return None

    def place(self, text: str, start: int, end: int, breaks: list[int]) -> Place:
        sentence_start = _last_end(_SENTENCE_END, text, max(0, start - 400), start)
        found = _SENTENCE_END.search(text, end)
        sentence_end = min(found.start(), end + 400) if found else min(len(text), end + 400)
        clause_start = max(
            sentence_start,
            _last_end(self.clause_end, text, sentence_start, start),
            _last_end(self.openers, text, sentence_start, start),
        )
        at = bisect_right(breaks, start)
        if at and breaks[at - 1] > clause_start:
            clause_start = breaks[at - 1]
        opener = self.openers.search(text, end, sentence_end)
        turn = opener.start() if opener else sentence_end
        stop = self.clause_end.search(text, end, turn)
        clause_end = stop.start() if stop else turn
        at = bisect_left(breaks, end)
        if at < len(breaks) and breaks[at] < clause_end:
            clause_end = breaks[at]
        return Place(clause_start, clause_end, sentence_start, sentence_end, turn)


def _last_end(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    last = start
    for match in pattern.finditer(text, start, end):
        last = match.end()
    return last


def _overlaps(pattern: re.Pattern[str], text: str, start: int, end: int, place: Place) -> bool:
    return any(
        m.start() < end and m.end() > start for m in pattern.finditer(text, place.sentence_start, place.sentence_end)
    )


class _GuardFile:
    """Reads `guards.yaml`."""

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        self.reader = Reader(path, mistakes)
        self.names: set[str] = set()

    def read(self) -> Guards:
        root = self.reader.root()
        if root is None:
            return Guards.none()
        fields = self.reader.mapping(root, _FILE_KEYS)
        openers = self._union(fields.get("clause_openers")) or re.compile("(?!)")
        guards = [self._guard(n, exemption=False) for n in self.reader.items(fields.get("guards"))]
        guards += [self._guard(n, exemption=True) for n in self.reader.items(fields.get("exemptions"))]
        clause_end = re.compile(r"[,。!?;:…\n]|\.(?= )|——")
        return Guards(tuple(g for g in guards if g is not None), clause_end, openers)

    def _guard(self, node: yaml.Node, *, exemption: bool) -> Guard | None:
        fields = self.reader.mapping(node, _KEYS)
        for key in ("name", "why", "drops", "keeps", *(("basis",) if exemption else ())):
            if key not in fields:
                self.reader.note(node, f"'{key}' is missing", f"add {key}: …")
                return None
        name = self.reader.text(fields["name"]) or ""
        if name in self.names:
            self.reader.note(fields["name"], f"guard '{name}' is defined twice", "rename one")
        self.names.add(name)
        reach = self.reader.whole(fields, "reach", default=2, low=0, high=40)
        labels = self.reader.choices(fields.get("labels"), TEXT_LABELS, "label") or TEXT_LABELS
        besides = self.reader.choices(fields.get("not_labels"), TEXT_LABELS, "label")
        sources = self.reader.choices(fields.get("sources"), get_args(Source), "source") or get_args(Source)
        parts = (self._union(n) for n in self.reader.items(fields.get("sentence")))
        return Guard(
            name=name,
            why=self.reader.text(fields["why"]) or "",
            basis=(self.reader.text(fields["basis"]) or "") if "basis" in fields else "",
            labels=frozenset(labels) - frozenset(besides),
            sources=frozenset(sources),
            before=self._union(fields.get("before"), tail=rf".{{0,{reach}}}\Z"),
            after=self._union(fields.get("after")),
            around=self._union(fields.get("around")),
            covers=self._union(fields.get("covers")),
            sentence=tuple(p for p in parts if p is not None),
            unless=self._union(fields.get("unless")),
            drops=self._examples(fields["drops"]),
            keeps=self._examples(fields["keeps"]),
            exemption=exemption,
        )

    def _union(self, node: yaml.Node | None, tail: str = "") -> re.Pattern[str] | None:
        """One expression for a list of patterns, or None for an empty list."""
        written: list[str] = []
        for item in self.reader.items(node):
            source = self.reader.text(item)
            if source is None:
                continue
            try:
                language = "en" if source.isascii() else "zh"
                written.append(compile_pattern(source, {}, language, anchored=False).regex.pattern)
            except PatternError as error:
                self.reader.note(item, f"'{source}': {error.message}", error.fix, column=error.column)
        return re.compile(f"(?:{'|'.join(written)}){tail}") if written else None

    def _examples(self, node: yaml.Node) -> tuple[Example, ...]:
        out: list[Example] = []
        for item in self.reader.items(node):
            found = _MARK.match(self.reader.text(item) or "")
            if found is None:
                self.reader.note(item, "the example marks no hit", "put the hit in [[ ]]")
                continue
            before, hit, after = found.groups()
            out.append(Example(before + hit + after, len(before), len(before) + len(hit), item.start_mark.line + 1))
        return tuple(out)
