"""Frame hashes, looking clips up by them, and the bank that keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.bank.folder import INDEX, BankFolder, default_bank
from moderation.bank.live import CHECK_EVERY_S, LiveBank
from moderation.bank.violations import ViolationContent
from moderation.errors import BankError
from moderation.policy.known import known_findings
from moderation.types import Frame
from moderation.visual.hashes import FrameHashes, copy_views, original_views, without_border
from moderation.visual.known import KnownClip, KnownClips

Picture = np.ndarray


def scene(seed: int, time_s: float = 0.0) -> Picture:
    """A picture with soft shapes that move over time: (180, 320, 3) uint8."""
    rng = np.random.default_rng(seed)
    image = np.full((180, 320, 3), rng.integers(40, 120, 3), np.uint8)
    for _ in range(14):
        x, y, r = (int(v) for v in rng.integers((0, 0, 12), (320, 180, 70)))
        vx, vy = rng.normal(0, 14, 2)
        centre = (int(x + vx * time_s), int(y + vy * time_s))
        cv2.circle(image, centre, r, tuple(int(c) for c in rng.integers(0, 256, 3)), -1)
    return cv2.GaussianBlur(image, (0, 0), 3).astype(np.uint8)


def captioned(image: Picture) -> Picture:
    image = image.copy()
    cv2.putText(image, "BUY NOW 9.9", (20, 165), 0, 1.2, (255, 255, 255), 5)
    return image


def bordered(image: Picture) -> Picture:
    return cv2.copyMakeBorder(image, 40, 40, 0, 0, cv2.BORDER_CONSTANT, value=(20, 20, 20)).astype(np.uint8)


def compressed(image: Picture) -> Picture:
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 25])
    decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "compressed": compressed,
    "half the size": lambda image: cv2.resize(image, (160, 90)).astype(np.uint8),
    "bordered": bordered,
    "captioned": captioned,
    "captioned in the border": lambda image: captioned(bordered(image)),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "cropped by 5% at each side": lambda image: image[9:-9, 16:-16],
    "cropped at one corner": lambda image: image[18:, 32:],
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.2, beta=15).astype(np.uint8),
}


def apart(copy: FrameHashes, original: FrameHashes) -> int:
    """Bits between the nearest two views of the same part."""
    return min(
        int(np.bitwise_count(original.bits[original.views == view] ^ bits).sum(axis=1).min())
        for bits, view in zip(copy.bits, copy.views, strict=True)
    )


def hashed(image: Picture, time_s: float = 0.0) -> FrameHashes:
    found = copy_views(Frame(time_s, image))
    assert found is not None
    return found


def known(seed: int, seconds: int = 20, name: str = "") -> KnownClip:
    frames = [original_views(Frame(t / 2, scene(seed, t / 2))) for t in range(2 * seconds)]
    kept = [f for f in frames if f is not None]
    return KnownClip(
        f"{seed:016x}", name or f"clip {seed}",
        np.concatenate([np.full(len(f.bits), f.time_s, np.float32) for f in kept]),
        np.concatenate([f.bits for f in kept]), np.concatenate([f.views for f in kept]),
    )  # fmt: skip


def copied(seed: int, *, begin: float, seconds: int, speed: float = 1.0) -> list[FrameHashes]:
    """A copy that begins at a moment of the original and runs at `speed`, looked at once a second."""
    return [hashed(compressed(scene(seed, begin + speed * t)), float(t)) for t in range(seconds)]


class TestHashes:
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_a_changed_picture_stays_near(self, change: Callable[[Picture], Picture]) -> None:
        near = 0
        for seed in range(8):
            original = original_views(Frame(0.0, scene(seed)))
            assert original is not None
            near += apart(hashed(change(scene(seed))), original) <= 64
        assert near >= 6

    def test_other_pictures_are_far(self) -> None:
        originals = [original_views(Frame(0.0, scene(seed))) for seed in range(12)]
        for i in range(12):
            for j, other in enumerate(originals):
                assert other is not None
                assert i == j or apart(hashed(scene(i)), other) > 76

    def test_a_plain_frame_has_no_hash(self) -> None:
        assert copy_views(Frame(0.0, np.full((90, 160, 3), 7, np.uint8))) is None

    @pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (4000, 2, 3), (64, 64, 3)])
    def test_any_shape_is_taken(self, shape: tuple[int, int, int]) -> None:
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        copy_views(Frame(0.0, image))
        original_views(Frame(0.0, image))

    def test_a_border_goes_and_a_picture_that_is_mostly_border_stays(self) -> None:
        grey = bordered(scene(1))[:, :, 1]
        assert abs(len(without_border(grey)) - 180) <= 4
        sliver = np.zeros((100, 100), np.uint8)
        sliver[50:54] = np.random.default_rng(0).integers(0, 256, (4, 100))
        assert without_border(sliver).shape == (100, 100)


@pytest.fixture(scope="module")
def clips() -> KnownClips:
    return KnownClips([known(seed) for seed in range(4)])


class TestLookUp:
    @pytest.mark.parametrize("speed", [0.8, 1.0, 1.25])
    def test_a_cut_out_is_found_with_both_moments(self, clips: KnownClips, speed: float) -> None:
        (match,) = clips.find(copied(2, begin=6.0, seconds=8, speed=speed))
        assert match.clip_id == f"{2:016x}"
        assert match.start_s == 0.0
        assert match.end_s >= 6.0
        assert match.clip_start_s == pytest.approx(6.0, abs=1.0)
        assert match.clip_end_s == pytest.approx(6.0 + match.end_s * speed, abs=1.0)
        assert match.speed == pytest.approx(speed, abs=0.15)
        assert known_findings([match])[0].score >= (0.9 if speed == 1.0 else 0.75)

    def test_five_seconds_inside_another_clip(self, clips: KnownClips) -> None:
        before = [hashed(scene(50 + t), float(t)) for t in range(10)]
        inside = [hashed(scene(3, 4.0 + t), 10.0 + t) for t in range(6)]
        (match,) = clips.find([*before, *inside])
        assert (match.start_s, match.end_s) == (10.0, 15.0)

    def test_other_clips_are_not_found(self, clips: KnownClips) -> None:
        for seed in range(20, 26):
            assert not clips.find([hashed(scene(seed, t), float(t)) for t in range(10)])

    def test_one_shared_frame_is_not_enough(self, clips: KnownClips) -> None:
        frames = [hashed(scene(30 + t), float(t)) for t in range(9)]
        assert not clips.find([*frames, hashed(scene(1, 5.0), 9.0)])

    def test_a_picture_of_a_known_clip_is_found_and_a_likeness_is_not(self, clips: KnownClips) -> None:
        (match,) = clips.find([hashed(compressed(scene(1, 5.0)))])
        assert match.frames == 1
        assert not clips.find([hashed(scene(31))])

    def test_nothing_in_nothing(self, clips: KnownClips) -> None:
        assert not KnownClips().find([hashed(scene(1))])
        assert not clips.find([])


def content(seed: int = 1) -> bytes:
    clip = known(seed, seconds=3)
    return ViolationContent(clip.times, clip.bits, clip.views, (0.0, 2.0), (b"first", b"second")).to_bytes()


IDENTITY = "0123456789abcdef"


class TestBank:
    def test_add_list_disable_enable_remove(self, tmp_path: Path) -> None:
        bank = BankFolder(tmp_path / "bank")
        assert (bank.entries(), bank.version) == ((), "empty")
        entry = bank.add("violation", IDENTITY, " tea ", content(), 3.0)
        assert (entry.name, bank.entries()) == ("tea", (entry,))
        assert bank.content(entry) == content()
        assert not bank.enable("0123", enabled=False).enabled
        assert bank.enable("0123", enabled=True).enabled
        assert bank.remove(IDENTITY).id == IDENTITY
        assert [p.name for p in bank.path.iterdir() if p.suffix == ".npz"] == []

    def test_what_is_there_already_is_said_so(self, tmp_path: Path) -> None:
        bank = BankFolder(tmp_path)
        bank.add("violation", IDENTITY, "tea", content(), None)
        bank.enable(IDENTITY, enabled=False)
        with pytest.raises(BankError, match=r"in the bank already, as 'tea'.*enable"):
            bank.add("violation", IDENTITY, "other", content(2), None)
        assert bank.content(bank.entries()[0]) == content()

    @pytest.mark.parametrize(("name", "identity"), [("", IDENTITY), ("x" * 201, IDENTITY), ("x", "../../etc/pass")])
    def test_bad_names_and_ids_change_nothing(self, name: str, identity: str, tmp_path: Path) -> None:
        bank = BankFolder(tmp_path / "bank")
        with pytest.raises(BankError):
            bank.add("violation", identity, name, content(), None)
        assert not bank.entries()

    def test_unknown_and_ambiguous_ids(self, tmp_path: Path) -> None:
        bank = BankFolder(tmp_path)
        bank.add("violation", IDENTITY, "a", content(), None)
        bank.add("violation", IDENTITY[:-1] + "0", "b", content(), None)
        for identity, said in (("ffff", "no entry"), ("0123", "2 entries"), ("", "no entry")):
            with pytest.raises(BankError, match=said):
                bank.remove(identity)

    @given(st.binary(max_size=300))
    @settings(max_examples=60, deadline=None)
    def test_any_bytes_are_an_entry_or_an_error(self, noise: bytes) -> None:
        with pytest.raises(BankError, match="here"):
            ViolationContent.from_bytes(noise, "here")

    def test_an_entry_comes_back_and_knows_its_pictures(self) -> None:
        back = ViolationContent.from_bytes(content(), "here")
        assert back.pictures == (b"first", b"second")
        assert (back.picture_at(0.4), back.picture_at(30.0)) == (b"first", b"second")

    def test_the_default_can_be_moved(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("MODERATION_BANK", str(tmp_path))
        assert default_bank() == tmp_path
        monkeypatch.delenv("MODERATION_BANK")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert default_bank() == tmp_path / "moderation" / "bank"


class TestLiveBank:
    @pytest.fixture
    def bank(self, tmp_path: Path) -> BankFolder:
        bank = BankFolder(tmp_path)
        bank.add("violation", IDENTITY, "tea", content(), 3.0)
        return bank

    def test_a_change_is_seen_within_a_minute(self, bank: BankFolder) -> None:
        now = [0.0]
        live = LiveBank(bank.path, clock=lambda: now[0])
        bank.enable(IDENTITY, enabled=False)
        assert len(live.current().clips) == 1
        now[0] = CHECK_EVERY_S
        assert len(live.current().clips) == 0
        assert live.current().version == bank.version
        assert CHECK_EVERY_S < 60

    def test_a_bank_cut_in_half_is_refused_and_the_last_good_one_stays(self, bank: BankFolder) -> None:
        now = [0.0]
        live = LiveBank(bank.path, clock=lambda: now[0])
        whole = (bank.path / INDEX).read_bytes()
        (bank.path / INDEX).write_bytes(whole[: len(whole) // 2])
        now[0] = CHECK_EVERY_S
        assert len(live.current().clips) == 1
        assert INDEX in live.current().warning
        with pytest.raises(BankError, match=r"bank\.json"):
            LiveBank(bank.path)
        (bank.path / INDEX).write_bytes(whole)
        now[0] = 2 * CHECK_EVERY_S
        assert not live.current().warning

    def test_an_entry_cut_in_half_is_refused(self, bank: BankFolder) -> None:
        path = bank.path / f"{IDENTITY}.npz"
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(BankError, match="cut short or changed"):
            LiveBank(bank.path)

    @pytest.mark.parametrize("index", ["[]", '{"schema": 2, "entries": []}', '{"schema": 1, "entries": [{"id": "x"}]}'])
    def test_a_list_of_another_shape_is_refused(self, index: str, bank: BankFolder) -> None:
        json.loads(index)
        (bank.path / INDEX).write_text(index, "utf-8")
        with pytest.raises(BankError, match="not a bank's list"):
            bank.entries()
