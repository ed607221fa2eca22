"""The learning rate over a run, as a factor: shared by the text classifier and the logo networks."""

from __future__ import annotations

import math
from collections.abc import Callable


def warmup_then_cosine(steps: int, warmup: int, floor: float = 0.0) -> Callable[[int], float]:
    """A linear rise over `warmup` steps to 1, then half a cosine down to `floor` at `steps`."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        gone = min((step - warmup) / max(steps - warmup, 1), 1.0)
        return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * gone))

    return factor
