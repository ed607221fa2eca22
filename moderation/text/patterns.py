"""Patterns compiled for a fast search: what to look for, and how to be sure.

A pattern with few spellings is searched as those strings. Any other is searched by its *blocks*, fixed
strings of which every match holds one of each, found all together by one Aho-Corasick pass; where all
its blocks stand close together a regular expression decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from moderation.text.syntax import Gap, Group, Literal, Node, Number, PatternError, Sequence_, parse

MAX_SPELLINGS = 48  # a pattern with more is searched by its blocks
_MAX_SET_WORDS = 2000
_MAX_JOINED_WORDS = 400
_MOST_BLOCKS = 3
_LONGEST_BLOCK = 3  # nodes
_LONGEST_NUMBER = 12
_LONGEST_ENDING = 12
_LONGEST_PLURAL = 2
_FEW_PLACES = 8

_NUMERALS = dict(zip("一二两三四五六七八九", "1223456789", strict=True))
_NUMERAL_CLASS = {n: f"[{n}{d}]" for n, d in _NUMERALS.items()} | {
    str(d): f"[{d}{''.join(n for n, v in _NUMERALS.items() if v == str(d))}]" for d in range(1, 10)
}
_LONE_DIGIT = re.compile(r"(?<![\d.])[1-9](?![\d.])")
_NUMBER = (
    r"(?:\d{1,9}(?:[.,]\d{1,4})?\+?(?:万|千|百|亿|多|[kw](?![a-z])|%)?"
    r"|(?:百分之)?[零〇一二两三四五六七八九十百千万亿几半数]{1,10})"
)
_NUMBER_CHARACTERS = frozenset("0123456789零〇一二两三四五六七八九十百千万亿几半数etfshnom")
_NUMBER_WORDS_EN = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|"
    "ninety|hundred|thousand|million"
)
_GAP = {"zh": "[^。!?;\n]", "en": r"(?:(?!\. )[^。!?;\n])"}
# Between two letters or two digits there is no word edge; between any other two characters there is.
WORD_EDGE = r"(?<![a-z](?=[a-z]))(?<![0-9](?=[0-9]))"
# So frequent in any live room that they are poor blocks, whatever their length.
_COMMON = frozenset((files("moderation.text") / "tables" / "common.txt").read_text("utf-8").split())


@dataclass(frozen=True, slots=True)
class Block:
    """Words of which every match of a pattern holds one.

    `before`, `after`: how many characters a match can have before the word, and from its first letter on.
    `begin`: the same as `before` for the part of the pattern that the word stands in. `is_edged`: a letter
    before the word rules the match out (phone in iphone).
    """

    words: tuple[str, ...]
    before: int
    after: int
    begin: int = 0
    is_edged: bool = False

    def reach(self, other: Block) -> tuple[int, int]:
        """How far before, and how far behind the first letter of this word, a word of `other` may begin."""
        if other.begin < self.begin:
            return self.before - other.begin + 1, 0
        return 0, other.before - self.begin + 1


class Pattern:
    """One compiled pattern. Everything costly is made when it is first asked for: most of a lexicon's patterns are
    not tried for hours, and an allow pattern is never searched for."""

    def __init__(self, source: str, nodes: Sequence_, language: str) -> None:
        self.source = source
        self.language = language
        self.nodes = nodes

    @cached_property
    def longest(self) -> int:
        """Characters of the longest match."""
        return _longest(self.nodes)

    @cached_property
    def spellings(self) -> tuple[str, ...] | None:
        """Every string it matches, where they are few."""
        return _spell(self.nodes, MAX_SPELLINGS)

    @cached_property
    def _chosen(self) -> tuple[tuple[Block, ...], int, list[Node]]:
        if self.spellings is not None:
            return (Block(_with_numerals(self.spellings), 0, 0),), 0, []
        return _choose_blocks(self.nodes, self.language)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What to search for, in the order of the pattern."""
        return self._chosen[0]

    @property
    def rarest(self) -> int:
        """The index of the block that is met least often: it is looked for first of all."""
        return self._chosen[1]

    @property
    def firsts(self) -> frozenset[str]:
        """Characters with which every match begins; empty where that is not sure."""
        return _first_characters(self.nodes[0])

    @cached_property
    def regex(self) -> re.Pattern[str]:
        edge = WORD_EDGE if self.language == "en" or _has_latin(self.nodes) else ""
        return re.compile(edge + _regex(self.nodes, self.language, edge) + edge)

    @cached_property
    def _hints(self) -> tuple[re.Pattern[str], ...]:
        """Characters of which every match holds one, for each node that no block stands for."""
        return _any_of_each(self._chosen[2])

    @cached_property
    def _all_hints(self) -> tuple[re.Pattern[str], ...]:
        """The same for every node."""
        return _any_of_each(self.nodes)

    def find(self, text: str, start: int, end: int) -> Iterator[re.Match[str]]:
        """Matches that lie within text[start:end]; what surrounds it still counts for word edges.

        The groups of each match are the gaps of the pattern, in order.
        """
        start = max(0, start)
        for hint in self._all_hints:
            if hint.search(text, start, end) is None:
                return
        # One character more, so that the word edge at `end` sees its neighbour.
        for match in self.regex.finditer(text, start, min(end + 1, len(text))):
            if match.start() < match.end() <= end:
                yield match

    def find_around(self, text: str, start: int, end: int, block: Block) -> re.Match[str] | None:
        """The first match that holds `text[start:end]`, which is a word of `block`."""
        first, last = max(0, start - block.before), end + block.after
        for hint in self._hints:
            if hint.search(text, first, last) is None:
                return None
        regex, until = self.regex, min(last + 1, len(text))
        if start - first > _FEW_PLACES:
            for match in regex.finditer(text, first, until):
                if match.start() < end and start < match.end() <= last:
                    return match
            return None
        # Few places where it may begin: trying them beats a search through all that follows.
        for at in range(first, start + 1):
            match = regex.match(text, at, until)
            if match is not None and start < match.end() <= last:
                return match
        return None


