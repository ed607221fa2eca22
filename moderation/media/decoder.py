"""One sandboxed decoding process a file, as the parent sees it; and a pool of started spares.

A `Decoder` is started without work, handed one descriptor and its limits, and then asked. The
parent trusts nothing that comes back: see `wire`. Time is counted only while the parent waits.
"""

from __future__ import annotations

import array
import contextlib
import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from moderation.errors import DecoderCrashedError, ModerationError
from moderation.media import wire
from moderation.media.settings import MediaLimits

_log = logging.getLogger(__name__)
_START_TIMEOUT_S = 30.0
_STDERR_BYTES = 2000
# With -S the child has no site-packages of its own; it gets exactly the folders of its imports.
_BOOT = (
    "import sys, runpy; sys.path[:0] = sys.argv.pop(1).split('\\n'); "
    "runpy.run_module('moderation.media.child', run_name='__main__', alter_sys=False)"
)


class OutOfTimeError(Exception):
    """The time budget of the file is used up."""


class DecoderGoneError(Exception):
    """The child is gone or talks nonsense; the text says how."""


class Budget:
    """Seconds of waiting left for one file, shared by all its decoders."""

    def __init__(self, seconds: float) -> None:
        self.total = seconds
        self._used = 0.0

    @property
    def left(self) -> float:
        return max(0.0, self.total - self._used)

    def spend(self, seconds: float) -> None:
        self._used += seconds


class Message:
    """One answer: header fields, and the payload still to be read from the socket."""

    def __init__(self, header: wire.Header, payload_bytes: int, fill: Callable[[memoryview], None]) -> None:
        self.header = header
        self.kind = header.text("kind", 16)
        self.payload_bytes = payload_bytes
        self._fill = fill
        self._taken = payload_bytes == 0

    def payload_into(self, view: memoryview) -> None:
        """Read the payload into a writable byte view of exactly its length."""
        if len(view) != self.payload_bytes:
            raise wire.WireError(f"payload of {self.payload_bytes} bytes where {len(view)} are due")
        self._fill(view)
        self._taken = True

    def require_taken(self) -> None:
        if not self._taken:
            raise wire.WireError(f"unexpected payload in a {self.kind} message")


