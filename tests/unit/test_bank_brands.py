"""Brands in a bank: pictures and their vectors, the starter bank, what a running process sees, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from moderation.bank.brands import STARTER, BrandContent, starter_brands, starter_entries
from moderation.bank.folder import BankFolder
from moderation.bank.live import CHECK_EVERY_S, LiveBank
from moderation.bank.pictures import BrandPicture
from moderation.cli import main
from moderation.errors import BankError, BundleError
from moderation.inference.bundle import DETECTOR, open_bundle, shipped_bundle
from moderation.visual.crops import cut_out, reference_crops
from moderation.visual.logos import LogoFinder, LogoSettings

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M2 22L12 2l10 20h-5l-5-11-5 11z"/>'
    '<circle cx="12" cy="20" r="2"/></svg>'
)


@pytest.fixture(scope="module")
def finder() -> LogoFinder:
    return LogoFinder()


def mark(seed: int = 0, *, drawn: bool = True) -> BrandPicture:
    """A black shape that no brand uses, on clear ground (drawn) or on yellow."""
    image = np.zeros((200, 200, 4), np.uint8)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        corners = rng.integers(0, 200, (3, 1, 2)).astype(np.int32)
        cv2.fillPoly(image, [corners], (0, 0, 0, 255))
    if not drawn:
        image[image[:, :, 3] == 0] = (0, 200, 230, 255)
    return BrandPicture(image, f"{seed:064x}", drawn)


class TestCrops:
    def test_a_square_around_the_box_with_a_tenth_more(self) -> None:
        image = np.zeros((200, 300, 3), np.uint8)
        image[80:120, 100:180] = 255
        cut = cut_out(image, (100, 80, 180, 120), 88)
        white = np.nonzero(cut[:, :, 0] > 127)
        assert (int(white[1].min()), int(white[1].max())) == pytest.approx((4, 83), abs=1)
        assert (int(white[0].min()), int(white[0].max())) == pytest.approx((24, 63), abs=1)

    @pytest.mark.parametrize("box", [(0, 0, 20, 20), (280, 180, 300, 200), (-30, -30, 10, 10), (290, 10, 290.2, 10.2)])
    def test_at_the_edge_the_picture_goes_on(self, box: tuple[float, float, float, float]) -> None:
        assert cut_out(np.full((200, 300, 3), 9, np.uint8), box, 64).mean() == 9

    def test_shrinking_does_not_skip_pixels(self) -> None:
        stripes = np.zeros((800, 800, 3), np.uint8)
        stripes[:, ::2] = 255
        assert cut_out(stripes, (100, 100, 700, 700), 64).std() < 25

    def test_a_silhouette_is_shown_on_light_and_dark_and_in_white(self) -> None:
        crops = reference_crops(mark().image, drawn=True, side=64)
        assert crops.shape[1:] == (64, 64, 3)
        brightness = crops[:, 0, 0, 0].astype(int)
        assert brightness.min() < 60 < 200 < brightness.max()

    def test_a_photo_stays_as_it_is(self) -> None:
        crops = reference_crops(mark(drawn=False).image, drawn=False, side=64)
        assert crops[0].reshape(-1, 3).tolist().count([0, 200, 230]) > 100


class TestContent:
    def test_goes_to_bytes_and_back(self, finder: LogoFinder) -> None:
        content = BrandContent.of(mark(), finder)
        back = BrandContent.from_bytes(content.to_bytes(), "here")
        assert (back.png, back.drawn, back.bundle) == (content.png, True, finder.version)
        assert np.array_equal(back.vectors, content.vectors)
        assert np.linalg.norm(back.vectors, axis=1) == pytest.approx(1.0, abs=1e-4)

    @pytest.mark.parametrize("damage", [b"", b"PK", b"\x93NUMPY nothing"])
    def test_other_bytes_are_refused(self, damage: bytes) -> None:
        with pytest.raises(BankError, match="not an entry"):
            BrandContent.from_bytes(damage, "here")

    def test_another_bundles_vectors_are_made_anew(self, finder: LogoFinder, tmp_path: Path) -> None:
        content = BrandContent.of(mark(), finder)
        entry = BankFolder(tmp_path).add("brand", "a" * 16, "Mine", content.to_bytes(), None)
        old = replace(content, bundle="logo-0@older", vectors=np.zeros_like(content.vectors))
        assert old.known(entry, finder).vectors == pytest.approx(content.vectors, abs=1e-5)

    def test_its_picture_is_a_jpeg_with_something_to_see(self, finder: LogoFinder) -> None:
        for picture in (mark(), mark(drawn=False)):
            jpeg = BrandContent.of(picture, finder).picture_at(3.0)
            shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
            assert shown is not None
            assert np.ptp(shown) > 100


class TestStarter:
    def test_at_least_two_hundred_brands_ship(self, finder: LogoFinder) -> None:
        entries = [entry for entry, *_ in starter_entries(finder.bundle)]
        assert len({e.name for e in entries}) >= 200
        assert {"Nike", "Adidas", "Xiaomi"} <= {e.name for e in entries}
        assert {(e.kind, e.added, e.enabled) for e in entries} == {("brand", STARTER, True)}

    def test_its_vectors_are_those_of_its_pictures(self, finder: LogoFinder) -> None:
        entry, content = next(iter(starter_brands(finder).values()))
        again = replace(content, bundle="other").known(entry, finder).vectors
        assert (again * content.vectors).sum(axis=1).min() > 0.99

    def test_switched_off_in_one_bank_it_is_not_searched_there(self, finder: LogoFinder, tmp_path: Path) -> None:
        now, bank = [0.0], BankFolder(tmp_path)
        live = LiveBank(tmp_path, finder, clock=lambda: now[0])
        nike = next(e for e, _ in starter_brands(finder).values() if e.name == "Nike")
        before = len(live.current().brands)
        bank.enable_starter(nike.id, enabled=False)
        now[0] = CHECK_EVERY_S
        assert len(live.current().brands) == before - 1
        bank.enable_starter(nike.id, enabled=True)
        now[0] = 2 * CHECK_EVERY_S
        assert len(live.current().brands) == before


def test_a_running_process_sees_a_new_brand(finder: LogoFinder, tmp_path: Path) -> None:
    now = [0.0]
    live = LiveBank(tmp_path, finder, clock=lambda: now[0])
    content = BrandContent.of(mark(), finder)
    BankFolder(tmp_path).add("brand", "a" * 16, "Mine", content.to_bytes(), None)
    now[0] = CHECK_EVERY_S
    snapshot = live.current()
    (match,) = snapshot.brands.match(content.vectors[:1])
    assert (match.name, match.similarity) == ("Mine", pytest.approx(1.0, abs=1e-4))
    assert snapshot.picture("a" * 16, 0.0).startswith(b"\xff\xd8")


def test_without_a_finder_there_are_no_brands(finder: LogoFinder, tmp_path: Path) -> None:
    BankFolder(tmp_path).add("brand", "a" * 16, "Mine", BrandContent.of(mark(), finder).to_bytes(), None)
    assert len(LiveBank(tmp_path).current().brands) == 0
    assert len(LiveBank(None, finder).current().brands) >= 200


class TestFinder:
    def test_boxes_are_fractions_and_the_same_in_a_batch(self, finder: LogoFinder) -> None:
        rng = np.random.default_rng(0)
        images: list[NDArray[np.uint8]] = [rng.integers(0, 256, (360, 640, 3), np.uint8) for _ in range(3)]
        together = finder.detect(images, least=0.01)
        alone = [finder.detect([image], least=0.01)[0] for image in images]
        for many, one in zip(together, alone, strict=True):
            assert [b.score for b in many] == pytest.approx([b.score for b in one], abs=1e-3)
            for found in many:
                assert 0 <= found.box.x0 <= found.box.x1 <= 1
                assert 0 <= found.box.y0 <= found.box.y1 <= 1

    @pytest.mark.parametrize("shape", [(1, 1), (7, 900), (900, 7), (33, 31)])
    def test_odd_sizes(self, finder: LogoFinder, shape: tuple[int, int]) -> None:
        finder.detect([np.full((*shape, 3), 90, np.uint8)])

    def test_a_changed_bundle_is_refused(self, tmp_path: Path) -> None:
        import shutil

        folder = shipped_bundle("logo")
        assert folder is not None
        copy = tmp_path / "logo-x"
        shutil.copytree(folder, copy)
        open_bundle(copy)
        with (copy / DETECTOR).open("ab") as graph:
            graph.write(b"\0")
        with pytest.raises(BundleError, match="SHA-256"):
            LogoFinder(LogoSettings(copy))


class TestCommand:
    def test_add_list_disable_remove(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        svg, bank = tmp_path / "mine.svg", tmp_path / "bank"
        svg.write_text(SVG, "utf-8")

        def run(*words: str) -> tuple[int, list[dict[str, object]]]:
            code = main(["bank", *words, "--bank", str(bank), "--json"])
            return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

        code, (entry,) = run("add", "--kind", "brand", "Mine", str(svg))
        assert (code, entry["kind"], entry["name"]) == (0, "brand", "Mine")
        assert run("add", "--kind", "brand", "Mine", str(svg)) == (1, [])
        assert [e["id"] for e in run("list")[1]] == [entry["id"]]
        assert len(run("list", "--starter")[1]) >= 201
        (off,) = run("disable", "nike")[1]
        assert (off["name"], off["enabled"]) == ("Nike", False)
        assert [e["enabled"] for e in run("list", "--starter")[1] if e["name"] == "Nike"] == [False]
        assert run("disable", str(entry["id"])[:6])[1][0]["enabled"] is False
        assert run("remove", str(entry["id"]))[0] == 0
        assert run("list")[1] == []

    def test_what_ships_cannot_be_removed(self, tmp_path: Path, finder: LogoFinder) -> None:
        identity = next(iter(starter_brands(finder)))
        assert main(["bank", "remove", identity, "--bank", str(tmp_path)]) == 2

    def test_one_bad_picture_does_not_stop_the_others(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        good, bad = tmp_path / "good.svg", tmp_path / "bad.svg"
        good.write_text(SVG, "utf-8")
        bad.write_text(SVG.replace("<path", "<script>1</script><path"), "utf-8")
        code = main(
            ["bank", "add", "--kind", "brand", "Mine", str(bad), str(good), "--bank", str(tmp_path / "b"), "--json"]
        )
        said = capsys.readouterr()
        assert code == 1
        assert "script" in said.err
        assert json.loads(said.out)["name"] == "Mine"