def compile_pattern(
    source: str, sets: Mapping[str, tuple[str, ...]], language: str, *, searched: bool = True
) -> Pattern:
    """Parse and compile; PatternError says what is wrong, where, and what to do.

    `searched` False is for patterns that are only tried beside a match, where one hanzi will do.
    """
    pattern = Pattern(source, parse(source, sets), language)
    if searched:
        short = [w for block in pattern.blocks for w in block.words if not _searchable(w)]
        if short or not pattern.blocks:
            what = f"too short to search for: {', '.join(short[:5])}" if short else "nothing in it can be searched for"
            fix = "put in a literal, group or set whose every alternative has 2 characters or more"
            raise PatternError(what, 0, fix)
    return pattern


def _any_of_each(nodes: Iterable[Node]) -> tuple[re.Pattern[str], ...]:
    firsts = filter(None, map(_first_characters, nodes))
    return tuple(re.compile(f"[{re.escape(''.join(sorted(characters)))}]") for characters in firsts)


def _spell(nodes: Sequence_, most: int) -> tuple[str, ...] | None:
    """Every string the nodes can match, or None where that is infinite or more than `most`."""
    spelled = [""]
    for node in nodes:
        if isinstance(node, Literal):
            spelled = [a + node.text for a in spelled]
            continue
        options = _options(node, most)
        if options is None or len(spelled) * len(options) > most:
            return None
        spelled = [a + b for a in spelled for b in options]
    return tuple(dict.fromkeys(spelled))


def _options(node: Node, most: int) -> Sequence[str] | None:
    if not isinstance(node, Group) or len(node.options) > most:
        return None
    if node.words is not None:
        return node.words
    words: list[str] = []
    for option in node.options:
        inner = _spell(option, most)
        if inner is None:
            return None
        words += inner
    return words


def _with_numerals(words: Iterable[str]) -> tuple[str, ...]:
    """第一 is found as 第1 too, and 7天 as 七天."""
    out: dict[str, None] = {}
    for word in words:
        out[word] = None
        if not _NUMERAL_CLASS.keys().isdisjoint(word):
            out["".join(_NUMERALS.get(c, c) for c in word)] = None
            for match in _LONE_DIGIT.finditer(word):
                for numeral, digit in _NUMERALS.items():
                    if digit == match[0]:
                        out[word[: match.start()] + numeral + word[match.end() :]] = None
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
    return sum(map(_longest_of, nodes))


def _longest_of(node: Node) -> int:
    if isinstance(node, Literal):
        return len(node.text) + (_LONGEST_PLURAL if node.text[-1].isascii() else 0)
    if isinstance(node, Group):
        if node.words is not None:
            return max(map(len, node.words)) + _LONGEST_PLURAL
        return max(map(_longest, node.options))
    if isinstance(node, Gap):
        return node.most
    return _LONGEST_NUMBER if isinstance(node, Number) else _LONGEST_ENDING


