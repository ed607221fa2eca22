"""Real clips, sound ones and broken ones: every file ends with a verdict or the right error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from moderation.pipeline import Scanner
from moderation.settings import ScanSettings

MEDIA = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".3gp", ".mp3", ".wav"}
CODES = {"unreadable_media", "no_media_stream", "timeout", "decoder_crashed", "forbidden_reference", "too_large"}


@pytest.fixture(scope="module")
def scanner() -> Iterator[Scanner]:
    with Scanner(replace(ScanSettings(), speech=None)) as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_real_clip_ends_with_a_verdict_or_the_right_error(scanner: Scanner, real_data: Path) -> None:
    paths = sorted(p for p in (real_data / "clips").rglob("*") if p.suffix.lower() in MEDIA)
    assert len(paths) > 50
    wrong = []
    for path in paths:
        verdict = scanner.scan(path).verdict
        if verdict.error is None and verdict.suggestion is None:
            wrong.append(f"{path.name}: neither verdict nor error")
        if verdict.error is not None and (verdict.error.code not in CODES or len(verdict.error.message) < 20):
            wrong.append(f"{path.name}: {verdict.error}")
    assert wrong == []


@pytest.mark.slow
def test_planted_violations_are_found_and_clean_clips_pass(scanner: Scanner, real_data: Path) -> None:
    """Without speech: planted captions, titles and codes. (Speech is measured by its own tests.)"""
    truth = [json.loads(line) for line in (real_data / "planted" / "truth.jsonl").read_text("utf-8").splitlines()]
    planted = found = 0
    for clip in truth:
        verdict = scanner.scan(real_data / "planted" / clip["file"]).verdict
        assert verdict.error is None, verdict.error
        if not clip["labels"]:
            assert verdict.suggestion is not None
            assert verdict.suggestion.value == "pass", (clip["file"], verdict.findings)
        for label, spans in clip["labels"].items():
            for start, end, source in spans:
                if source not in {"screen", "title"} and label != "qr_code_diversion":
                    continue
                planted += 1
                found += any(
                    f.label == label
                    and f.source == source
                    and (f.start_s is None or (f.start_s <= end + 1 and start - 1 <= (f.end_s or f.start_s)))
                    for f in verdict.findings
                )
    assert found / planted >= 0.85, f"{found} of {planted}"
