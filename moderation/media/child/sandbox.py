"""Give up every power but computing: resource limits, no new privileges, system-call filter.

`lock_down` runs once in the child, after all imports and before the first byte of the untrusted
file is read. Off Linux only the resource limits exist; the answer says so and the parent warns.
"""

from __future__ import annotations

import ctypes
import resource
import signal
import sys

from moderation.media.child import seccomp

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def lock_down(memory_bytes: int, cpu_s: int) -> bool:
    """Apply all limits; True where the system-call filter is in force.

    Raises OSError where the kernel has a filter and refuses ours: no decoding without it.
    """
    _limit(resource.RLIMIT_CPU, cpu_s)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 16)
    if not sys.platform.startswith("linux"):
        return False
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_NPROC, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(libc, _PR_SET_DUMPABLE, 0)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    return seccomp.install(libc)


def die_with_parent() -> None:
    """Ask Linux to kill this process when the thread that started it ends."""
    if sys.platform.startswith("linux"):
        _prctl(ctypes.CDLL(None, use_errno=True), _PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    arguments = [ctypes.c_ulong(n) for n in (value, 0, 0, 0)]
    if libc.prctl(option, *arguments) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) refused")


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))
