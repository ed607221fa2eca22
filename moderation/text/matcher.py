"""Terms found in text: by spelling, by sound and by pattern, with allow-lists and guards applied.

Many texts are read in one go: joined with line breaks, normalised by vectorised passes, and searched
by one Aho-Corasick pass for the anchors of every entry; only around an anchor does anything slower run.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import ahocorasick_rs

from moderation.text.guards import Guards, Hit
from moderation.text.lexicon import Entry, Lexicon, Strength
from moderation.text.normalise import Normalised, join_lines, normalise
from moderation.text.patterns import Anchor, Pattern
from moderation.text.restore import WordRestorer
from moderation.text.sound import Sounds, sound_spellings, sounds_of
from moderation.types import Source

How = Literal["spelling", "sound", "pattern"]

_BATCH_CHARACTERS = 1 << 17
_SENTENCE_ENDS = "。!?;\n"
_PLURALS = ("", "s", "es", "'s")


@dataclass(frozen=True, slots=True)
class TextItem:
    """One text to search, the goods category it is about (None: unknown) and where it comes from."""

    text: str
    category: str | None = None
    source: Source = "speech"


@dataclass(frozen=True, slots=True)
class TermMatch:
    """One term found. `start`, `end`: half-open range of the text as given; `normalised`: the reading
    that matched; `category`: the theme within the label; `entry`: "file:line" of the lexicon."""

    label: str
    strength: Strength
    category: str
    term: str
    start: int
    end: int
    normalised: str
    how: How
    entry: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A match that was let go, and why: the allow pattern, guard or stronger match, by name."""

    match: TermMatch
    reason: str


@dataclass(frozen=True, slots=True)
class Explained:
    """What was found in one text and what was dropped on the way."""

    matches: tuple[TermMatch, ...]
    dropped: tuple[Dropped, ...]


class TermMatcher:
    """Searches texts for the terms of one lexicon under one set of guards. Safe to share by threads."""

    def __init__(self, lexicon: Lexicon, guards: Guards) -> None:
        self.lexicon = lexicon
        self.guards = guards
        self._restorer = WordRestorer(lexicon)
        self._spelling = _Index(_spelling_anchors(lexicon.entries))
        self._sound = _Index(_sound_anchors(lexicon.entries))

    def match(self, text: str, *, category: str | None = None, source: Source = "speech") -> list[TermMatch]:
        """The matches in one text, in order of place."""
        return self.match_many([TextItem(text, category, source)])[0]

    def match_many(self, items: Sequence[TextItem]) -> list[list[TermMatch]]:
        """The matches in each text, in order of place. Much faster than one call for each text."""
        return [list(explained.matches) for explained in self.explain_many(items)]

    def explain_many(self, items: Sequence[TextItem]) -> list[Explained]:
        """The matches in each text, and what was dropped and why."""
        out: list[Explained] = []
        for batch in _batches(items):
            out += self._search(batch)
        return out

    def _search(self, items: Sequence[TextItem]) -> list[Explained]:
        joined, offsets = join_lines([item.text for item in items])
        reading, sounds = self._read(joined)
        found: dict[int, list[_Found]] = {}
        for hit in self._hits(reading, sounds):
            index = int(bisect_right(offsets, int(reading.starts[hit.start]))) - 1
            found.setdefault(index, []).append(hit)
        context = _Context(reading, self.guards)
        return [
            context.explain(items[i], found[i], int(offsets[i])) if i in found else _NOTHING for i in range(len(items))
        ]

    def _read(self, text: str) -> tuple[Normalised, tuple[Sounds, Sounds]]:
        """The reading with the lexicon's words restored, and how it sounds by usual and second readings."""
        reading = normalise(text)
        sounds = sounds_of(reading)
        restored = self._restorer.restore(reading, sounds[0])
        return (reading, sounds) if restored is reading else (restored, sounds_of(restored))

    def _hits(self, reading: Normalised, sounds: Sequence[Sounds]) -> Iterator[_Found]:
        """Everything found, each entry once at each place."""
        seen: set[tuple[int, int, int]] = set()
        for hit in itertools.chain(self._spelled(reading), *(self._sounding(reading, s) for s in sounds)):
            key = (id(hit.entry), hit.start, hit.end)
            if key not in seen:
                seen.add(key)
                yield hit

    def _spelled(self, reading: Normalised) -> Iterator[_Found]:
        text = reading.text
        for target, start, end in self._spelling.hits(text):
            yield from target(text, start, end)

    def _sounding(self, reading: Normalised, sounds: Sounds) -> Iterator[_Found]:
        for target, start, end in self._sound.hits(sounds.text):
            yield from target(reading.text, int(sounds.starts[start]), int(sounds.ends[end - 1]))


