"""Read this first: brand icons and photos in, a detector and an embedding out.

icons, photos ─► made scenes ─► detector ─┐
            └──► made crops ──► embedding ─┴─► measured on brands never seen ─► export ─► bundle
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.utils.data import Dataset

from models.backbones import EfficientNetLite0
from models.logo import LogoDetector, LogoEmbedder
from moderation.bank.live import LiveBank
from moderation.visual.logos import LogoFinder, LogoSettings
from training.config import LogoStage, LogoTraining
from training.errors import DataError
from training.logo.bundle import add_metrics, write_bundle
from training.logo.drawing import Image, Words
from training.logo.evaluate import clip_frames, false_brands, marked_photos, on_photos, on_scenes
from training.logo.icons import Icon, Split, load_icons, part_of_ten, split_of
from training.logo.loop import train_steps
from training.logo.losses import MarginCosine, detector_loss
from training.logo.pretrained import load_pretrained
from training.logo.scenes import SceneMaker

_PICTURES = (".jpg", ".jpeg", ".png", ".webp")
# Frames of the size that scans look at, so that a logo of 48 pixels is one there.
_TEST_SIDE, _TEST_SCENES, _TEST_SEED = 640, 500, 1234
# Logos on the measuring half of the product photos, marked by hand.
_MARKS = Path(__file__).resolve().parents[1] / "marks" / "product_logos.jsonl"
_SMALLEST_FILE = 40_000  # bytes; smaller ones among wallpapers are previews


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What scenes are made of."""

    icons: list[Icon]
    photos: list[Path]
    things: list[Path]
    fonts: Words

    def maker(self, split: Split, config: LogoTraining, side: int | None = None) -> SceneMaker:
        """Scenes with the brands of one side, on the photos of that side: a tenth of them is not trained on."""
        mine = [i for i in self.icons if split_of(i.brand, config.held_out_brands) == split]
        photos = [p for p in self.photos if _is_held(p) == (split != "train")]
        return SceneMaker(photos, self.things, mine, self.fonts, side or config.detector.side)


def train(config: LogoTraining, starter: Path, out: Path, command: str = "") -> Path:
    """The whole way to a bundle in `out/bundle`; a killed run goes on. Returns the bundle's folder."""
    material = gather(config, out)
    detector, embedder = train_detector(material, config, out), train_embedder(material, config, out)
    origin = {
        "icons": len(material.icons), "photos": len(material.photos), "things": len(material.things),
        "backbone": config.backbone, "command": command,
    }  # fmt: skip
    return write_bundle(
        detector, embedder, material.maker("development", config), config, starter, out / "bundle", origin
    )


def measure(
    bundle: Path,
    config: LogoTraining,
    out: Path,
    *,
    photos: Path | None = None,
    clips: Path | None = None,
    write: bool = False,
) -> dict[str, Any]:
    """Figures of a bundle on brands of the test side, and on real photos; into its card where asked to."""
    maker = gather(config, out).maker("test", config, side=_TEST_SIDE)
    finder = LogoFinder(LogoSettings(bundle))
    metrics: dict[str, Any] = {"test": on_scenes(finder, maker, _TEST_SCENES, seed=_TEST_SEED)}
    if photos is not None:
        metrics["photos"] = on_photos(finder, photos)
    starter, ordinary = LiveBank(None, finder).current().brands, {}
    if config.product_photos is not None:
        marked = marked_photos(config.product_photos, _MARKS, starter)
        ordinary["photos of clothes, the measuring half"] = false_brands(finder, starter, marked)
    if clips is not None:
        ordinary["frames of ordinary clips"] = false_brands(finder, starter, clip_frames(clips))
    metrics["ordinary"] = ordinary
    if write:
        add_metrics(bundle, metrics)
    return metrics


def gather(config: LogoTraining, out: Path) -> Material:
    """Raises DataError where a folder of the settings holds nothing of use."""
    photos = [p for folder in config.photos for p in _pictures(folder, _SMALLEST_FILE)]
    if config.product_photos is not None:
        # Half of that set is for measuring only, by the last digit of the file's SHA-256.
        photos += [p for p in _pictures(config.product_photos, 0) if _digit(p) in "01234567"]
    things = [p for folder in config.things for p in _pictures(folder, 0) if "symbols" not in p.parts]
    if len(photos) < 20:
        raise DataError(f"{len(photos)} photos in {[str(p) for p in config.photos]}: name folders with at least 20.")
    return Material(load_icons(config.icons, out / "cache"), photos, things, Words(_fonts()))


def train_detector(material: Material, config: LogoTraining, out: Path) -> LogoDetector:
    """The detector, trained on made scenes with the brands of the training side."""
    set_seed(config.seed)
    stage, model = config.detector, LogoDetector()
    load_pretrained(model.backbone, config.backbone)
    if stage.begin_with is not None:
        model.load_state_dict(_earlier(stage.begin_with))
    model.backbone.freeze(stage.freeze)

    def loss_of(network: nn.Module, batch: dict[str, Any]) -> Tensor:
        logits, boxes = network(batch["images"])
        return detector_loss(logits, boxes, batch["boxes"], batch["labels"], batch["ignored"], stage.side)

    trained = train_steps(
        model, loss_of, _groups(model, model.backbone, stage),
        _Scenes(material.maker("train", config), config.seed), _collate_scenes, stage, out / "detector",
        seed=config.seed, workers=config.workers,
    )  # fmt: skip
    assert isinstance(trained, LogoDetector)
    return trained


