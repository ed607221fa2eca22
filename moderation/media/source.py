"""Open an untrusted path without ever blocking, and refuse what must not reach a decoder."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

from moderation.errors import (
    ForbiddenReferenceError,
    InputError,
    NotAFileError,
    NotFoundError,
    TooLargeError,
    UnreadableMediaError,
)
from moderation.media.sniff import encrypted_kinds, forbidden_reference

_NOTHING_THERE = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG}
_HASH_CHUNK = 1 << 20


class Source:
    """An open regular file. Reads by position only, so the descriptor can be shared with a child."""

    def __init__(self, path: str | os.PathLike[str], max_bytes: int) -> None:
        """Raises NotFoundError, NotAFileError, UnreadableMediaError, TooLargeError, ForbiddenReferenceError."""
        self.path = Path(path)
        self.fd = _open_regular(self.path)
        try:
            self.size = os.fstat(self.fd).st_size
            self._refuse(max_bytes)
        except BaseException:
            self.close()
            raise

    def _refuse(self, max_bytes: int) -> None:
        if self.size == 0:
            raise UnreadableMediaError(f"{self.path} is empty; send the file again")
        if self.size > max_bytes:
            raise TooLargeError(
                f"{self.path} has {self.size} bytes, above the limit of {max_bytes}; send a smaller file"
            )
        reason = forbidden_reference(self.read_at, self.size)
        if reason is not None:
            raise ForbiddenReferenceError(
                f"{self.path} is {reason}; nothing it names is opened. Send the media file itself"
            )

    def read_at(self, offset: int, count: int) -> bytes:
        return os.pread(self.fd, count, offset)

    def encrypted(self) -> frozenset[str]:
        """The kinds of streams ("video", "audio") that an MP4 marks as encrypted."""
        return encrypted_kinds(self.read_at, self.size)

    def sha256(self) -> str:
        """Hex digest of the content, read in chunks."""
        digest = hashlib.sha256()
        at = 0
        while chunk := os.pread(self.fd, _HASH_CHUNK, at):
            digest.update(chunk)
            at += len(chunk)
        return digest.hexdigest()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _open_regular(path: Path) -> int:
    """A descriptor of a regular file; looks before it opens, because opening a device can act on it."""
    try:
        _require_regular(path, path.stat())
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            _require_regular(path, os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
    except OSError as error:
        raise _explain(path, error) from error
    except ValueError as error:
        raise NotFoundError(f"{str(path)!r} is no possible path: {error}") from error
    return fd


def _require_regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotAFileError(f"{path} is {_kind(found.st_mode)}, not a file; give the path of a video or picture")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISDIR: "a directory",
        stat.S_ISFIFO: "a named pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    return next((name for test, name in kinds.items() if test(mode)), "something special")


def _explain(path: Path, error: OSError) -> InputError:
    if error.errno == errno.ELOOP:
        return NotFoundError(f"{path} is a link that leads back to itself; give the path of the file")
    if error.errno in _NOTHING_THERE:
        linked = os.path.islink(path)  # noqa: PTH114 - Path.is_symlink raises on a name that is too long
        what = "is a link to nothing" if linked else "does not exist"
        return NotFoundError(f"{path} {what}; check the path")
    if error.errno == errno.ENXIO:
        return NotAFileError(f"{path} is a socket or device, not a file; give the path of a video or picture")
    return UnreadableMediaError(f"{path} cannot be opened ({error.strerror}); check its permissions")
