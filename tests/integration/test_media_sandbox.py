"""The decoding process has no power but computing, and nothing of it is left behind."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest

from moderation import errors
from moderation.media import DecoderPool, MediaLimits, open_media
from moderation.media.decoder import _BOOT, Decoder, _import_folders
from tests.media_files import write_video

LINUX = sys.platform.startswith("linux")


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if "moderation.media" in " ".join(p.cmdline())]


ATTEMPTS = {
    "read a file": "open('/etc/hostname').read()",
    "write a file": "open('/tmp/x', 'w')",
    "create a folder": "os.mkdir('/tmp/mw-x')",
    "remove a file": "os.unlink('/tmp/x')",
    "list a folder": "os.listdir('/')",
    "make a socket": "socket.socket()",
    "make a local socket": "socket.socketpair()",
    "start a process": "os.fork()",
    "run a program": "os.execv('/bin/true', ['true'])",
    "start a thread": "threading.Thread(target=print).start()",
    "signal the parent": "os.kill(os.getppid(), 0)",
    "signal all": "os.kill(-1, 0)",
    "trace": "check(libc.ptrace(0, 0, 0, 0))",
    "make memory executable": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "raise its limits": "resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9))",
    "change folder": "os.chdir('/tmp')",
    "make a pipe": "os.pipe()",
    "open a memory file": "os.memfd_create('x')",
}


@pytest.mark.skipif(not LINUX, reason="the system-call filter exists on Linux only")
@pytest.mark.parametrize("what", ATTEMPTS)
def test_a_locked_process_cannot(what: str) -> None:
    code = f"""
        import ctypes, mmap, os, resource, socket, sys, threading
        sys.path[:0] = {_import_folders()!r}
        from moderation.media.child import sandbox
        libc = ctypes.CDLL(None, use_errno=True)
        def check(result):
            if result < 0:
                raise OSError(ctypes.get_errno(), "refused")
        assert sandbox.lock_down(2 * 1024**3, 60)
        try:
            {ATTEMPTS[what]}
        except (OSError, RuntimeError, ValueError):
            os._exit(42)
        os._exit(0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=30)
    assert done.returncode == 42


def test_the_child_inherits_no_environment_and_no_descriptors(tmp_path: Path) -> None:
    os.environ["MEDIA_TEST_SECRET"] = "secret"  # noqa: S105
    with (tmp_path / "open").open("w") as held, Decoder() as decoder:
        os.set_inheritable(held.fileno(), True)
        path = write_video(tmp_path / "a.mp4", seconds=0.5)
        with open_media(path) as media:
            assert list(media.keyframes())
            (child,) = [p for p in children() if p.pid != decoder._process.pid]
            assert "MEDIA_TEST_SECRET" not in child.environ()
            if LINUX and os.geteuid() == 0:
                names = [str(link.readlink()) for link in Path(f"/proc/{child.pid}/fd").iterdir()]
                assert sum(str(path) in name for name in names) == 1
                assert not any("open" in name for name in names)
    del os.environ["MEDIA_TEST_SECRET"]


def test_the_child_is_light() -> None:
    code = f"import sys; sys.path[:0] = {_import_folders()!r}; import moderation.media.child.__main__; " + (
        "print([m for m in ('numpy', 'cv2', 'moderation.types', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "moderation.media.child" in _BOOT


def test_a_killed_decoder_is_an_error_or_a_warning(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=8, size=(640, 480))
    with open_media(path) as media:
        frames = media.frames(0.1)
        first = next(frames)
        for child in children():
            child.kill()
        rest = list(frames)
        assert first.pts_s == 0.0
        assert len(rest) < 79
        assert any("decoder died" in w and "SIGKILL" in w for w in media.warnings)
        assert len(list(media.frames(1.0))) == 8  # a fresh process serves the next request
    with open_media(path) as media:
        for child in children():
            child.kill()
            child.wait()
        with pytest.raises(errors.DecoderCrashedError):
            list(media.frames())
        with pytest.raises(errors.DecoderCrashedError):
            media.require_something_read()


def test_running_out_of_time_keeps_what_was_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=6, size=(640, 480))
    with open_media(path, MediaLimits(base_time_s=20, time_per_second=0.01)) as media:
        frames = media.frames(0.2)
        next(frames)
        media._budget.spend(media._budget.left)
        assert len(list(frames)) < 30
        assert any("time limit" in warning for warning in media.warnings)


