"""Still pictures are still, cuts are cuts, and a small caption is seen."""

from __future__ import annotations

import numpy as np

from moderation.media.shots import ShotTracker, difference, shot_changes, thumbnail
from moderation.types import Frame


def picture(level: int, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    ground = np.full((720, 405, 3), level, float)
    return np.clip(ground + np.random.default_rng(seed).normal(0, noise, ground.shape), 0, 255).astype(np.uint8)


def test_noise_is_still() -> None:
    change = difference(thumbnail(picture(100, 6, 1)), thumbnail(picture(100, 6, 2)))
    assert change.is_still
    assert not change.is_cut


def test_a_cut_is_a_cut() -> None:
    assert difference(thumbnail(picture(40)), thumbnail(picture(200))).is_cut


def test_a_caption_is_no_cut_but_is_seen() -> None:
    captioned = picture(100)
    captioned[600:640, 60:340:2] = 255
    change = difference(thumbnail(picture(100)), thumbnail(captioned))
    assert not change.is_still
    assert not change.is_cut


def test_the_tracker_compares_with_what_was_kept() -> None:
    tracker = ShotTracker()
    fade = [Frame(float(n), picture(100 + n)) for n in range(7)]
    assert [tracker.is_new(frame) for frame in fade] == [True, False, False, True, False, False, True]
    assert tracker.is_new(Frame(8.0, picture(220)))
    assert tracker.shot == 1


def test_shot_changes() -> None:
    frames = [Frame(float(n), picture(level)) for n, level in enumerate((10, 12, 200, 201, 90))]
    assert [time for time, _ in shot_changes(frames)] == [2.0, 4.0]
