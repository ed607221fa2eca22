"""Brands named in words: which brands a clip claims to sell, and whether the seller may.

A name in the title or description is a claim. In speech or on screen a name alone is talk; it counts near a
selling word (正品, 同款, 专柜 …) or when it is repeated. Accessories, used goods and comparisons are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from moderation.metadata import VideoMetadata
from moderation.policy.schema import Brand, BrandWordRules
from moderation.text.normalise import Normalised, normalise
from moderation.types import Action, Finding, Utterance

# Characters around a name: where an `allow` phrase without the name in it, and a `context` word, are looked for.
ALLOW_WINDOW = 12
CONTEXT_WINDOW = 6
# A title speaks of the goods only, so the words that tell an ambiguous name may stand further off.
TITLE_CONTEXT_WINDOW = 10
# A number may touch a name of this many letters (iphone15, 15promax); shorter ones are too often part of a code.
MIN_LETTERS_BESIDE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class BrandMention:
    """A brand's name in an utterance; `start` and `end` are offsets in the utterance's own text."""

    brand: Brand
    utterance: Utterance
    start: int
    end: int
    normalised: str
    is_selling: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Name:
    """One spelling of a brand's name, ready to search. `spelling` is normalised."""

    brand: _Prepared
    spelling: str
    pattern: re.Pattern[str]
    is_ambiguous: bool


class _Prepared:
    """A brand with its phrases; patterns are compiled when the brand is first named."""

    def __init__(self, brand: Brand) -> None:
        self.brand = brand
        self.spellings = {_read(name) for name in brand.names} - {""}
        self.ambiguous = {_read(name) for name in brand.ambiguous}

    @cached_property
    def covers(self) -> re.Pattern[str]:
        """Innocent phrases with a name of the brand in them: they must overlap the mention."""
        return _alternatives(re.escape(phrase) for phrase in map(_read, self.brand.allow) if self._holds_name(phrase))

    @cached_property
    def beside(self) -> re.Pattern[str]:
        """Innocent phrases without a name: they count anywhere near the mention."""
        return goods_words(phrase for phrase in map(_read, self.brand.allow) if not self._holds_name(phrase))

    @cached_property
    def context(self) -> re.Pattern[str]:
        return any_word([*self.brand.context, *(self.spellings - self.ambiguous)])

    def _holds_name(self, phrase: str) -> bool:
        return any(spelling in phrase for spelling in self.spellings)


class BrandWords:
    """Finds brand names in texts. Build once per policy; holds no state between calls."""

    def __init__(self, brands: Sequence[Brand], rules: BrandWordRules) -> None:
        self._rules = rules
        self._keys: dict[str, str] = {}
        # First character → the names that begin with it, longest first.
        self._names: dict[str, list[_Name]] = {}
        for brand in brands:
            self._add(brand)
        for names in self._names.values():
            names.sort(key=lambda n: len(n.spelling), reverse=True)
        # A single hanzi (比) is part of many words; it counts only directly before a name.
        hanzi = [word for word in rules.not_goods_words if len(word) == 1]
        self._not_goods = any_word([word for word in rules.not_goods_words if word not in hanzi])
        self._not_goods_before = frozenset(hanzi)
        self._selling = any_word(rules.selling_words)

    def keys(self, names: Iterable[str]) -> set[str]:
        """Brand keys of names as a platform writes them (Nike, 耐克, Nike/耐克); unknown ones as they are."""
        return {key for name in names for key in self._keys_in(name)}

    def mentions(self, utterance: Utterance, category: str | None = None) -> list[BrandMention]:
        """Names of goods on offer in one text; accessories, comparisons and plain words are left out.

        `category` is that of the goods: an ordinary word is no brand among goods that the brand does not make.
        """
        text = normalise(utterance.text)
        window = TITLE_CONTEXT_WINDOW if utterance.source == "title" else CONTEXT_WINDOW
        return [
            self._mention(name, span, text, utterance)
            for name, span in self._scan(text.text)
            if not _is_plain_word(name, text.text, span, window, category) and not self._is_no_goods(text, span)
        ]

    def _add(self, brand: Brand) -> None:
        prepared = _Prepared(brand)
        for spelling in sorted(prepared.spellings):
            name = _Name(prepared, spelling, _name_pattern(spelling), spelling in prepared.ambiguous)
            self._names.setdefault(spelling[0], []).append(name)
        for spelling in (brand.key, *brand.names):
            self._keys.setdefault(_bare(spelling), brand.key)

    def _keys_in(self, name: str) -> set[str]:
        if (whole := self._keys.get(_bare(name))) is not None:
            return {whole}
        # Nike/耐克, 耐克（NIKE）: several names and nothing else.
        text = _read(name)
        found = list(self._scan(text))
        rest = "".join(c for i, c in enumerate(text) if not any(a <= i < b for _, (a, b) in found))
        if found and not any(c.isalnum() for c in rest):
            return {n.brand.brand.key for n, _ in found}
        return {text}

    def _scan(self, text: str) -> Iterator[tuple[_Name, tuple[int, int]]]:
        """Every name with its span, from left to right; the longest where several begin together."""
        end = 0
        for start, character in enumerate(text):
            if start < end or character not in self._names:
                continue
            for name in self._names[character]:
                if found := name.pattern.match(text, start):
                    end = found.end()
                    yield name, found.span()
                    break

    def _is_no_goods(self, text: Normalised, span: tuple[int, int]) -> bool:
        if self._not_goods.search(_around(text.text, span, self._rules.not_goods_window)):
            return True
        start = span[0]
        return start > 0 and text.text[start - 1] in self._not_goods_before and start not in text.breaks

    def _mention(self, name: _Name, span: tuple[int, int], text: Normalised, utterance: Utterance) -> BrandMention:
        near = _around(text.text, span, self._rules.selling_window)
        start, end = text.span(*span)
        is_selling = bool(self._selling.search(near))
        return BrandMention(name.brand.brand, utterance, start, end, text.text[slice(*span)], is_selling)