def test_readers_can_be_mixed_and_left_early(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=4, sound=True)
    with open_media(path) as media:
        outer = media.frames(1.0)
        seen = [(frame.pts_s, [inner.pts_s for inner in media.frames_at([frame.pts_s])]) for frame in outer]
        assert all([time] == again for time, again in seen)
        next(media.frames(0.1))
        assert media.audio() is not None
        assert len(list(media.keyframes())) == 8
    assert children() == []


def test_closing_ends_readers_in_mid_way(tmp_path: Path) -> None:
    media = open_media(write_video(tmp_path / "a.mp4", seconds=4, size=(640, 480)))
    reader = media.frames(0.1)
    next(reader)
    media.close()
    assert children() == []
    with pytest.raises(ValueError, match="closed"):
        next(media.frames(1.0))
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="interval_s"):
            media.frames(wrong)


def test_a_pool_keeps_one_spare_and_ends_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=0.5)
    with DecoderPool(spares=1) as pool:
        for _ in range(3):
            with open_media(path, pool=pool) as media:
                assert len(list(media.frames())) == 1
            assert len(children()) == 1
        for child in children():
            child.send_signal(signal.SIGKILL)
            child.wait()
        with open_media(path, pool=pool) as media:
            assert len(list(media.frames())) == 1
    assert children() == []
    with pytest.raises(ValueError, match="closed"):
        pool.take()


def test_a_spare_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=0.5)
    pools: list[DecoderPool] = []
    thread = threading.Thread(target=lambda: pools.append(DecoderPool()))
    thread.start()
    thread.join()
    with pools[0] as pool, open_media(path, pool=pool) as media:
        assert len(list(media.frames())) == 1


@pytest.mark.skipif(not LINUX, reason="only Linux ends a child with its parent")
def test_children_end_with_their_parent(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=0.5)
    code = f"""
        import os, sys
        sys.path[:0] = {_import_folders()!r}
        from moderation.media import open_media
        media = open_media({str(path)!r})
        print(media._idle._process.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(10)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_many_files_leave_nothing_behind(tmp_path: Path) -> None:
    """Default 30 files; MEDIA_LEAK_FILES sets another number."""
    count = int(os.environ.get("MEDIA_LEAK_FILES", "30"))
    good = write_video(tmp_path / "good.mp4", seconds=2, size=(320, 240), sound=True)
    data = bytearray(good.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 400] = bytes(400)
    (tmp_path / "bad.mp4").write_bytes(data)
    (tmp_path / "text.mp4").write_text("no video")
    process = psutil.Process()

    def one(n: int, pool: DecoderPool) -> None:
        name = ("good.mp4", "bad.mp4", "text.mp4")[n % 3]
        try:
            with open_media(tmp_path / name, pool=pool) as media:
                list(media.frames())
                media.audio()
        except errors.InputError:
            pass

    with DecoderPool() as pool:
        for n in range(9):
            one(n, pool)
        gc.collect()
        fds, memory = process.num_fds(), process.memory_info().rss
        for n in range(count):
            one(n, pool)
        gc.collect()
        assert process.num_fds() == fds
        assert process.memory_info().rss - memory < 16 * 1024**2
        assert len(children()) == 1
        print(f"{count} files: +{(process.memory_info().rss - memory) // 1024} kB, +{process.num_fds() - fds} fds")
    assert children() == []
