"""A seccomp filter in classic BPF, built by hand: an allow-list, everything else fails with EPERM.

After it is installed the process can compute, use memory that is not executable, and read, write
and seek on the descriptors it already holds. It cannot open any file, make a socket, start or
signal another process, trace, mount, or make memory executable. A forbidden call fails with
EPERM (it does not kill), so that a codec which merely asks for a thread falls back to none.
Layout of the filter: Linux `Documentation/userspace-api/seccomp_filter.rst`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_FAIL_EPERM = 0x00050000 | errno.EPERM
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENT = 0, 4, 16
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_PROT_EXEC = 4
_X32_BIT = 0x40000000

# name: (x86-64, aarch64); aarch64 has no poll, only ppoll.
_ALWAYS: dict[str, tuple[int, int]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62),
    "pread64": (17, 67), "readv": (19, 65), "writev": (20, 66), "sendto": (44, 206),
    "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212), "poll": (7, 73),
    "ppoll": (271, 73), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233),
    "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "restart_syscall": (219, 128),
    "futex": (202, 98), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "getrusage": (98, 165),
    "getpid": (39, 172), "gettid": (186, 178), "getrandom": (318, 278), "exit": (60, 93),
    "exit_group": (231, 94), "set_robust_list": (273, 99), "rseq": (334, 293),
    "membarrier": (324, 283),
}  # fmt: skip
# Allowed only without PROT_EXEC in the third argument.
_MEMORY: dict[str, tuple[int, int]] = {"mmap": (9, 222), "mprotect": (10, 226)}
# abort() signals its own process; the first argument must be our own id.
_SIGNAL_SELF: dict[str, tuple[int, int]] = {"tgkill": (234, 131)}
_ARCH = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def install(libc: ctypes.CDLL) -> bool:
    """Install the filter for this process; False where the platform has none we know.

    Raises OSError where the kernel refuses it.
    """
    if not sys.platform.startswith("linux") or platform.machine() not in _ARCH or sys.maxsize < 2**32:
        return False
    program = build(platform.machine(), os.getpid())
    code = ctypes.create_string_buffer(program, len(program))

    class SockFprog(ctypes.Structure):
        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    prog = SockFprog(len(program) // 8, ctypes.addressof(code))
    zero = ctypes.c_ulong(0)
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(prog), zero, zero) != 0:
        raise OSError(ctypes.get_errno(), "the kernel refused the system-call filter")
    return True


def build(machine: str, own_pid: int) -> bytes:
    """The filter as an array of `struct sock_filter` (u16 code, u8 jt, u8 jf, u32 k)."""
    column, arch = _ARCH[machine]
    lines = [
        _line(_LOAD, _OFFSET_ARCH),
        _line(_EQUAL, arch, 1, 0),
        _line(_RETURN, _KILL_PROCESS),
        _line(_LOAD, _OFFSET_NUMBER),
    ]
    if machine == "x86_64":  # the x32 numbering would reach the same calls by other numbers
        lines += [_line(_AT_LEAST, _X32_BIT, 0, 1), _line(_RETURN, _KILL_PROCESS)]
    for numbers in _ALWAYS.values():
        lines += [_line(_EQUAL, numbers[column], 0, 1), _line(_RETURN, _ALLOW)]
    for numbers in _MEMORY.values():
        lines += _when_called(numbers[column], argument=2, test=_ANY_BIT, value=_PROT_EXEC, allow_if=False)
    for numbers in _SIGNAL_SELF.values():
        lines += _when_called(numbers[column], argument=0, test=_EQUAL, value=own_pid, allow_if=True)
    lines.append(_line(_RETURN, _FAIL_EPERM))
    return b"".join(lines)


def _when_called(number: int, *, argument: int, test: int, value: int, allow_if: bool) -> list[bytes]:
    """If this is call `number`: test the low word of one argument and answer."""
    yes, no = (_ALLOW, _FAIL_EPERM) if allow_if else (_FAIL_EPERM, _ALLOW)
    return [
        _line(_EQUAL, number, 0, 4),
        _line(_LOAD, _OFFSET_ARGUMENT + 8 * argument),
        _line(test, value, 0, 1),
        _line(_RETURN, yes),
        _line(_RETURN, no),
    ]


def _line(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jump_true, jump_false, value)
