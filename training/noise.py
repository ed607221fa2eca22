"""Texts as recognisers hear them and as evaders write them, with the evidence still marked.

A text is held as one cell a character; every change rewrites cells, so spans follow by position. What
`moderation.text.normalise` undoes anyway (width, traditional characters, separators) is left to it: here is what
remains, above all sound.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from pypinyin import Style, lazy_pinyin, pinyin

from training.examples import Example, Span

Cells = list[str]

# Pairs of initials and finals that Mandarin speakers and recognisers mix up.
_NEAR_INITIALS = {
    "zh": "z",
    "ch": "c",
    "sh": "s",
    "z": "zh",
    "c": "ch",
    "s": "sh",
    "n": "l",
    "l": "n",
    "f": "h",
    "h": "f",
}
_NEAR_FINALS = {"in": "ing", "ing": "in", "en": "eng", "eng": "en", "an": "ang", "ang": "an"}
_FILLERS = ("啊", "呃", "嗯", "那个", "就是", "然后", "呢", "对吧", "这个", "哈", "是吧", "哎")
_ENGLISH_FILLERS = (" uh", " um", " like", " you know", " okay", " right")
_PUNCTUATION = frozenset("，。！？、；：,.!?;:…~～")
_SEPARATORS = (".", "-", "*", "_", "·", " ", "/", "|", "~", "❤️", "🔥", "✨")
_LEET = {"a": "@4", "e": "3", "i": "1!", "o": "0", "s": "$5", "l": "1", "t": "7"}
_FIRST_LEVEL = (0xB0A1, 0xD7FA)


def heard(example: Example, rng: random.Random) -> Example:
    """As a speech recogniser writes it: no punctuation, homophones, near sounds, fillers, swallowed words."""
    cells = list(example.text)
    if rng.random() < 0.7:
        cells = [_unpunctuated(c, rng) for c in cells]
    if example.language == "en":
        cells = [c.lower() for c in cells]
        _misspell(cells, rng, rate=0.02)
        _insert(cells, rng, _ENGLISH_FILLERS, rate=0.015, at=lambda i: i + 1 < len(cells) and cells[i + 1] == " ")
    else:
        _resound(cells, range(len(cells)), rng, rate=rng.choice((0.03, 0.06, 0.12)), near=0.35)
        _insert(cells, rng, _FILLERS, rate=0.03, at=lambda _: True)
        _swallow(cells, rng, rate=0.015)
    return _rewritten(example, cells)


def evaded(example: Example, rng: random.Random) -> Example:
    """As somebody writes it who knows the filter: the words that matter by sound, in letters, cut apart.

    In an innocent text some other words are rewritten the same way, since odd spelling alone is no violation.
    """
    cells = list(example.text)
    where = _words_that_matter(example, rng)
    if example.language == "en":
        _disguise(cells, where, rng)
        return _rewritten(example, cells)
    way = rng.random()
    if way < 0.5:
        _resound(cells, where, rng, rate=0.45, near=0.15)
    elif way < 0.75:
        for i in where:
            if _is_han(cells[i]) and rng.random() < 0.4:
                cells[i] = rng.choice(_sounds(cells[i]))
    else:
        _resound(cells, where, rng, rate=0.2, near=0.1)
        separator = rng.choice(_SEPARATORS)
        for i in where:
            if rng.random() < 0.4:
                cells[i] += separator
    return _rewritten(example, cells)


def _disguise(cells: Cells, where: Sequence[int], rng: random.Random) -> None:
    """English words as they slip past a filter: signs for letters, letters masked, dropped, or held apart."""
    for word in _words(cells, where):
        way = rng.random()
        if way < 0.45:
            for i in word:
                letter = cells[i].lower()
                if letter in _LEET and rng.random() < 0.45:
                    cells[i] = rng.choice(_LEET[letter])
        elif way < 0.55:
            separator = rng.choice((".", "-", "*", " ", "_", "·"))
            for i in word[:-1]:
                cells[i] += separator
        elif way < 0.65:
            for i in word[1:-1]:
                if cells[i].lower() in "aeiou" or rng.random() < 0.2:
                    cells[i] = rng.choice(("*", "", "."))
        elif way < 0.7:
            at = rng.choice(word)
            cells[at] += rng.choice((cells[at], ".", "-", "*", " ", "_"))


def _words(cells: Cells, where: Sequence[int]) -> list[list[int]]:
    """The indexes of `where` that are letters, cut into words."""
    words: list[list[int]] = []
    for i in where:
        if not cells[i].isalpha():
            continue
        if words and words[-1][-1] == i - 1:
            words[-1].append(i)
        else:
            words.append([i])
    return words


def among_others(example: Example, others: Sequence[Example], rng: random.Random) -> Example:
    """The text inside a longer one, with innocent neighbours before and behind it: most of a transcript is harmless."""
    gap = rng.choice(("，", "。", " ", "")) if example.language == "zh" else rng.choice((". ", " ", ", "))
    before = [o.text for o in others[: rng.randint(0, len(others))]]
    behind = [o.text for o in others[len(before) :]]
    head = gap.join([*before, ""])
    shifted = tuple(Span(s.label, s.start + len(head), s.end + len(head)) for s in example.spans)
    return replace(example, text=head + gap.join([example.text, *behind]), spans=shifted)


@cache
def homophones() -> dict[str, tuple[str, ...]]:
    """Toneless syllable → the common characters (first level of GB 2312) that are usually read so."""
    table: dict[str, list[str]] = {}
    for code in range(*_FIRST_LEVEL):
        try:
            character = code.to_bytes(2, "big").decode("gb2312")
        except UnicodeDecodeError:
            continue
        table.setdefault(lazy_pinyin(character)[0], []).append(character)
    return {sound: tuple(characters) for sound, characters in table.items()}


def _words_that_matter(example: Example, rng: random.Random) -> list[int]:
    if example.spans:
        return sorted({i for s in example.spans for i in range(s.start, s.end)})
    length = len(example.text)
    begin = rng.randrange(max(length - 3, 1))
    return list(range(begin, min(begin + rng.randint(2, 8), length)))


def _resound(cells: Cells, where: Sequence[int], rng: random.Random, *, rate: float, near: float) -> None:
    for i in where:
        if not _is_han(cells[i]) or rng.random() >= rate:
            continue
        sound = lazy_pinyin(cells[i])[0]
        if rng.random() < near:
            sound = _near_sound(sound, rng)
        others = [c for c in homophones().get(sound, ()) if c != cells[i]]
        if others:
            cells[i] = rng.choice(others)


def _near_sound(sound: str, rng: random.Random) -> str:
    changed = [
        new + sound.removeprefix(old)
        for old, new in _NEAR_INITIALS.items()
        if sound.startswith(old) and not (len(old) == 1 and sound[1:2] == "h")
    ]
    changed += [sound.removesuffix(old) + new for old, new in _NEAR_FINALS.items() if sound.endswith(old)]
    possible = [s for s in changed if s in homophones()]
    return rng.choice(possible) if possible else sound


@cache
def _sounds(character: str) -> tuple[str, ...]:
    """Pinyin in letters, and its first letter, which is how most people shorten it."""
    full = pinyin(character, style=Style.NORMAL)[0][0]
    return (full, full, full[:1])


def _unpunctuated(character: str, rng: random.Random) -> str:
    if character not in _PUNCTUATION:
        return character
    return " " if rng.random() < 0.3 else ""


def _insert(cells: Cells, rng: random.Random, words: Sequence[str], *, rate: float, at: Callable[[int], bool]) -> None:
    for i in range(len(cells)):
        if rng.random() < rate and at(i):
            cells[i] += rng.choice(words)


def _swallow(cells: Cells, rng: random.Random, *, rate: float) -> None:
    for i in range(len(cells)):
        if _is_han(cells[i]) and rng.random() < rate:
            cells[i] = ""


def _misspell(cells: Cells, rng: random.Random, *, rate: float) -> None:
    for i in range(len(cells) - 1):
        if cells[i].isalpha() and cells[i + 1].isalpha() and rng.random() < rate:
            kind = rng.random()
            if kind < 0.4:
                cells[i], cells[i + 1] = cells[i + 1], cells[i]
            elif kind < 0.7:
                cells[i] = ""
            else:
                cells[i] += cells[i]


def _is_han(cell: str) -> bool:
    return len(cell) == 1 and "\u4e00" <= cell <= "\u9fff"


def _rewritten(example: Example, cells: Cells) -> Example:
    """The example with the text of its cells; a span that lost all its characters is dropped."""
    at = [0]
    for cell in cells:
        at.append(at[-1] + len(cell))
    moved = (Span(s.label, at[s.start], at[s.end]) for s in example.spans)
    return replace(example, text="".join(cells), spans=tuple(s for s in moved if s.end > s.start))
