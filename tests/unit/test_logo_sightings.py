"""Detections frame by frame → what was seen from when to when → findings. The networks are stood in for by a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from moderation.inference.bundle import LogoBundleConfig
from moderation.metadata import VideoMetadata
from moderation.policy.brands import BrandWords
from moderation.policy.load import Policy
from moderation.policy.logos import hidden_logo_findings, logo_findings
from moderation.types import Box, Frame
from moderation.visual.known_brands import BrandMatch, KnownBrand, KnownBrands
from moderation.visual.logos import KINDS, LogoBox, LogoFinder, overlap, suppress
from moderation.visual.sightings import LogoSighting, LogoWatcher

CONFIG = LogoBundleConfig.model_validate(
    {
        "schema": 1, "name": "logo-0", "task": "logo", "frame_side": 320, "crop_side": 64,
        "thresholds": {"logo": 0.5, "obscured": 0.5}, "similarity": 0.7,
    }
)  # fmt: skip
NIKE, PUMA = np.eye(4, dtype=np.float32)[:2]
BANK = KnownBrands([KnownBrand("a" * 16, "Nike", NIKE[None]), KnownBrand("b" * 16, "Puma", PUMA[None])])
PLACE = Box(0.4, 0.4, 0.6, 0.6)


@dataclass
class ScriptedFinder:
    """Answers by the frame's top left pixel: number n gets the nth entry of the script."""

    script: dict[int, list[tuple[LogoBox, NDArray[np.float32] | None]]]
    config: LogoBundleConfig = CONFIG
    batches: int = 0
    looked: int = 0

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[LogoBox]]:
        self.batches += 1
        self.looked += len(images)
        return [[box for box, _ in self.script.get(int(image[0, 0, 0]), [])] for image in images]

    def look_at(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.float32]:
        known = self.script[int(image[0, 0, 0])]
        return np.stack([v for b in boxes for box, v in known if box.box == b and v is not None])


def frame(number: int, time_s: float, side: int = 64) -> Frame:
    """Frames of different numbers look different all over."""
    rng = np.random.default_rng(number)
    image = rng.integers(0, 256, (side, side, 3), np.uint8)
    image[0, 0] = number
    return Frame(time_s, image)


def watch(finder: ScriptedFinder, frames: Sequence[Frame], bank: KnownBrands = BANK) -> list[LogoSighting]:
    watcher = LogoWatcher(cast("LogoFinder", finder), bank)
    for one in frames:
        watcher.push(one)
    return watcher.finish()


def logo(vector: NDArray[np.float32], box: Box = PLACE, score: float = 0.9) -> tuple[LogoBox, Any]:
    return LogoBox("logo", box, score), vector


def test_a_brand_is_one_sighting_from_first_to_last_frame_wherever_it_goes() -> None:
    elsewhere = Box(0.0, 0.0, 0.1, 0.1)
    finder = ScriptedFinder({1: [logo(NIKE)], 2: [], 3: [logo(NIKE, elsewhere)]})
    (seen,) = watch(finder, [frame(n, float(n)) for n in range(6)])
    assert seen.match is not None
    assert (seen.match.name, seen.start_s, seen.end_s, seen.frames, seen.looked) == ("Nike", 1.0, 3.0, 2, 3)
    assert seen.share == pytest.approx(0.04)


def test_after_a_long_pause_it_is_another_sighting() -> None:
    finder = ScriptedFinder({1: [logo(NIKE)], 9: [logo(NIKE)]})
    assert [s.start_s for s in watch(finder, [frame(n, float(n)) for n in range(12)])] == [1.0, 9.0]


def test_a_logo_that_is_like_no_brand_of_the_bank_is_none() -> None:
    stranger = np.array([0, 0, 1, 0], np.float32)
    assert watch(ScriptedFinder({1: [logo(stranger)]}), [frame(1, 0.0)]) == []
    assert watch(ScriptedFinder({1: [logo(NIKE)]}), [frame(1, 0.0)], KnownBrands()) == []


def test_a_hidden_place_is_followed_while_its_boxes_overlap() -> None:
    moved, far = Box(0.45, 0.4, 0.65, 0.6), Box(0.0, 0.8, 0.1, 0.9)
    finder = ScriptedFinder(
        {1: [(LogoBox("obscured", PLACE, 0.8), None)], 2: [(LogoBox("obscured", moved, 0.6), None)],
         3: [(LogoBox("obscured", far, 0.9), None)]}
    )  # fmt: skip
    first, second = watch(finder, [frame(n, float(n)) for n in (1, 2, 3)])
    assert (first.frames, first.match, first.score) == (2, None, pytest.approx(0.7))
    assert second.box == far


def test_frames_that_repeat_are_answered_without_looking_again() -> None:
    finder = ScriptedFinder({1: [logo(NIKE)]})
    still = frame(1, 0.0)
    (seen,) = watch(finder, [replace(still, pts_s=float(t)) for t in range(10)])
    assert (finder.looked, seen.frames, seen.end_s) == (1, 10, 9.0)


def test_a_repeat_belongs_to_the_frame_before_it_and_not_to_the_next() -> None:
    finder = ScriptedFinder({1: [logo(NIKE)], 2: [logo(PUMA)]})
    one, two = frame(1, 0.0), frame(2, 2.0)
    nike, puma = watch(finder, [one, replace(one, pts_s=1.0), two, replace(two, pts_s=3.0)])
    assert (nike.start_s, nike.end_s) == (0.0, 1.0)
    assert (puma.start_s, puma.end_s) == (2.0, 3.0)


