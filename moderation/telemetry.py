"""Where the time of a scan goes, and how the command line logs."""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar, TypeVar

Item = TypeVar("Item")


class Stopwatch:
    """Adds up wall seconds by stage; `timings` gives the contract's stages, also those that took none."""

    STAGES: ClassVar[tuple[str, ...]] = ("decode", "ocr", "asr", "text", "visual")

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._spent = dict.fromkeys(self.STAGES, 0.0)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._spent[stage] = self._spent.get(stage, 0.0) + time.perf_counter() - start

    def each(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """Pass items on, counting only the time spent waiting for the next one."""
        iterator = iter(items)
        while True:
            with self(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def elapsed(self) -> float:
        return time.perf_counter() - self._began

    def timings(self) -> dict[str, float]:
        return {**self._spent, "total": self.elapsed()}


def settle_memory() -> None:
    """Call once when policy and models are loaded and will live as long as the process.

    They are hundreds of thousands of objects: frozen, collections walk them no more, and collections themselves become
    rarer, because texts and findings hold no cycles. Worth a tenth of the time of reading texts.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logging(level: str = "WARNING", *, as_json: bool = False) -> None:
    """Send this package's logs to standard error. Called by the command line only."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter() if as_json else logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handler.setFormatter(formatter)
    root = logging.getLogger("moderation")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
