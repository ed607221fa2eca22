"""A bank as a running process sees it: read again when it changed, and the last good one kept where it is broken."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from moderation.bank.brands import BrandContent, starter_brands
from moderation.bank.folder import INDEX, BankFolder
from moderation.bank.violations import ViolationContent
from moderation.errors import BankError
from moderation.visual.known import KnownClips
from moderation.visual.known_brands import KnownBrands
from moderation.visual.logos import LogoFinder

logger = logging.getLogger(__name__)

# A change must be seen within a minute.
CHECK_EVERY_S = 20.0

Content = ViolationContent | BrandContent


@dataclass(frozen=True, slots=True, eq=False)
class BankSnapshot:
    """What is switched on in a bank at one time; `warning` says that it is an older state, and why."""

    version: str
    clips: KnownClips
    brands: KnownBrands
    contents: Mapping[str, Content]
    warning: str = ""

    def picture(self, entry_id: str, time_s: float) -> bytes:
        """JPEG bytes of the known clip near a moment, or of the brand's logo."""
        return self.contents[entry_id].picture_at(time_s)


class LiveBank:
    """Hands out snapshots. Raises BankError when it is made from a broken bank; later on it keeps the last good one.

    `path` None: nothing but what ships. `finder` None: no brands. Brands that come with its bundle are in use unless
    the folder switches them off.
    """

    def __init__(
        self, path: Path | None, finder: LogoFinder | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = BankFolder(path) if path is not None else None
        self._finder = finder
        self._starter = starter_brands(finder) if finder is not None else {}
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
                self._snapshot = replace(self._snapshot, warning=f"bank: {error}")
        return self._snapshot

    def _read(self, known: Mapping[str, Content]) -> BankSnapshot:
        folder = self._folder
        version = folder.version if folder else "empty"
        enabled = [entry for entry in folder.entries() if entry.enabled] if folder else []
        off = folder.starter_off() if folder else frozenset()
        contents: dict[str, Content] = {}
        clips, brands = [], []
        for entry in enabled:
            content = known.get(entry.id)
            if content is None:
                assert folder is not None
                kind = ViolationContent if entry.kind == "violation" else BrandContent
                content = kind.from_bytes(folder.content(entry), str(folder.path / entry.file))
            contents[entry.id] = content
            if isinstance(content, ViolationContent):
                clips.append(content.clip(entry))
            elif self._finder is not None:
                brands.append(content.known(entry, self._finder))
        for identity, (entry, content) in self._starter.items():
            if identity not in off and identity not in contents:
                contents[identity] = content
                assert self._finder is not None
                brands.append(content.known(entry, self._finder))
        return BankSnapshot(version, KnownClips(clips), KnownBrands(brands), contents)

    def _changed(self) -> tuple[int, int, int] | None:
        if self._folder is None:
            return None
        try:
            state = (self._folder.path / INDEX).stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino
