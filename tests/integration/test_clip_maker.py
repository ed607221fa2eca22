from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from moderation.clips.bench_clip import bench_plan, bench_truth
from moderation.clips.footage import available, frames
from moderation.clips.make import Caption, ClipPlan, Code, Speech, make_clip, make_clips, pictures
from moderation.clips.samples import demo_plans
from moderation.media import open_media
from moderation.metadata import load_metadata
from moderation.types import TEXT_LABELS
from moderation.visual.qr import CodeReader
from tests.clips.catalogue import EPISODES, episode_plans

PLAN = ClipPlan(
    name="small",
    duration_s=2,
    captions=(
        Caption(0.5, 1.5, "今天上新\nNew today", "banner", 24),
        Caption(0, 2, "竖排文字", "vertical", 24, (0.1, 0.3)),
    ),
    codes=(Code(1, 2, "hello", side=90, at=(0.7, 0.3)),),
    speech=(Speech(0.2, "一声", np.sin(np.linspace(0, 800, 16000)).astype(np.float32)),),
    metadata={"title": "上新"},
    labels={"qr_code_diversion": [(1, 2, "visual")]},
    scene="studio",
    size=(270, 480),
    fps=10,
)


def test_a_clip_plays_with_sound_code_and_truth(tmp_path: Path) -> None:
    (path,) = make_clips([PLAN], tmp_path)
    codes = CodeReader()
    with open_media(path) as media:
        assert (media.info.width, media.info.height) == (270, 480)
        assert media.info.duration_s == pytest.approx(2, abs=0.1)
        for frame in media.frames(0.5):
            codes.push(frame)
        audio = media.audio()
    assert [s.text for s in codes.finish()] == ["hello"]
    assert audio is not None
    assert np.abs(audio.samples).max() > 0.5
    assert load_metadata(path.with_suffix(".json")).title == "上新"
    (truth,) = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text("utf-8").splitlines()]
    assert truth["labels"] == {"qr_code_diversion": [[1, 2, "visual"]]}
    assert truth["speech"] == [[0.2, 1.2, "一声"]]
    assert truth["footage"] == "studio"


def test_the_same_plan_gives_the_same_pictures() -> None:
    assert all(np.array_equal(a, b) for a, b in zip(pictures(PLAN), pictures(PLAN), strict=True))


@pytest.mark.parametrize("scene", ["bikes", "bunny", "studio"])
def test_footage_moves_all_the_time(scene: str) -> None:
    stream = frames(scene, 90, 160, 5, seed=1)  # type: ignore[arg-type]
    pictures = [next(stream).astype(int) for _ in range(8)]
    assert all(p.shape == (160, 90, 3) for p in pictures)
    changes = [np.abs(a - b).mean() for a, b in pairwise(pictures)]
    assert min(changes) > 0.2


def test_missing_footage_is_drawn_and_the_truth_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moderation.clips.footage.importlib.util.find_spec", lambda name: None)
    assert available("bikes") == "studio"
    assert next(frames("bikes", 45, 80, 5)).shape == (80, 45, 3)


def test_the_catalogue_covers_every_label_with_twins() -> None:
    counts = Counter(e.label for e in EPISODES)
    assert len(EPISODES) >= 60
    assert set(counts) == set(TEXT_LABELS)
    assert min(counts.values()) >= 3
    assert len({e.text for e in EPISODES} | {e.twin for e in EPISODES}) == 2 * len(EPISODES)
    plans = episode_plans()
    planted = sum(len(spans) for plan in plans for spans in plan.labels.values())
    assert planted == len(EPISODES) + 1
    assert sum(not plan.labels for plan in plans) == sum(bool(plan.labels) for plan in plans)


def test_bench_and_demo_plans_hold_what_they_promise() -> None:
    truth = bench_truth()
    assert bench_plan().duration_s == 60
    assert all(2 <= c.end_s - c.start_s <= 4 for c in truth.lines)
    assert all(a.end_s == b.start_s for a, b in pairwise(truth.lines))
    assert truth.small.size == 16
    assert truth.small.end_s - truth.small.start_s == 4
    assert any(not plan.labels for plan in demo_plans())
    assert {"medical_claim", "counterfeit_term", "qr_code_diversion"} <= {
        label for plan in demo_plans() for label in plan.labels
    }


def test_a_caption_outside_the_frame_is_moved_in(tmp_path: Path) -> None:
    plan = replace(PLAN, captions=(Caption(0, 2, "很长很长的一行字幕放不下怎么办", size=40, at=(1.0, 1.0)),), speech=())
    assert make_clip(plan, tmp_path).stat().st_size > 0
