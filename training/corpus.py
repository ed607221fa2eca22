"""The authored corpus: read it, check it, split it. `training/corpus/README.md` is its datasheet."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from moderation.types import CATEGORIES, TEXT_LABELS, Source
from training.duplicates import near_duplicates
from training.errors import DataError
from training.examples import Example, parse_inline

CORPUS = Path(__file__).with_name("corpus")
TRAIN_FILES = ("zh.jsonl", "zh_ordinary.jsonl", "en.jsonl")
# Ordinary copy by another author: it sets thresholds and calibrates, and trains nothing.
CALIBRATION_FILES = ("calibration_zh.jsonl",)
TEST_FILES = ("test_zh.jsonl", "test_en.jsonl")
_KEYS = {"id", "scene", "category", "source", "text", "kind", "twin_of", "slice"}
SLICES = ("evasion", "noise")


@dataclass(frozen=True, slots=True)
class TestItem:
    """An item of the frozen test split. A twin is another one rewritten: `slice` says how, `twin_of` which."""

    example: Example
    slice: str = ""
    twin_of: str = ""


def load_training(folder: Path = CORPUS) -> list[Example]:
    """The training items of the corpus, in the order of its files. Raises DataError with file and line."""
    return _load(folder, TRAIN_FILES)


def load_calibration(folder: Path = CORPUS) -> list[Example]:
    """Ordinary copy that trains nothing, for thresholds. Raises DataError with file and line."""
    return _load(folder, CALIBRATION_FILES)


def load_test(folder: Path = CORPUS) -> list[TestItem]:
    """The frozen test split. Nothing that trains or calibrates may call this (a test proves it)."""
    return [
        TestItem(_example(path, n, item), item.get("slice", ""), item.get("twin_of", ""))
        for path in _files(folder, TEST_FILES)
        for n, item in _items(path)
    ]


def corpus_hash(folder: Path = CORPUS, names: Sequence[str] = (*TRAIN_FILES, *CALIBRATION_FILES)) -> str:
    """SHA-256 over the files in order: what a bundle's card calls its data."""
    digest = hashlib.sha256()
    for path in _files(folder, names):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def check(folder: Path = CORPUS) -> tuple[list[str], dict[str, Any]]:
    """Mistakes of the corpus, and its counts: near-duplicates, scenes on both sides, labels that are too few."""
    training, test = load_training(folder), load_test(folder)
    others = load_calibration(folder)
    everything = [*training, *others, *(t.example for t in test if not t.slice)]
    mistakes = [f"id {i!r} is used {n} times" for i, n in Counter(e.id for e in everything).items() if n > 1]
    mistakes += [
        f"{a.id} and {b.id} are nearly the same: {a.text!r}, {b.text!r}"
        for a, b in ((everything[i], everything[j]) for i, j in near_duplicates([e.text for e in everything]))
        if a.labels == b.labels or a.group != b.group
    ]
    ids = {t.example.id for t in test}
    mistakes += [
        f"{t.example.id}: twin of {t.twin_of!r}, which is not there" for t in test if t.twin_of not in {"", *ids}
    ]
    shared = {e.group for e in (*training, *others)} & {t.example.group for t in test}
    mistakes += [f"scene {scene!r} is on both sides" for scene in sorted(shared)]
    return mistakes, {
        "training": counts(training),
        "test": counts([t.example for t in test if not t.slice]),
        "test twins": dict(Counter(t.slice for t in test if t.slice)),
    }


def counts(examples: Sequence[Example]) -> dict[str, Any]:
    """How many items there are, by language: violating or not, label (with kinds of goods), category, source."""
    report: dict[str, Any] = {}
    for language in sorted({e.language for e in examples}):
        mine = [e for e in examples if e.language == language]
        report[language] = {
            "items": len(mine),
            "unlabelled": sum(not e.labels for e in mine),
            "ordinary": sum(e.kind == "ordinary" for e in mine),
            "scenes": len({e.group for e in mine}),
            "labels": {
                label: {
                    "items": sum(label in e.labels for e in mine),
                    "scenes": len({e.group for e in mine if label in e.labels}),
                    "categories": len({e.category for e in mine if label in e.labels}),
                }
                for label in TEXT_LABELS
            },
            "categories": dict(Counter(e.category for e in mine)),
            "sources": dict(Counter(e.source for e in mine)),
        }
    return report


def _load(folder: Path, names: Sequence[str]) -> list[Example]:
    return [_example(path, n, item) for path in _files(folder, names) for n, item in _items(path)]


def _files(folder: Path, names: Sequence[str]) -> list[Path]:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{folder}: {', '.join(missing)} missing. Check the corpus out again.")
    return [folder / name for name in names]


def _items(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            item = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: no valid JSON ({error}).") from error
        if not isinstance(item, dict) or set(item) - _KEYS or {"id", "scene", "text"} - set(item):
            raise DataError(f"{path}:{number}: an item has id, scene and text, and no other keys than {sorted(_KEYS)}.")
        yield number, item


def _example(path: Path, number: int, item: dict[str, Any]) -> Example:
    try:
        text, spans = parse_inline(item["text"])
    except DataError as error:
        raise DataError(f"{path}:{number}: {error}") from error
    category, source = item.get("category"), item.get("source", "speech")
    if (category is not None and category not in CATEGORIES) or source not in get_args(Source) or not text.strip():
        raise DataError(f"{path}:{number}: empty text, or unknown category {category!r} or source {source!r}.")
    return Example(
        id=item["id"],
        text=text,
        labels=frozenset(s.label for s in spans),
        category=category,
        source=source,
        group=item["scene"],
        language="en" if "en" in path.stem.split("_") else "zh",
        spans=spans,
        kind=item.get("kind", ""),
    )