@dataclass(frozen=True, slots=True)
class _Found:
    """A match in the normalised text, not yet judged.

    `spelled`: for a sound, the term it sounds like. `gaps`: the ranges that any words may fill.
    """

    entry: Entry
    start: int
    end: int
    how: How
    spelled: str = ""
    gaps: tuple[tuple[int, int], ...] = ()


_Span = tuple[int, int]
_Target = Callable[[str, int, int], Iterable[_Found]]
_NOTHING = Explained((), ())


class _Index:
    """Fixed strings → what to do where one is found."""

    def __init__(self, anchors: Iterable[tuple[str, _Target]]) -> None:
        self.targets: list[list[_Target]] = []
        numbers: dict[str, int] = {}
        for text, target in anchors:
            number = numbers.setdefault(text, len(numbers))
            if number == len(self.targets):
                self.targets.append([])
            self.targets[number].append(target)
        self._automaton = ahocorasick_rs.AhoCorasick(list(numbers), store_patterns=False) if numbers else None

    def hits(self, text: str) -> Iterator[tuple[_Target, int, int]]:
        if self._automaton is None:
            return
        targets = self.targets
        for number, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            for target in targets[number]:
                yield target, start, end


def _spelling_anchors(entries: Iterable[Entry]) -> Iterator[tuple[str, _Target]]:
    for entry in entries:
        lead = max(entry.parts, key=_anchor_worth)
        if len(entry.parts) > 1:
            yield from ((a.text, _Combination(entry, lead, a)) for a in lead.anchors)
        elif lead.spellings is not None:
            target = _Spelled(entry)
            yield from ((a.text, target) for a in lead.anchors)
        else:
            yield from ((a.text, _Verified(entry, a)) for a in lead.anchors)


def _anchor_worth(pattern: Pattern) -> tuple[int, int]:
    return min(len(a.text) for a in pattern.anchors), -len(pattern.anchors)


def _sound_anchors(entries: Iterable[Entry]) -> Iterator[tuple[str, _Target]]:
    for entry in entries:
        if entry.sound:
            for spelling in entry.parts[0].spellings or ():
                if spelling.isalnum() and not spelling.isascii():
                    for sound in sound_spellings(spelling):
                        yield sound, _Sounding(entry, spelling)


@dataclass(frozen=True, slots=True)
class _Spelled:
    """The anchor is the whole term: only word edges are left to check."""

    entry: Entry

    def __call__(self, text: str, start: int, end: int) -> Iterator[_Found]:
        if not _edge(text, start):
            return
        if self.entry.language == "en":
            ends = (end + len(s) for s in _PLURALS if text.startswith(s, end))
            whole = next((e for e in ends if _edge(text, e)), None)
            if whole is not None:
                yield _Found(self.entry, start, whole, "spelling")
        elif _edge(text, end):
            yield _Found(self.entry, start, end, "spelling")


@dataclass(frozen=True, slots=True)
class _Verified:
    """The anchor is a part of the pattern: its expression is tried around it, within the sentence."""

    entry: Entry
    anchor: Anchor

    def __call__(self, text: str, start: int, end: int) -> Iterator[_Found]:
        first = max(0, start - self.anchor.before)
        last = min(len(text), end + self.anchor.after)
        for match in self.entry.parts[0].find(text, first, last):
            if match.start() < end and match.end() > start:
                yield _Found(self.entry, match.start(), match.end(), "pattern", gaps=match.regs[1:])


@dataclass(frozen=True, slots=True)
class _Combination:
    """The anchor belongs to one pattern of several; the others must stand near it in the sentence."""

    entry: Entry
    lead: Pattern
    anchor: Anchor

    def __call__(self, text: str, start: int, end: int) -> Iterator[_Found]:
        entry = self.entry
        first = max(0, start - self.anchor.before)
        last = min(len(text), end + self.anchor.after)
        for lead in self.lead.find(text, first, last):
            if lead.start() < end and lead.end() > start:
                parts = self._gather(text, lead.span(), [p for p in entry.parts if p is not self.lead])
                if parts:
                    gaps = tuple((a[1], b[0]) for a, b in itertools.pairwise(parts))
                    yield _Found(entry, parts[0][0], parts[-1][1], "pattern", gaps=gaps)

    def _gather(self, text: str, lead: _Span, others: list[Pattern]) -> list[_Span]:
        """All parts in order of place, each at most `within` from those gathered before it; or none."""
        within = self.entry.within
        sentence = _sentence(text, *lead, reach=sum(within + p.longest for p in others))
        gathered, waiting = [lead], list(others)
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
    """The words sound like the term. Two syllables alone prove little, so one must be spelt as in the
    term, unless recognised speech is all there is."""

    entry: Entry
    spelling: str

    def __call__(self, text: str, start: int, end: int) -> Iterator[_Found]:
        heard = text[start:end]
        if heard != self.spelling and heard not in (self.entry.parts[0].spellings or ()):
            yield _Found(self.entry, start, end, "sound", self.spelling)


