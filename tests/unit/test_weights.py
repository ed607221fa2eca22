"""Joining the halves of the speech model, on halves of a few bytes."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import tempfile
from pathlib import Path

import pytest

from moderation.errors import ModelError
from moderation.transcript.weights import (
    MODEL_FILE,
    NoRoomError,
    PackagedParts,
    cache_folders,
    join_weights,
    locate_packaged_parts,
)

HALVES = (b"first half " * 1000, b"second half " * 1000)
EXPECTED = hashlib.sha256(b"".join(HALVES)).hexdigest()


@pytest.fixture
def packaged(tmp_path: Path) -> PackagedParts:
    parts = []
    for n, half in enumerate(HALVES, 1):
        part = tmp_path / f"wheel{n}" / f"{MODEL_FILE}.part{n}"
        part.parent.mkdir()
        part.write_bytes(half)
        parts.append(part)
    config = tmp_path / "wheel1" / "config.json"
    config.write_text("{}")
    return PackagedParts(tuple(parts), (config,), "1.0.0")


def join(packaged: PackagedParts, folder: Path) -> Path:
    return join_weights(packaged, folders=[folder], expected=EXPECTED)


def test_parts_are_joined_beside_their_companions_and_nothing_else_stays(
    packaged: PackagedParts, tmp_path: Path
) -> None:
    folder = join(packaged, tmp_path / "cache" / "model")
    assert (folder / MODEL_FILE).read_bytes() == b"".join(HALVES)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", MODEL_FILE]


def test_a_whole_model_is_left_alone_and_a_damaged_one_joined_again(packaged: PackagedParts, tmp_path: Path) -> None:
    folder = join(packaged, tmp_path / "cache" / "model")
    model = folder / MODEL_FILE
    made = model.stat().st_ino
    join(packaged, folder)
    assert model.stat().st_ino == made
    for damaged in (b"", b"x" * sum(map(len, HALVES))):
        model.write_bytes(damaged)
        (folder / "config.json").write_text("broken")
        join(packaged, folder)
        assert hashlib.sha256(model.read_bytes()).hexdigest() == EXPECTED
        assert (folder / "config.json").read_text() == "{}"


def test_a_corrupted_part_is_refused_by_name_and_leaves_nothing_behind(packaged: PackagedParts, tmp_path: Path) -> None:
    packaged.parts[1].write_bytes(b"something else")
    folder = tmp_path / "cache" / "model"
    with pytest.raises(ModelError, match=r"wheel1.*Install them again"):
        join(packaged, folder)
    assert [p.name for p in folder.iterdir()] == ["config.json"]


def test_many_at_once(packaged: PackagedParts, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "model"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=join, args=(packaged, folder)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", MODEL_FILE]
    assert (folder / MODEL_FILE).read_bytes() == b"".join(HALVES)


def test_a_home_that_cannot_be_written_falls_back_with_a_word(
    packaged: PackagedParts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    folder = join_weights(packaged, folders=[blocked / "model", tmp_path / "spare" / "model"], expected=EXPECTED)
    assert folder == tmp_path / "spare" / "model"
    assert "Set MODERATION_CACHE" in caplog.text
    with pytest.raises(NoRoomError, match="Set MODERATION_CACHE"):
        join_weights(packaged, folders=[blocked / "model"], expected=EXPECTED)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_among_temporary_files_is_not_used(
    packaged: PackagedParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    theirs = tmp_path / "moderation-0"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    with pytest.raises(NoRoomError, match="belongs to another user"):
        join(packaged, theirs / "model")


def test_where_the_model_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODERATION_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folders()[0].parent == Path("/caches/moderation")
    monkeypatch.setenv("MODERATION_CACHE", "/chosen")
    assert cache_folders()[0].parent == Path("/chosen")
    assert len(cache_folders()) == 2


def test_one_half_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.endswith("part2") else find(name))
    assert locate_packaged_parts() is None
