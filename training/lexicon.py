"""The lexicon's own example sentences as training items: each says something about one label only."""

from __future__ import annotations

from moderation.text.lexicon import Lexicon
from training.examples import Example


def lexicon_examples(lexicon: Lexicon) -> list[Example]:
    """A sentence that must match carries the entry's label, its counter does not; other labels are unknown."""
    found = []
    for number, entry in enumerate(lexicon.entries):
        for applies, texts in ((True, entry.examples), (False, entry.counters)):
            for text in texts:
                found.append(
                    Example(
                        id=f"lexicon-{number}-{len(found)}",
                        text=text,
                        labels=frozenset({entry.label} if applies else ()),
                        group=f"lexicon-{number}",
                        language=entry.language,
                        spans_known=not applies,
                        known=frozenset({entry.label}),
                    )
                )
    return found
