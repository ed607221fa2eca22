"""The decoding process: wait for a job, lock down, answer requests until the parent hangs up.

Started by `moderation.media.decoder` with one end of a socket pair as descriptor `sys.argv[1]`.
"""

from __future__ import annotations

import importlib
import pkgutil
import socket
import sys
import time

import av

from moderation.media import wire
from moderation.media.child import sandbox
from moderation.media.child.log import listen
from moderation.media.child.requests import Job, serve

# Parts of PyAV that decoding never imports; all others it may import at any time.
_NEVER_NEEDED = ("av.__main__", "av.about", "av.datasets", "av.filter")


def main() -> int:
    sandbox.die_with_parent()
    _import_all_of_pyav()
    watch = listen()
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        wire.send(sock, {"kind": "ready"})
        message, fds, _, _ = socket.recv_fds(sock, 4096, 1)
        if not message:
            return 0
        header = wire.Header(message)
        filtered = sandbox.lock_down(
            memory_bytes=header.whole("memory_bytes", 1, 2**62), cpu_s=header.whole("cpu_s", 1, 2**31)
        )
        job = Job(
            watch=watch,
            fd=fds[0],
            max_pixels=header.whole("max_pixels", 1, 2**31),
            max_streams=header.whole("max_streams", 1, 2**16),
            until_s=header.number("until_s", 0, 1e9),
        )
        wire.send(sock, {"kind": "locked", "filtered": filtered, "cpu_s": time.process_time()})
        serve(sock, job)
    return 0


def _import_all_of_pyav() -> None:
    """PyAV imports some of its modules on first use; after the lock no file can be opened any more."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.startswith(_NEVER_NEEDED):
            importlib.import_module(module.name)


if __name__ == "__main__":
    sys.exit(main())
