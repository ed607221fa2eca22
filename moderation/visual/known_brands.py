"""Which brand of a bank a logo looks like: the nearest vector by cosine.

Exact search: a product with 10,000 vectors takes a fraction of a millisecond, with 100,000 a few (README). An
approximate index would only pay beyond that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class KnownBrand:
    """One picture of a brand in a bank: `vectors` (N, D) float32 of length 1, one a look of the picture."""

    id: str
    name: str
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BrandMatch:
    """The nearest picture of a bank; `similarity` is the cosine, `lead` by how much it is nearer than other brands."""

    id: str
    name: str
    similarity: float
    lead: float


class KnownBrands:
    """All pictures of brands that are switched on. Safe to share between threads."""

    def __init__(self, brands: Sequence[KnownBrand] = ()) -> None:
        self._brands = tuple(brands)
        self._vectors = np.concatenate([b.vectors for b in brands]) if brands else np.empty((0, 0), np.float32)
        self._owner = np.repeat(np.arange(len(brands)), [len(b.vectors) for b in brands])
        names = {name: i for i, name in enumerate(dict.fromkeys(b.name for b in brands))}
        self._name = np.array([names[b.name] for b in brands], np.int64)[self._owner] if brands else self._owner

    def __len__(self) -> int:
        return len(self._brands)

    @property
    def names(self) -> frozenset[str]:
        """Names of the brands, in lower case."""
        return frozenset(brand.name.lower() for brand in self._brands)

    @property
    def dimensions(self) -> int:
        return self._vectors.shape[1]

    def match(self, vectors: NDArray[np.float32]) -> list[BrandMatch]:
        """The nearest picture for each of (n, D) vectors; an empty list where the bank is empty."""
        if not self._brands or not len(vectors):
            return []
        cosines = vectors @ self._vectors.T
        nearest = cosines.argmax(axis=1)
        found = []
        for row, best in zip(cosines, nearest.tolist(), strict=True):
            others = row[self._name != self._name[best]]
            brand, similarity = self._brands[self._owner[best]], float(row[best])
            found.append(BrandMatch(brand.id, brand.name, similarity, similarity - float(others.max(initial=-1.0))))
        return found
