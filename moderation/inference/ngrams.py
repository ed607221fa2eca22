"""The wide half of the text classifier: a linear model over character and sound n-grams, added to the encoder's logits.

An encoder reads what is meant; n-grams remember wording that a small corpus shows only once or twice. Their sum is
better than either ("wide and deep", Cheng et al. 2016). A text counts twice: as it is read, and as it sounds, with
punctuation left out, so that homophones and words cut apart stay the same n-grams. Weights are TF-IDF with
logarithmic counts, each view of unit length (Salton & Buckley 1988), stored in int8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from moderation.errors import BundleError
from moderation.text.normalise import code_points, join_lines
from moderation.text.sound import is_sound, usual_sounds

TEXT_LENGTHS, SOUND_LENGTHS = (1, 4), (2, 4)
# FNV-1a (64 bits) over code points, then a finaliser (Murmur3's), since only half of the bits are kept.
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX, _HALF = np.uint64(0xFF51AFD7ED558CCD), np.uint64(32)
_SIGNS_AS_LETTERS = {"@": "a", "!": "i", "1": "i", "3": "e", "4": "a", "0": "o", "$": "s", "5": "s", "7": "t"}


@dataclass(frozen=True, slots=True, eq=False)
class NgramCounts:
    """Which n-grams each text holds, sorted by text and key: `rows` int64, `keys` uint32, `counts` int64, all (n,).

    The lowest bit of a key tells the view: 0 as read, 1 as it sounds.
    """

    rows: NDArray[np.int64]
    keys: NDArray[np.uint32]
    counts: NDArray[np.int64]


def count_ngrams(texts: Sequence[str]) -> NgramCounts:
    """The n-grams of normalised texts: 1 to 4 characters as read, 2 to 4 syllables or letters as they sound."""
    joined, begins = join_lines(texts)
    if not joined:
        return NgramCounts(np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.int64))
    lengths = np.diff(np.concatenate((begins, [len(joined) + 1])))
    owner = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)[:-1]
    # The break behind each text belongs to no text, so no n-gram reaches across.
    owner[begins[1:] - 1] = -1
    sounds = usual_sounds(joined)
    heard = _heard(sounds.codes)
    kept = heard > 0
    found = [
        _hashes(code_points(joined), owner, TEXT_LENGTHS, view=0),
        _hashes(heard[kept], owner[sounds.starts[kept]], SOUND_LENGTHS, view=1),
    ]
    both, counts = np.unique(np.concatenate(found), return_counts=True)
    return NgramCounts((both >> _HALF).astype(np.int64), both.astype(np.uint32), counts)


@dataclass(frozen=True, slots=True, eq=False)
class NgramModel:
    """`keys` uint32 (F,), sorted; `idf` float32 (F,); `weights` int8 (F, K), times `scale` (K,); `bias` (K,)."""

    keys: NDArray[np.uint32]
    idf: NDArray[np.float32]
    weights: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path, labels: int) -> NgramModel:
        """Raises BundleError where the file is not what `save` wrote, or was written for other labels."""
        try:
            with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                model = cls(**{name: stored[name] for name in cls.__slots__})
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise BundleError(f"{path}: not readable as n-gram weights ({error}). Export the bundle again.") from error
        features = len(model.keys)
        shapes = (model.idf.shape, model.weights.shape, model.scale.shape, model.bias.shape)
        if shapes != ((features,), (features, labels), (labels,), (labels,)):
            raise BundleError(f"{path}: holds arrays of shapes {shapes} for {labels} labels. Export the bundle again.")
        return model

    def save(self, path: Path) -> None:
        np.savez_compressed(path, **{name: getattr(self, name) for name in self.__slots__})

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n, K), for texts as `normalise` reads them."""
        logits = np.tile(self.bias, (len(texts), 1))
        rows, at, values = self.features(count_ngrams(texts))
        if rows.size:
            begins = np.flatnonzero(np.diff(rows, prepend=-1))
            sums = np.add.reduceat(values[:, None] * self.weights[at], begins, axis=0)
            logits[rows[begins]] += sums * self.scale
        return logits

    def features(self, counted: NgramCounts) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """The known ones of these n-grams as (row, column, value), values of each row and view of length 1."""
        at = np.searchsorted(self.keys, counted.keys)
        at[at == len(self.keys)] = 0
        known = self.keys[at] == counted.keys if len(self.keys) else np.zeros(len(at), bool)
        rows, at = counted.rows[known], at[known]
        values = (1.0 + np.log(counted.counts[known])).astype(np.float32) * self.idf[at]
        view = rows * 2 + (counted.keys[known] & 1)
        length = np.sqrt(np.bincount(view, values**2))
        return rows, at, (values / length[view]).astype(np.float32)


def _heard(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Syllables and letters, signs before a letter as the letters that they stand for, and 0 for all else."""
    small = np.minimum(codes, _ASCII)
    letters = _LETTERS[small]
    signs = _SIGNS[small[:-1]]
    signs[letters[1:] == 0] = 0
    letters[:-1] = np.maximum(letters[:-1], signs)
    syllables = is_sound(codes)
    letters[syllables] = codes[syllables]
    return letters


def _hashes(codes: NDArray[np.uint32], owner: NDArray[np.int64], lengths: tuple[int, int], *, view: int) -> NDArray:
    """One uint64 for each n-gram inside a text: the text's number above, the key below."""
    wide = codes.astype(np.uint64)
    value = np.full(len(codes), _BASIS)
    found = []
    for n in range(1, lengths[1] + 1):
        value = (value[: len(codes) - n + 1] ^ wide[n - 1 :]) * _PRIME
        if n < lengths[0] or not value.size:
            continue
        first, last = owner[: len(value)], owner[n - 1 :]
        inside = (first == last) & (first >= 0)
        key = ((value[inside] ^ (value[inside] >> _HALF)) * _MIX) >> _HALF
        key = (key & np.uint64(0xFFFFFFFE)) | np.uint64(view)
        found.append((first[inside].astype(np.uint64) << _HALF) | key)
    return np.concatenate(found) if found else np.empty(0, np.uint64)


_ASCII = 128
_LETTERS = np.zeros(_ASCII + 1, np.uint32)
_LETTERS[ord("a") : ord("z") + 1] = range(ord("a"), ord("z") + 1)
_SIGNS = np.zeros(_ASCII + 1, np.uint32)
_SIGNS[[ord(c) for c in _SIGNS_AS_LETTERS]] = [ord(c) for c in _SIGNS_AS_LETTERS.values()]
