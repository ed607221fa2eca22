"""Words with times to utterances a sentence long, in Simplified characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from moderation.transcript.whisper import Word

_ENDS = frozenset("。！？!?；;")
_COMMAS = frozenset("，,、：:")
# The model seldom writes punctuation in Mandarin, so pauses cut too: the last character before a pause is drawn
# over it by the alignment. Seconds.
_SHORT_PAUSE_S, _PAUSE_S, _LONG_PAUSE_S = 0.15, 0.3, 0.8
# A sentence this long ends at a full stop; at a comma with a pause, or a pause alone; at any comma; anywhere.
_SHORT_S, _MIDDLE_S, _LONG_S, _LONGEST_S = 1.2, 2.0, 5.0, 8.0


@cache
def _converter() -> Any:
    import opencc

    return opencc.OpenCC("t2s")


def simplified(text: str) -> str:
    """Traditional to Simplified characters, other text as it is."""
    return str(_converter().convert(text))


def split_sentences(words: Sequence[Word]) -> Iterator[tuple[float, float, str]]:
    """(start, end, text) of each sentence: cut at full stops and long pauses, at commas and pauses once it is long."""
    begin = 0
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else None
        if following is None or _cuts_after(words[begin], word, following):
            sentence = words[begin : index + 1]
            begin = index + 1
            text = simplified("".join(w.text for w in sentence)).strip(" ，,、")
            if text:
                last = next((w for w in reversed(sentence) if w.text.strip(" ，,、。！？!?；;.")), sentence[-1])
                end_s = min(last.end_s, last.start_s + last.longest_s)
                yield sentence[0].start_s, max(end_s, sentence[0].start_s), text


def _cuts_after(first: Word, word: Word, following: Word) -> bool:
    mark = word.text.strip()[-1:]
    if mark and mark in _COMMAS | _ENDS | {"."} and following.text.strip()[:1] in _COMMAS | _ENDS | {"."}:
        return False
    length_s = word.end_s - first.start_s
    pause_s = following.start_s - min(word.end_s, word.start_s + word.longest_s)
    # "3.5" and "e.g." are no ends; a stop before a space or a hanzi is.
    is_end = mark in _ENDS or (mark == "." and not following.text[:1].isdigit())
    if is_end or pause_s >= _LONG_PAUSE_S:
        return length_s >= _SHORT_S or pause_s >= _LONG_PAUSE_S
    if length_s >= _LONGEST_S:
        # Not inside an English word or number; characters have no such border.
        return following.text[:1] == " " or not following.text.isascii()
    # In Mandarin the model often writes a space for a comma.
    is_comma = mark in _COMMAS or (following.text[:1] == " " and not following.text.strip().isascii())
    if is_comma and length_s >= _LONG_S:
        return True
    return length_s >= _MIDDLE_S and pause_s >= (_SHORT_PAUSE_S if is_comma else _PAUSE_S)
