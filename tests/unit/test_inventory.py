"""`moderation models`: every file is listed with its hash; what is absent and optional is no mistake."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import pytest

from moderation import inventory
from moderation.commands import models
from moderation.inference.bundle import write_manifest
from moderation.inventory import ModelFile, installed_models
from moderation.transcript import engine
from moderation.transcript.engine import ModelFileInfo
from moderation.transcript.weights import MODEL_FILE, WEIGHTS_SHA256, PackagedParts

OCR = b"a network"


@pytest.fixture(autouse=True)
def small_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One OCR file and two bundles of a few bytes; no speech weights."""
    (tmp_path / "det.onnx").write_bytes(OCR)
    files = (ModelFileInfo(tmp_path / "det.onnx", hashlib.sha256(OCR).hexdigest()),)
    monkeypatch.setattr(engine, "model_files", lambda: files)
    monkeypatch.setattr(inventory, "locate_packaged_parts", lambda: None)
    bundle = tmp_path / "text-1"
    bundle.mkdir()
    (bundle / "model.onnx").write_bytes(b"a graph")
    write_manifest(bundle, "text-1", {}, {})
    logo = tmp_path / "logo-1"
    logo.mkdir()
    (logo / "detector.onnx").write_bytes(b"another graph")
    write_manifest(logo, "logo-1", {}, {})
    monkeypatch.setattr(inventory, "shipped_bundle", {"text": bundle, "logo": logo}.get)


def install_speech(folder: Path, monkeypatch: pytest.MonkeyPatch, *halves: bytes) -> None:
    parts = []
    for n, half in enumerate(halves, 1):
        parts.append(folder / f"{MODEL_FILE}.part{n}")
        parts[-1].write_bytes(half)
    monkeypatch.setattr(inventory, "locate_packaged_parts", lambda: PackagedParts(tuple(parts), (), "1.0.0"))


def verify(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    status = models.run_verify(argparse.Namespace(json=True))
    return status, [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]


def test_absent_speech_weights_are_listed_and_are_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(capsys) == (0, ["verified", "verified", "verified", "not installed"])
    speech: ModelFile = installed_models()[-1]
    assert (speech.model, speech.path, speech.size, speech.expected) == ("asr", None, 0, WEIGHTS_SHA256)


def test_wrong_speech_weights_are_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_speech(tmp_path, monkeypatch, b"one", b"two")
    assert verify(capsys) == (1, ["verified", "verified", "verified", "DOES NOT MATCH: reinstall it"])


def test_the_speech_model_is_hashed_as_its_parts_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_speech(tmp_path, monkeypatch, b"one", b"two")
    monkeypatch.setattr(inventory, "WEIGHTS_SHA256", hashlib.sha256(b"onetwo").hexdigest())
    speech = installed_models()[-1]
    assert speech.is_verified
    assert speech.size == 6


def test_a_changed_or_missing_ocr_model_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "det.onnx").write_bytes(b"another network")
    assert verify(capsys) == (1, ["DOES NOT MATCH: reinstall it", "verified", "verified", "not installed"])
    (tmp_path / "det.onnx").unlink()
    assert verify(capsys) == (1, ["not installed", "verified", "verified", "not installed"])


def test_a_changed_bundle_is_a_mistake_and_an_unreadable_one_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text-1" / "model.onnx").write_bytes(b"another graph")
    assert verify(capsys) == (1, ["verified", "DOES NOT MATCH: reinstall it", "verified", "not installed"])
    (tmp_path / "text-1" / "manifest.json").write_bytes(b"{")
    assert verify(capsys) == (1, ["verified", "DOES NOT MATCH: reinstall it", "verified", "not installed"])
