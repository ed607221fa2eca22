"""The pattern language of the lexicon: parse strictly, then compile for a fast search.

A pattern is a sequence of literals, groups `(a|b|)`, named sets `<name>`, gaps `{n}` and numbers `#`
(the room's README has the full description). It compiles to *anchors*, fixed strings of which every
match holds at least one, found all together by one Aho-Corasick pass; and, unless the anchors already
spell the whole pattern, to a regular expression that verifies a bounded window around an anchor.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from moderation.text.characters import HANZI, tables
from moderation.text.normalise import normalise

MAX_SPELLINGS = 400  # more alternatives than this are searched by a regular expression
MAX_GAP = 60
_LONGEST_NUMBER = 12
_LONGEST_ENDING = 12

_NUMERALS = dict(zip("一二两三四五六七八九", "1223456789", strict=True))
_NUMERAL_CLASS = {n: f"[{n}{d}]" for n, d in _NUMERALS.items()} | {
    str(d): f"[{d}{''.join(n for n, v in _NUMERALS.items() if v == str(d))}]" for d in range(1, 10)
}
_NUMBER = (
    r"(?:\d{1,9}(?:[.,]\d{1,4})?\+?(?:万|千|百|亿|多|[kw](?![a-z])|%)?"
    r"|(?:百分之)?[零〇一二两三四五六七八九十百千万亿几半数]{1,10})"
)
_NUMBER_WORDS_EN = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|"
    "ninety|hundred|thousand|million"
)
_GAP = {"zh": "[^。!?;\n]", "en": r"(?:(?!\. )[^。!?;\n])"}
# Between two letters or two digits there is no word edge; between any other two characters there is.
WORD_EDGE = r"(?<![a-z](?=[a-z]))(?<![0-9](?=[0-9]))"
# So frequent in any live room that they are poor anchors, whatever their length.
_COMMON = frozenset((files("moderation.text") / "tables" / "common.txt").read_text("utf-8").split())


class PatternError(ValueError):
    """A pattern that cannot be used: what is wrong, the 0-based column, and how to put it right."""

    def __init__(self, message: str, column: int, fix: str) -> None:
        super().__init__(message)
        self.message, self.column, self.fix = message, column, fix


@dataclass(frozen=True, slots=True)
class Literal:
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Alternatives; a named set is a group of its words."""

    options: tuple[Sequence_, ...]


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


@dataclass(frozen=True, slots=True)
class Anchor:
    """A fixed string of a pattern, and how many characters a match can have on either side of it."""

    text: str
    before: int
    after: int


class Pattern:
    """One compiled pattern.

    `spellings`: every string the pattern can match, where they are finitely many (else None; then
    `regex` verifies). `anchors`: what to search for. `longest`: characters of the longest match.
    """

    def __init__(self, source: str, nodes: Sequence_, language: str) -> None:
        self.source = source
        self.language = language
        self.nodes = nodes
        self.longest = _longest(nodes)
        spellings = _spell(nodes, MAX_SPELLINGS)
        self.spellings: tuple[str, ...] | None = spellings
        if spellings is not None:
            self.anchors = tuple(Anchor(s, 0, 0) for s in _numeral_variants(spellings))
        else:
            self.anchors = _choose_anchors(nodes)

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """Compiled at first use: most patterns of a lexicon meet no anchor for hours."""
        edge = WORD_EDGE if self.language == "en" or _has_latin(self.nodes) else ""
        return re.compile(edge + _regex(self.nodes, self.language, edge) + edge)

    def find(self, text: str, start: int, end: int) -> Iterator[re.Match[str]]:
        """Matches that lie within text[start:end]; what surrounds it still counts for word edges.

        The groups of each match are the gaps of the pattern, in order.
        """
        # One character more, so that the word edge at `end` sees its neighbour.
        for match in self.regex.finditer(text, start, min(end + 1, len(text))):
            if match.start() < match.end() <= end:
                yield match


