"""A bank as a running process sees it: read again when it changed, and the last good one kept where it is broken."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moderation.bank.folder import INDEX, BankFolder
from moderation.bank.violations import ViolationContent
from moderation.errors import BankError
from moderation.visual.known import KnownClips

logger = logging.getLogger(__name__)

# A change must be seen within a minute.
CHECK_EVERY_S = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class BankSnapshot:
    """What is switched on in a bank at one time; `warning` says that it is an older state, and why."""

    version: str
    clips: KnownClips
    contents: dict[str, ViolationContent]
    warning: str = ""

    def picture(self, clip_id: str, time_s: float) -> bytes:
        """JPEG bytes of the known clip near a moment."""
        return self.contents[clip_id].picture_at(time_s)


class LiveBank:
    """Hands out snapshots. Raises BankError when it is made from a broken bank; later on it keeps the last good one."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = BankFolder(path)
        self._clock = clock
        self._checked, self._stamp = clock(), self._changed()
        self._snapshot = self._read({})

    def current(self) -> BankSnapshot:
        """The bank as it is now, give or take `CHECK_EVERY_S`."""
        if self._clock() - self._checked < CHECK_EVERY_S:
            return self._snapshot
        self._checked = self._clock()
        stamp = self._changed()
        if stamp != self._stamp:
            try:
                self._snapshot = self._read(self._snapshot.contents)
                self._stamp = stamp
            except BankError as error:
                logger.warning("the bank could not be read again, the last good one stays in use: %s", error)
                last = self._snapshot
                self._snapshot = BankSnapshot(last.version, last.clips, last.contents, f"bank: {error}")
        return self._snapshot

    def _read(self, known: dict[str, ViolationContent]) -> BankSnapshot:
        version = self._folder.version
        enabled = [entry for entry in self._folder.entries() if entry.enabled]
        contents = {}
        for entry in enabled:
            content = known.get(entry.id)
            if content is None:
                where = str(self._folder.path / entry.file)
                content = ViolationContent.from_bytes(self._folder.content(entry), where)
            contents[entry.id] = content
        return BankSnapshot(version, KnownClips([contents[e.id].clip(e) for e in enabled]), contents)

    def _changed(self) -> tuple[int, int, int] | None:
        try:
            state = (self._folder.path / INDEX).stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino
