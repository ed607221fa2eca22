"""Shared by all tests: where real clips lie, and small media made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real clips that MODERATION_TEST_DATA names; skips where it is absent."""
    folder = os.environ.get("MODERATION_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MODERATION_TEST_DATA names no folder with real clips")
    return Path(folder)
