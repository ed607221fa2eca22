"""Brands named in words: which brands a clip claims to sell, and whether the seller may.

A name in the title or description is a claim. In speech or on screen a name alone is talk; it counts near a
selling word (正品, 同款, 专柜 …) or when it is repeated. Accessories, used goods and comparisons are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from moderation.metadata import VideoMetadata
from moderation.policy.schema import Brand, BrandWordRules
from moderation.text.normalise import Normalised, normalise
from moderation.types import Action, Finding, Utterance


@dataclass(frozen=True, slots=True)
class BrandMention:
    """A brand's name in an utterance; `start` and `end` are offsets in the utterance's own text."""

    brand: Brand
    utterance: Utterance
    start: int
    end: int
    normalised: str
    is_selling: bool


class BrandWords:
    """Finds brand names in texts. Build once per policy; holds no state between calls."""

    def __init__(self, brands: Sequence[Brand], rules: BrandWordRules) -> None:
        self._rules = rules
        self._brands: dict[str, Brand] = {}
        for brand in brands:
            for name in {brand.key, *brand.names}:
                self._brands.setdefault(normalise(name).text, brand)
        names = sorted((n for n in self._brands if n), key=len, reverse=True)
        self._pattern = re.compile("|".join(_bounded(name) for name in names)) if names else None
        self._selling = _any_word(rules.selling_words)
        self._not_goods = _any_word(rules.not_goods_words)

    def keys(self, names: Iterable[str]) -> set[str]:
        """Brand keys of names as a platform writes them; unknown names stay as they are, normalised."""
        normal = [normalise(name).text.strip() for name in names]
        return {self._brands[n].key if n in self._brands else n for n in normal}

    def mentions(self, utterance: Utterance) -> list[BrandMention]:
        """Names of goods on offer in one text; accessories, comparisons and plain words are left out."""
        text = normalise(utterance.text)
        return list(self._scan(text, utterance)) if self._pattern else []

    def _scan(self, text: Normalised, utterance: Utterance) -> Iterator[BrandMention]:
        assert self._pattern is not None
        for found in self._pattern.finditer(text.text):
            brand, name = self._brands[found.group()], found.group()
            if brand.shared or self._is_plain_word(brand, name, text.text, found.span()):
                continue
            around = _around(text.text, found.span(), self._rules.not_goods_window)
            if self._not_goods.search(around):
                continue
            selling = _around(text.text, found.span(), self._rules.selling_window)
            start, end = text.span(found.start(), found.end())
            yield BrandMention(brand, utterance, start, end, name, bool(self._selling.search(selling)))

    @staticmethod
    def _is_plain_word(brand: Brand, name: str, text: str, span: tuple[int, int]) -> bool:
        window = _around(text, span, 12)
        if any(normalise(phrase).text in window for phrase in brand.allow):
            return True
        if name not in {normalise(n).text for n in brand.ambiguous}:
            return False
        return not any(normalise(word).text in _around(text, span, 6) for word in brand.context)


def brand_findings(
    words: BrandWords, rules: BrandWordRules, utterances: Sequence[Utterance], meta: VideoMetadata
) -> list[Finding]:
    """One `brand_unauthorised` finding a brand: its strongest mention, title before speech."""
    authorised = words.keys(meta.authorised_brands)
    by_brand: dict[str, list[BrandMention]] = {}
    for utterance in utterances:
        if utterance.source == "comment":
            continue
        for mention in words.mentions(utterance):
            if mention.brand.key not in authorised:
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


def _around(text: str, span: tuple[int, int], window: int) -> str:
    return text[max(0, span[0] - window) : span[1] + window]


def _bounded(name: str) -> str:
    """A name with word boundaries where it begins or ends in a latin letter or digit."""
    left = r"(?<![a-z0-9])" if name[0].isascii() and name[0].isalnum() else ""
    right = r"(?![a-z0-9])" if name[-1].isascii() and name[-1].isalnum() else ""
    return left + re.escape(name) + right


def _any_word(words: Sequence[str]) -> re.Pattern[str]:
    normal = [normalise(word).text for word in words]
    return re.compile("|".join(_bounded(w) for w in normal if w) or r"(?!)")