def compile_pattern(
    source: str, sets: Mapping[str, tuple[str, ...]], language: str, *, anchored: bool = True
) -> Pattern:
    """Parse and compile; PatternError says what is wrong, where, and what to do.

    `anchored` False is for patterns that are only tried beside a match, where one hanzi will do.
    """
    nodes = _Parser(source, sets).parse()
    pattern = Pattern(source, nodes, language)
    if anchored:
        short = [a.text for a in pattern.anchors if not _searchable(a.text)]
        if short or not pattern.anchors:
            what = f"too short to search for: {', '.join(short[:5])}" if short else "nothing in it can be searched for"
            fix = "put in a literal, group or set whose every alternative has 2 characters or more"
            raise PatternError(what, 0, fix)
    return pattern


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
        match = re.compile(r"<([a-z][a-z0-9_]*)>").match(self.source, self.at)
        if not match:
            raise self._error("not a set name", "write <name> in lower-case letters, digits and _")
        name = match[1]
        if name not in self.sets:
            near = ", ".join(sorted(self.sets)) or "none is defined"
            raise self._error(f"unknown set <{name}>", f"define it in a sets file; known sets: {near}")
        self.at = match.end()
        return Group(tuple((Literal(w),) for w in self.sets[name]))

    def _gap(self, depth: int) -> Gap:
        match = re.compile(r"\{(\d{1,3})\}").match(self.source, self.at)
        if not match or not 1 <= int(match[1]) <= MAX_GAP:
            raise self._error("not a gap", f"write {{n}} with n from 1 to {MAX_GAP}")
        if depth:
            raise self._error("a gap inside a group", "move the gap out, or write two entries")
        self.at = match.end()
        return Gap(int(match[1]))

    def _error(self, message: str, fix: str) -> PatternError:
        return PatternError(message, self.at, fix)


def read_word(word: str) -> str:
    """A word of a set or an allow list as the matcher sees text."""
    return _read_literal(word).strip()


def _read_literal(written: str) -> str:
    if _PLAIN.issuperset(written):
        return written
    inner = written.strip(" ")
    lead = " " if written[:1] == " " else ""
    tail = " " if written[-1:] == " " and len(written) > 1 else ""
    return lead + normalise(inner).text + tail if inner else " "


def _plain_characters() -> frozenset[str]:
    table = tables()
    han = [c for c in range(0x4E00, 0xA000) if table.single[c] == c and table.kind[c] == HANZI]
    return frozenset(map(chr, han)) | frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


_PLAIN = _plain_characters()


def _spell(nodes: Sequence_, most: int) -> tuple[str, ...] | None:
    """Every string the nodes can match, or None where that is infinite or more than `most`."""
    spelled = [""]
    for node in nodes:
        if isinstance(node, Literal):
            options: tuple[str, ...] = (node.text,)
        elif isinstance(node, Group):
            inner = [_spell(option, most) for option in node.options]
            if any(i is None for i in inner) or sum(len(i or ()) for i in inner) > most:
                return None
            options = tuple(itertools.chain.from_iterable(i for i in inner if i))
        else:
            return None
        if len(spelled) * len(options) > most:
            return None
        spelled = [a + b for a in spelled for b in options]
    return tuple(dict.fromkeys(spelled))


def _numeral_variants(spellings: Iterable[str]) -> tuple[str, ...]:
    """第一 is found as 第1 too, and 7天 as 七天."""
    out: dict[str, None] = {}
    for spelling in spellings:
        out[spelling] = None
        out["".join(_NUMERALS.get(c, c) for c in spelling)] = None
        for match in re.finditer(r"(?<![\d.])[1-9](?![\d.])", spelling):
            for numeral, digit in _NUMERALS.items():
                if digit == match[0]:
                    out[spelling[: match.start()] + numeral + spelling[match.end() :]] = None
    return tuple(out)


def _has_latin(nodes: Sequence_) -> bool:
    """Whether letters or digits occur, so that word edges matter."""
    for node in nodes:
        if isinstance(node, Number):
            return True
        if isinstance(node, Literal) and any("0" <= c <= "z" for c in node.text):
            return True
        if isinstance(node, Group) and any(_has_latin(option) for option in node.options):
            return True
    return False


