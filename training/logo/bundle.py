"""Trained networks → a bundle that a worker loads: graphs, thresholds, starter bank, card, hashes."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from models.logo import LogoDetector, LogoEmbedder
from moderation.bank.brands import starter_bytes
from moderation.bank.pictures import BrandPicture, read_picture
from moderation.inference.bundle import BRANDS, CARD, CONFIG, DETECTOR, EMBEDDER, write_manifest
from moderation.visual.logos import LogoFinder, LogoSettings
from training.config import LogoTraining
from training.errors import DataError
from training.logo.card import write_card
from training.logo.evaluate import on_scenes
from training.logo.export import export_detector, export_embedder, quantise
from training.logo.icons import packaged_svgs
from training.logo.scenes import SceneMaker

# For setting thresholds and for int8's ranges: scenes of the development side. Boxes must agree in float and int8.
_SCENES, _BANK, _CALIBRATION, _SEED = 300, 250, 12, 7
# What is left in float32: the last layers give figures that int8 is too coarse for.
_FLOAT_DETECTOR = ("/network/classify", "/network/regress")
_FLOAT_EMBEDDER = ("/network/project",)


def write_bundle(
    detector: LogoDetector,
    embedder: LogoEmbedder,
    maker: SceneMaker,
    config: LogoTraining,
    starter: Path,
    folder: Path,
    origin: dict[str, Any],
) -> Path:
    """Export both networks, set thresholds on scenes of `maker` (development brands), embed the starter brands.

    Thresholds: one false box a frame for logos, since the bank refuses most of these; three in a hundred frames for
    hidden ones; likeness that a wrong answer reaches in one of a hundred scenes.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    difference = _graphs(detector, embedder, maker, config, folder)
    # Measured with everything let through, then with the detector's thresholds, since likeness depends on these.
    _finish(folder, config, {"logo": 0.99, "obscured": 0.99}, 0.0, origin, {})
    first = on_scenes(LogoFinder(LogoSettings(folder)), maker, _SCENES, seed=_SEED, bank=_BANK)
    thresholds = {
        "logo": round(float(first["threshold_at_1_false"]), 4), "obscured": round(float(first["obscured_threshold"]), 4)
    }  # fmt: skip
    _finish(folder, config, thresholds, 0.0, origin, {})
    measured = on_scenes(LogoFinder(LogoSettings(folder)), maker, _SCENES, seed=_SEED, bank=_BANK)
    similarity = round(float(measured["wrong_99th"]), 3)
    _finish(folder, config, thresholds, similarity, origin, {})
    brands = starter_pictures(starter)
    (folder / BRANDS).write_bytes(starter_bytes(brands, LogoFinder(LogoSettings(folder))))
    metrics = {"parity": difference, "development": measured, "starter_brands": len(brands)}
    _finish(folder, config, thresholds, similarity, origin, metrics)
    return folder


def starter_pictures(path: Path) -> list[tuple[str, BrandPicture]]:
    """Brands of a list (`TITLE` or `TITLE = NAME` a line) with their icons. Raises DataError for an unknown title."""
    known = dict(reversed(packaged_svgs()))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for line in path.read_text(encoding="utf-8").splitlines():
            title, _, name = (part.strip() for part in line.partition("="))
            if not title or title.startswith("#"):
                continue
            if title not in known:
                raise DataError(f"{path}: simple-icons-pack has no icon of {title!r}. Take the line out or mend it.")
            svg = Path(folder) / f"{len(found)}.svg"
            svg.write_text(known[title], encoding="utf-8")
            found.append((name or title, read_picture(svg)))
    return found


def add_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Put more figures into a bundle's manifest and card."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    together = manifest["metrics"] | metrics
    write_card(folder / CARD, manifest["name"], manifest["training"], together)
    write_manifest(folder, manifest["name"], manifest["training"], together)


def _graphs(
    detector: LogoDetector, embedder: LogoEmbedder, maker: SceneMaker, config: LogoTraining, folder: Path
) -> dict[str, float]:
    """Float32 graphs, in int8 where the settings ask for it; the largest differences from PyTorch, before int8."""
    scenes = [maker.scene(np.random.default_rng([_SEED, 10_000 + i])).image for i in range(8 * _CALIBRATION)]
    crops = [
        maker.crop(np.random.default_rng([_SEED, i]), maker.brands[i % len(maker.brands)], config.embedder.side)
        for i in range(16 * _CALIBRATION)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        found = {}
        for name, quantised, but, export, pictures, size in (
            (DETECTOR, config.int8_detector, _FLOAT_DETECTOR, lambda p: export_detector(detector, p), scenes, 8),
            (EMBEDDER, config.int8_embedder, _FLOAT_EMBEDDER,
             lambda p: export_embedder(embedder, p, config.embedder.side), crops, 16),
        ):  # fmt: skip
            path = Path(temporary) / name
            found[name] = export(path)
            if quantised:
                batches = [np.stack(pictures[i : i + size]) for i in range(0, len(pictures), size)]
                quantise(path, folder / name, "images" if name == DETECTOR else "crops", batches, but=but)
            else:
                shutil.copy(path, folder / name)
    return found


def _finish(
    folder: Path,
    config: LogoTraining,
    thresholds: dict[str, float],
    similarity: float,
    origin: dict[str, Any],
    metrics: dict[str, Any],
) -> None:
    settings = {
        "schema": 1, "name": config.name, "task": "logo", "frame_side": config.frame_side,
        "crop_side": config.embedder.side, "thresholds": thresholds, "similarity": similarity,
    }  # fmt: skip
    (folder / CONFIG).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    training = origin | {"config": config.model_dump(mode="json")}
    write_card(folder / CARD, config.name, training, metrics)
    write_manifest(folder, config.name, training, metrics)
