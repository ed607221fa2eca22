"""Whisper on CTranslate2, and the voice activity detector that says where to use it.

CTranslate2 is called directly rather than through faster-whisper's `transcribe`: so one run of the encoder serves both
the choice of language and the text, short windows cost little, and a window that fails is known by its time.
faster-whisper brings the features, the tokenizer, and Silero's detector.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moderation.errors import MissingDependencyError, ModelError
from moderation.transcript.weights import INSTALL_LINE

if TYPE_CHECKING:
    from faster_whisper.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

Samples = NDArray[np.float32]

RATE = 16000
# The most that the encoder takes.
WINDOW_S = 30.0
# It was trained on exactly that, padded with silence, and costs by length. A few seconds of silence after the window
# serve as well: measured, the errors are the same and half the time is saved. With none it begins to loop.
_TRAILING_S, _LEAST_INPUT_S = 4.0, 8.0
_TICK_S = 0.02  # of a timestamp token
SERVED = ("zh", "en")
_LONGEST_CHARACTER_S, _LONGEST_WORD_S = 0.4, 1.0
# Of the two ends of a word drawn over a pause, the spoken one has this many times the power of the other.
_LOUDER = 3.0


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of samples, `end` exclusive."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its space, or a character of a language without spaces; seconds from the start of its window."""

    start_s: float
    end_s: float
    text: str

    @property
    def longest_s(self) -> float:
        """The longest time that saying it can take, seconds; the rest of its time is a pause or was skipped."""
        text = self.text.strip()
        return _LONGEST_WORD_S if text.isascii() else _LONGEST_CHARACTER_S * max(len(text), 1)


@dataclass(frozen=True, slots=True)
class WindowText:
    """What the model made of one window.

    `likelihood` is the model's probability of `language`, `log_probability` the mean over its tokens, `no_speech`
    the probability that nobody speaks; `is_cut` where the cap on tokens ended the text.
    """

    words: tuple[Word, ...]
    language: str
    likelihood: float
    log_probability: float
    no_speech: float
    is_cut: bool = False

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)


