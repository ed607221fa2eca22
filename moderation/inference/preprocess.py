"""Text → token ids with the way back to the text as given: the one place where it is done, for workers and training.

A text is first read as the terms read it (`moderation.text.normalise`): full width, traditional characters, look-alike
letters and separators inside words are undone, so that the encoder need not learn them and its vocabulary stays small.
Texts of any length are cut into overlapping windows, at the ends of sentences where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Tokenizer

from moderation.errors import BundleError
from moderation.text.normalise import Normalised, normalise

BEGIN, PAD, END = 0, 1, 2
UNKNOWN = 0
_SENTENCE_ENDS = frozenset("。!?;…\n")
_PAUSES = frozenset(",、:")
# The tokenizer searches for the best cut of its whole input: pieces of this many characters keep that linear.
_PIECE = 2000


class TextPreprocessorConfig(BaseModel):
    """`preprocessor_config.json`. Lengths in tokens, without the two that frame a window."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: Annotated[int, Field(ge=8, le=510)] = 96
    overlap: Annotated[int, Field(ge=0)] = 24
    categories: tuple[str, ...]
    # Which of the sources the model was trained on stands for each source there is; others are unknown to it.
    sources: dict[str, str]

    @property
    def trained_sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.sources.values()))


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the encoder reads at once.

    `ids`: int64 (L,), framed by <s> and </s>. `starts`, `ends`: int32 (L,), the range of the text as given that each
    token was read from; empty at 0 for the frame. `text`: what it reads, normalised.
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    text: str

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class TextBatch:
    """`ids`, `mask`: int64 (B, L), padded; `category`, `source`: int64 (B,), 0 = unknown."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    category: NDArray[np.int64]
    source: NDArray[np.int64]

    def feeds(self) -> dict[str, NDArray[np.int64]]:
        """The inputs of the graph by name."""
        return {"ids": self.ids, "mask": self.mask, "category": self.category, "source": self.source}


class TextPreprocessor:
    """Cuts and encodes texts for one bundle. Safe to share between threads."""

    def __init__(self, tokenizer: Path | Tokenizer, config: TextPreprocessorConfig) -> None:
        self.config = config
        self.tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else _load_tokenizer(tokenizer)
        self._categories = {name: number for number, name in enumerate(config.categories, start=1)}
        trained = {name: number for number, name in enumerate(config.trained_sources, start=1)}
        self._sources = {name: trained[stands_for] for name, stands_for in config.sources.items()}

    def windows(self, texts: Sequence[str]) -> list[list[Window]]:
        """The windows of each text; none for one in which there is nothing to read (spaces, signs, pictures)."""
        readings = [normalise(text) for text in texts]
        pieces = [
            (number, piece)
            for number, reading in enumerate(readings)
            if any(map(str.isalnum, reading.text))
            for piece in _pieces(reading.text)
        ]
        encodings = self.tokenizer.encode_batch(
            [readings[number].text[a:b] for number, (a, b) in pieces], add_special_tokens=False
        )
        tokens: list[list[tuple[int, int, int]]] = [[] for _ in texts]
        for (number, (begin, _)), encoding in zip(pieces, encodings, strict=True):
            tokens[number] += [
                (token, begin + a, begin + b)
                for token, (a, b) in zip(encoding.ids, encoding.offsets, strict=True)
                if b > a
            ]
        return [list(self._cut(found, reading)) for found, reading in zip(tokens, readings, strict=True)]

    def batch(self, windows: Sequence[Window], categories: Sequence[str | None], sources: Sequence[str]) -> TextBatch:
        """Pad windows into one batch, with the category and source of each."""
        longest = max(len(w) for w in windows)
        ids = np.full((len(windows), longest), PAD, np.int64)
        mask = np.zeros((len(windows), longest), np.int64)
        for row, window in enumerate(windows):
            ids[row, : len(window)] = window.ids
            mask[row, : len(window)] = 1
        return TextBatch(ids, mask, self._numbers(self._categories, categories), self._numbers(self._sources, sources))

    @staticmethod
    def _numbers(known: dict[str, int], names: Sequence[str | None]) -> NDArray[np.int64]:
        return np.array([known.get(name, UNKNOWN) if name else UNKNOWN for name in names], np.int64)

    def _cut(self, tokens: list[tuple[int, int, int]], reading: Normalised) -> Iterator[Window]:
        most, begin = self.config.max_tokens, 0
        overlap = min(self.config.overlap, most // 2)
        while begin < len(tokens):
            end = min(begin + most, len(tokens))
            if end < len(tokens):
                end = _sentence_end(tokens, reading.text, begin + most // 2, end)
            yield _window(tokens[begin:end], reading)
            if end == len(tokens):
                return
            begin = max(end - overlap, begin + 1)


def _load_tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare exceptions
        raise BundleError(f"{path}: not a tokenizer ({error}). Export the bundle again.") from error


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Ranges of at most `_PIECE` characters, cut behind a sentence or a space where one is near."""
    begin = 0
    while begin < len(text):
        end = min(begin + _PIECE, len(text))
        if end < len(text):
            near = range(end, end - _PIECE // 10, -1)
            end = next((i for i in near if text[i - 1] in _SENTENCE_ENDS or text[i - 1] == " "), end)
        yield begin, end
        begin = end


def _sentence_end(tokens: list[tuple[int, int, int]], text: str, least: int, most: int) -> int:
    """The last index in (least, most] behind a sentence, else behind a pause, else `most`."""
    for ends in (_SENTENCE_ENDS, _PAUSES):
        for index in range(most, least, -1):
            if text[tokens[index - 1][2] - 1] in ends:
                return index
    return most


def _window(tokens: list[tuple[int, int, int]], reading: Normalised) -> Window:
    ids = np.array([BEGIN, *(token for token, _, _ in tokens), END], np.int64)
    starts, ends = np.zeros(len(ids), np.int32), np.zeros(len(ids), np.int32)
    starts[1:-1] = reading.starts[[a for _, a, _ in tokens]]
    ends[1:-1] = reading.ends[[b - 1 for _, _, b in tokens]]
    return Window(ids, starts, ends, reading.text[tokens[0][1] : tokens[-1][2]])
