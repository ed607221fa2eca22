"""The lexicon: terms by label and language, read from a policy folder and compiled for the search.

A file `<label>.<zh|en>.yaml` holds entries; `sets.zh.yaml` and `sets.<label>.<zh|en>.yaml` hold named
word sets that all patterns may use. Every mistake is collected with file, line and fix.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import yaml

from moderation.text.patterns import Pattern, compile_pattern
from moderation.text.schema import Mistake, Reader, raise_for
from moderation.text.syntax import PatternError, read_word
from moderation.types import CATEGORIES, TEXT_LABELS, Source

Strength = Literal["block", "review"]
Language = Literal["zh", "en"]

_SOURCES = get_args(Source)
_FILE_KEYS = ("label", "language", "entries")
_ENTRY_KEYS = (
    "term", "all", "within", "strength", "category", "sound", "allow", "only_in", "not_in", "sources",
    "guards", "example", "counter",
)  # fmt: skip
_THEME = re.compile(r"[a-z][a-z0-9_]*")
_MOST_SOUND_SPELLINGS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One line of the lexicon.

    `parts`: one pattern for `term`, several for `all`, found in any order with at most `within`
    characters between neighbours. `where` is "file:line". Categories are goods categories.
    """

    label: str
    language: Language
    strength: Strength
    category: str
    term: str
    parts: tuple[Pattern, ...]
    within: int
    sound: bool
    allow: tuple[Pattern, ...]
    only_in: frozenset[str]
    not_in: frozenset[str]
    sources: frozenset[str]
    guards: bool
    examples: tuple[str, ...]
    counters: tuple[str, ...]
    where: str

    def applies(self, category: str | None, source: str) -> bool:
        """Whether the entry is in force for goods of `category` (None: unknown) in words from `source`."""
        if source not in self.sources:
            return False
        if self.only_in and category not in self.only_in:
            return False
        return category not in self.not_in


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """All entries, in the order of files and lines, and the word sets they use."""

    entries: tuple[Entry, ...]
    sets: Mapping[str, tuple[str, ...]]

    @staticmethod
    def load(folder: Path) -> Lexicon:
        """Read the folder; PolicyError lists every mistake with file, line and fix."""
        lexicon, mistakes = Lexicon.read(folder)
        raise_for(mistakes)
        return lexicon

    @staticmethod
    def read(folder: Path) -> tuple[Lexicon, list[Mistake]]:
        """What can be used of the folder, and what is wrong with the rest."""
        mistakes: list[Mistake] = []
        if not folder.is_dir():
            fix = "give the folder that holds <label>.<zh|en>.yaml"
            return Lexicon((), {}), [Mistake(str(folder), 1, 1, "no such lexicon folder", fix)]
        files = sorted(folder.glob("*.yaml"))
        sets = _read_sets([f for f in files if f.name.startswith("sets.")], mistakes)
        entries: list[Entry] = []
        for path in files:
            if not path.name.startswith("sets."):
                entries += _EntryFile(path, sets, mistakes).read()
        mistakes += _duplicates(entries)
        return Lexicon(tuple(entries), sets), mistakes


def _read_sets(paths: list[Path], mistakes: list[Mistake]) -> dict[str, tuple[str, ...]]:
    sets: dict[str, tuple[str, ...]] = {}
    for path in paths:
        reader = Reader(path, mistakes)
        root = reader.root()
        if root is None:
            continue
        for name, node in reader.mapping(root).items():
            words = tuple(dict.fromkeys(w for t in reader.texts(node) if (w := read_word(t))))
            if not _THEME.fullmatch(name):
                reader.note(node, f"set name '{name}'", "use lower-case letters, digits and _")
            elif name in sets:
                reader.note(node, f"set <{name}> is defined twice", "set names are global: rename one")
            elif not words:
                reader.note(node, f"set <{name}> has no words", "write [word, word, …]")
            else:
                sets[name] = words
    return sets


def _duplicates(entries: list[Entry]) -> list[Mistake]:
    first: dict[tuple[object, ...], Entry] = {}
    mistakes: list[Mistake] = []
    for entry in entries:
        key = (entry.label, entry.language, entry.term, entry.only_in, entry.sources)
        twin = first.setdefault(key, entry)
        if twin is not entry:
            file, line = entry.where.rsplit(":", 1)
            message = f"term '{entry.term}' is also at {twin.where}"
            mistakes.append(Mistake(file, int(line), 1, message, "delete one of them"))
    return mistakes


