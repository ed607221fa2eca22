"""Whether the captions say what is spoken, so that speech need not be read twice.

Many short videos burn their speech in as captions. That they do is proved, not assumed: a few places are transcribed
and compared by sound with the captions shown there, and one place that differs means that all speech is read.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from moderation.text.normalise import normalise
from moderation.text.sound import sounds_of
from moderation.transcript.whisper import RATE, Samples, Span
from moderation.types import Utterance

# Captions of speech change with it: at least this many syllables for each second shown. A title that stands for the
# whole video covers it in time and says nothing about it.
_LEAST_RATE = 1.2
_MOST_RATE = 12.0
_SLACK_S = 0.4
# Recognition itself confuses near sounds; the comparison is by merged toneless pinyin.
_SAME = 0.8
_LEAST_COVERED = 0.8
_SPAN_COVERED = 0.8
PROBES = 3
PROBE_S = 6.0
# In a probe of less than this many syllables agreement is chance.
_LEAST_SYLLABLES = 8


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption that may be speech, with its sounds, one character a syllable."""

    start_s: float
    end_s: float
    sounds: str


def spoken_captions(captions: Sequence[Utterance]) -> list[Caption]:
    """Those that are shown no longer than saying them takes, in order of time."""
    found: list[Caption] = []
    for caption in captions:
        if caption.start_s is None or caption.end_s is None:
            continue
        sounds = sounds_in(caption.text)
        if _LEAST_RATE <= len(sounds) / max(caption.end_s - caption.start_s, 0.2) <= _MOST_RATE:
            found.append(Caption(caption.start_s, caption.end_s, sounds))
    return sorted(found, key=lambda caption: (caption.start_s, caption.end_s))


def covered_spans(spans: Sequence[Span], captions: Sequence[Caption], offset_s: float = 0.0) -> list[Span]:
    """The stretches of speech with a caption for most of their time; none where too little of all speech has one.

    `offset_s`: the video's time of sample 0.
    """
    covered = [span for span in spans if _covered_share(span, captions, offset_s) >= _SPAN_COVERED]
    enough = sum(map(len, covered)) >= _LEAST_COVERED * sum(map(len, spans)) > 0
    return covered if enough else []


def probe_spans(samples: Samples, spans: Sequence[Span]) -> list[Span]:
    """A few pieces of the speech, spread over it, at places that depend on the sound: nobody can caption only those."""
    total, length = sum(map(len, spans)), int(PROBE_S * RATE)
    seed = zlib.crc32(_fingerprint(samples, spans))
    probes: list[Span] = []
    for n in range(PROBES):
        jitter = (seed >> (8 * n) & 0xFF) / 256
        wanted = int(total * (n + jitter) / PROBES)
        for span in spans:
            if wanted < len(span):
                start = max(span.start, min(span.start + wanted, span.end - length))
                probes.append(Span(start, min(start + length, span.end)))
                break
            wanted -= len(span)
    return probes


def says_the_same(heard: str, captions: Sequence[Caption], start_s: float, end_s: float) -> bool:
    """Whether what was heard between two times is in the captions shown then, syllable by syllable and in order."""
    from rapidfuzz.distance import LCSseq

    spoken = sounds_in(heard)
    shown = "".join(c.sounds for c in captions if c.end_s > start_s - _SLACK_S and c.start_s < end_s + _SLACK_S)
    return len(spoken) >= _LEAST_SYLLABLES and LCSseq.similarity(spoken, shown) >= _SAME * len(spoken)


def sounds_in(text: str) -> str:
    """The sounds of a text, one character a syllable or latin letter."""
    return sounds_of(normalise(text))[0].text


def _fingerprint(samples: Samples, spans: Sequence[Span]) -> bytes:
    """Some of the sound of the speech, as bytes to derive a number from."""
    return b"".join(samples[span.start : span.start + 512].tobytes() for span in spans)


def _covered_share(span: Span, captions: Sequence[Caption], offset_s: float) -> float:
    start_s, end_s = offset_s + span.start / RATE, offset_s + span.end / RATE
    covered_s, at = 0.0, start_s
    for caption in captions:
        begin, end = max(caption.start_s - _SLACK_S, at), min(caption.end_s + _SLACK_S, end_s)
        if end > begin:
            covered_s += end - begin
            at = end
    return covered_s / max(end_s - start_s, 1e-6)
