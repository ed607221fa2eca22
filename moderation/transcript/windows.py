"""Where to listen: stretches of speech in a long recording, packed into windows that the model reads at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from moderation.transcript.whisper import RATE, Samples, Span, Word

# The detector works on this much at once, so an hour costs no more memory than minutes.
_BLOCK = 60 * RATE
_TOUCHES = RATE // 2
# Shorter silences stay as they are: the room's own quiet, which the model knows. Longer ones may hold music, which
# makes it invent, and become digital silence.
_KEPT_SILENCE = 1 * RATE
# After a longer silence a new window begins, so that the model does not wait for the rest of a sentence.
_NEW_WINDOW_AFTER = 10 * RATE
_FULL_FROM = 0.6
# Speech that nobody wrote down for this long is read again. Less is breath and drawn out syllables.
LEAST_UNHEARD_S = 1.2
_LEAD_S = 0.3


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of the recording, `start` to `end` in samples, and the speech in it."""

    spans: tuple[Span, ...]

    @property
    def start(self) -> int:
        return self.spans[0].start

    @property
    def end(self) -> int:
        return self.spans[-1].end

    @property
    def speech_s(self) -> float:
        return sum(map(len, self.spans)) / RATE

    def cut(self, samples: Samples) -> Samples:
        """(end - start,) float32, long silences between the spans blanked."""
        piece = samples[self.start : self.end].copy()
        for before, after in zip(self.spans, self.spans[1:], strict=False):
            if after.start - before.end > _KEPT_SILENCE:
                piece[before.end - self.start : after.start - self.start] = 0
        # A broken decoder may give infinities; one would silence everything around it.
        return np.nan_to_num(piece, copy=False, nan=0.0, posinf=0.0, neginf=0.0)

    def within(self, start: int, end: int) -> Window | None:
        """The part of it between two samples; None where nobody speaks there."""
        spans = tuple(
            Span(max(span.start, start), min(span.end, end))
            for span in self.spans
            if min(span.end, end) > max(span.start, start)
        )
        return Window(spans) if spans else None

    def halves(self) -> list[Window]:
        """Itself cut at the longest silence between its spans; nothing where it has only one."""
        if len(self.spans) < 2:
            return []
        silences = [after.start - before.end for before, after in zip(self.spans, self.spans[1:], strict=False)]
        cut = silences.index(max(silences)) + 1
        return [Window(self.spans[:cut]), Window(self.spans[cut:])]


def find_speech(samples: Samples, detect: Callable[[Samples], Sequence[Span]]) -> Iterator[Span]:
    """Stretches of speech in the whole recording, block by block; one on the border of two blocks stays whole."""
    at = 0
    while at < len(samples):
        end = min(at + _BLOCK, len(samples))
        found = list(detect(np.nan_to_num(samples[at:end], nan=0.0, posinf=0.0, neginf=0.0)))
        following = end
        if end < len(samples) and found and found[-1].end >= end - at - _TOUCHES and found[-1].start > 0:
            following = at + found.pop().start
        yield from (Span(at + span.start, at + span.end) for span in found)
        at = following


def pack(spans: Iterable[Span], longest_s: float) -> Iterator[Window]:
    """Windows of up to `longest_s`. A full one ends at the longest pause in its last part, not in a sentence."""
    longest = int(longest_s * RATE)
    held: list[Span] = []
    for span in spans:
        while held and span.end - held[0].start > longest:
            is_far = span.start - held[-1].end > _NEW_WINDOW_AFTER
            cut = len(held) if is_far else _best_cut([*held, span], longest)
            yield Window(tuple(held[:cut]))
            held = held[cut:]
        if held and span.start - held[-1].end > _NEW_WINDOW_AFTER:
            yield Window(tuple(held))
            held = []
        held.append(span)
    if held:
        yield Window(tuple(held))


def unheard(window: Window, words: Sequence[Word]) -> list[Window]:
    """The parts of a window where somebody speaks and no word is: the model skipped them.

    Alignment has no gaps: the word before a skipped part is drawn over it. What exceeds the time that a word can
    take is therefore not covered by it.
    """
    starts = [*(word.start_s for word in words), (window.end - window.start) / RATE]
    ends = [0.0, *(word.start_s + word.longest_s for word in words)]
    gaps = zip(ends, starts, strict=True)
    parts: list[Window] = []
    for start_s, end_s in gaps:
        if end_s - start_s < LEAST_UNHEARD_S:
            continue
        lead_s = min(start_s, _LEAD_S)
        part = window.within(window.start + int((start_s - lead_s) * RATE), window.start + int(end_s * RATE))
        if part is not None and part.speech_s - lead_s >= LEAST_UNHEARD_S:
            parts.append(part)
    return parts


def _best_cut(spans: Sequence[Span], longest: int) -> int:
    """How many of the spans, of which the last does not fit any more, the window takes."""
    start = spans[0].start
    candidates = [n for n in range(1, len(spans)) if spans[n - 1].end - start >= _FULL_FROM * longest]
    return max(candidates, key=lambda n: spans[n].start - spans[n - 1].end, default=len(spans) - 1)
