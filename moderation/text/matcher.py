"""Terms found in text: by spelling, by sound and by pattern, with allow-lists and guards applied.

Many texts are read in one go: joined with line breaks, normalised by vectorised passes, and searched by
one pass for the words of every entry; only where those stand together does anything slower run.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moderation.text.guards import Guards, Hit
from moderation.text.index import Index
from moderation.text.lexicon import Lexicon, Strength
from moderation.text.normalise import Normalised, join_lines, normalise
from moderation.text.restore import WordRestorer
from moderation.text.rules import Found, How, sound_lookups, spelling_lookups
from moderation.text.sound import Sounds, sounds_of
from moderation.types import Source

_BATCH_CHARACTERS = 1 << 19
_SHORTEST_ACROSS_WORDS = 4
# The most frequent characters of any Chinese sentence, which recognisers write where they are said.
_GRAMMAR = frozenset("的了是我你他她它们在有和就不没也都说要会能可这那个些一二三两几上下里去来很更最到给把被让吗呢吧啊")


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

    matches: tuple[TermMatch, ...] = ()
    dropped: tuple[Dropped, ...] = ()


class TermMatcher:
    """Searches texts for the terms of one lexicon under one set of guards. Safe to share by threads."""

    def __init__(self, lexicon: Lexicon, guards: Guards) -> None:
        self.lexicon = lexicon
        self.guards = guards
        self._restorer = WordRestorer(lexicon)
        self._spelling = Index(lookup for entry in lexicon.entries for lookup in spelling_lookups(entry))
        self._sound = Index(lookup for entry in lexicon.entries for lookup in sound_lookups(entry))

    def match(self, text: str, *, category: str | None = None, source: Source = "speech") -> list[TermMatch]:
        """The matches in one text, in order of place."""
        return self.match_many([TextItem(text, category, source)])[0]

    def match_many(self, items: Sequence[TextItem]) -> list[list[TermMatch]]:
        """The matches in each text, in order of place. Much faster than one call for each text."""
        return [list(explained.matches) for explained in self.explain_many(items)]

    def explain_many(self, items: Sequence[TextItem]) -> list[Explained]:
        """The matches in each text, and what was dropped and why."""
        return [explained for batch in _batches(items) for explained in self._search(batch)]

    def _search(self, items: Sequence[TextItem]) -> list[Explained]:
        joined, offsets = join_lines([item.text for item in items])
        reading, sounds = self._read(joined)
        begins = offsets.tolist()
        found: dict[int, list[Found]] = {}
        for hit in self._hits(reading, sounds):
            index = bisect_right(begins, int(reading.starts[hit.start])) - 1
            found.setdefault(index, []).append(hit)
        judge = _Judge(reading, self.guards)
        out = [_NOTHING] * len(items)
        for index, hits in found.items():
            out[index] = judge.explain(items[index], hits, begins[index])
        return out

    def _read(self, text: str) -> tuple[Normalised, tuple[Sounds, Sounds]]:
        """The reading with the lexicon's words restored, and how it sounds by usual and second readings."""
        reading = normalise(text)
        return self._restorer.restore(reading, sounds_of(reading))

    def _hits(self, reading: Normalised, sounds: Sequence[Sounds]) -> Iterator[Found]:
        """Everything found, each entry once at each place."""
        seen: set[tuple[int, int, int]] = set()
        for hit in itertools.chain(self._spelled(reading), *(self._sounding(reading, s) for s in sounds)):
            key = (id(hit.entry), hit.start, hit.end)
            if key not in seen:
                seen.add(key)
                yield hit

    def _spelled(self, reading: Normalised) -> Iterator[Found]:
        text = reading.text
        for rule, starts, ends in self._spelling.candidates(text):
            at = rule.at
            for start, end in zip(starts, ends, strict=True):
                found = at(text, start, end)
                if found is not None:
                    yield found

    def _sounding(self, reading: Normalised, sounds: Sounds) -> Iterator[Found]:
        for rule, starts, ends in self._sound.candidates(sounds.text):
            for start, end in zip(starts, ends, strict=True):
                found = rule.at(reading.text, int(sounds.starts[start]), int(sounds.ends[end - 1]))
                if found is not None:
                    yield found