def brand_findings(
    words: BrandWords, rules: BrandWordRules, utterances: Sequence[Utterance], meta: VideoMetadata
) -> list[Finding]:
    """One `brand_unauthorised` finding a brand: its strongest mention, title before speech."""
    authorised = words.keys(meta.authorised_brands)
    by_brand: dict[str, list[BrandMention]] = {}
    for utterance in utterances:
        if utterance.source == "comment":
            continue
        for mention in words.mentions(utterance, meta.category):
            if not mention.brand.shared and mention.brand.key not in authorised:
                by_brand.setdefault(mention.brand.key, []).append(mention)
    findings = []
    for mentions in by_brand.values():
        best = max(mentions, key=lambda m: _score(rules, m))
        spoken = best.utterance.source not in {"title", "description"}
        if spoken and not any(m.is_selling for m in mentions) and len(mentions) < rules.min_mentions:
            continue
        if spoken:
            best = next((m for m in mentions if m.is_selling), best)
        findings.append(_finding(best, _score(rules, best)))
    return findings


def any_word(words: Iterable[str]) -> re.Pattern[str]:
    """Any of `words` in normalised text; latin ones stand as words of their own."""
    normal = sorted({_read(word) for word in words} - {""}, key=lambda w: (-len(w), w))
    return _alternatives(map(_bounded, normal))


def goods_words(words: Iterable[str]) -> re.Pattern[str]:
    """Like `any_word`, for `speaks_of`: a gift (送手机壳, 赠小样) is told by its first character."""
    return re.compile(f"(?P<gift>[送赠])?(?:{any_word(words).pattern})")


def speaks_of(words: re.Pattern[str], text: str) -> bool:
    """Whether normalised `text` names one of `goods_words`; what comes as a gift says nothing about the goods."""
    return any(found["gift"] is None for found in words.finditer(text))


def _score(rules: BrandWordRules, mention: BrandMention) -> float:
    scores = {"title": rules.score.title, "description": rules.score.description}
    return scores.get(mention.utterance.source, rules.score.spoken)


def _finding(mention: BrandMention, score: float) -> Finding:
    utterance = mention.utterance
    return Finding(
        label="brand_unauthorised",
        score=score,
        action=Action.REVIEW,
        source=utterance.source,
        detector="lexicon",
        start_s=utterance.start_s,
        end_s=utterance.end_s,
        text=utterance.text,
        span=(mention.start, mention.end),
        normalised=mention.normalised,
        box=utterance.box,
        how=f"brand: {mention.brand.key} is named and is not among authorised_brands",
    )


def _is_plain_word(name: _Name, text: str, span: tuple[int, int], window: int, category: str | None) -> bool:
    """Whether the name stands for something else here: an innocent phrase, or an ordinary word."""
    start, end = span
    begin = max(0, start - ALLOW_WINDOW)
    covered = name.brand.covers.finditer(text, begin, min(len(text), end + ALLOW_WINDOW))
    if any(phrase.start() < end and phrase.end() > start for phrase in covered):
        return True
    if speaks_of(name.brand.beside, _around(text, span, ALLOW_WINDOW)):
        return True
    if not name.is_ambiguous:
        return False
    made = name.brand.brand.categories
    if category not in {None, "other"} and made and category not in made:
        return True
    before, after = text[max(0, start - window) : start], text[end : end + window]
    return not (name.brand.context.search(before) or name.brand.context.search(after))


def _around(text: str, span: tuple[int, int], window: int) -> str:
    return text[max(0, span[0] - window) : span[1] + window]


def _bare(name: str) -> str:
    """A name without spaces and signs, as names are compared with the platform's list."""
    text = _read(name)
    return "".join(c for c in text if c.isalnum()) or text


@lru_cache(maxsize=1 << 14)
def _read(word: str) -> str:
    """A word of the policy, normalised."""
    return normalise(word).text.strip()


def _name_pattern(spelling: str) -> re.Pattern[str]:
    """A name on its own; spaces inside it may be left out (newbalance)."""
    words = [re.escape(word) for word in spelling.split()]
    return re.compile(_boundary_before(spelling) + " ?".join(words) + _boundary_after(spelling))


def _bounded(word: str) -> str:
    return _boundary_before(word) + re.escape(word) + _boundary_after(word)


def _boundary_before(word: str) -> str:
    return _boundary(word[0], re.match(r"[a-z]*", word), "(?<!")


def _boundary_after(word: str) -> str:
    return _boundary(word[-1], re.search(r"[a-z]*$", word), "(?!")


def _boundary(edge: str, letters: re.Match[str] | None, look: str) -> str:
    """What must not stand beside a word: letters, and digits too where it has few letters there."""
    if not (edge.isascii() and edge.isalnum()):
        return ""
    is_long = letters is not None and len(letters.group()) >= MIN_LETTERS_BESIDE_DIGITS
    return f"{look}[a-z])" if is_long else f"{look}[a-z0-9])"


def _alternatives(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns) or r"(?!)")
