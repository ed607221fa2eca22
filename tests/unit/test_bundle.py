"""Bundles are what their manifest says, or refused; sessions run where they were asked to, or fail."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from moderation.errors import BundleError, ModelError
from moderation.inference.bundle import (
    CARD,
    CONFIG,
    MANIFEST,
    MODEL,
    PREPROCESSOR,
    TOKENIZER,
    TextBundleConfig,
    open_bundle,
    shipped_bundle,
    write_manifest,
)
from moderation.inference.session import ModelSession, SessionSettings
from moderation.text.classifier import TextClassifier, TextClassifierSettings
from moderation.types import TEXT_LABELS

MOST_MEGABYTES = 45


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def test_a_bundle_opens_with_its_version(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle)
    assert bundle.version == f"text-tiny-1@{bundle.digest[:12]}"
    assert tuple(label.name for label in bundle.read(CONFIG, TextBundleConfig).labels) == TEXT_LABELS


@pytest.mark.parametrize("name", [MODEL, CONFIG, PREPROCESSOR, TOKENIZER, CARD])
def test_a_changed_file_is_refused(copy: Path, name: str) -> None:
    path = copy / name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match=f"{name}.*SHA-256"):
        open_bundle(copy)


@pytest.mark.parametrize("name", [MODEL, CONFIG, PREPROCESSOR, TOKENIZER])
def test_a_missing_file_is_refused(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        open_bundle(copy)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"schema": 1, "name": "x", "files": {}, "y": 1}'])
def test_an_unreadable_manifest_is_refused(copy: Path, content: bytes) -> None:
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match="manifest"):
        open_bundle(copy)


def test_a_manifest_may_not_name_files_elsewhere(copy: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text("utf-8"))
    manifest["files"]["../secret"] = "0" * 64
    (copy / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    (copy.parent / "secret").write_text("x", "utf-8")
    with pytest.raises(BundleError, match="secret"):
        open_bundle(copy)


def test_no_bundle_at_all_is_an_error_that_says_where(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=str(tmp_path)):
        TextClassifier(TextClassifierSettings(bundle=tmp_path))


def test_a_hashed_graph_that_is_none_is_refused(copy: Path) -> None:
    (copy / MODEL).write_bytes(b"not a graph")
    write_manifest(copy, "x", {}, {})
    with pytest.raises(ModelError, match=MODEL):
        TextClassifier(TextClassifierSettings(bundle=copy))


def test_a_provider_that_is_not_installed_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(ModelError, match="tensorrt"):
        ModelSession(tiny_bundle / MODEL, SessionSettings(provider="tensorrt"))


def test_the_provider_in_use_is_shown(tiny_bundle: Path) -> None:
    assert ModelSession(tiny_bundle / MODEL).provider == "CPUExecutionProvider"


def test_the_shipped_bundle_is_whole_small_and_knows_all_labels() -> None:
    folder = shipped_bundle("text")
    assert folder is not None
    bundle = open_bundle(folder)
    assert {label.name for label in bundle.read(CONFIG, TextBundleConfig).labels} == set(TEXT_LABELS)
    assert sum(p.stat().st_size for p in folder.iterdir()) <= MOST_MEGABYTES * 1e6
    assert {"command", "data", "commit"} <= set(bundle.manifest.training)
    assert "with changes" not in bundle.manifest.training["commit"]
    assert {"test", "penalty_cases", "calibration"} <= set(bundle.manifest.metrics)
