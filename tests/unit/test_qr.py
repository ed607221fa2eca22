from __future__ import annotations

import numpy as np
import pytest

from moderation.policy.codes import code_findings
from moderation.policy.schema import QrRules
from moderation.types import Frame
from moderation.visual import qr
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


CONTACT = "https://u.wechat.com/EFd3x7mGq0"


def card(payload: str, side: int) -> np.ndarray:
    """A code with its quiet zone on a white square, in grey."""
    import cv2
    import zxingcpp

    modules = np.array(zxingcpp.create_barcode(payload, zxingcpp.BarcodeFormat.QRCode).to_image(scale=8))
    return cv2.resize(modules, (side, side), interpolation=cv2.INTER_AREA)


def shop_frame(*cards: tuple[np.ndarray, int, int]) -> np.ndarray:
    """A portrait frame with shapes and captions, and the cards at their places."""
    import cv2

    image = np.full((1280, 720), 120, np.uint8)
    cv2.circle(image, (560, 300), 140, 60, -1)
    cv2.rectangle(image, (40, 880), (680, 1240), 200, -1)
    for line in range(4):
        cv2.putText(image, "free gift today only", (60, 950 + 80 * line), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 20, 4)
    for drawn, x, y in cards:
        image[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    return image


def seen(image: np.ndarray) -> list[qr.CodeSighting]:
    noise = np.random.default_rng(7).normal(0, 2, image.shape)
    reader = CodeReader()
    reader.push(Frame(0.0, np.repeat(np.clip(image + noise, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)))
    assert reader.warnings == ()
    return reader.finish()


def moved(image: np.ndarray, length: int, angle: float) -> np.ndarray:
    """The camera moved by so many pixels while the picture was taken."""
    import cv2

    size = 2 * length + 1
    dx, dy = round(np.cos(angle) * length / 2), round(np.sin(angle) * length / 2)
    line = np.zeros((size, size), np.float32)
    cv2.line(line, (length - dx, length - dy), (length + dx, length + dy), 1.0)
    return cv2.filter2D(image, -1, line / line.sum())


def out_of_focus(image: np.ndarray, radius: float) -> np.ndarray:
    import cv2

    y, x = np.mgrid[-9:10, -9:10]
    disc = np.clip(radius - np.hypot(x, y) + 0.5, 0, 1).astype(np.float32)
    return cv2.filter2D(image, -1, disc / disc.sum())


def tilted(image: np.ndarray, x: int, y: int, side: int, corners: list[tuple[int, int]]) -> np.ndarray:
    """The card drawn at this place is pulled to four other corners, the rest stays."""
    import cv2

    here = np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], np.float32)
    matrix = cv2.getPerspectiveTransform(here, np.array(corners, np.float32))
    pulled = cv2.warpPerspective(image, matrix, image.shape[::-1], flags=cv2.INTER_AREA)
    there = cv2.fillConvexPoly(np.zeros_like(image), np.array(corners, np.int32), 255) > 0
    return np.where(there, pulled, shop_frame())


def contact_card() -> np.ndarray:
    # 33 modules with the quiet zone
    return shop_frame((card(CONTACT, 231), 120, 500))


@pytest.mark.parametrize(("length", "angle"), [(14, 0.0), (16, 0.6), (14, np.pi / 2), (18, 2.4)])
def test_a_code_is_read_although_the_camera_moved(length: int, angle: float) -> None:
    (sighting,) = seen(moved(contact_card(), length, angle))
    assert (sighting.text, sighting.symbology) == (CONTACT, "QRCode")
    assert sighting.box.as_list() == pytest.approx([148 / 720, 528 / 1280, 323 / 720, 703 / 1280], abs=0.03)


@pytest.mark.parametrize("radius", [6.0, 7.0])
def test_a_code_out_of_focus_is_read(radius: float) -> None:
    assert [s.text for s in seen(out_of_focus(contact_card(), radius))] == [CONTACT]