class _EntryFile:
    """Reads one `<label>.<language>.yaml`."""

    def __init__(self, path: Path, sets: Mapping[str, tuple[str, ...]], mistakes: list[Mistake]) -> None:
        self.path = path
        self.sets = sets
        self.reader = Reader(path, mistakes)
        self.language: Language = "zh"
        self.allowed: dict[str, Pattern] = {}

    def read(self) -> list[Entry]:
        root = self.reader.root()
        if root is None:
            return []
        fields = self.reader.mapping(root, _FILE_KEYS)
        label = self._named(root, fields, "label", TEXT_LABELS, 0)
        self.language = cast(Language, self._named(root, fields, "language", ("zh", "en"), 1) or "zh")
        if "entries" not in fields:
            self.reader.note(root, "no entries", "add the key 'entries' with a list")
        if label is None:
            return []
        found = (self._entry(node, label) for node in self.reader.items(fields.get("entries")))
        return [entry for entry in found if entry is not None]

    def _named(
        self, root: yaml.Node, fields: Mapping[str, yaml.Node], key: str, choices: tuple[str, ...], part: int
    ) -> str | None:
        """A key of the file that its name repeats."""
        if key not in fields:
            self.reader.note(root, f"the file does not state its {key}", f"add '{key}: …' at the top")
            return None
        value = self.reader.choice(fields[key], choices, key)
        stem = self.path.name.split(".")
        if value is not None and (len(stem) != 3 or stem[part] != value):
            self.reader.note(fields[key], f"{key} '{value}' differs from the file's name", "make them agree")
        return value

    def _entry(self, node: yaml.Node, label: str) -> Entry | None:
        reader, mistakes_before = self.reader, len(self.reader.mistakes)
        fields = reader.mapping(node, _ENTRY_KEYS)
        if not fields:
            return None
        for key in ("strength", "category", "example", "counter"):
            if key not in fields:
                reader.note(node, f"'{key}' is missing", f"add {key}: …")
        strength = reader.choice(fields["strength"], get_args(Strength), "strength") if "strength" in fields else None
        category = reader.text(fields["category"]) if "category" in fields else None
        if category is not None and not _THEME.fullmatch(category):
            reader.note(fields["category"], f"category '{category}'", "use lower-case letters, digits and _")
        term, parts = self._parts(node, fields)
        entry = Entry(
            label=label,
            language=self.language,
            strength=cast(Strength, strength),
            category=category or "",
            term=term,
            parts=parts,
            within=reader.whole(fields, "within", default=12, low=1, high=60),
            sound=reader.flag(fields, "sound", default=False),
            allow=self._allow(fields.get("allow")),
            only_in=frozenset(reader.choices(fields.get("only_in"), CATEGORIES, "goods category")),
            not_in=frozenset(reader.choices(fields.get("not_in"), CATEGORIES, "goods category")),
            sources=self._sources(fields.get("sources")),
            guards=reader.flag(fields, "guards", default=True),
            examples=reader.texts(fields.get("example")),
            counters=reader.texts(fields.get("counter")),
            where=f"{self.path.name}:{node.start_mark.line + 1}",
        )
        self._check_sound(node, entry)
        return entry if len(reader.mistakes) == mistakes_before else None

    def _parts(self, node: yaml.Node, fields: Mapping[str, yaml.Node]) -> tuple[str, tuple[Pattern, ...]]:
        if ("term" in fields) == ("all" in fields):
            self.reader.note(node, "an entry has either 'term' or 'all'", "keep one of them")
            return "", ()
        if "term" in fields:
            if "within" in fields:
                self.reader.note(fields["within"], "'within' goes with 'all' only", "use a gap {n} in the term")
            nodes = [fields["term"]]
        else:
            nodes = self.reader.items(fields["all"])
            if len(nodes) < 2:
                self.reader.note(fields["all"], "'all' needs two patterns or more", "use 'term' for one")
        parts = tuple(p for n in nodes if (p := self._pattern(n)) is not None)
        return " + ".join(p.source for p in parts), parts

    def _pattern(self, node: yaml.Node, *, searched: bool = True) -> Pattern | None:
        source = self.reader.text(node)
        if source is None:
            return None
        try:
            return compile_pattern(source, self.sets, self.language, searched=searched)
        except PatternError as error:
            quoted = getattr(node, "style", None) in ("'", '"')
            self.reader.note(node, f"'{source}': {error.message}", error.fix, column=error.column + quoted)
            return None

    def _allow(self, node: yaml.Node | None) -> tuple[Pattern, ...]:
        patterns: list[Pattern] = []
        for item in self.reader.items(node):
            source = self.reader.text(item)
            if source is None:
                continue
            if source not in self.allowed:
                pattern = self._pattern(item, searched=False)
                if pattern is None:
                    continue
                self.allowed[source] = pattern
            patterns.append(self.allowed[source])
        return tuple(patterns)

    def _sources(self, node: yaml.Node | None) -> frozenset[str]:
        if node is None:
            return frozenset(_SOURCES) - {"comment"}
        return frozenset(self.reader.choices(node, _SOURCES, "source"))

    def _check_sound(self, node: yaml.Node, entry: Entry) -> None:
        if not entry.sound or not entry.parts:
            return
        spellings = entry.parts[0].spellings if len(entry.parts) == 1 else None
        if entry.language != "zh" or spellings is None or len(spellings) > _MOST_SOUND_SPELLINGS:
            fix = f"remove 'sound: true', or use literals and groups with at most {_MOST_SOUND_SPELLINGS} spellings"
            self.reader.note(node, f"'{entry.term}' cannot be matched by sound", fix)
