"""Metadata of a video: the optional JSON beside it, read strictly.

Every key is optional; an unknown key or a wrong type is refused by name, because a misspelt
`authorised_brands` would silently turn an honest seller into a suspect.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from moderation.errors import MetadataError
from moderation.types import CATEGORIES, Source, Utterance

MAX_BYTES = 1 << 20
Category = Literal[
    "food", "health_food", "cosmetics", "drug", "medical_device", "apparel", "footwear", "bags",
    "jewellery", "appliance", "electronics", "finance", "education", "baby", "home", "other",
]  # fmt: skip
Text = Annotated[str, Field(max_length=20_000)]
Identifier = Annotated[str, Field(min_length=1, max_length=200)]


class VideoMetadata(BaseModel):
    """What the platform knows about a clip. Prices are in units of `currency` (ISO 4217)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Identifier | None = None
    title: Text | None = None
    description: Text | None = None
    category: Category | None = None
    views: Annotated[int, Field(ge=0)] | None = None
    seller_id: Identifier | None = None
    creator_id: Identifier | None = None
    room_id: Identifier | None = None
    authorised_brands: tuple[Annotated[str, Field(max_length=200)], ...] = ()
    price: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    reference_price: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    qualifications: tuple[Annotated[str, Field(max_length=200)], ...] = ()
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")] | None = None

    @field_validator("id")
    @classmethod
    def _id_names_a_folder(cls, value: str | None) -> str | None:
        # The id becomes part of file names (snapshots, reports): it must not climb out of the folder.
        if value is not None and (value in {".", ".."} or any(c in value for c in "/\\\0\r\n")):
            raise ValueError("must not contain a slash, a backslash or a line break, nor be '.' or '..'")
        return value

    def utterances(self) -> list[Utterance]:
        """Title and description as texts to score; they have no time."""
        texts: list[tuple[Source, str | None]] = [("title", self.title), ("description", self.description)]
        return [Utterance(text=text, source=source) for source, text in texts if text and text.strip()]


def load_metadata(path: Path) -> VideoMetadata:
    """Read a metadata file. Raises MetadataError that names the key and what is expected."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise MetadataError(f"{path}: {size} bytes of metadata; the limit is {MAX_BYTES}. Shorten the texts.")
        raw = path.read_bytes()
    except OSError as error:
        raise MetadataError(f"{path}: cannot be read ({error.strerror}). Check the path and its rights.") from error
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise MetadataError(f"{path}: not UTF-8 (byte {error.start}). Save the file as UTF-8.") from error
    except (json.JSONDecodeError, RecursionError) as error:
        where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "nesting"
        raise MetadataError(f"{path}: not valid JSON ({where}). Write one JSON object.") from error
    return parse_metadata(data, where=str(path))


def parse_metadata(data: object, *, where: str) -> VideoMetadata:
    """Check a decoded JSON value. `where` names the file or request in the message."""
    if not isinstance(data, dict):
        raise MetadataError(f"{where}: holds a {type(data).__name__}. Write one JSON object.")
    try:
        # JSON has no tuples and no int/float difference worth refusing: 39 is a price too.
        return VideoMetadata.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise MetadataError(f"{where}: " + "; ".join(_explain(e) for e in error.errors())) from error


def _explain(error: object) -> str:
    assert isinstance(error, dict)
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = ", ".join(VideoMetadata.model_fields)
        return f"unknown key '{key}'. Known keys: {known}"
    if key == "category":
        return f"'category' is not one of {', '.join(CATEGORIES)}"
    return f"'{key}': {error['msg'][0].lower()}{error['msg'][1:]}"
