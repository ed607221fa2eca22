"""Guards and exemptions: when the words of a violation are none.

A guard looks at the clause and the sentence around a match: a denial before it, a warning after it,
a quotation, the hints and grades that the enforcement guide leaves alone. It never reaches across a
contrast (但是, but), because a disclaimer followed by a claim is still a claim. All of it is data in
`guards.yaml`; each guard carries examples that it must drop and must keep.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import yaml

from moderation.text.patterns import Pattern, compile_pattern
from moderation.text.schema import Mistake, Reader, raise_for
from moderation.text.syntax import PatternError
from moderation.types import TEXT_LABELS, Source

_SENTENCE_END = re.compile(r"[。!?;\n]|\.(?= )")
_CLAUSE_END = re.compile(r"[,。!?;:…—\n]|\.(?= )")
_WITHIN_CLAUSE = "[^,。!?;:…—\n]"
_NEXT = 20  # characters behind the sentence that `unless_next` looks at
_FARTHEST = 400  # characters to either side that count as the sentence, where nothing ends it
_FILE_KEYS = ("clause_openers", "subject_shifts", "guards", "exemptions")
_KEYS = (
    "name", "why", "basis", "labels", "sources", "before", "reach", "after", "around", "covers", "sentence",
    "unless", "unless_sentence", "unless_next", "drops", "keeps",
)  # fmt: skip
_MARK = re.compile(r"^(.*)\[\[(.+)\]\](.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence with one hit in it, `text[start:end]`, and its line in the file."""

    text: str
    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class Look:
    """Several patterns as one expression. `firsts`: each match begins with one of them (empty: unknown),
    which is looked up before the expression is tried."""

    regex: re.Pattern[str]
    firsts: frozenset[str]

    def found(self, text: str, start: int, end: int) -> bool:
        """Whether one of the patterns lies within text[start:end]."""
        if self.firsts and self.firsts.isdisjoint(text[start:end]):
            return False
        return self.regex.search(text, start, end) is not None

    def spans(self, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the patterns lie within text[start:end]."""
        if not self.firsts or not self.firsts.isdisjoint(text[start:end]):
            yield from (m.span() for m in self.regex.finditer(text, start, end))


NOWHERE = Look(re.compile("(?!)"), frozenset("\n"))


@dataclass(frozen=True, slots=True)
class Hit:
    """A match in normalised text: `text[start:end]`, and the gaps inside it that any words may fill."""

    text: str
    start: int
    end: int
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Half-open ranges around a hit. `turn`: where the sentence turns (但是) behind the hit, or ends;
    `shift`: where it begins to speak of somebody else, or `turn`."""

    clause_start: int
    clause_end: int
    sentence_start: int
    sentence_end: int
    turn: int
    shift: int


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """One reason to let a match go; `guards.yaml` says what each look means.

    It holds where any of `before`, `after`, `around`, `covers` or all of `sentence` are found, and none
    of the three `unless`. `triggers`: a sentence without any of these characters holds none of them (empty: unknown).
    """

    name: str
    why: str
    basis: str
    exemption: bool
    labels: frozenset[str]
    sources: frozenset[str]
    before: Look
    after: Look
    around: Look
    covers: Look
    sentence: tuple[Look, ...]
    unless: Look
    unless_sentence: Look
    unless_next: Look
    drops: tuple[Example, ...]
    keeps: tuple[Example, ...]
    triggers: frozenset[str] = frozenset()

    def holds(self, hit: Hit, place: Place) -> bool:
        """Whether the guard lets the hit go."""
        return self._looks(hit, place) and not (
            self.unless.found(hit.text, place.clause_start, place.clause_end)
            or self.unless_sentence.found(hit.text, place.sentence_start, place.sentence_end)
            or self.unless_next.found(hit.text, place.sentence_end, place.sentence_end + _NEXT)
        )

    def _looks(self, hit: Hit, place: Place) -> bool:
        # Most guards look in one or two places; not to ask the others is half of the work.
        text, start, end = hit.text, place.sentence_start, place.sentence_end
        if self.before is not NOWHERE:
            if self.before.found(text, place.clause_start, hit.start):
                return True
            if not self.exemption and any(self.before.found(text, *gap) for gap in hit.gaps):
                return True
        if self.after is not NOWHERE and self.after.found(text, hit.end, place.shift):
            return True
        if self.around is not NOWHERE and self.around.found(text, place.clause_start, place.clause_end):
            return True
        if self.covers is not NOWHERE and any(
            a < hit.end and b > hit.start for a, b in self.covers.spans(text, start, end)
        ):
            return True
        return bool(self.sentence) and all(look.found(text, start, end) for look in self.sentence)


@dataclass(frozen=True, slots=True, eq=False)
class Guards:
    """All guards and exemptions of a policy, and the words at which a sentence turns or shifts."""

    guards: tuple[Guard, ...]
    openers: Look = NOWHERE
    shifts: Look = NOWHERE

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
        return Guards(())

    def without(self, names: Collection[str]) -> Guards:
        """The same with the named guards or exemptions switched off; KeyError for an unknown name."""
        unknown = set(names) - {g.name for g in self.guards}
        if unknown:
            raise KeyError(f"no guard named {', '.join(sorted(unknown))}")
        return replace(self, guards=tuple(g for g in self.guards if g.name not in names))

    def reason(
        self, hit: Hit, *, label: str, source: str, breaks: Sequence[int] = (), general: bool = True
    ) -> Guard | None:
        """The first guard that lets the hit go, or None.

        `breaks`: sorted indexes of the text at which a clause ends without punctuation. `general` False
        tries the exemptions only.
        """
        place: Place | None = None
        characters: frozenset[str] = frozenset()
        for guard in self.guards:
            if label in guard.labels and source in guard.sources and (general or guard.exemption):
                if place is None:
                    place = self.place(hit, breaks)
                    characters = frozenset(hit.text[place.sentence_start : place.sentence_end])
                if guard.triggers and guard.triggers.isdisjoint(characters):
                    continue
                if guard.holds(hit, place):
                    return guard
        return None

    def place(self, hit: Hit, breaks: Sequence[int] = ()) -> Place:
        """The clause and the sentence around the hit."""
        text, start, end = hit.text, hit.start, hit.end
        line_start = text.rfind("\n", max(0, start - _FARTHEST), start) + 1 or max(0, start - _FARTHEST)
        line_end = text.find("\n", end, end + _FARTHEST)
        sentence_start = _last_end(_SENTENCE_END.finditer(text, line_start, start), line_start)
        found = _SENTENCE_END.search(text, end, line_end if line_end >= 0 else end + _FARTHEST)
        sentence_end = found.start() if found else (line_end if line_end >= 0 else min(len(text), end + _FARTHEST))
        clause_start = _last_end(_CLAUSE_END.finditer(text, sentence_start, start), sentence_start)
        clause_start = max([clause_start, *(e for _, e in self.openers.spans(text, clause_start, start))])
        at = bisect_right(breaks, start)
        if at:
            clause_start = max(clause_start, breaks[at - 1])
        turn = next((s for s, _ in self.openers.spans(text, end, sentence_end)), sentence_end)
        stop = _CLAUSE_END.search(text, end, turn)
        clause_end = stop.start() if stop else turn
        at = bisect_left(breaks, end)
        if at < len(breaks):
            clause_end = min(clause_end, breaks[at])
        return Place(
            clause_start=clause_start,
            clause_end=clause_end,
            sentence_start=sentence_start,
            sentence_end=sentence_end,
            turn=turn,
            shift=next((s for s, _ in self.shifts.spans(text, end, turn)), turn),
        )


def _last_end(matches: Iterator[re.Match[str]], otherwise: int) -> int:
    last = otherwise
    for match in matches:
        last = match.end()
    return last


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
        guards = [self._guard(n, exemption=False) for n in self.reader.items(fields.get("guards"))]
        guards += [self._guard(n, exemption=True) for n in self.reader.items(fields.get("exemptions"))]
        return Guards(
            tuple(g for g in guards if g is not None),
            openers=self._union(fields.get("clause_openers")),
            shifts=self._union(fields.get("subject_shifts")),
        )

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
        sources = self.reader.choices(fields.get("sources"), get_args(Source), "source") or get_args(Source)
        guard = Guard(
            name=name,
            why=self.reader.text(fields["why"]) or "",
            basis=(self.reader.text(fields["basis"]) or "") if "basis" in fields else "",
            exemption=exemption,
            labels=frozenset(labels),
            sources=frozenset(sources),
            before=self._union(fields.get("before"), tail=rf"{_WITHIN_CLAUSE}{{0,{reach}}}\Z"),
            after=self._union(fields.get("after")),
            around=self._union(fields.get("around")),
            covers=self._union(fields.get("covers")),
            sentence=tuple(self._union(n) for n in self.reader.items(fields.get("sentence"))),
            unless=self._union(fields.get("unless")),
            unless_sentence=self._union(fields.get("unless_sentence")),
            unless_next=self._union(fields.get("unless_next")),
            drops=self._examples(fields["drops"]),
            keeps=self._examples(fields["keeps"]),
        )
        looks = [guard.before, guard.after, guard.around, guard.covers, *guard.sentence]
        known = all(look.firsts for look in looks)
        return replace(guard, triggers=frozenset().union(*(look.firsts for look in looks)) if known else frozenset())

    def _union(self, node: yaml.Node | None, tail: str = "") -> Look:
        """One look for a list of patterns; it finds nothing for an empty list."""
        patterns: list[Pattern] = []
        for item in self.reader.items(node):
            source = self.reader.text(item)
            if source is None:
                continue
            try:
                patterns.append(compile_pattern(source, {}, "en" if source.isascii() else "zh", searched=False))
            except PatternError as error:
                self.reader.note(item, f"'{source}': {error.message}", error.fix, column=error.column)
        if not patterns:
            return NOWHERE
        firsts = [p.firsts for p in patterns]
        regex = re.compile(f"(?:{'|'.join(p.regex.pattern for p in patterns)}){tail}")
        return Look(regex, frozenset().union(*firsts) if all(firsts) else frozenset())

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
