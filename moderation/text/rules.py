"""How an entry of the lexicon is searched for and recognised: by its words, its pattern, its parts, its sound."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from moderation.text.index import Lookup, Need
from moderation.text.lexicon import Entry
from moderation.text.patterns import Block, Pattern
from moderation.text.sound import sound_spellings

How = Literal["spelling", "sound", "pattern"]
Span = tuple[int, int]

_SENTENCE_ENDS = "。!?;\n"
_PLURALS = ("", "s", "es", "'s")


@dataclass(frozen=True, slots=True)
class Found:
    """A match in normalised text, not yet judged.

    `gaps`: the ranges inside it that any words may fill. `spelled`: for a sound, the term it sounds like.
    """

    entry: Entry
    start: int
    end: int
    how: How
    gaps: tuple[Span, ...] = ()
    spelled: str = ""


class Rule(Protocol):
    """Decides at a hit of its words."""

    def at(self, text: str, start: int, end: int) -> Found | None:
        """The match around `text[start:end]`, which is a word of the rule's first block."""
        ...


def spelling_lookups(entry: Entry) -> Iterator[Lookup[Rule]]:
    """What to search for in readings to find the entry as it is spelt."""
    pattern = entry.parts[0]
    if len(entry.parts) > 1:
        yield _combination_lookup(entry)
    elif pattern.spellings is not None:
        yield Lookup(_Spelled(entry), pattern.blocks[0].words)
    else:
        first = pattern.blocks[pattern.rarest]
        needs = [Need(b.words, *first.reach(b)) for b in pattern.blocks if b is not first]
        yield Lookup(_Verified(entry, first), first.words, tuple(needs))


def sound_lookups(entry: Entry) -> Iterator[Lookup[Rule]]:
    """What to search for in sounds to find the entry as it is heard."""
    for spelling in (entry.parts[0].spellings or ()) if entry.sound else ():
        if spelling.isalnum() and not spelling.isascii():
            yield Lookup(_Sounding(entry, spelling), sound_spellings(spelling))


def _combination_lookup(entry: Entry) -> Lookup[Rule]:
    lead = max(entry.parts, key=lambda p: (min(map(len, p.blocks[p.rarest].words)), -len(p.blocks[p.rarest].words)))
    others = tuple(p for p in entry.parts if p is not lead)
    first = lead.blocks[lead.rarest]
    reach = sum(entry.within + p.longest for p in others)
    needs = tuple(Need(p.blocks[p.rarest].words, first.before + reach, first.after + reach) for p in others)
    return Lookup(_Combination(entry, lead, first, others), first.words, needs)


@dataclass(frozen=True, slots=True)
class _Spelled:
    """The word is the whole term: only word edges are left to check."""

    entry: Entry

    def at(self, text: str, start: int, end: int) -> Found | None:
        if not _edge(text, start):
            return None
        if self.entry.language == "en":
            ends = (end + len(s) for s in _PLURALS if text.startswith(s, end))
            whole = next((e for e in ends if _edge(text, e)), None)
            return Found(self.entry, start, whole, "spelling") if whole is not None else None
        return Found(self.entry, start, end, "spelling") if _edge(text, end) else None


@dataclass(frozen=True, slots=True)
class _Verified:
    """The word is a part of the pattern, whose expression decides in the window around it."""

    entry: Entry
    block: Block

    def at(self, text: str, start: int, end: int) -> Found | None:
        if self.block.is_edged and not _edge(text, start):
            return None
        match = self.entry.parts[0].find_around(text, start, end, self.block)
        return Found(self.entry, *match.span(), "pattern", gaps=match.regs[1:]) if match is not None else None


@dataclass(frozen=True, slots=True)
class _Combination:
    """The word belongs to one pattern of several; the others must stand near it in the sentence."""

    entry: Entry
    lead: Pattern
    block: Block
    others: tuple[Pattern, ...]

    def at(self, text: str, start: int, end: int) -> Found | None:
        lead = self.lead.find_around(text, start, end, self.block)
        parts = self._gather(text, lead.span()) if lead is not None else []
        if not parts:
            return None
        gaps = tuple((a[1], b[0]) for a, b in itertools.pairwise(parts))
        return Found(self.entry, parts[0][0], parts[-1][1], "pattern", gaps=gaps)

    def _gather(self, text: str, lead: Span) -> list[Span]:
        """All parts in order of place, each at most `within` from those gathered before it; or none."""
        within = self.entry.within
        sentence = _sentence(text, *lead, reach=sum(within + p.longest for p in self.others))
        gathered, waiting = [lead], list(self.others)
        while waiting:
            start, end = gathered[0][0], gathered[-1][1]
            for pattern in waiting:
                first = max(sentence[0], start - within - pattern.longest)
                last = min(sentence[1], end + within + pattern.longest)
                spans = (m.span() for m in pattern.find(text, first, last))
                apart = {s: max(s[0] - end, start - s[1]) for s in spans}
                near = {s: distance for s, distance in apart.items() if 0 <= distance <= within}
                if near:
                    gathered = sorted([*gathered, min(near, key=near.__getitem__)])
                    waiting.remove(pattern)
                    break
            else:
                return []
        return gathered


@dataclass(frozen=True, slots=True)
class _Sounding:
    """The words sound like the term and are not spelt like it."""

    entry: Entry
    spelling: str

    def at(self, text: str, start: int, end: int) -> Found | None:
        heard = text[start:end]
        if heard == self.spelling or heard in (self.entry.parts[0].spellings or ()):
            return None
        return Found(self.entry, start, end, "sound", spelled=self.spelling)


def _edge(text: str, at: int) -> bool:
    """Whether a word may begin or end at `at`: not between two letters, not between two digits."""
    if not 0 < at < len(text):
        return True
    before, after = text[at - 1], text[at]
    return not ("a" <= before <= "z" and "a" <= after <= "z") and not ("0" <= before <= "9" and "0" <= after <= "9")


def _sentence(text: str, start: int, end: int, *, reach: int) -> Span:
    """The sentence around text[start:end], at most `reach` characters to either side."""
    first, last = max(0, start - reach), min(len(text), end + reach)
    begins = max(text.rfind(c, first, start) for c in _SENTENCE_ENDS) + 1
    ends = [i for c in _SENTENCE_ENDS if (i := text.find(c, end, last)) >= 0]
    return max(begins, first), min(ends, default=last)
