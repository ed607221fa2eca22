"""Which models are installed, where their files lie, and whether they are the files they should be."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moderation.errors import BundleError
from moderation.hashing import file_sha256
from moderation.inference.bundle import MANIFEST, read_manifest, shipped_bundle
from moderation.transcript.weights import (
    MODEL_FILE,
    MODEL_NAME,
    WEIGHTS_SHA256,
    PackagedParts,
    locate_packaged_parts,
)


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


def installed_models() -> list[ModelFile]:
    """Every model file that a scan uses, hashed afresh; speech weights that are absent are listed as such.

    Raises MissingDependencyError where the package that carries the OCR models is not installed.
    """
    # Imported late: the command line loads this page for its help, and the engine loads OpenCV.
    from moderation.transcript.engine import model_files

    ocr = importlib.metadata.version("rapidocr")
    return [
        *(_model_file("ocr", ocr, info.path, info.sha256) for info in model_files()),
        *(f for kind in ("text", "logo") for f in _bundle_files(kind, shipped_bundle(kind))),
        _speech_file(locate_packaged_parts()),
    ]


def _model_file(model: str, version: str, path: Path, expected: str | None) -> ModelFile:
    """A file as it lies on the disk, or as one that is not installed."""
    if not path.is_file():
        return ModelFile(model, version, path.name, None, 0, None, expected)
    return ModelFile(model, version, path.name, path, path.stat().st_size, file_sha256(path), expected)


def _bundle_files(model: str, folder: Path | None) -> list[ModelFile]:
    """Every file that a bundle's manifest lists; where that is unreadable, one file that does not match."""
    if folder is None:
        return [ModelFile(model, "", "", None, 0, None, None)]
    try:
        manifest = read_manifest(folder)
    except BundleError:
        return [ModelFile(model, folder.name, MANIFEST, folder, 0, "unreadable", None)]
    return [_model_file(model, manifest.name, folder / name, expected) for name, expected in manifest.files.items()]


def _speech_file(packaged: PackagedParts | None) -> ModelFile:
    """The speech model as its parts join, wherever it was joined to: that is checked again whenever it is loaded."""
    if packaged is None:
        return ModelFile("asr", MODEL_NAME, MODEL_FILE, None, 0, None, WEIGHTS_SHA256)
    digest, size = hashlib.sha256(), 0
    for part in packaged.parts:
        content = part.read_bytes()
        digest.update(content)
        size += len(content)
    version = f"{MODEL_NAME}-{packaged.version}"
    return ModelFile("asr", version, MODEL_FILE, packaged.parts[0].parent, size, digest.hexdigest(), WEIGHTS_SHA256)