def _choose_blocks(nodes: Sequence_, language: str) -> tuple[tuple[Block, ...], int, list[Node]]:
    """The parts to search for, in order; the index of the one that is met least often; the other nodes."""
    parts = _searchable_parts(nodes, 1, 1, _MAX_SET_WORDS) + _cores(nodes)
    if len(parts) < 2 or not any(part.worth[0] for part in parts):
        # Single nodes say too little, or what everybody says: 喝 + 了, 微信 + 账号 say more.
        parts += _searchable_parts(nodes, 2, _LONGEST_BLOCK, _MAX_JOINED_WORDS)
    parts.sort(key=lambda part: part.worth, reverse=True)
    chosen: list[_Part] = []
    for part in parts:
        if len(chosen) < _MOST_BLOCKS and all(part.last <= c.first or part.first >= c.last for c in chosen):
            chosen.append(part)
    in_order = sorted(chosen, key=lambda part: part.first)
    blocks = tuple(
        # A space was stripped on either side.
        Block(
            _with_numerals(part.words),
            _longest(nodes[: part.first]) + part.offset + 1,
            _longest(nodes[part.first :]) + 1,
            _longest(nodes[: part.first]),
            language == "en" and not part.offset and _begins_word(nodes, part.first),
        )
        for part in in_order
    )
    rest = [n for i, n in enumerate(nodes) if not any(part.first <= i < part.last for part in chosen)]
    return blocks, in_order.index(chosen[0]) if chosen else 0, rest


def _begins_word(nodes: Sequence_, at: int) -> bool:
    """Whether what nodes[at] matches always has a word edge before it."""
    if at == 0 or isinstance(nodes[at - 1], Gap):
        return True
    before = nodes[at - 1]
    ends = [before.text] if isinstance(before, Literal) else _options(before, _MAX_SET_WORDS) or [""]
    return all(end.endswith(" ") for end in ends)


def _cores(nodes: Sequence_) -> list[_Part]:
    """Groups that are not plain words, by the weightiest literal of each alternative: 涨了 of 涨了#分."""
    parts: list[_Part] = []
    for at, node in enumerate(nodes):
        if not isinstance(node, Group) or _options(node, _MAX_SET_WORDS) is not None:
            continue
        cores = [_core(option) for option in node.options]
        words = tuple(dict.fromkeys(word for word, _ in cores))
        if words and all(map(_searchable, words)):
            parts.append(_Part(at, at + 1, words, _worth(words), max(offset for _, offset in cores)))
    return parts


def _core(option: Sequence_) -> tuple[str, int]:
    """A literal that every match of the option holds, and how many characters may stand before it in the option."""
    literals = [(n.text.strip(), _longest(option[:i]) + 1) for i, n in enumerate(option) if isinstance(n, Literal)]
    return max(literals, key=lambda literal: _weight(literal[0]), default=("", 0))


def _first_characters(node: Node) -> frozenset[str]:
    """Characters of which whatever the node matches holds one; empty where nothing is sure."""
    if isinstance(node, Literal):
        first = node.text[0]
        return frozenset(_NUMERAL_CLASS.get(first, first))
    if isinstance(node, Number):
        return _NUMBER_CHARACTERS
    if not isinstance(node, Group):
        return frozenset()
    firsts = [_first_characters(option[0]) if option else frozenset[str]() for option in node.options]
    return frozenset().union(*firsts) if all(firsts) else frozenset()


@dataclass(frozen=True, slots=True)
class _Part:
    """nodes[first:last], which spell `words`, or hold one of them at most `offset` characters from their begin;
    `worth` is the greater the more seldom they are met."""

    first: int
    last: int
    words: tuple[str, ...]
    worth: tuple[bool, int, int]
    offset: int = 0


def _searchable_parts(nodes: Sequence_, shortest: int, longest: int, most: int) -> list[_Part]:
    parts: list[_Part] = []
    for first in range(len(nodes)):
        for last in range(first + shortest, min(first + longest, len(nodes)) + 1):
            spelled = _spell(nodes[first:last], most)
            if spelled is None:
                break
            words = tuple(dict.fromkeys(w.strip() for w in spelled))
            if all(map(_searchable, words)):
                parts.append(_Part(first, last, words, _worth(words)))
    return parts


def _worth(words: Sequence[str]) -> tuple[bool, int, int]:
    return _COMMON.isdisjoint(words), min(4, *map(_weight, words)), -len(words)


def _searchable(word: str) -> bool:
    return len(word) >= 3 or (len(word) == 2 and word not in _COMMON) or (len(word) == 2 and word > "\u2fff")


def _weight(word: str) -> int:
    """Hanzi count; letters weigh half."""
    return (len(word) + sum(c > "\u2fff" for c in word)) // 2


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
