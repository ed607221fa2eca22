"""How words sound: toneless pinyin with near sounds, one code point per syllable.

Speech recognition writes homophones and sellers type them (跟之 for 根治, 见笑 for 见效). Each hanzi of a
reading becomes the class of its syllable, classes being equal for sounds that many speakers merge, and
latin pinyin between hanzi is cut into syllables. Two such strings are searched, one with the usual and
one with the second reading of characters that have two.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from moderation.text.characters import HANZI, LATIN, UNICODE, tables
from moderation.text.normalise import Normalised, code_points, from_code_points

# (spelling at the start or end of a syllable, the sound it is merged with)
NEAR_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"))
NEAR_FINALS = (("ang", "an"), ("eng", "en"), ("ing", "in"))
REGIONAL_INITIALS = (("h", "f"), ("r", "l"))

_FIRST_CODE = 0xE000  # private use: normalised text never holds these
_MOST_READINGS = 8


@dataclass(frozen=True, eq=False)
class SoundTable:
    """`first`, `second`: uint32 (0x110000,), code point → sound code, itself where it has no sound.

    `class_of`: syllable → code.
    """

    first: NDArray[np.uint32]
    second: NDArray[np.uint32]
    class_of: dict[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Sounds:
    """`text` with a sound code per syllable; character i stands for reading[starts[i]:ends[i]].

    `spelled`: the indexes in `text` of syllables that were written in latin letters.
    """

    text: str
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    spelled: tuple[int, ...] = ()

    @property
    def codes(self) -> NDArray[np.uint32]:
        """uint32 (len(text),), the code points of `text`."""
        return code_points(self.text)

    def moved(self, index: NDArray[np.int32]) -> Sounds:
        """The same sounds of a reading in which `index[i]` is the place of what stood at i."""
        return Sounds(self.text, index[self.starts], index[self.ends], self.spelled)


def near_sound(syllable: str, *, regional: bool = False) -> str:
    """The syllable with merged initials and finals: zhang → zan. `regional` also merges h/f and r/l."""
    for spelled, merged in NEAR_INITIALS + (REGIONAL_INITIALS if regional else ()):
        if syllable.startswith(spelled) and len(syllable) > len(spelled):
            syllable = merged + syllable[len(spelled) :]
            break
    for spelled, merged in NEAR_FINALS:
        if syllable.endswith(spelled):
            return syllable[: -len(spelled)] + merged
    return syllable


@cache
def sound_table(*, regional: bool = False) -> SoundTable:
    """Read `tables/pinyin.txt` (about 15 ms, 9 MB)."""
    first = np.arange(UNICODE, dtype=np.uint32)
    second = first.copy()
    class_of: dict[str, int] = {}
    codes: dict[str, int] = {}
    rows = (files("moderation.text") / "tables" / "pinyin.txt").read_text(encoding="utf-8").splitlines()
    also: list[tuple[str, int]] = []
    for row in rows:
        syllable, usual, rarer = row.split("\t")
        code = codes.setdefault(near_sound(syllable, regional=regional), _FIRST_CODE + len(codes))
        class_of[syllable] = code
        indexes = [ord(c) for c in usual]
        first[indexes] = code
        second[indexes] = code
        also.append((rarer, code))
    for characters, code in also:
        second[[ord(c) for c in characters]] = code
    return SoundTable(first, second, class_of)


def sounds_of(reading: Normalised, *, regional: bool = False) -> tuple[Sounds, Sounds]:
    """The reading by sound, with usual and with second readings."""
    table = sound_table(regional=regional)
    usual, second = _by_sound(reading.text, reading.codes, table, (table.first, table.second))
    return usual, second


def usual_sounds(text: str) -> Sounds:
    """A text that was read already (`Normalised.text`), by sound, with usual readings alone."""
    table = sound_table()
    return _by_sound(text, code_points(text), table, (table.first,))[0]


def is_sound(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which code points stand for a syllable."""
    return (codes >= _FIRST_CODE) & (codes < _FIRST_CODE + len(sound_table().class_of))


def sound_spellings(word: str, *, regional: bool = False) -> tuple[str, ...]:
    """The sound codes of a term: one string for each combination of readings, at most 8."""
    table = sound_table(regional=regional)
    options = [dict.fromkeys((int(table.first[ord(c)]), int(table.second[ord(c)]))) for c in word]
    combinations = itertools.islice(itertools.product(*options), _MOST_READINGS)
    return tuple("".join(map(chr, codes)) for codes in combinations)


def _by_sound(
    text: str, codes: NDArray[np.uint32], table: SoundTable, columns: Sequence[NDArray[np.uint32]]
) -> list[Sounds]:
    starts = np.arange(len(codes), dtype=np.int32)
    ends = starts + np.int32(1)
    keep, spelled = _spelled_syllables(text, codes, table, ends)
    kept = np.flatnonzero(keep)
    positions = np.array([p for p, _ in spelled], dtype=np.int64)
    where = tuple(np.searchsorted(kept, positions).tolist())
    out: list[Sounds] = []
    for column in columns:
        sound = column[codes]
        sound[positions] = [code for _, code in spelled]
        out.append(Sounds(from_code_points(sound[kept]), starts[kept], ends[kept], where))
    return out


def _spelled_syllables(
    text: str, codes: NDArray[np.uint32], table: SoundTable, ends: NDArray[np.int32]
) -> tuple[NDArray[np.bool_], list[tuple[int, int]]]:
    """Latin pinyin beside hanzi: which characters stay, and (position, code) of each syllable's first letter.

    `ends` is moved, in place, to the end of each such syllable.
    """
    keep = np.ones(len(codes), dtype=bool)
    spelled: list[tuple[int, int]] = []
    for start, end in _letters_beside_han(codes):
        syllables = _segment(text[start:end])
        if not syllables:
            continue
        at = start
        for syllable in syllables:
            spelled.append((at, table.class_of[syllable]))
            keep[at + 1 : at + len(syllable)] = False
            ends[at] = at + len(syllable)
            at += len(syllable)
    return keep, spelled


def _letters_beside_han(codes: NDArray[np.uint32]) -> list[tuple[int, int]]:
    """The runs of 2 to 18 letters that touch a hanzi."""
    kind = tables().kind[codes]
    letter = np.concatenate(([False], kind == LATIN, [False]))
    starts = np.flatnonzero(letter[1:] & ~letter[:-1])
    ends = np.flatnonzero(~letter[1:] & letter[:-1])
    han = np.concatenate(([False], kind == HANZI, [False]))
    length = ends - starts
    chosen = (han[starts] | han[ends + 1]) & (length >= 2) & (length <= 18)
    return list(zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True))


@lru_cache(maxsize=4096)
def _segment(letters: str) -> tuple[str, ...]:
    """Cut letters into pinyin syllables, longest first; empty where they are no pinyin."""
    if not letters:
        return ()
    known = sound_table().class_of
    for length in range(min(6, len(letters)), 0, -1):
        head = letters[:length]
        if head in known:
            if length == len(letters):
                return (head,)
            tail = _segment(letters[length:])
            if tail:
                return (head, *tail)
    return ()
