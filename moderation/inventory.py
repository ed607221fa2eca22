"""Which models are installed, where their files lie, and whether they are the files they should be."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from moderation.transcript.weights import MODEL_NAME, WEIGHTS_SHA256, locate_packaged_parts

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model. `expected` is the SHA-256 its publisher states, None where none does."""

    model: str
    version: str
    name: str
    path: Path | None
    size: int
    sha256: str | None
    expected: str | None

    @property
    def is_verified(self) -> bool:
        return self.sha256 is not None and self.sha256 == self.expected

    @property
    def state(self) -> str:
        if self.sha256 is None:
            return "not installed"
        return "verified" if self.is_verified else "DOES NOT MATCH: reinstall it"

    def as_json(self) -> dict[str, Any]:
        """One line of `moderation models list --json`."""
        return {
            "model": self.model,
            "version": self.version,
            "file": self.name,
            "path": str(self.path) if self.path else None,
            "bytes": self.size,
            "sha256": self.sha256,
            "expected": self.expected,
            "state": self.state,
        }