class _Context:
    """Judges what was found in the texts of one batch."""

    def __init__(self, reading: Normalised, guards: Guards) -> None:
        self.reading = reading
        self.guards = guards
        self.breaks: list[int] = reading.breaks.tolist()
        self.restored: list[int] = reading.restored.tolist()

    def explain(self, item: TextItem, found: list[_Found], offset: int) -> Explained:
        matches: list[TermMatch] = []
        dropped: list[Dropped] = []
        for hit in found:
            if not hit.entry.applies(item.category, item.source):
                continue
            match = self._match(hit, offset)
            reason = self._reason(hit, item)
            if reason is None:
                matches.append(match)
            else:
                dropped.append(Dropped(match, reason))
        kept, weaker = _strongest(matches)
        return Explained(kept, (*dropped, *weaker))

    def _match(self, hit: _Found, offset: int) -> TermMatch:
        start, end = self.reading.span(hit.start, hit.end)
        return TermMatch(
            label=hit.entry.label,
            strength=hit.entry.strength,
            category=hit.entry.category,
            term=hit.entry.term,
            start=start - offset,
            end=end - offset,
            normalised=hit.spelled or self.reading.text[hit.start : hit.end],
            how="sound" if _any_within(self.restored, hit.start, hit.end) else hit.how,
            entry=hit.entry.where,
        )

    def _reason(self, hit: _Found, item: TextItem) -> str | None:
        """Why the match is let go, or None."""
        text, entry = self.reading.text, hit.entry
        if hit.how == "sound" and len(hit.spelled) == 2 and item.source != "speech":
            heard = text[hit.start : hit.end]
            if not any(a == b for a, b in zip(heard, hit.spelled, strict=False)):
                return "sound: two syllables, and neither is spelt as in the term"
        if hit.how != "pattern" and hit.end - hit.start < 4 and self._broken(hit):
            return "separator: the words stand on both sides of a separator"
        for pattern in entry.allow:
            reach = pattern.longest
            spans = pattern.find(text, max(0, hit.start - reach), min(len(text), hit.end + reach))
            if any(m.start() < hit.end and m.end() > hit.start for m in spans):
                return f"allow: {pattern.source}"
        guard = self.guards.reason(
            Hit(text, hit.start, hit.end, hit.gaps),
            label=entry.label,
            source=item.source,
            breaks=self.breaks,
            general=entry.guards,
        )
        return f"{'exemption' if guard.exemption else 'guard'}: {guard.name}" if guard else None

    def _broken(self, hit: _Found) -> bool:
        """Whether two whole words were pushed together in the middle of the match ("喝了好 转发")."""
        return _any_within(self.breaks, hit.start + 1, hit.end)


def _strongest(matches: list[TermMatch]) -> tuple[tuple[TermMatch, ...], tuple[Dropped, ...]]:
    """Of overlapping matches of one label the strongest, then the longest; the rest as dropped."""
    ranked = sorted(matches, key=lambda m: (m.strength != "block", m.start - m.end, m.start))
    kept: list[TermMatch] = []
    dropped: list[Dropped] = []
    for match in ranked:
        over = next((k for k in kept if k.label == match.label and k.start < match.end and match.start < k.end), None)
        if over is None:
            kept.append(match)
        else:
            dropped.append(Dropped(match, f"merged: {over.term}"))
    return tuple(sorted(kept, key=lambda m: (m.start, m.end))), tuple(dropped)


def _any_within(positions: list[int], start: int, end: int) -> bool:
    """Whether one of the sorted positions lies in start..end-1."""
    at = bisect_left(positions, start)
    return at < len(positions) and positions[at] < end


def _edge(text: str, at: int) -> bool:
    """Whether a word may begin or end at `at`: not between two letters, not between two digits."""
    if not 0 < at < len(text):
        return True
    before, after = text[at - 1], text[at]
    return not ("a" <= before <= "z" and "a" <= after <= "z") and not ("0" <= before <= "9" and "0" <= after <= "9")


def _sentence(text: str, start: int, end: int, reach: int) -> tuple[int, int]:
    """The sentence around text[start:end], at most `reach` characters to either side."""
    first, last = max(0, start - reach), min(len(text), end + reach)
    begins = max(text.rfind(c, first, start) for c in _SENTENCE_ENDS) + 1
    ends = [i for c in _SENTENCE_ENDS if (i := text.find(c, end, last)) >= 0]
    return max(begins, first), min(ends, default=last)


def _batches(items: Sequence[TextItem]) -> Iterator[Sequence[TextItem]]:
    first, size = 0, 0
    for i, item in enumerate(items):
        size += len(item.text) + 1
        if size >= _BATCH_CHARACTERS:
            yield items[first : i + 1]
            first, size = i + 1, 0
    if first < len(items):
        yield items[first:]
