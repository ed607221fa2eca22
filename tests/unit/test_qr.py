from __future__ import annotations

import numpy as np
import pytest

from moderation.policy.codes import code_findings
from moderation.policy.schema import QrRules
from moderation.types import Frame
from moderation.visual.qr import CodeReader

RULES = QrRules.model_validate(
    {"score": {"contact": 0.95, "other": 0.6}, "contact": ["wechat"], "allowed": [r"^https://shop\.example/"]}
)


def frame_with(payload: str | None, time_s: float, x: int = 40) -> Frame:
    import zxingcpp

    image = np.full((640, 360, 3), 90, np.uint8)
    if payload is not None:
        code = np.array(zxingcpp.create_barcode(payload, zxingcpp.BarcodeFormat.QRCode).to_image(scale=4))
        image[60 : 60 + code.shape[0], x : x + code.shape[1]] = code[:, :, None]
    return Frame(time_s, image)


def test_a_code_is_one_sighting_over_its_time() -> None:
    reader = CodeReader()
    for second in range(6):
        reader.push(frame_with("https://u.wechat.com/x" if 1 <= second <= 4 else None, float(second)))
    (sighting,) = reader.finish()
    assert (sighting.start_s, sighting.end_s) == (1.0, 4.0)
    assert sighting.box.x0 == pytest.approx(40 / 360, abs=0.06)
    assert sighting.box.y0 == pytest.approx(60 / 640, abs=0.06)


def test_a_code_that_returns_later_is_a_second_sighting() -> None:
    reader = CodeReader()
    for second in (0.0, 1.0, 20.0):
        reader.push(frame_with("hello", second))
    assert [(s.start_s, s.end_s) for s in reader.finish()] == [(0.0, 1.0), (20.0, 20.0)]


def test_the_policy_decides_whose_code_it_is() -> None:
    reader = CodeReader()
    for second, payload in enumerate(["https://u.wechat.com/x", "https://shop.example/item/1", "batch 42"]):
        reader.push(frame_with(payload, second * 10.0))
    findings = code_findings(RULES, reader.finish())
    assert [(f.text, f.score) for f in findings] == [("https://u.wechat.com/x", 0.95), ("batch 42", 0.6)]


def test_a_moving_code_is_boxed_where_it_is_in_the_middle_of_its_time() -> None:
    reader = CodeReader()
    for second, x in enumerate((10, 90, 170)):
        reader.push(frame_with("hello", float(second), x))
    (sighting,) = reader.finish()
    assert sighting.box.x0 == pytest.approx(90 / 360, abs=0.06)


def test_a_frame_that_fails_is_a_warning() -> None:
    reader = CodeReader()
    reader.push(Frame(0.0, np.zeros((4,), np.uint8)))
    reader.push(frame_with("hello", 1.0))
    assert [s.text for s in reader.finish()] == ["hello"]
    assert reader.warnings == ("codes: 1 of 2 frames could not be searched for codes.",)


def test_a_new_code_in_every_frame_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moderation.visual.qr.MAX_SIGHTINGS", 3)
    reader = CodeReader()
    for second in range(9):
        reader.push(frame_with(f"code {second}", float(second)))
    assert len(reader.finish()) == 3
    assert "6 later ones are left out" in reader.warnings[0]