_NOTHING = Explained()


class _Judge:
    """Decides which of the hits in a batch of texts stand."""

    def __init__(self, reading: Normalised, guards: Guards) -> None:
        self.reading = reading
        self.guards = guards
        self.breaks: list[int] = reading.breaks.tolist()
        self.restored: list[int] = reading.restored.tolist()

    def explain(self, item: TextItem, found: Sequence[Found], offset: int) -> Explained:
        """Judge the hits of one text that begins at `offset` of the batch."""
        matches: list[TermMatch] = []
        dropped: list[Dropped] = []
        for hit in found:
            if hit.entry.applies(item.category, item.source):
                match = self._match(hit, offset)
                reason = self._reason(hit, item)
                if reason is None:
                    matches.append(match)
                else:
                    dropped.append(Dropped(match, reason))
        kept, weaker = _strongest(matches)
        return Explained(kept, (*dropped, *weaker))

    def _match(self, hit: Found, offset: int) -> TermMatch:
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

    def _reason(self, hit: Found, item: TextItem) -> str | None:
        """Why the match is let go, or None."""
        if self._merely_sounds(hit, item.source):
            return "sound: two syllables that are words of their own"
        if hit.how != "pattern" and hit.end - hit.start < _SHORTEST_ACROSS_WORDS and self._broken(hit):
            return "separator: the words stand on both sides of a separator"
        return self._allowed(hit) or self._guarded(hit, item)

    def _merely_sounds(self, hit: Found, source: Source) -> bool:
        """Two syllables prove little: one must be spelt as in the term, unless it was speech, and no other may be a
        word of grammar: 是我 is itself, and no slip of a recogniser for 私我."""
        if hit.how != "sound" or len(hit.spelled) != 2:
            return False
        heard = self.reading.text[hit.start : hit.end]
        changed = [a for a, b in zip(heard, hit.spelled, strict=False) if a != b]
        return not _GRAMMAR.isdisjoint(changed) or (len(changed) == 2 and source != "speech")

    def _broken(self, hit: Found) -> bool:
        """Whether two whole words were pushed together in the middle of the match ("喝了好 转发")."""
        return _any_within(self.breaks, hit.start + 1, hit.end)

    def _allowed(self, hit: Found) -> str | None:
        for pattern in hit.entry.allow:
            reach = pattern.longest
            around = pattern.find(self.reading.text, hit.start - reach, hit.end + reach)
            if any(m.start() < hit.end and m.end() > hit.start for m in around):
                return f"allow: {pattern.source}"
        return None

    def _guarded(self, hit: Found, item: TextItem) -> str | None:
        guard = self.guards.reason(
            Hit(self.reading.text, hit.start, hit.end, hit.gaps),
            label=hit.entry.label,
            source=item.source,
            breaks=self.breaks,
            general=hit.entry.guards,
        )
        if guard is None:
            return None
        return f"{'exemption' if guard.exemption else 'guard'}: {guard.name}"


def _strongest(matches: list[TermMatch]) -> tuple[tuple[TermMatch, ...], tuple[Dropped, ...]]:
    """Of overlapping matches of one label the strongest, then the longest; the rest as dropped."""
    if len(matches) < 2:
        return tuple(matches), ()
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


def _batches(items: Sequence[TextItem]) -> Iterator[Sequence[TextItem]]:
    first, size = 0, 0
    for i, item in enumerate(items):
        size += len(item.text) + 1
        if size >= _BATCH_CHARACTERS:
            yield items[first : i + 1]
            first, size = i + 1, 0
    if first < len(items):
        yield items[first:]