def test_a_slow_change_adds_up() -> None:
    """Each frame is nearly the one before; the last is not the first, and must be looked at."""
    base = np.full((64, 64, 3), 100, np.uint8)
    frames = [Frame(float(t), (base + t).astype(np.uint8)) for t in range(8)]
    finder = ScriptedFinder({})
    watch(finder, frames)
    assert finder.looked > 1


def test_frames_of_another_size_go_into_another_batch() -> None:
    finder = ScriptedFinder({})
    watch(finder, [frame(1, 0.0), frame(2, 1.0, side=32), frame(3, 2.0, side=32)])
    assert finder.batches == 2


def test_a_frame_that_cannot_be_searched_is_said_and_not_clean() -> None:
    class Broken(ScriptedFinder):
        def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[LogoBox]]:
            raise RuntimeError("no memory")

    watcher = LogoWatcher(cast("LogoFinder", Broken({})), BANK)
    watcher.push(frame(1, 0.0))
    assert watcher.finish() == []
    assert "1 of 1 frames could not be searched" in watcher.warnings[0]


def test_overlap_and_suppression() -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 2.1], [5, 5, 6, 6], [1, 1, 1, 1]], np.float32)
    assert overlap(boxes[0], boxes).tolist() == pytest.approx([1.0, 4 / 4.2, 0.0, 0.0])
    assert suppress(boxes, np.array([7, 8, 9, 10])) == [7, 9, 10]
    assert suppress(np.empty((0, 4), np.float32), np.empty(0, np.int64)) == []


def test_the_nearest_brand_and_its_lead_over_others() -> None:
    bank = KnownBrands(
        [KnownBrand("1", "Nike", np.stack([NIKE, 0.8 * NIKE + 0.6 * PUMA])), KnownBrand("2", "Puma", PUMA[None])]
    )
    (match,) = bank.match(np.array([[0.6, 0.8, 0, 0]], np.float32))
    assert (match.name, match.id) == ("Nike", "1")
    assert match.similarity == pytest.approx(0.96)
    assert match.lead == pytest.approx(0.16)
    assert KnownBrands().match(NIKE[None]) == []


# ---- findings

POLICY = Policy.load()
WORDS = BrandWords(POLICY.brands, POLICY.rules.brand_words)
RULES, HIDDEN = POLICY.rules.brand_pictures, POLICY.rules.hidden_logos


def sighting(name: str | None = "Nike", similarity: float = 0.9, **changes: Any) -> LogoSighting:
    match = BrandMatch("a" * 16, name, similarity, lead=0.3) if name else None
    return replace(LogoSighting(match, 1.0, 5.0, PLACE, 0.04, 0.8, 5, 5), **changes)


def brand_findings(*sightings: LogoSighting, frames: int = 10, authorised: tuple[str, ...] = ()) -> list[Any]:
    meta = VideoMetadata(authorised_brands=authorised)
    return logo_findings(WORDS, RULES, sightings, meta, frames)


def test_a_brand_seen_long_enough_is_a_finding_with_its_evidence() -> None:
    (found,) = brand_findings(sighting())
    assert (found.label, found.source, found.detector, found.text) == ("brand_unauthorised", "visual", "logo", "Nike")
    assert found.box == PLACE
    assert found.match.picture == f"bank/{'a' * 16}/logo.jpg"
    assert RULES.score < found.score <= RULES.most


@pytest.mark.parametrize("name", ["nike", "NIKE", "耐克", "Nike/耐克"])
def test_an_authorised_brand_is_none_however_the_platform_writes_it(name: str) -> None:
    assert brand_findings(sighting(), authorised=(name,)) == []
    assert brand_findings(sighting("Puma"), authorised=(name,)) != []


@pytest.mark.parametrize(
    "changes",
    [{"share": RULES.min_share / 2}, {"frames": 1, "looked": 1}, {"frames": 2, "looked": 50}],
    ids=["too small", "one frame of many", "now and then"],
)
def test_an_incidental_logo_is_none(changes: dict[str, Any]) -> None:
    assert brand_findings(sighting(**changes)) == []


def test_a_picture_shows_it_once() -> None:
    assert brand_findings(sighting(frames=1, looked=1), frames=1) != []


def test_a_brand_is_found_once_by_its_surest_sighting() -> None:
    (found,) = brand_findings(sighting(similarity=0.8, start_s=0.0), sighting(similarity=0.95, start_s=7.0))
    assert found.start_s == 7.0


def test_two_brands_alike_are_none() -> None:
    alike = sighting()
    assert alike.match is not None
    assert brand_findings(replace(alike, match=replace(alike.match, lead=RULES.lead / 2))) == []


def test_a_hidden_logo_needs_size_and_time() -> None:
    def found(**changes: Any) -> list[Any]:
        return hidden_logo_findings(HIDDEN, [sighting(None, **changes)], 10)

    (finding,) = found()
    assert (finding.label, finding.detector, finding.box) == ("logo_obscured", "obscured-logo", PLACE)
    assert found(share=HIDDEN.min_share / 2) == []
    assert found(share=HIDDEN.max_share * 1.1) == []
    assert found(frames=1, looked=1) == []
    assert hidden_logo_findings(HIDDEN, [sighting()], 10) == []


def test_the_finder_knows_two_kinds() -> None:
    assert KINDS == ("logo", "obscured")
