"""The grammar of the pattern language: text → nodes, strictly.

A pattern is a sequence of literals, groups `(a|b|)`, named sets `<name>`, gaps `{n}`, numbers `#` and, in
English, endings `*`; the room's README has the full description. Literals are read like any text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from moderation.text.characters import HANZI, tables
from moderation.text.normalise import normalise

MAX_GAP = 60
_SET = re.compile(r"<([a-z][a-z0-9_]*)>")
_GAP = re.compile(r"\{(\d{1,3})\}")


class PatternError(ValueError):
    """A pattern that cannot be used: what is wrong, the 0-based column, and how to put it right."""

    def __init__(self, message: str, column: int, fix: str) -> None:
        super().__init__(message)
        self.message, self.column, self.fix = message, column, fix


@dataclass(frozen=True, slots=True)
class Literal:
    text: str


@dataclass(frozen=True, eq=False)
class Group:
    """Alternatives; a named set is a group of its words."""

    options: tuple[Sequence_, ...]

    @cached_property
    def words(self) -> tuple[str, ...] | None:
        """The alternatives where each is one literal or nothing, else None."""
        words: list[str] = []
        for option in self.options:
            if not option:
                words.append("")
            elif len(option) == 1 and isinstance(option[0], Literal):
                words.append(option[0].text)
            else:
                return None
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Gap:
    """0 to `most` characters of one sentence."""

    most: int


@dataclass(frozen=True, slots=True)
class Number:
    """Digits or Chinese numerals."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Any ending of an English word."""


Node = Literal | Group | Gap | Number | Ending
Sequence_ = tuple[Node, ...]


def parse(source: str, sets: Mapping[str, tuple[str, ...]]) -> Sequence_:
    """The nodes of a pattern; PatternError says what is wrong, where, and what to do."""
    return _Parser(source, sets).parse()


class _Parser:
    """Recursive descent over the pattern, one character at a time; groups nest once."""

    def __init__(self, source: str, sets: Mapping[str, tuple[str, ...]]) -> None:
        self.source, self.sets, self.at = source, sets, 0

    def parse(self) -> Sequence_:
        if not self.source.strip():
            raise PatternError("the pattern is empty", 0, "write the term")
        nodes = self._sequence(depth=0)
        if self.at < len(self.source):
            raise self._error(f"'{self.source[self.at]}' without its opening '('", "remove it or open the group")
        if isinstance(nodes[0], Gap) or isinstance(nodes[-1], Gap):
            raise PatternError("a gap at the edge of a pattern means nothing", 0, "remove the {n}")
        return nodes

    def _sequence(self, depth: int) -> Sequence_:
        nodes: list[Node] = []
        literal, literal_at = "", self.at
        while self.at < len(self.source) and not (depth and self.source[self.at] in "|)"):
            character = self.source[self.at]
            if character in "(<{#*|)":
                if literal:
                    nodes.append(self._literal(literal, literal_at))
                    literal = ""
                if character in "|)":
                    if character == "|":
                        raise self._error("'|' outside a group", "put the alternatives in ( )")
                    break
                nodes.append(self._special(character, depth, nodes))
                literal_at = self.at
            elif character in ">}":
                raise self._error(f"'{character}' without its opening sign", "remove it")
            else:
                if not literal:
                    literal_at = self.at
                literal += character
                self.at += 1
        if literal:
            nodes.append(self._literal(literal, literal_at))
        return tuple(nodes)

    def _literal(self, written: str, at: int) -> Literal:
        read = _read_literal(written)
        if not read:
            raise PatternError(f"'{written}' reads as nothing", at, "write the word without separators")
        return Literal(read)

    def _special(self, character: str, depth: int, before: list[Node]) -> Node:
        if character == "(":
            return self._group(depth)
        if character == "<":
            return self._set()
        if character == "{":
            return self._gap(depth)
        self.at += 1
        if character == "#":
            return Number()
        if not before or not isinstance(before[-1], Literal) or not before[-1].text[-1:].isascii():
            raise PatternError("'*' must follow an English word", self.at - 1, "remove it, or use a gap {n}")
        return Ending()

    def _group(self, depth: int) -> Group:
        opened = self.at
        if depth == 2:
            raise self._error("groups nest once only", "use a set, or write the alternatives out")
        self.at += 1
        options: list[Sequence_] = []
        while True:
            options.append(self._sequence(depth + 1))
            if self.at >= len(self.source):
                raise PatternError("this '(' is never closed", opened, "add the ')'")
            self.at += 1
            if self.source[self.at - 1] == ")":
                break
        if not any(options):
            raise PatternError("the group is empty", opened, "write alternatives between ( and )")
        return Group(tuple(dict.fromkeys(options)))

    def _set(self) -> Group:
        match = _SET.match(self.source, self.at)
        if not match:
            raise self._error("not a set name", "write <name> in lower-case letters, digits and _")
        name = match[1]
        if name not in self.sets:
            near = ", ".join(sorted(self.sets)) or "none is defined"
            raise self._error(f"unknown set <{name}>", f"define it in a sets file; known sets: {near}")
        self.at = match.end()
        return _set_group(self.sets[name])

    def _gap(self, depth: int) -> Gap:
        match = _GAP.match(self.source, self.at)
        if not match or not 1 <= int(match[1]) <= MAX_GAP:
            raise self._error("not a gap", f"write {{n}} with n from 1 to {MAX_GAP}")
        if depth:
            raise self._error("a gap inside a group", "move the gap out, or write two entries")
        self.at = match.end()
        return Gap(int(match[1]))

    def _error(self, message: str, fix: str) -> PatternError:
        return PatternError(message, self.at, fix)


@lru_cache(maxsize=1024)
def _set_group(words: tuple[str, ...]) -> Group:
    """One node for all patterns that use a set."""
    return Group(tuple((Literal(w),) for w in words))


def read_word(word: str) -> str:
    """A word of a set or a pattern as the matcher sees text."""
    return _read_literal(word).strip()


@lru_cache(maxsize=1 << 16)
def _read_literal(written: str) -> str:
    if _PLAIN.issuperset(written) or _PLAIN_ENGLISH.fullmatch(written):
        return written
    if written in _PUNCTUATION:
        return _PUNCTUATION[written]
    inner = written.strip(" ")
    lead = " " if written[:1] == " " else ""
    tail = " " if written[-1:] == " " and len(written) > 1 else ""
    return lead + normalise(inner).text + tail if inner else " "


def _plain_characters() -> frozenset[str]:
    table = tables()
    han = [c for c in range(0x4E00, 0xA000) if table.single[c] == c and table.kind[c] == HANZI]
    return frozenset(map(chr, han)) | frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


# What reads as itself, or nearly: most literals of a lexicon need no more than a look.
_PLAIN = _plain_characters()
_PLAIN_ENGLISH = re.compile(r" ?[a-z]{2,}( [a-z]{2,})* ?")
_PUNCTUATION = {"，": ",", "：": ":", "、": "、", ",": ",", ":": ":", " ": " "}
