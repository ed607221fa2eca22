"""Listen to FFmpeg's log for the one thing that it says nowhere else: a picture above the pixel limit."""

from __future__ import annotations

import logging
import re

import av.logging

_OVERSIZE = re.compile(r"Picture size (\d+)x(\d+) exceeds specified max pixel count")


class OversizeWatch(logging.Handler):
    """Remembers the first refused picture size; all other messages end here."""

    def __init__(self) -> None:
        super().__init__()
        self.size: tuple[int, int] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.size is None and (match := _OVERSIZE.search(record.getMessage())):
            self.size = (int(match[1]), int(match[2]))


def listen() -> OversizeWatch:
    """Route FFmpeg's errors of this process to a new watch."""
    watch = OversizeWatch()
    logger = logging.getLogger("libav")
    logger.addHandler(watch)
    logger.propagate = False
    av.logging.set_level(av.logging.ERROR)
    return watch
