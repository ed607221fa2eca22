"""How parent and child talk: a length-prefixed JSON header, then raw bytes, over a socket pair.

Nothing from the child is ever unpickled or evaluated. The parent bounds each length before it
allocates and checks each header field through `Header`; anything else is a `WireError`, which
the parent treats like a crash of the child. Standard library only.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Callable
from typing import Any

_PREFIX = struct.Struct("<4sIQ")
_MAGIC = b"mmw1"
MAX_HEADER_BYTES = 64 * 1024


class WireError(Exception):
    """The other side sent something that is not of this protocol, or went away in mid-message."""


class Header:
    """A received JSON object whose fields are read by type and range, never taken on trust."""

    def __init__(self, raw: bytes) -> None:
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise WireError("header is not JSON") from error
        if not isinstance(value, dict):
            raise WireError("header is not an object")
        self._fields: dict[str, Any] = value

    def text(self, name: str, longest: int = 4096) -> str:
        value = self._fields.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise WireError(f"{name} is not a short text")
        return "".join(c for c in value if c.isprintable() or c == "\n")

    def text_or_none(self, name: str, longest: int = 4096) -> str | None:
        return None if self._fields.get(name) is None else self.text(name, longest)

    def whole(self, name: str, low: int, high: int) -> int:
        value = self._fields.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise WireError(f"{name} is not a whole number in {low}..{high}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        value = self._fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise WireError(f"{name} is not a finite number")
        if not low <= value <= high:
            raise WireError(f"{name} is not in {low}..{high}")
        return float(value)

    def number_or_none(self, name: str, low: float, high: float) -> float | None:
        return None if self._fields.get(name) is None else self.number(name, low, high)

    def flag(self, name: str) -> bool:
        value = self._fields.get(name)
        if not isinstance(value, bool):
            raise WireError(f"{name} is not true or false")
        return value

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        value = self._fields.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise WireError(f"{name} is not a short list")
        if not all(isinstance(item, str) and len(item) <= 64 and item.isprintable() for item in value):
            raise WireError(f"{name} holds something that is not a name")
        return tuple(value)


def encode(header: dict[str, Any]) -> bytes:
    return json.dumps(header, ensure_ascii=True, allow_nan=False).encode("ascii")


def send(sock: socket.socket, header: dict[str, Any], payload: Any = b"") -> None:
    """Write one message; `payload` is any C-contiguous buffer."""
    raw = encode(header)
    view = memoryview(payload).cast("B")
    sock.sendall(_PREFIX.pack(_MAGIC, len(raw), len(view)) + raw)
    if len(view):
        sock.sendall(view)


def receive(read: Callable[[int], bytearray]) -> tuple[Header, int]:
    """Read one header; the caller then reads the payload whose length is returned.

    `read(n)` returns exactly n bytes or raises.
    """
    magic, header_bytes, payload_bytes = _PREFIX.unpack(read(_PREFIX.size))
    if magic != _MAGIC or header_bytes > MAX_HEADER_BYTES:
        raise WireError("no message of this protocol")
    return Header(bytes(read(header_bytes))), payload_bytes


def read_exactly(sock: socket.socket, count: int) -> bytearray:
    """Exactly `count` bytes; raises WireError where the other side closed before."""
    data = bytearray(count)
    fill(sock, memoryview(data))
    return data


def fill(sock: socket.socket, view: memoryview) -> None:
    """Fill a writable byte view from the socket; raises WireError where the other side closed."""
    while len(view):
        got = sock.recv_into(view)
        if got == 0:
            raise WireError("closed in mid-message")
        view = view[got:]