def _longest(nodes: Sequence_) -> int:
    total = 0
    for node in nodes:
        if isinstance(node, Literal):
            total += len(node.text) + 2  # a plural ending
        elif isinstance(node, Group):
            total += max(_longest(option) for option in node.options)
        elif isinstance(node, Gap):
            total += node.most
        else:
            total += _LONGEST_NUMBER if isinstance(node, Number) else _LONGEST_ENDING
    return total


def _choose_anchors(nodes: Sequence_) -> tuple[Anchor, ...]:
    """The part of the pattern that is cheapest to search for: long, rare, few alternatives."""
    best: tuple[tuple[int, int, int], tuple[str, ...], int, int] | None = None
    for first, last in itertools.combinations(range(len(nodes) + 1), 2):
        if last - first > 4:
            continue
        words = _spell(nodes[first:last], MAX_SPELLINGS)
        if words is None or not all(_searchable(w) for w in words):
            continue
        stripped = [w.strip() for w in words]
        common = any(w in _COMMON for w in stripped)
        rank = (0 if common else 1, min(4, *(_weight(w) for w in stripped), 4), -len(words))
        if best is None or rank > best[0]:
            best = (rank, tuple(stripped), _longest(nodes[:first]), _longest(nodes[last:]))
    if best is None:
        return ()
    _, words, before, after = best
    # The longest alternative bounds the window for a shorter one, and stripped spaces add two.
    return tuple(Anchor(w, before + 2, after + 4) for w in _numeral_variants(words))


def _searchable(word: str) -> bool:
    word = word.strip()
    han = sum(1 for c in word if c > "\u2fff")
    return han >= 2 or len(word) >= 3 or (len(word) == 2 and word not in _COMMON)


def _weight(word: str) -> int:
    """Hanzi count; letters weigh half."""
    return sum(2 if c > "\u2fff" else 1 for c in word) // 2


def _regex(nodes: Sequence_, language: str, edge: str) -> str:
    parts: list[str] = []
    for position, node in enumerate(nodes):
        last = position + 1 == len(nodes) or isinstance(nodes[position + 1], Gap)
        if isinstance(node, Literal):
            parts.append(_literal_regex(node.text))
            if last and language == "en" and edge:
                parts.append(_plural(node.text))
        elif isinstance(node, Group):
            parts.append(_group_regex(node, language, plural=last and language == "en" and bool(edge)))
        elif isinstance(node, Gap):
            parts.append(f"{edge}({_GAP[language]}{{0,{node.most}}}?){edge}")
        elif isinstance(node, Number):
            parts.append(f"(?:{_NUMBER}|{_NUMBER_WORDS_EN})" if language == "en" else _NUMBER)
        else:
            parts.append(f"[a-z]{{0,{_LONGEST_ENDING}}}")
    return "".join(parts)


def _literal_regex(text: str) -> str:
    out: list[str] = []
    for i, character in enumerate(text):
        alone = not (text[i - 1 : i].isdigit() or text[i + 1 : i + 2].isdigit()) or not character.isascii()
        out.append(_NUMERAL_CLASS[character] if character in _NUMERAL_CLASS and alone else re.escape(character))
    return "".join(out)


def _plural(text: str) -> str:
    return r"(?:'?s|es)?" if len(text) >= 3 and text[-1].isascii() and text[-1].isalpha() and text[-1] != "s" else ""


def _group_regex(group: Group, language: str, *, plural: bool) -> str:
    """Longest alternatives first; a look-ahead on the first character turns most positions away at once."""
    options = sorted(group.options, key=_longest, reverse=True)
    written = []
    for option in options:
        ending = _plural(option[-1].text) if plural and option and isinstance(option[-1], Literal) else ""
        written.append(_regex(option, language, "") + ending)
    firsts = {option[0].text[0] for option in options if option and isinstance(option[0], Literal)}
    body = "|".join(written)
    simple = len(options) > 8 and all(option and isinstance(option[0], Literal) for option in options)
    if simple and not any(f in _NUMERAL_CLASS for f in firsts):
        return f"(?:(?=[{re.escape(''.join(sorted(firsts)))}])(?:{body}))"
    return f"(?:{body})"
