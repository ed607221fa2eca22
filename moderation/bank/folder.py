"""A bank on disk: `bank.json` lists the entries, each entry is one file whose SHA-256 stands in the list.

    DIR/bank.json  DIR/3f2a….npz  DIR/.lock

A folder, because it can be copied, synchronised and mounted as it is. `bank.json` is replaced in one step, after the
files that it names; writers take turns by a lock, readers need none. Whatever is cut short or changed fails its hash.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moderation.errors import BankError
from moderation.hashing import file_sha256

INDEX, LOCK = "bank.json", ".lock"
Kind = Literal["violation", "brand"]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class BankEntry(BaseModel):
    """One line of the list. `id` is the first 16 hex digits of the SHA-256 of what was added."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    kind: Kind
    name: Name
    added: str
    duration_s: float | None = None
    sha256: str
    enabled: bool = True

    @property
    def file(self) -> str:
        return f"{self.id}.npz"


class BankIndex(BaseModel):
    """`bank.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    entries: tuple[BankEntry, ...] = ()
    # Ids of brands that come with the program and are not used here.
    starter_off: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    """A list while it is being changed."""

    entries: list[BankEntry]
    starter_off: set[str]


class BankFolder:
    """Reads and changes one bank. A folder that does not exist is an empty bank until something is added."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def version(self) -> str:
        """A name for the content of the list: `empty`, or digits of its SHA-256."""
        index = self.path / INDEX
        return f"sha256:{file_sha256(index)[:12]}" if index.is_file() else "empty"

    def entries(self) -> tuple[BankEntry, ...]:
        """The list. Raises BankError where it cannot be read."""
        return self._index().entries

    def starter_off(self) -> frozenset[str]:
        """Ids of brands of the starter bank that are switched off here. Raises BankError."""
        return frozenset(self._index().starter_off)

    def _index(self) -> BankIndex:
        path = self.path / INDEX
        if not path.exists():
            return BankIndex()
        try:
            return BankIndex.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise BankError(f"{path}: not a bank's list ({what}). Restore it from a copy of the folder.") from error

    def content(self, entry: BankEntry) -> bytes:
        """The file of an entry. Raises BankError where it is not what the list says."""
        path = self.path / entry.file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BankError(f"{path}: cannot be read ({error}). Restore it, or remove {entry.id}.") from error
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise BankError(f"{path}: cut short or changed, its SHA-256 differs. Restore it, or remove {entry.id}.")
        return content

    def add(self, kind: Kind, identity: str, name: str, content: bytes, duration_s: float | None) -> BankEntry:
        """Put an entry in. Raises BankError where `identity` is there already or the name is empty or too long."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            entry = BankEntry(
                id=identity, kind=kind, name=name.strip(), added=now, duration_s=duration_s,
                sha256=hashlib.sha256(content).hexdigest(),
            )  # fmt: skip
        except ValidationError as error:
            raise BankError(f"{name!r}: {error.errors()[0]['msg']}. A name has 1 to 200 characters.") from error
        with self._changing() as draft:
            for known in draft.entries:
                if known.id == identity:
                    state = "" if known.enabled else f" and switched off; `moderation bank enable {identity}`"
                    raise BankError(f"{name!r} is in the bank already, as {known.name!r} ({known.id}){state}.")
            self._replace(entry.file, content)
            draft.entries.append(entry)
        return entry

    def enable(self, identity: str, *, enabled: bool) -> BankEntry:
        """Switch an entry on or off. Raises BankError where there is none."""
        with self._changing() as draft:
            at = _position(draft.entries, identity, self.path)
            draft.entries[at] = draft.entries[at].model_copy(update={"enabled": enabled})
            return draft.entries[at]

    def enable_starter(self, identity: str, *, enabled: bool) -> None:
        """Switch a brand that comes with the program on or off in this bank."""
        with self._changing() as draft:
            if enabled:
                draft.starter_off.discard(identity)
            else:
                draft.starter_off.add(identity)

    def remove(self, identity: str) -> BankEntry:
        """Take an entry out, its file too. Raises BankError where there is none."""
        with self._changing() as draft:
            gone = draft.entries.pop(_position(draft.entries, identity, self.path))
        (self.path / gone.file).unlink(missing_ok=True)
        return gone

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_Draft]:
        """The list, to be changed in place; written when the block ends without an error."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._index()
            draft = _Draft(list(before.entries), set(before.starter_off))
            yield draft
            index = BankIndex.model_validate(
                {"schema": 1, "entries": draft.entries, "starter_off": sorted(draft.starter_off)}
            )
            self._replace(INDEX, (index.model_dump_json(indent=1, by_alias=True) + "\n").encode())

    def _replace(self, name: str, content: bytes) -> None:
        part = self.path / f"{name}.part"
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self.path / name)


def default_bank() -> Path:
    """`MODERATION_BANK`, or `moderation/bank` in the user's data folder (XDG base directories)."""
    if given := os.environ.get("MODERATION_BANK"):
        return Path(given)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "moderation" / "bank"


def _position(entries: list[BankEntry], identity: str, path: Path) -> int:
    """Where the entry with this id, or the beginning of one, is."""
    found = [at for at, entry in enumerate(entries) if identity and entry.id.startswith(identity)]
    if len(found) != 1:
        what = "no entry" if not found else f"{len(found)} entries"
        raise BankError(f"{path}: {what} with the id {identity!r}. `moderation bank list` shows the ids.")
    return found[0]