class Decoder:
    """A child process. Not thread-safe; use one at a time and close it."""

    def __init__(self) -> None:
        """Start the process and return at once; it is waited for when it gets its file."""
        self._cpu_at_start = self._cpu_now = 0.0
        self._sock, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        try:
            with theirs:
                theirs.set_inheritable(True)
                self._process = _spawner().start(theirs.fileno(), self._stderr.fileno())
        except BaseException:
            self._sock.close()
            self._stderr.close()
            raise

    @property
    def cpu_s(self) -> float:
        """CPU seconds the child says it spent on its file up to its last whole answer."""
        return self._cpu_now - self._cpu_at_start

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def assign(self, fd: int, limits: MediaLimits, budget: Budget) -> None:
        """Hand over the file. Raises DecoderGoneError; ModerationError where the child cannot even start."""
        start = Budget(_START_TIMEOUT_S)
        try:
            self._expect("ready", start)
        except (DecoderGoneError, OutOfTimeError) as error:
            raise ModerationError(f"the decoding process did not start: {error}; {self._complaint()}") from error
        job = {
            "memory_bytes": limits.memory_bytes,
            "cpu_s": int(limits.time_limit_s(limits.max_duration_s)) + 1,
            "max_pixels": limits.max_pixels,
            "max_streams": limits.max_streams,
            "until_s": limits.max_duration_s,
        }
        socket.send_fds(self._sock, [wire.encode(job)], [fd])
        locked = self._expect("locked", start)
        if not locked.header.flag("filtered"):
            _warn_unfiltered()
        self._cpu_at_start = self._cpu_now = locked.header.number("cpu_s", 0, 1e6)

    def request(self, kind: str, budget: Budget, times: Sequence[float] = (), **fields: Any) -> Iterator[Message]:
        """Ask, and yield the answers up to and including `end` or `fault`. Raises DecoderGoneError, OutOfTimeError."""
        try:
            wire.send(self._sock, {"kind": kind, **fields}, array.array("d", times))
        except OSError as error:
            raise DecoderGoneError(self._how_it_died()) from error
        while True:
            message = self._receive(budget)
            yield message
            try:
                message.require_taken()
            except wire.WireError as error:
                raise DecoderGoneError(f"it sent nonsense ({error})") from error
            if message.kind == "end":
                self._cpu_now = message.header.number("cpu_s", 0, 1e6)
            if message.kind in ("end", "fault"):
                return

    def _expect(self, kind: str, budget: Budget) -> Message:
        message = self._receive(budget)
        if message.kind != kind or message.payload_bytes:
            raise DecoderGoneError(f"it answered {message.kind!r} where {kind!r} was due")
        return message

    def _receive(self, budget: Budget) -> Message:
        try:
            header, payload_bytes = wire.receive(functools.partial(self._read, budget))
            return Message(header, payload_bytes, functools.partial(self._fill, budget))
        except wire.WireError as error:
            raise DecoderGoneError(
                self._how_it_died() if not self._answers() else f"it sent nonsense ({error})"
            ) from error

    def _read(self, budget: Budget, count: int) -> bytearray:
        data = bytearray(count)
        self._fill(budget, memoryview(data))
        return data

    def _fill(self, budget: Budget, view: memoryview) -> None:
        started = time.monotonic()
        deadline = started + budget.left
        try:
            while len(view):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise OutOfTimeError
                self._sock.settimeout(left)
                got = self._sock.recv_into(view)
                if got == 0:
                    raise DecoderGoneError(self._how_it_died())
                view = view[got:]
        except TimeoutError as error:
            raise OutOfTimeError from error
        except OSError as error:
            raise DecoderGoneError(self._how_it_died()) from error
        finally:
            budget.spend(time.monotonic() - started)

    def _answers(self) -> bool:
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _how_it_died(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        status = self._process.returncode
        if status is None:
            return "it hung up"
        if status < 0:
            name = signal.Signals(-status).name if -status in signal.valid_signals() else str(-status)
            return f"it was ended by {name}"
        return f"it ended with status {status}"

    def _complaint(self) -> str:
        size = os.fstat(self._stderr.fileno()).st_size
        tail = os.pread(self._stderr.fileno(), _STDERR_BYTES, max(0, size - _STDERR_BYTES))
        return tail.decode("utf-8", "replace").strip() or "it said nothing"

    def close(self) -> None:
        """Kill the process group and reap it; safe to call twice."""
        self._sock.close()
        self._stderr.close()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class DecoderPool:
    """Keeps `spares` started children, so that opening a file does not wait for a start.

    Each child still serves one file only. Thread-safe; close it (or use `with`) to end the spares.
    """

    def __init__(self, spares: int = 1) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._spares = [Decoder() for _ in range(spares)]

    def take(self) -> Decoder:
        """A fresh child; a new spare is started in its place."""
        with self._lock:
            if self._closed:
                raise ValueError("the decoder pool is closed")
            while self._spares:
                decoder = self._spares.pop(0)
                self._spares.append(Decoder())
                if decoder.alive:
                    return decoder
                decoder.close()
        return Decoder()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            spares, self._spares = self._spares, []
        for decoder in spares:
            decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Spawner:
    """Starts children from one thread that lives as long as the process.

    Linux kills a child with the *thread* that started it (PR_SET_PDEATHSIG); started from a
    short-lived worker thread, a spare would die with that.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoder-spawner")

    def start(self, sock_fd: int, stderr_fd: int) -> subprocess.Popen[bytes]:
        return self._thread.submit(self._popen, sock_fd, stderr_fd).result()

    def _popen(self, sock_fd: int, stderr_fd: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOT, "\n".join(_import_folders()), str(sock_fd)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr_fd,
            pass_fds=(sock_fd,),
            start_new_session=True,
            cwd="/",
            env=_environment(),
        )

    def close(self) -> None:
        self._thread.shutdown(wait=False)


_current: list[_Spawner] = []
_current_lock = threading.Lock()


def _spawner() -> _Spawner:
    with _current_lock:
        if not _current:
            _current.append(_Spawner())
        return _current[0]


# A forked copy of this process has no spawner thread; it makes its own.
os.register_at_fork(after_in_child=_current.clear)


@functools.cache
def _import_folders() -> tuple[str, ...]:
    """Where `moderation` and `av` are installed."""
    import av

    own = Path(__file__).resolve().parents[2]
    return tuple(dict.fromkeys((str(own), str(Path(av.__file__).resolve().parents[1]))))


def _environment() -> dict[str, str]:
    """Nothing but what the loader may need to find the interpreter's own libraries."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"MALLOC_ARENA_MAX": "1", **kept}


@functools.cache
def _warn_unfiltered() -> None:
    _log.warning(
        "this platform has no system-call filter: files are decoded in a child process with resource limits only"
    )


def crashed(path: Path, how: str) -> DecoderCrashedError:
    return DecoderCrashedError(
        f"the decoder died on {path} ({how}) before anything was read; "
        "the file is damaged or hostile, do not retry it as it is"
    )
