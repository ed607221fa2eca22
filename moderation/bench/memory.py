"""Peak memory of a process and its children, as PSS: shared pages are counted once."""

from __future__ import annotations

import threading
from typing import Self

import psutil


class PeakMemory:
    """Samples the summed PSS of a process tree while the block runs; `peak_mb` is the highest sum.

    PSS comes from the kernel's smaps_rollup (Linux). Elsewhere USS stands in, which never counts shared pages.
    """

    def __init__(self, pid: int, *, interval_s: float = 0.05) -> None:
        self._pid = pid
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.peak_mb = max(self.peak_mb, tree_memory_mb(self._pid))


def tree_memory_mb(pid: int) -> float:
    """Summed memory of a process and all its descendants in MB (10^6 bytes); 0 once it is gone."""
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_process_memory(p) for p in processes) / 1e6


def _process_memory(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return 0
    return getattr(memory, "pss", 0) or memory.uss