def train_embedder(material: Material, config: LogoTraining, out: Path) -> LogoEmbedder:
    """The embedding, trained to tell the brands of the training side apart."""
    set_seed(config.seed)
    stage, maker = config.embedder, material.maker("train", config)
    model = _WithBrands(LogoEmbedder(), len(maker.brands))
    load_pretrained(model.embedder.backbone, config.backbone)
    if stage.begin_with is not None:
        weights = _earlier(stage.begin_with)
        inner = {n.removeprefix("embedder."): w for n, w in weights.items() if n.startswith("embedder.")}
        model.embedder.load_state_dict(inner)
        _centre_on_references(model, maker, config)
    model.embedder.backbone.freeze(stage.freeze)

    def loss_of(network: nn.Module, batch: dict[str, Any]) -> Tensor:
        return network(batch["images"], batch["brands"])

    trained = train_steps(
        model, loss_of, _groups(model, model.embedder.backbone, stage),
        _Crops(maker, config.seed, stage.side), _collate_crops, stage, out / "embedder",
        seed=config.seed, workers=config.workers,
    )  # fmt: skip
    assert isinstance(trained, _WithBrands)
    return trained.embedder


def as_input(images: Sequence[Image]) -> Tensor:
    """(B, S, S, 3) uint8 BGR → (B, 3, S, S) float32 RGB in about -1..1, as the published weights were trained."""
    joined = torch.from_numpy(np.stack(images))[..., [2, 1, 0]].permute(0, 3, 1, 2)
    return ((joined.float() - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)


class _Scenes(Dataset[dict[str, Any]]):
    def __init__(self, maker: SceneMaker, seed: int) -> None:
        self.maker, self.seed = maker, seed

    def __getitem__(self, index: int) -> dict[str, Any]:
        scene = self.maker.scene(np.random.default_rng([self.seed, index]))
        return {
            "image": scene.image, "boxes": torch.from_numpy(scene.boxes),
            "labels": torch.from_numpy(scene.labels), "ignored": torch.from_numpy(scene.ignored),
        }  # fmt: skip


class _Crops(Dataset[tuple[Image, int]]):
    """Three photographed crops to one clean picture."""

    def __init__(self, maker: SceneMaker, seed: int, side: int) -> None:
        self.maker, self.seed, self.side = maker, seed, side

    def __getitem__(self, index: int) -> tuple[Image, int]:
        rng = np.random.default_rng([self.seed, index])
        brand = int(rng.integers(len(self.maker.brands)))
        draw = self.maker.reference if index % 4 == 0 else self.maker.crop
        return draw(rng, self.maker.brands[brand], self.side), brand


class _WithBrands(nn.Module):
    def __init__(self, embedder: LogoEmbedder, brands: int) -> None:
        super().__init__()
        self.embedder, self.margin = embedder, MarginCosine(brands, embedder.dimensions)

    def forward(self, images: Tensor, brands: Tensor) -> Tensor:
        return self.margin(self.embedder(images), brands)


def _earlier(path: Path) -> dict[str, Tensor]:
    """Raises DataError where the weights cannot be read."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: no weights of an earlier run ({error}). Give the final.pt of one.") from error


@torch.no_grad()
def _centre_on_references(model: _WithBrands, maker: SceneMaker, config: LogoTraining) -> None:
    """Each brand's vector begins where the network puts its clean picture; brands may be others than before."""
    model.eval()
    rng, side = np.random.default_rng(config.seed), config.embedder.side
    for number, brand in enumerate(maker.brands):
        looks = as_input([maker.reference(rng, brand, side) for _ in range(2)])
        model.margin.centres[number] = model.embedder(looks).mean(0)


def _collate_scenes(scenes: list[dict[str, Any]]) -> dict[str, Any]:
    lists = {name: [s[name] for s in scenes] for name in ("boxes", "labels", "ignored")}
    return {"images": as_input([s["image"] for s in scenes]), **lists}


def _collate_crops(crops: list[tuple[Image, int]]) -> dict[str, Tensor]:
    return {"images": as_input([image for image, _ in crops]), "brands": torch.tensor([brand for _, brand in crops])}


def _groups(model: nn.Module, backbone: EfficientNetLite0, stage: LogoStage) -> list[dict[str, Any]]:
    """The pretrained part learns slower; what is one number a channel does not decay."""
    inner = {id(p) for p in backbone.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            rate = stage.learning_rate * (stage.backbone_rate if id(parameter) in inner else 1.0)
            groups.setdefault((rate, 0.0 if parameter.ndim < 2 else stage.weight_decay), []).append(parameter)
    return [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()]


def _pictures(folder: Path, smallest: int) -> list[Path]:
    found = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in _PICTURES and p.is_file()]
    return [p for p in found if p.stat().st_size >= smallest]


def _digit(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[-1]


def _is_held(path: Path) -> bool:
    return part_of_ten(path.name) == 0


def _fonts() -> tuple[str, ...]:
    """Fonts that fontconfig knows, but for those of symbols."""
    try:
        listed = subprocess.run(["fc-list", "-f", "%{file}\n"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise DataError(
            "fontconfig (`fc-list`) is not installed; it names the fonts that words are drawn in."
        ) from error
    plain = {f for f in listed.splitlines() if f.endswith((".ttf", ".otf", ".ttc"))}
    return tuple(
        sorted(f for f in plain if not any(w in f.lower() for w in ("symbol", "dingbat", "emoji", "d050000l")))
    )
