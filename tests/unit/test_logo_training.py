"""Logos in training: targets and losses, icons, made scenes, and a loop that can be killed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from torchvision.ops import box_iou

from models.logo import CLASSES, STRIDES, LogoDetector, positions
from moderation.visual.crops import cut_out
from training.config import LogoStage, LogoTraining
from training.errors import DataError
from training.logo import icons as icon_reading
from training.logo import scenes as scene_making
from training.logo.drawing import Image, Words, place, wordmark
from training.logo.icons import SIDE, Icon, brand_key, load_icons, packaged_svgs, split_of, trimmed
from training.logo.loop import FINAL, FLOOR, train_steps
from training.logo.losses import MarginCosine, assign, detector_loss
from training.logo.scenes import LOGO, OBSCURED, SMALLEST, SceneMaker, hide
from training.logo.train import Material, _collate_scenes, _fonts, _groups, _is_held, _Scenes, as_input, gather
from training.schedule import warmup_then_cosine

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
NO_BOXES = torch.empty(0, 4)


def boxes_of(*boxes: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def around(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


class TestAssign:
    def owners(self, boxes: Tensor, side: int = 320) -> dict[int, list[tuple[list[float], int]]]:
        """Of each stride: the centres that answer for something, and for what."""
        centres, strides = positions(side, side, CPU)
        owner = assign(boxes, centres, strides)
        assert owner.shape == (len(centres),)
        assert owner.dtype == torch.int64
        found: dict[int, list[tuple[list[float], int]]] = {stride: [] for stride in STRIDES}
        for i in torch.nonzero(owner >= 0)[:, 0].tolist():
            found[int(strides[i])].append((centres[i].tolist(), int(owner[i])))
        return found

    def test_a_small_box_gets_the_fine_positions_around_its_centre(self) -> None:
        found = self.owners(boxes_of(around(100, 60, 20, 20)))
        assert found[8] == [([x, y], 0) for y in (52.0, 60.0, 68.0) for x in (92.0, 100.0, 108.0)]
        assert not found[16] + found[32]

    @pytest.mark.parametrize(("size", "strides"), [(20, {8}), (38, {8, 16}), (60, {16}), (90, {16, 32}), (250, {32})])
    def test_sizes_fall_to_their_strides_without_a_gap(self, size: float, strides: set[int]) -> None:
        found = self.owners(boxes_of(around(163, 157, size, size)))
        assert {stride for stride, owners in found.items() if owners} == strides

    @pytest.mark.parametrize("sides", [(100, 12), (12, 100), (300, 14)])
    def test_a_thin_box_gets_positions(self, sides: tuple[float, float]) -> None:
        assert sum(len(owners) for owners in self.owners(boxes_of(around(161, 155, *sides))).values()) >= 4

    @pytest.mark.parametrize("smaller", [0, 1])
    def test_of_two_boxes_the_smaller_wins(self, smaller: int) -> None:
        pair = [around(100, 100, 30, 30), around(100, 100, 30, 30)]
        pair[smaller] = around(106, 100, 16, 16)
        found = self.owners(boxes_of(*pair))
        assert {box for _, box in found[8]} == {0, 1}
        assert all(box == smaller for (x, y), box in found[8] if abs(x - 106) <= 10 and abs(y - 100) <= 10)

    def test_nothing_is_nobodys(self) -> None:
        centres, strides = positions(64, 96, CPU)
        owner = assign(NO_BOXES, centres, strides)
        assert owner.dtype == torch.int64
        assert (owner == -1).all()
        assert len(owner) == len(centres)


class TestDetectorLoss:
    SIDE = 96
    TRUTH = boxes_of(around(40, 44, 26, 22), around(70, 20, 14, 14))
    LABELS = torch.tensor([LOGO, OBSCURED])

    def perfect(self) -> tuple[Tensor, Tensor]:
        """Answers that are right everywhere, (1, A, 2) and (1, A, 4)."""
        centres, strides = positions(self.SIDE, self.SIDE, CPU)
        owner = assign(self.TRUTH, centres, strides)
        logits, boxes = torch.full((1, len(centres), 2), -9.0), torch.zeros(1, len(centres), 4)
        boxes[0] = torch.cat([centres - 3, centres + 3], 1)
        for i in torch.nonzero(owner >= 0)[:, 0]:
            logits[0, i, self.LABELS[owner[i]]] = 9.0
            boxes[0, i] = self.TRUTH[owner[i]]
        return logits, boxes

    def loss(self, logits: Tensor, boxes: Tensor, ignored: Tensor = NO_BOXES) -> Tensor:
        return detector_loss(logits, boxes, [self.TRUTH], [self.LABELS], [ignored], self.SIDE)

    def test_classes_are_the_scenes_labels(self) -> None:
        assert CLASSES == ("logo", "obscured")
        assert (CLASSES[LOGO], CLASSES[OBSCURED]) == CLASSES

    def test_right_answers_cost_nothing(self) -> None:
        assert self.loss(*self.perfect()) < 0.01

    def test_every_kind_of_mistake_costs(self) -> None:
        logits, boxes = self.perfect()
        assert self.loss(logits.flip(-1), boxes) > 1.0  # the other class
        assert self.loss(logits, boxes + 8.0) > 1.0  # beside it
        assert self.loss(logits.clamp(max=-9.0), boxes) > 1.0  # missed
        assert self.loss(logits.clamp(min=0.0), boxes) > 1.0  # seen everywhere

    def test_nothing_to_find_is_no_division_by_zero(self) -> None:
        logits, boxes = self.perfect()
        loss = detector_loss(
            logits.requires_grad_(), boxes, [NO_BOXES], [torch.empty(0, dtype=torch.int64)], [NO_BOXES], self.SIDE
        )
        assert loss.isfinite()
        loss.backward()

    def test_ignored_places_are_not_punished(self) -> None:
        ignored = boxes_of((30.0, 30.0, 80.0, 90.0))
        centres, strides = positions(self.SIDE, self.SIDE, CPU)
        free = assign(self.TRUTH, centres, strides) < 0
        inside = ((centres >= ignored[0, :2]) & (centres <= ignored[0, 2:])).all(-1)
        _, boxes = self.perfect()
        logits = torch.zeros(1, len(centres), 2, requires_grad=True)
        self.loss(logits, boxes, ignored).backward()
        assert logits.grad is not None
        reached = logits.grad[0].abs().sum(-1) > 0
        assert (free & inside).any()
        assert (~free & inside).any()
        # A logo that lies in an ignored place is to be found all the same.
        assert torch.equal(reached, ~(free & inside))

    def test_it_falls_and_boxes_come_to_lie_right(self) -> None:
        torch.manual_seed(0)
        model = LogoDetector(width=32)
        model.backbone.freeze(6)
        image = torch.full((1, 3, self.SIDE, self.SIDE), -0.5)
        for box, shade in zip(self.TRUTH.round().int().tolist(), (1.0, 0.4), strict=True):
            image[:, :, box[1] : box[3], box[0] : box[2]] = shade
        learning = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(learning, lr=1e-2)
        losses = []
        for _ in range(30):
            loss = self.loss(*model(image))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.4 * losses[0]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in learning)
        fine = model.regress[0]
        assert isinstance(fine, nn.Conv2d)
        assert fine.weight.grad is not None
        assert fine.weight.grad.any()
        with torch.inference_mode():
            logits, boxes = model(image)
        for label, box in zip(self.LABELS, self.TRUTH, strict=True):
            surest = boxes[0, logits[0, :, label].argmax()]
            assert box_iou(surest[None], box[None]).item() > 0.5


class TestMarginCosine:
    def test_it_prefers_the_right_brand_and_asks_for_a_margin(self) -> None:
        loss = MarginCosine(3, 3, scale=10.0, margin=0.2)
        loss.centres.data = torch.eye(3) * 5  # lengths do not count
        own, other = torch.eye(3)[:1], torch.eye(3)[1:2]
        brand = torch.tensor([0])
        assert loss(own, brand) < loss(other, brand)
        expected = functional.cross_entropy(torch.tensor([[8.0, 0.0, 0.0]]), brand)
        assert loss(own, brand).item() == pytest.approx(expected.item(), rel=1e-5)

    def test_training_draws_a_brand_to_its_own_vector(self) -> None:
        torch.manual_seed(0)
        brands, loss = torch.arange(40) % 4, MarginCosine(4, 8)
        embeddings = functional.normalize(torch.randn(4, 8)[brands] + 0.1 * torch.randn(40, 8), dim=1)
        optimizer = torch.optim.SGD(loss.parameters(), lr=0.5)
        for _ in range(60):
            optimizer.zero_grad()
            loss(embeddings, brands).backward()
            optimizer.step()
        cosines = embeddings @ functional.normalize(loss.centres, dim=1).T
        assert torch.equal(cosines.argmax(1), brands)


class TestIcons:
    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("github", "github"), ("GitHub-icon", "github"), ("github-dark-icon", "github"),
            ("github_original", "github"), ("Visual Studio Code", "visualstudiocode"), ("Coca-Cola", "cocacola"),
            ("1&1", "11"),
            ("Citroën", "citroen"), ("C++", "cplusplus"), ("icon", "icon"), ("Black", "black"), ("lexicon", "lexicon"),
        ],
    )  # fmt: skip
    def test_variants_are_one_brand(self, name: str, key: str) -> None:
        assert brand_key(name) == key

    def test_a_brand_stays_on_its_side(self) -> None:
        # What was trained on once must not be measured on later: these are kept for good.
        known = {"github": "test", "nike": "train", "lining": "development", "xiaomi": "test", "anta": "train"}
        assert {brand: split_of(brand, ()) for brand in known} == known
        sides = [split_of(f"brand{i}", ()) for i in range(3000)]
        shares = {side: sides.count(side) / 3000 for side in ("train", "development", "test")}
        assert shares == pytest.approx({"train": 0.7, "development": 0.1, "test": 0.2}, abs=0.03)

    def test_held_out_brands_and_what_they_own_are_always_tested_on(self) -> None:
        trained = [b for b in (f"brand{i}" for i in range(300)) if split_of(b, ()) == "train"][:20]
        for brand in trained:
            assert split_of(brand, (brand,)) == "test"
            assert split_of(brand, ("brand",)) == "test"
            assert split_of(brand, ("bra",)) == "train", "short names begin too many others"

    def test_trimmed_to_what_is_visible(self) -> None:
        art = np.zeros((100, 120, 4), np.uint8)
        art[30:40, 50:70] = (10, 20, 200, 255)
        art[90, 5] = (0, 0, 0, 9)  # nobody sees that
        found = trimmed(art, 80)
        assert found is not None
        assert found.shape == (40, 80, 4)
        assert found.dtype == np.uint8
        assert (found == (10, 20, 200, 255)).all()

    def test_nothing_visible_is_no_icon(self) -> None:
        assert trimmed(np.zeros((9, 9, 4), np.uint8), SIDE) is None

    def test_silhouettes_are_told_from_pictures(self) -> None:
        assert Icon("a", disc((0, 0, 0))).is_mono
        assert not Icon("a", disc((0, 0, 200))).is_mono

    def test_collections_are_rendered_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("resvg_py")
        monkeypatch.setattr(icon_reading, "packaged_svgs", list)
        path = tmp_path / "icons.json"
        path.write_text(
            json.dumps(
                {
                    "width": 40,
                    "height": 20,
                    "icons": {
                        "acme-icon": {"body": '<rect width="40" height="20" fill="#e01000"/>'},
                        "bolt": {"body": '<rect x="2" width="10" height="30"/>', "height": 30},
                        "broken": {"body": "<rect"},
                        "empty": {"body": ""},
                    },
                }
            ),
            encoding="utf-8",
        )
        found = {icon.brand: icon.art for icon in load_icons([path], tmp_path / "cache")}
        assert {brand: art.shape for brand, art in found.items()} == {
            "acme": (SIDE // 2, SIDE, 4),
            "bolt": (SIDE, round(SIDE / 3), 4),
        }
        assert found["acme"][40, 80].tolist() == [0x00, 0x10, 0xE0, 255]  # BGRA
        monkeypatch.setattr(icon_reading, "_draw", lambda source: pytest.fail("rendered again"))
        again = load_icons([path], tmp_path / "cache")
        assert [icon.brand for icon in again] == list(found)
        assert all(np.array_equal(icon.art, found[icon.brand]) for icon in again)

    @pytest.mark.parametrize("content", ["", "[]", '{"prefix": "logos"}'])
    def test_what_is_no_collection_is_named(
        self, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(icon_reading, "packaged_svgs", list)
        (tmp_path / "icons.json").write_text(content)
        with pytest.raises(DataError, match=r"icons\.json"):
            load_icons([tmp_path / "icons.json"], tmp_path / "cache")

    def test_the_package_has_brands_for_all_sides(self) -> None:
        pytest.importorskip("simple_icons_pack", reason="simple-icons-pack is not installed")
        brands = [brand_key(title) for title, _ in packaged_svgs()]
        assert len(brands) > 1000
        assert all(brands)
        assert {"nike", "sony", "cocacola"} <= set(brands)
        assert {split_of(brand, ()) for brand in brands} == {"train", "development", "test"}


def disc(paint: tuple[int, int, int], side: int = SIDE) -> Image:
    """(side, side, 4) BGRA: a disc with a notch, so that it has an up and a down."""
    art = np.zeros((side, side, 4), np.uint8)
    cv2.circle(art, (side // 2, side // 2), side // 2 - 1, (*paint, 255), -1)
    art[: side // 3, side // 2 :, 3] = 0
    return art


def bar(paint: tuple[int, int, int]) -> Image:
    return np.broadcast_to(np.array((*paint, 255), np.uint8), (SIDE // 4, SIDE, 4)).copy()


@pytest.fixture(scope="module")
def fonts() -> Words:
    try:
        return Words(_fonts())
    except DataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Textured JPEGs."""
    folder, paths = tmp_path_factory.mktemp("photos"), []
    for number in range(3):
        rng = np.random.default_rng(number)
        coarse = cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (240, 180), interpolation=cv2.INTER_CUBIC)
        noisy = np.clip(coarse.astype(np.int16) + rng.integers(-25, 26, coarse.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{number}.jpg")
        cv2.imwrite(str(paths[-1]), noisy)
    return paths


@pytest.fixture(scope="module")
def thing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("things") / "thing.png"
    cv2.imwrite(str(path), disc((60, 90, 140), 90))
    return path


@pytest.fixture(scope="module")
def maker(photos: list[Path], thing: Path, fonts: Words) -> SceneMaker:
    icons = [
        Icon("acme", disc((0, 0, 0))), Icon("acme", disc((30, 20, 220))), Icon("bolt", bar((0, 0, 0))),
        Icon("cove", bar((200, 120, 10))),
    ]  # fmt: skip
    return SceneMaker(photos, [thing], icons, fonts, 128)


class TestWords:
    def test_words_are_black_and_about_as_high_as_asked(self, fonts: Words) -> None:
        for text in ("Hello", "今天包邮"):
            art = fonts.draw(np.random.default_rng(0), text, 40)
            assert art.dtype == np.uint8
            assert not art[:, :, :3].any()
            assert (art[:, :, 3] > 128).any()
            assert 20 <= art.shape[0] <= 80
            assert art.shape[1] > art.shape[0]

    def test_a_machine_without_fonts_is_told_which(self) -> None:
        with pytest.raises(DataError, match="fonts-noto-cjk"):
            Words(())

    def test_invented_names_are_cut_close(self, fonts: Words) -> None:
        for seed in range(10):
            art = wordmark(np.random.default_rng(seed), fonts)
            assert art is not None
            assert max(art.shape[:2]) == SIDE
            assert art[:, :, 3].max(axis=0)[[0, -1]].all()
            assert art[:, :, 3].max(axis=1)[[0, -1]].all()


class TestPlace:
    GROUND = 128

    def canvas(self) -> Image:
        return np.full((160, 200, 3), self.GROUND, np.uint8)

    def changed(self, canvas: Image) -> np.ndarray:
        return np.abs(canvas.astype(int) - self.GROUND).max(axis=2)

    def test_the_box_covers_what_can_be_seen(self) -> None:
        compared = 0
        for seed in range(80):
            canvas = self.canvas()
            placed = place(np.random.default_rng(seed), canvas, disc((0, 0, 0)), 70.0, (100.0, 80.0))
            assert placed is not None
            assert placed.shown == pytest.approx(1.0)
            # Black paint on grey: the box begins where a fifth of it (alpha 48) is reached, and 20 is that.
            ys, xs = np.nonzero(self.changed(canvas) > 24)
            if self.changed(canvas).max() < 90 or canvas.max() > self.GROUND:
                continue  # embossed: light at its edges and no paint
            seen = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            box = np.array(placed.box)
            assert (box[:2] <= seen[:2]).all(), seed
            assert (box[2:] >= seen[2:]).all(), seed
            assert np.abs(seen - box).max() <= 3, seed
            compared += 1
        assert compared > 60

    def test_the_box_is_about_as_large_as_asked(self) -> None:
        sides = []
        for seed in range(60):
            placed = place(np.random.default_rng(seed), self.canvas(), disc((0, 0, 0)), 60.0, (100.0, 80.0))
            assert placed is not None
            x0, y0, x1, y1 = placed.box
            sides.append(max(x1 - x0, y1 - y0))
        assert min(sides) > 40
        assert max(sides) < 90
        assert np.median(sides) == pytest.approx(60, abs=6)

    def test_at_the_edge_the_box_is_cut_and_the_rest_is_counted(self) -> None:
        for seed in range(20):
            placed = place(np.random.default_rng(seed), self.canvas(), bar((0, 0, 0)), 80.0, (200.0, 80.0))
            assert placed is not None
            assert placed.box[2] <= 200
            assert 0.2 < placed.shown < 0.8

    def test_outside_nothing_is_drawn(self) -> None:
        for centre in ((-90.0, 80.0), (100.0, 400.0)):
            canvas = self.canvas()
            assert place(np.random.default_rng(0), canvas, disc((0, 0, 0)), 60.0, centre) is None
            assert (canvas == self.GROUND).all()


class TestHide:
    def textured(self) -> Image:
        return np.random.default_rng(5).integers(0, 256, (120, 140, 3), np.uint8)

    def test_only_the_box_changes_and_its_detail_goes(self) -> None:
        kinds = {"mosaic": 0, "blur": 0, "tape": 0, "smear": 0}
        for seed in range(120):
            kind = np.random.default_rng(seed).random()
            name = "mosaic" if kind < 0.4 else "blur" if kind < 0.65 else "tape" if kind < 0.85 else "smear"
            before, canvas = self.textured(), self.textured()
            box = hide(np.random.default_rng(seed), canvas, (70.0, 60.0), (50.0, 40.0))
            assert box is not None
            x0, y0, x1, y1 = (int(v) for v in box)
            if name == "tape":
                # Its soft edge (alpha below 48) lies outside the box.
                x0, y0, x1, y1 = x0 - 3, y0 - 3, x1 + 3, y1 + 3
            else:
                assert (x0, y0, x1, y1) == (45, 40, 95, 80)
                middle = np.s_[50:70, 60:80]
                assert steps(canvas[middle]) < 0.6 * steps(before[middle]), (seed, name)
            canvas[y0:y1, x0:x1] = before[y0:y1, x0:x1]
            assert np.array_equal(canvas, before), (seed, name)
            kinds[name] += 1
        assert min(kinds.values()) >= 5

    def test_a_mosaic_has_few_colours(self) -> None:
        seed = next(s for s in range(99) if np.random.default_rng(s).random() < 0.4 and self.colours(s) < 200)
        assert self.colours(seed) < 200

    def colours(self, seed: int) -> int:
        canvas = self.textured()
        hide(np.random.default_rng(seed), canvas, (70.0, 60.0), (50.0, 40.0))
        return len(np.unique(canvas[40:80, 45:95].reshape(-1, 3), axis=0))

    def test_at_the_edge_it_is_cut_and_outside_there_is_none(self) -> None:
        for seed in range(20):
            box = hide(np.random.default_rng(seed), self.textured(), (5.0, 60.0), (50.0, 40.0))
            assert box is not None
            assert box[0] >= 0
        canvas = self.textured()
        assert hide(np.random.default_rng(0), canvas, (-40.0, 60.0), (50.0, 40.0)) is None
        assert np.array_equal(canvas, self.textured())


def steps(image: Image) -> float:
    """How much neighbouring pixels differ."""
    values = image.astype(int)
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())


class TestCutOut:
    def test_the_box_fills_all_but_a_margin(self) -> None:
        image = np.zeros((160, 200, 3), np.uint8)
        image[60:100, 100:140] = (200, 150, 100)
        for box, rows in (((100, 60, 140, 100), (5, 105)), ((100, 70, 140, 90), (5, 105))):
            found = cut_out(image, box, 110)
            assert found.shape == (110, 110, 3)
            ys, xs = np.nonzero(found[:, :, 0] > 100)
            assert (ys.min(), ys.max() + 1) == pytest.approx(rows, abs=2)
            assert (xs.min(), xs.max() + 1) == pytest.approx((5, 105), abs=2)
            assert found[55, 55].tolist() == [200, 150, 100]

    def test_beyond_the_picture_its_edge_goes_on(self) -> None:
        image = np.full((60, 60, 3), 90, np.uint8)
        image[:, :5] = 220
        found = cut_out(image, (-30, 10, 10, 50), 88)
        assert (found[:, :40] >= 210).all()

    def test_what_is_shrunk_is_smoothed(self) -> None:
        checks = ((np.indices((200, 200)).sum(axis=0) % 2) * 255).astype(np.uint8)
        found = cut_out(np.dstack([checks] * 3), (10, 10, 190, 190), 33)
        assert found.std() < 20
        assert found.mean() == pytest.approx(127, abs=8)


class TestScenes:
    def test_a_seed_names_a_picture(self, maker: SceneMaker) -> None:
        def everything(seed: int) -> list[np.ndarray]:
            rng = np.random.default_rng(seed)
            scene = maker.scene(rng)
            return [
                scene.image, scene.boxes, scene.labels, scene.ignored,
                maker.crop(rng, "acme", 64), maker.reference(rng, "acme", 64), maker.ground(rng, 64),
            ]  # fmt: skip

        for seed in range(6):
            one, again, other = everything(seed), everything(seed), everything(seed + 100)
            assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
            assert not np.array_equal(one[0], other[0])

    def test_what_a_scene_says_of_itself(self, maker: SceneMaker) -> None:
        labels: list[int] = []
        for seed in range(60):
            scene = maker.scene(np.random.default_rng(seed))
            assert (scene.image.shape, scene.image.dtype) == ((128, 128, 3), np.uint8)
            assert (scene.boxes.dtype, scene.labels.dtype) == (np.float32, np.int64)
            assert scene.boxes.shape == (len(scene.labels), 4) == (len(scene.brands), 4)
            assert scene.ignored.shape[1:] == (4,)
            for boxes in (scene.boxes, scene.ignored):
                assert (boxes >= 0).all()
                assert (boxes <= 128).all()
                assert (boxes[:, 2:] > boxes[:, :2]).all()
            assert ((scene.boxes[:, 2:] - scene.boxes[:, :2]).max(axis=1, initial=SMALLEST) >= SMALLEST).all()
            for label, brand in zip(scene.labels, scene.brands, strict=True):
                assert brand in (("", *maker.brands) if label == LOGO else ("",))
            labels += scene.labels.tolist()
        assert {LOGO, OBSCURED} == set(labels)

    def test_what_is_too_small_is_neither_wanted_nor_wrong(
        self, maker: SceneMaker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Logos are hardly ever as small as the real limit.
        monkeypatch.setattr(scene_making, "SMALLEST", 40)
        scenes = [maker.scene(np.random.default_rng(seed)) for seed in range(20)]
        kept, left = (
            np.concatenate([(b[:, 2:] - b[:, :2]).max(axis=1) for b in boxes])
            for boxes in ([s.boxes for s in scenes], [s.ignored for s in scenes])
        )
        assert len(kept) > 5
        assert kept.min() >= 40
        assert (left < 40).sum() > 5

    def test_crops_and_references_are_squares_of_the_brand(self, maker: SceneMaker) -> None:
        for seed in range(12):
            rng = np.random.default_rng(seed)
            for found in (maker.crop(rng, "bolt", 48), maker.reference(rng, "cove", 48)):
                assert (found.shape, found.dtype) == ((48, 48, 3), np.uint8)

    def test_a_reference_shows_its_icon(self, maker: SceneMaker) -> None:
        """A bar across the middle, in its own blue, on one plain colour."""
        for seed in range(20):
            found = maker.reference(np.random.default_rng(seed), "cove", 60)
            assert np.abs(found[30, 30].astype(int) - (200, 120, 10)).max() <= 2
            assert np.abs(found[3, 3].astype(int) - found[56, 56]).max() <= 2

    def test_it_does_without_things(self, photos: list[Path], fonts: Words) -> None:
        bare = SceneMaker(photos, [], [Icon("acme", disc((0, 0, 0)))], fonts, 64)
        assert bare.scene(np.random.default_rng(0)).image.shape == (64, 64, 3)

    def test_icons_are_kept_by_brand(self, maker: SceneMaker) -> None:
        assert maker.brands == ("acme", "bolt", "cove")
        assert [len(maker.icons_of(brand)) for brand in maker.brands] == [2, 1, 1]

    def test_a_file_that_is_no_picture_is_named(self, tmp_path: Path, fonts: Words) -> None:
        (tmp_path / "broken.jpg").write_bytes(b"no picture")
        with pytest.raises(DataError, match=r"broken\.jpg"):
            SceneMaker([tmp_path / "broken.jpg"], [], [Icon("acme", disc((0, 0, 0)))], fonts, 64)


def stage(**changes: object) -> LogoStage:
    values: dict[str, object] = {
        "steps": 10, "batch_size": 4, "side": 64, "learning_rate": 0.05, "warmup_steps": 3, "checkpoint_every": 4,
    }  # fmt: skip
    return LogoStage.model_validate({**values, **changes})


class TestMaterial:
    CONFIG = LogoTraining(name="tiny", detector=stage(), embedder=stage(), held_out_brands=("brand1",))

    def test_sides_share_neither_brands_nor_photos(self, photos: list[Path], fonts: Words, tmp_path: Path) -> None:
        names = [f"{n}.jpg" for n in range(60)]
        held, trained = [n for n in names if _is_held(Path(n))][:2], [n for n in names if not _is_held(Path(n))][:2]
        for number, name in enumerate([*held, *trained]):
            cv2.imwrite(str(tmp_path / name), np.full((80, 80, 3), 10 * number, np.uint8))
        icons = [Icon(f"brand{i}", disc((0, 0, 0))) for i in range(40)]
        material = Material(icons, [tmp_path / n for n in [*held, *trained]], [], fonts)
        makers = {side: material.maker(side, self.CONFIG) for side in ("train", "development", "test")}
        brands = [brand for maker in makers.values() for brand in maker.brands]
        assert sorted(brands) == sorted(icon.brand for icon in icons)
        assert "brand1" in makers["test"].brands
        shades = {side: {int(photo.mean()) for photo in maker._photos} for side, maker in makers.items()}
        assert shades == {"train": {20, 30}, "development": {0, 10}, "test": {0, 10}}
        assert makers["train"].side == self.CONFIG.detector.side

    def test_too_few_photos_are_counted(self, photos: list[Path], tmp_path: Path) -> None:
        config = self.CONFIG.model_copy(update={"photos": (photos[0].parent,)})
        with pytest.raises(DataError, match="0 photos"):  # these are small enough to be previews
            gather(config, tmp_path)

    def test_input_is_rgb_from_minus_one_to_one(self) -> None:
        image = np.zeros((32, 32, 3), np.uint8)
        image[:, :, 0] = 255  # blue
        given = as_input([image, image])
        assert given.shape == (2, 3, 32, 32)
        assert given.dtype == torch.float32
        assert given[0, :, 5, 5].tolist() == pytest.approx([-127 / 128, -127 / 128, 1.0])

    def test_a_batch_of_scenes_can_be_learnt_from(self, maker: SceneMaker) -> None:
        scenes = _Scenes(maker, seed=3)
        batch = _collate_scenes([scenes[i] for i in range(4)])
        assert batch["images"].shape == (4, 3, 128, 128)
        assert torch.equal(batch["boxes"][2], scenes[2]["boxes"])
        count = len(positions(128, 128, CPU)[0])
        loss = detector_loss(
            torch.zeros(4, count, 2), torch.rand(4, count, 4).cumsum(-1), batch["boxes"], batch["labels"],
            batch["ignored"], 128,
        )  # fmt: skip
        assert loss.isfinite()

    def test_groups_hold_what_learns_once(self) -> None:
        model, settings = LogoDetector(width=8), stage(learning_rate=0.1, backbone_rate=0.5, weight_decay=0.01)
        model.backbone.freeze(2)
        groups = _groups(model, model.backbone, settings)
        listed = [id(p) for group in groups for p in group["params"]]
        assert sorted(listed) == sorted(id(p) for p in model.parameters() if p.requires_grad)
        of = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
        head, inner = model.classify[0], model.backbone.stages[3]
        assert isinstance(head, nn.Conv2d)
        assert of[id(head.weight)] == (0.1, 0.01)
        assert of[id(head.bias)] == (0.1, 0.0)
        assert {of[id(p)] for p in inner.parameters()} == {(0.05, 0.01), (0.05, 0.0)}


class _Toy(Dataset[Tensor]):
    """Points on a plane, each made from its number alone."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __getitem__(self, index: int) -> Tensor:
        self.asked.append(index)
        return torch.randn(3, generator=torch.Generator().manual_seed(index))


class KilledError(Exception):
    """What ends a run before its time."""


class TestLoop:
    @pytest.fixture(autouse=True)
    def _own_state(self) -> Iterator[None]:
        """Accelerate keeps its device and precision for all of a process."""
        AcceleratorState._reset_state(reset_partial_state=True)
        yield
        AcceleratorState._reset_state(reset_partial_state=True)

    def train(
        self, folder: Path, loss_of: Callable[[nn.Module, Any], Tensor], toy: _Toy | None = None, begin: int = 0
    ) -> nn.Module:
        torch.manual_seed(begin)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        groups = [{"params": list(model.parameters()), "lr": 0.05, "weight_decay": 0.01}]
        return train_steps(
            model, loss_of, groups, toy or _Toy(), torch.stack, stage(), folder, seed=1, workers=0
        )  # fmt: skip

    @staticmethod
    def loss_of(model: nn.Module, points: Tensor) -> Tensor:
        return (model(points)[:, 0] - points.sum(1)).pow(2).mean()

    def test_killed_and_resumed_it_ends_where_it_would_have(self, tmp_path: Path) -> None:
        straight = self.train(tmp_path / "straight", self.loss_of)
        calls = 0

        def killed(model: nn.Module, points: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            if calls == 8:
                raise KilledError
            return self.loss_of(model, points)

        with pytest.raises(KilledError):
            self.train(tmp_path / "killed", killed)
        assert not (tmp_path / "killed" / FINAL).exists()
        # Whatever a new process begins with, the checkpoint replaces: after 4 of 10 steps, of 4 examples each.
        toy = _Toy()
        resumed = self.train(tmp_path / "killed", self.loss_of, toy, begin=99)
        assert toy.asked == list(range(16, 40))
        for name, value in straight.state_dict().items():
            assert torch.equal(value, resumed.state_dict()[name]), name

    def test_a_finished_run_is_loaded_and_not_trained(self, tmp_path: Path) -> None:
        trained = self.train(tmp_path, self.loss_of)
        toy = _Toy()
        again = self.train(tmp_path, lambda model, points: pytest.fail("trained again"), toy, begin=99)
        assert not toy.asked
        assert not again.training
        for name, value in trained.state_dict().items():
            assert torch.equal(value, again.state_dict()[name]), name

    def test_it_learns_and_gives_back_an_average_for_inference(self, tmp_path: Path) -> None:
        losses: list[float] = []
        last: dict[str, Tensor] = {}

        def watched(model: nn.Module, points: Tensor) -> Tensor:
            loss = self.loss_of(model, points)
            losses.append(loss.item())
            last.update({name: value.clone() for name, value in model.state_dict().items()})
            return loss

        trained = self.train(tmp_path, watched)
        assert len(losses) == 10
        assert np.mean(losses[-3:]) < np.mean(losses[:3])
        assert not trained.training
        assert not any(p.requires_grad for p in trained.parameters())
        assert not torch.equal(trained.state_dict()["0.weight"], last["0.weight"])
        assert trained.state_dict()["1.num_batches_tracked"].item() == 10

    def test_the_rate_rises_then_falls(self) -> None:
        rate = warmup_then_cosine(steps=100, warmup=10, floor=FLOOR)
        rates = [rate(step) for step in range(101)]
        assert rates[:10] == sorted(rates[:10])
        assert rates[10] == pytest.approx(1.0)
        assert rates[10:] == sorted(rates[10:], reverse=True)
        assert rates[100] == pytest.approx(0.02)
        assert rates[0] > 0
