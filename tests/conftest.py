"""Shared by all tests: where real clips lie, and small media made on the spot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine may stall: how long an example takes is nothing that a test decides on.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def empty_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test sees the bank of whoever runs it, subprocesses included."""
    folder = tmp_path_factory.mktemp("bank") / "empty"
    os.environ["MODERATION_BANK"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real clips that MODERATION_TEST_DATA names; skips where it is absent."""
    folder = os.environ.get("MODERATION_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MODERATION_TEST_DATA names no folder with real clips")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small text bundle, made once; copy it before changing it."""
    from tests.bundles import write_tiny_bundle

    return write_tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Torch on one thread: several that share few numbers wait for each other, for long where cores are busy."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
