"""The text room: what a text says, read past its disguises, and the terms of the policy in it."""

from moderation.text.guards import Guards
from moderation.text.lexicon import Entry, Lexicon
from moderation.text.matcher import Dropped, Explained, TermMatch, TermMatcher, TextItem
from moderation.text.normalise import Normalised, normalise

__all__ = [
    "Dropped",
    "Entry",
    "Explained",
    "Guards",
    "Lexicon",
    "Normalised",
    "TermMatch",
    "TermMatcher",
    "TextItem",
    "normalise",
]