class WhisperEngine:
    """The model, loaded. Not for two threads at once.

    `folder` holds model.bin, config.json, tokenizer.json and vocabulary.*, as CTranslate2 converts them.
    Raises MissingDependencyError where faster-whisper is not installed, ModelError where the folder cannot be loaded.
    """

    def __init__(self, folder: Path, *, name: str, threads: int, compute_type: str, beam_size: int, cap: int) -> None:
        try:
            import ctranslate2
            from faster_whisper import vad
            from faster_whisper.feature_extractor import FeatureExtractor
            from tokenizers import Tokenizer as Pieces
        except ImportError as missing:
            raise MissingDependencyError(f"Speech needs faster-whisper ({missing}): {INSTALL_LINE}") from missing
        self.version = f"{name}/ctranslate2-{ctranslate2.__version__}"
        self._tensor = ctranslate2.StorageView.from_array
        self._vad = vad
        self._beam_size, self._cap = beam_size, cap
        try:
            self._model = ctranslate2.models.Whisper(str(folder), intra_threads=threads, compute_type=compute_type)
            self._pieces = Pieces.from_file(str(folder / "tokenizer.json"))
        except Exception as error:
            raise ModelError(
                f"{folder}: the speech model cannot be loaded ({error}). Give a folder with a Whisper model converted "
                "by CTranslate2, or none for the packaged one."
            ) from error
        self._features = FeatureExtractor(feature_size=self._model.n_mels)

    def find_speech(
        self, samples: Samples, *, threshold: float, silence_s: float, pad_s: float, longest_s: float
    ) -> list[Span]:
        """Stretches of speech in (n,) float32 at 16 kHz, none longer than `longest_s`, a few minutes at once."""
        options = self._vad.VadOptions(
            threshold=threshold,
            min_speech_duration_ms=200,
            max_speech_duration_s=longest_s,
            min_silence_duration_ms=round(silence_s * 1000),
            speech_pad_ms=round(pad_s * 1000),
        )
        if not len(samples):
            return []
        return [Span(int(s["start"]), int(s["end"])) for s in self._vad.get_speech_timestamps(samples, options)]

    def read(self, window: Samples, hint: str | None) -> WindowText:
        """Text of a window, (n,) float32 at 16 kHz, n up to 30 s. `hint`: the likely language, one of SERVED.

        Text is asked for without the model's own timestamps, which are whole seconds for many windows of this model;
        the attention between text and sound places each word instead.
        """
        encoded = self._model.encode(self._tensor(self._spectrum(window)[None]))
        languages = _probabilities(self._model.detect_language(encoded)[0])
        language = choose_language(languages, hint)
        tokenizer = self._tokenizer(language)
        result = self._model.generate(
            encoded,
            [[*tokenizer.sot_sequence, tokenizer.no_timestamps]],
            beam_size=self._beam_size,
            sampling_temperature=0,
            max_length=self._cap,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        all_tokens = result.sequences_ids[0]
        tokens = [token for token in all_tokens if token < tokenizer.eot]
        return WindowText(
            words=self._placed(encoded, tokens, tokenizer, window) if tokens else (),
            language=language,
            likelihood=languages.get(language, 0.0),
            # The score is a sum divided by the number of tokens; the end token counts too.
            log_probability=float(result.scores[0]) * len(all_tokens) / (len(all_tokens) + 1),
            no_speech=float(result.no_speech_prob),
            is_cut=len(all_tokens) + len(tokenizer.sot_sequence) + 1 >= self._cap,
        )

    def _placed(self, encoded: Any, tokens: list[int], tokenizer: Tokenizer, window: Samples) -> tuple[Word, ...]:
        """The words of the tokens, each from the first frame that its first token attends to."""
        length_s = len(window) / RATE
        frames = max(round(length_s * 100), 2)
        aligned = self._model.align(encoded, tokenizer.sot_sequence, [tokens], [frames])[0]
        starts = np.full(len(tokens) + 1, np.inf)
        starts[-1] = length_s
        for token, frame in reversed(aligned.alignments):
            starts[token] = min(frame * _TICK_S, length_s)
        starts = np.minimum.accumulate(starts[::-1])[::-1]
        words: list[Word] = []
        at = 0
        for text, pieces in zip(*tokenizer.split_to_word_tokens(tokens), strict=True):
            start_s, end_s = float(starts[at]), float(starts[at + len(pieces)])
            at += len(pieces)
            if "\ufffd" not in text:
                words.append(_after_pause(Word(start_s, end_s, text), window))
        return tuple(words)

    def _tokenizer(self, language: str) -> Tokenizer:
        from faster_whisper.tokenizer import Tokenizer

        return Tokenizer(self._pieces, multilingual=True, task="transcribe", language=language)

    def _spectrum(self, window: Samples) -> NDArray[np.float32]:
        """(mels, 100 a second) float32, padded with silence as in training, not with zeros of the spectrum."""
        seconds = min(max(math.ceil(len(window) / RATE + _TRAILING_S), _LEAST_INPUT_S), WINDOW_S)
        padded = np.zeros(int(seconds * RATE), np.float32)
        padded[: len(window)] = window[: len(padded)]
        return np.ascontiguousarray(self._features(padded)[:, : int(seconds * 100)], np.float32)


def choose_language(probabilities: Mapping[str, float], hint: str | None = None) -> str:
    """Chinese or English, whichever is likelier; a third language only where the model is sure of it.

    A hint comes from the seller: it decides doubtful cases, not clear ones.
    """
    likeliest = max(probabilities, key=lambda language: probabilities[language], default="zh")
    if likeliest not in SERVED and probabilities[likeliest] >= 0.7:
        return likeliest
    zh, en = (probabilities.get(language, 0.0) for language in SERVED)
    if hint in SERVED and max(zh, en) < 0.9:
        return hint
    return "zh" if zh >= en else "en"


def _after_pause(word: Word, window: Samples) -> Word:
    """The word without the pause before it: the alignment draws the first word of a sentence over that pause."""
    length_s = word.longest_s
    if word.end_s - word.start_s < 1.5 * length_s:
        return word
    head = window[int(word.start_s * RATE) : int((word.start_s + length_s) * RATE)]
    tail = window[int((word.end_s - length_s) * RATE) : int(word.end_s * RATE)]
    if np.mean(np.square(tail)) > _LOUDER * np.mean(np.square(head)):
        return replace(word, start_s=word.end_s - length_s)
    return word


def _probabilities(found: Sequence[tuple[str, float]]) -> dict[str, float]:
    """[("<|zh|>", 0.98), …] to {"zh": 0.98, …}."""
    return {token.strip("<|>"): probability for token, probability in found if math.isfinite(probability)}
