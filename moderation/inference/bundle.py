"""A bundle: a folder with one trained model and all that is needed to use it, checked before it is used.

    text: model.onnx  ngrams.npz  config.json  preprocessor_config.json  tokenizer.json  README.md  manifest.json
    logo: detector.onnx  embedder.onnx  brands.npz  config.json  README.md  manifest.json

`manifest.json` holds the SHA-256 of every other file; a bundle that differs from it is refused. Calibration and
thresholds live in `config.json`, so they move without a new export.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moderation.errors import BundleError
from moderation.hashing import file_sha256

MANIFEST, CONFIG, PREPROCESSOR, MODEL, NGRAMS, TOKENIZER, CARD = (
    "manifest.json", "config.json", "preprocessor_config.json", "model.onnx", "ngrams.npz", "tokenizer.json",
    "README.md",
)  # fmt: skip
DETECTOR, EMBEDDER, BRANDS = "detector.onnx", "embedder.onnx", "brands.npz"
SHIPPED = Path(__file__).resolve().parents[1] / "bundles"
_VERSION_DIGITS = 12

Model = TypeVar("Model", bound=BaseModel)
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Calibration(_Strict):
    """Platt scaling (Platt 1999): probability = sigmoid(slope · logit + offset)."""

    slope: Annotated[float, Field(gt=0.0)] = 1.0
    offset: float = 0.0


class Thresholds(_Strict):
    """What `auto` means for a label: review from this probability; block from that one, or never (None)."""

    review: Probability
    block: Probability | None = None


class LabelConfig(_Strict):
    """One output of the model, in the order of its logits."""

    name: str
    calibration: Calibration = Calibration()
    thresholds: Thresholds


class TextBundleConfig(_Strict):
    """`config.json` of a text classifier. A token is evidence from `evidence` × the strongest one's probability on."""

    schema_version: Annotated[int, Field(alias="schema")] = 1
    name: str
    task: str
    labels: tuple[LabelConfig, ...]
    evidence: Probability = 0.5


class LogoBundleConfig(_Strict):
    """`config.json` of a logo finder.

    Frames are shrunk so that their longer side is `frame_side` pixels, logos cut out as squares of `crop_side`. A
    detection counts from its class's threshold on, and is a brand of the bank from `similarity` (a cosine) on.
    """

    schema_version: Annotated[int, Field(alias="schema")] = 1
    name: str
    task: Literal["logo"]
    frame_side: Annotated[int, Field(ge=64, le=2048, multiple_of=32)]
    crop_side: Annotated[int, Field(ge=32, le=512)]
    thresholds: dict[Literal["logo", "obscured"], Probability]
    similarity: Probability


class Manifest(_Strict):
    """`manifest.json`: SHA-256 by file name; where the model came from; its metrics."""

    schema_version: Annotated[int, Field(alias="schema")] = 1
    name: str
    files: dict[str, str]
    training: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files were all found to be what the manifest says."""

    path: Path
    manifest: Manifest
    digest: str

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> str:
        """Name and the first digits of the SHA-256 of the manifest, which itself covers every file."""
        return f"{self.name}@{self.digest[:_VERSION_DIGITS]}"

    def file(self, name: str) -> Path:
        """A file of the bundle. Raises BundleError where the manifest does not list it."""
        if name not in self.manifest.files:
            raise BundleError(f"{self.path}: the bundle has no {name}. Export it again, or reinstall the package.")
        return self.path / name

    def read(self, name: str, schema: type[Model]) -> Model:
        """A JSON file of the bundle as `schema`. Raises BundleError where it does not fit."""
        return _parse(self.file(name), schema)


def open_bundle(folder: Path) -> Bundle:
    """Check every file against the manifest. Raises BundleError: missing, changed, not listed, or unreadable."""
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise BundleError(f"{path}: listed in {MANIFEST} and not there. Copy the whole folder again.")
        found = file_sha256(path)
        if found != expected:
            raise BundleError(
                f"{path}: its SHA-256 is {found[:_VERSION_DIGITS]}…, the manifest says {expected[:_VERSION_DIGITS]}…. "
                "The file was changed or cut short: copy the folder again, or reinstall the package."
            )
    return Bundle(folder, manifest, file_sha256(folder / MANIFEST))


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, with nothing checked against it. Raises BundleError where there is none."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder}: no bundle here ({MANIFEST} is missing). Give the folder that `training` wrote.")
    return _parse(path, Manifest)


def shipped_bundle(kind: str) -> Path | None:
    """The folder `bundles/KIND-…` of this package with the highest name, or None where none ships."""
    found = sorted(p for p in SHIPPED.glob(f"{kind}-*") if (p / MANIFEST).is_file())
    return found[-1] if found else None


def write_manifest(folder: Path, name: str, training: dict[str, Any], metrics: dict[str, Any]) -> Path:
    """Hash every file of `folder` into its manifest: the last step of an export."""
    files = {p.name: file_sha256(p) for p in sorted(folder.iterdir()) if p.is_file() and p.name != MANIFEST}
    manifest = Manifest.model_validate(
        {"schema": 1, "name": name, "files": files, "training": training, "metrics": metrics}
    )
    path = folder / MANIFEST
    path.write_text(manifest.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")
    return path


def _parse(path: Path, schema: type[Model]) -> Model:
    try:
        return schema.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        what = error.errors()[0] if isinstance(error, ValidationError) else error
        raise BundleError(f"{path}: not readable as {schema.__name__} ({what}). Export the bundle again.") from error
