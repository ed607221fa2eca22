"""Group pieces of different length into batches that waste little padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def batches(lengths: Sequence[int], *, most_items: int, most_cells: int) -> Iterator[list[int]]:
    """Indexes of `lengths` in batches, longest first, so that the peak of memory comes at the start.

    A batch holds at most `most_items` pieces and at most `most_cells` = pieces × longest length, but always one piece.
    """
    batch: list[int] = []
    longest = 0
    for index in np.argsort(-np.asarray(lengths, np.int64), kind="stable").tolist():
        longest = longest or lengths[index]
        if batch and (len(batch) == most_items or (len(batch) + 1) * longest > most_cells):
            yield batch
            batch, longest = [], lengths[index]
        batch.append(index)
    if batch:
        yield batch