def test_a_steeply_tilted_code_is_read() -> None:
    image = tilted(contact_card(), 120, 500, 231, [(120, 520), (220, 560), (220, 660), (120, 720)])
    (sighting,) = seen(image)
    assert sighting.text == CONTACT
    assert sighting.box.as_list() == pytest.approx([132 / 720, 540 / 1280, 210 / 720, 700 / 1280], abs=0.03)


def test_a_tilted_code_is_read_although_the_camera_moved() -> None:
    image = tilted(contact_card(), 120, 500, 231, [(120, 500), (290, 540), (290, 700), (120, 730)])
    assert [s.text for s in seen(moved(image, 11, 0.3))] == [CONTACT]


def test_a_code_of_low_contrast_is_read() -> None:
    faint = (card(CONTACT, 231) / 255 * 14 + 110).astype(np.uint8)
    assert [s.text for s in seen(shop_frame((faint, 120, 500)))] == [CONTACT]


def test_a_plain_code_does_not_hide_a_blurred_one() -> None:
    image = shop_frame((moved(np.pad(card(CONTACT, 231), 20, constant_values=255), 14, 0.0), 60, 400))
    innocent = card("https://shop.example/item/1", 231)
    image[450:681, 420:651] = innocent
    assert sorted(s.text for s in seen(image)) == ["https://shop.example/item/1", CONTACT]


def test_no_code_is_made_up_where_there_is_none() -> None:
    rng = np.random.default_rng(3)
    image = shop_frame()
    for x, y, pitch in ((60, 420, 5), (400, 420, 7), (60, 660, 9), (400, 660, 12)):
        modules = rng.integers(0, 2, (200 // pitch, 200 // pitch)).astype(np.uint8) * 255
        block = np.kron(modules, np.ones((pitch, pitch), np.uint8))
        image[y : y + block.shape[0], x : x + block.shape[1]] = block
    assert seen(moved(image, 9, 0.0)) == []


def test_micro_qr_is_read_only_in_the_frame_as_it_is() -> None:
    import zxingcpp

    micro = np.array(zxingcpp.create_barcode("877", zxingcpp.BarcodeFormat.MicroQRCode).to_image(scale=10))
    image = shop_frame((micro, 120, 500))
    assert [(s.text, s.symbology) for s in seen(image)] == [("877", "MicroQRCode")]
    far_x, far_y = 120 + micro.shape[1], 500 + micro.shape[0]
    place = np.array([(120, 500), (far_x, 500), (far_x, far_y), (120, far_y)], np.float32)
    assert qr._look_closer(image, place) == []


def test_a_frame_full_of_false_codes_is_bounded_work(monkeypatch: pytest.MonkeyPatch) -> None:
    tries, measured = [], []
    look, measure = qr._look_closer, qr._unevenness
    monkeypatch.setattr(qr, "_look_closer", lambda *given: (tries.append(1), look(*given))[1])
    monkeypatch.setattr(qr, "_unevenness", lambda *given: (measured.append(1), measure(*given))[1])
    rng = np.random.default_rng(3)
    image = np.full((1280, 1280), 255, np.uint8)
    for y in range(8, 1200, 104):
        for x in range(8, 1200, 104):
            image[y : y + 80, x : x + 80] = np.kron(rng.integers(0, 2, (16, 16)), np.ones((5, 5))) * 255
    assert seen(image) == []
    assert len(tries) == 4
    assert len(measured) == 100


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 3000), (71, 71), (72, 72), (73, 97), (1280, 9), (9, 1280), (101, 2560)], ids=str
)
def test_frames_of_any_size_and_content_are_searched(size: tuple[int, int]) -> None:
    stripes = np.repeat(np.indices(size).sum(axis=0)[:, :, None] % 16 * 16, 3, axis=2)
    reader = CodeReader()
    for second, image in enumerate((np.random.default_rng(1).integers(0, 256, (*size, 3)), stripes, stripes * 0)):
        reader.push(Frame(float(second), image.astype(np.uint8)))
    assert (reader.finish(), reader.warnings) == ([], ())
