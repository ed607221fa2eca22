"""Words of the lexicon that were typed or recognised by sound, put back as they are spelt.

Patterns with gaps and sets are searched by spelling, so a set's word must be readable first: 糖niao病 and
唐尿病 become 糖尿病. Two cases, both narrow. Latin pinyin beside hanzi is read as any word of the lexicon
that it spells with its neighbours. Hanzi are read as another word only where that word is in a set, has
three syllables or more, and shares a character with what was written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import ahocorasick_rs
import numpy as np
from numpy.typing import NDArray

from moderation.text.lexicon import Lexicon
from moderation.text.normalise import Normalised
from moderation.text.sound import Sounds, sound_spellings
from moderation.text.syntax import Group, Literal, Sequence_

_SHORTEST_HOMOPHONE = 3
_LONGEST_WORD = 8

_Change = tuple[int, int, str]  # sound indexes [first, last) now read as this word


class WordRestorer:
    """Puts the words of one lexicon back into readings."""

    def __init__(self, lexicon: Lexicon) -> None:
        set_words = {w for words in lexicon.sets.values() for w in words if _is_han(w)}
        spoken = set_words | {
            w for e in lexicon.entries if e.language == "zh" for p in e.parts for w in _literals(p.nodes)
        }
        self._by_sound = {s: w for w in sorted(spoken) for s in sound_spellings(w)[:1] if len(w) <= _LONGEST_WORD}
        self._known = frozenset(spoken)
        long_words = sorted(w for w in set_words if len(w) >= _SHORTEST_HOMOPHONE)
        self._long_words = long_words
        self._long_lengths = np.array([len(w) for w in long_words], np.int64)
        width = max(map(len, long_words), default=0)
        self._long_codes = np.array([[ord(c) for c in w.ljust(width, "\0")] for w in long_words], np.uint32)
        sounds = [sound_spellings(w)[0] for w in long_words]
        self._automaton = ahocorasick_rs.AhoCorasick(sounds, store_patterns=False) if sounds else None

    def restore(self, reading: Normalised, sounds: tuple[Sounds, Sounds]) -> tuple[Normalised, tuple[Sounds, Sounds]]:
        """The reading with such words spelt out and its sounds, both as given where there are none.

        The sounds stay what they were, since a word is put back for its sound; only their places move.
        """
        usual, second = sounds
        changes = sorted(self._pinyin(reading, usual), key=lambda c: c[0] - c[1])
        changes += self._homophones(reading, usual)
        if not changes:
            return reading, sounds
        restored, moved = _apply(reading, usual, changes)
        return restored, (usual.moved(moved), second.moved(moved))

    def _pinyin(self, reading: Normalised, sounds: Sounds) -> Iterator[_Change]:
        """Words that hold at least one syllable in latin letters."""
        for at in sounds.spelled:
            for first in range(max(0, at - _LONGEST_WORD + 1), at + 1):
                for last in range(max(at + 1, first + 2), min(len(sounds.text), first + _LONGEST_WORD) + 1):
                    word = self._by_sound.get(sounds.text[first:last])
                    if word is not None and _same_where_han(reading, sounds, first, last, word):
                        yield first, last, word

    def _homophones(self, reading: Normalised, sounds: Sounds) -> Iterator[_Change]:
        if self._automaton is None:
            return
        hits = self._automaton.find_matches_as_indexes(sounds.text, overlapping=True)
        if not hits:
            return
        flat = np.fromiter(itertools.chain.from_iterable(hits), dtype=np.int64, count=3 * len(hits))
        numbers, firsts, lasts = flat.reshape(-1, 3).T
        begins, finishes = sounds.starts[firsts], sounds.ends[lasts - 1]
        text = reading.text
        for at in np.flatnonzero(~self._is_spelt(reading, numbers, begins, finishes)).tolist():
            word, heard = self._long_words[numbers[at]], text[begins[at] : finishes[at]]
            if any(a == b for a, b in zip(heard, word, strict=False)) and not self._knows(heard):
                yield int(firsts[at]), int(lasts[at]), word

    def _is_spelt(
        self,
        reading: Normalised,
        numbers: NDArray[np.int64],
        begins: NDArray[np.int32],
        finishes: NDArray[np.int32],
    ) -> NDArray[np.bool_]:
        """Which words stand at their places as they are spelt; nearly all do, so this is decided for all at once."""
        width = self._long_codes.shape[1]
        codes = np.append(reading.codes, np.zeros(width, np.uint32))
        lengths = self._long_lengths[numbers]
        same = codes[begins[:, None] + np.arange(width)] == self._long_codes[numbers]
        beyond = np.arange(width) >= lengths[:, None]
        return (finishes - begins == lengths) & (same | beyond).all(axis=1)

    def _knows(self, heard: str) -> bool:
        """Whether what is written holds a word of the lexicon as it stands (卫星 in 卫星号)."""
        return any(heard[a:b] in self._known for a, b in itertools.combinations(range(len(heard) + 1), 2))


def _same_where_han(reading: Normalised, sounds: Sounds, first: int, last: int, word: str) -> bool:
    """Whether the word agrees with every hanzi that was written out, and there is one, or the word is long enough.

    Two syllables in latin letters alone are as likely a name (nasa is not 拉萨).
    """
    written = 0
    for index, character in zip(range(first, last), word, strict=True):
        start, end = int(sounds.starts[index]), int(sounds.ends[index])
        if end - start == 1:
            if reading.text[start] != character:
                return False
            written += 1
    return written > 0 or len(word) >= _SHORTEST_HOMOPHONE


def _apply(reading: Normalised, sounds: Sounds, changes: Iterable[_Change]) -> tuple[Normalised, NDArray[np.int32]]:
    """Write the words over what stands there; the first change wins where two overlap.

    Also says where each index of the old text lies in the new one, its end included: int32 (length + 1,).
    """
    codes, starts, ends = reading.codes.copy(), reading.starts.copy(), reading.ends.copy()
    keep = np.ones(len(codes), dtype=bool)
    restored = np.zeros(len(codes), dtype=bool)
    for first, last, word in changes:
        begin, end = int(sounds.starts[first]), int(sounds.ends[last - 1])
        if restored[begin:end].any():
            continue
        for index, character in zip(range(first, last), word, strict=True):
            at, to = int(sounds.starts[index]), int(sounds.ends[index])
            codes[at] = ord(character)
            ends[at] = reading.ends[to - 1]
            keep[at + 1 : to] = False
        restored[begin:end] = True
    moved = np.concatenate(([0], np.cumsum(keep))).astype(np.int32)
    new = Normalised(
        original=reading.original,
        text=codes[keep].astype("<u4").tobytes().decode("utf-32-le"),
        starts=starts[keep],
        ends=ends[keep],
        breaks=moved[reading.breaks],
        restored=np.flatnonzero(restored[keep]).astype(np.int32),
    )
    return new, moved


def _is_han(word: str) -> bool:
    return len(word) >= 2 and all("\u4e00" <= c <= "\u9fff" for c in word)


def _literals(nodes: Sequence_) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Literal) and _is_han(node.text):
            yield node.text
        elif isinstance(node, Group):
            for option in node.options:
                yield from _literals(option)
