"""How good a logo bundle is: made scenes with brands it never saw, and real photos, through the worker's own code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from moderation.errors import InputError
from moderation.media import open_media
from moderation.types import Box
from moderation.visual.crops import Picture, reference_crops
from moderation.visual.known_brands import KnownBrand, KnownBrands
from moderation.visual.logos import LogoBox, LogoFinder, overlap
from training.logo.icons import Icon
from training.logo.scenes import LOGO, Scene, SceneMaker

# Boxes of less than this are not looked at when recall is measured at a number of false boxes.
_LEAST = 0.02
_HIT = 0.5
_SIZES = ((10, 24), (24, 48), (48, 96), (96, 10_000))
_BANK = 500
# How much less alike the next brand must be, as in the shipped policy.
_LEAD = 0.12


@dataclass(slots=True)
class Detections:
    """All boxes of one class over many pictures: scores, whether each is right, and how many there were to find."""

    scores: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    # Of each thing to be found: the score it was found with (0 where it was not), and its longer side in pixels.
    found: list[float] = field(default_factory=list)
    sides: list[float] = field(default_factory=list)
    pictures: int = 0

    def add(
        self,
        boxes: NDArray[np.float32],
        scores: Sequence[float],
        truth: NDArray[np.float32],
        ignored: NDArray[np.float32],
    ) -> list[int]:
        """One picture; boxes surest first. Returns for each true box the index of its detection, or -1."""
        self.pictures += 1
        owner = np.full(len(truth), -1)
        for index, (box, score) in enumerate(zip(boxes, scores, strict=True)):
            shared = overlap(box, truth) if len(truth) else np.zeros(0)
            shared[owner >= 0] = 0.0
            if len(shared) and shared.max() >= _HIT:
                owner[int(shared.argmax())] = index
                self.scores.append(score)
                self.right.append(True)
            elif not (len(ignored) and overlap(box, ignored).max() >= _HIT / 2):
                self.scores.append(score)
                self.right.append(False)
        self.found += [scores[i] if i >= 0 else 0.0 for i in owner]
        self.sides += [float(max(b[2] - b[0], b[3] - b[1])) for b in truth]
        return owner.tolist()

    def threshold_at(self, false_boxes: float) -> float:
        """The lowest score at which at most so many boxes a picture are false."""
        wrong = np.sort([s for s, right in zip(self.scores, self.right, strict=True) if not right])[::-1]
        allowed = int(false_boxes * self.pictures)
        return float(np.nextafter(wrong[allowed], 1)) if allowed < len(wrong) else _LEAST

    def recall(self, threshold: float, low: float = 0.0, high: float = float("inf")) -> tuple[float, int]:
        """The share found, and of how many, among those of this size."""
        chosen = [f >= threshold for f, side in zip(self.found, self.sides, strict=True) if low <= side < high]
        return (float(np.mean(chosen)) if chosen else float("nan")), len(chosen)


@dataclass(frozen=True, slots=True)
class _Named:
    """What the bank says about one box: `right` None where it is no logo of a brand that the bank has."""

    scene: int
    side: float
    similarity: float
    lead: float
    right: bool | None


def on_scenes(
    finder: LogoFinder, maker: SceneMaker, count: int, *, seed: int, bank: int = _BANK, lead: float = _LEAD
) -> dict[str, Any]:
    """Made scenes: recall by size, and what a bank of `bank` brands that training never saw makes of each box.

    `lead`: how much less alike the next brand must be for a brand to count, as in the policy.
    """
    known, icons = _bank(finder, maker, bank)
    logos, hidden, named = Detections(), Detections(), []
    for number in range(count):
        scene = maker.scene(np.random.default_rng([seed, number]))
        found = finder.detect([scene.image], least=_LEAST)[0]
        is_logo = scene.labels == LOGO
        _match(hidden, [b for b in found if b.kind == "obscured"], scene, ~is_logo)
        boxes = [b for b in found if b.kind == "logo"]
        owners = _match(logos, boxes, scene, is_logo)
        named += _name(finder, known, icons, scene, boxes, owners, number)
    return _figures(finder, logos, hidden, named, len(icons), lead)


def _match(into: Detections, boxes: Sequence[LogoBox], scene: Scene, mine: NDArray[np.bool_]) -> list[int]:
    pixels = _pixels([b.box for b in boxes], scene.image)
    return into.add(pixels, [b.score for b in boxes], scene.boxes[mine], scene.ignored)


def _name(
    finder: LogoFinder,
    known: KnownBrands,
    icons: dict[str, Icon],
    scene: Scene,
    boxes: Sequence[LogoBox],
    owners: Sequence[int],
    number: int,
) -> list[_Named]:
    """Every box from the bundle's threshold on, asked for its brand."""
    sure = [i for i, box in enumerate(boxes) if box.score >= finder.config.thresholds["logo"]]
    matches = known.match(finder.look_at(scene.image, [boxes[i].box for i in sure]))
    brands = [b for b, label in zip(scene.brands, scene.labels, strict=True) if label == LOGO]
    sides = (scene.boxes[:, 2:] - scene.boxes[:, :2]).max(axis=1)[scene.labels == LOGO]
    owned = {box: true for true, box in enumerate(owners) if box >= 0}
    answers = []
    for i, match in zip(sure, matches, strict=True):
        true = owned.get(i)
        right = None if true is None or brands[true] not in icons else match.name == brands[true]
        side = 0.0 if true is None else float(sides[true])
        answers.append(_Named(number, side, match.similarity, match.lead, right))
    return answers


def _figures(
    finder: LogoFinder, logos: Detections, hidden: Detections, named: Sequence[_Named], bank: int, lead: float
) -> dict[str, Any]:
    limits, at_tenth = finder.config.thresholds, logos.threshold_at(0.1)
    large = [n.right for n in named if n.right is not None and n.side >= 48]
    # The likest wrong answer of each scene: what must stay below the limit of likeness.
    likest: dict[int, float] = {}
    for n in named:
        if not n.right and n.lead >= lead:
            likest[n.scene] = max(likest.get(n.scene, 0.0), n.similarity)
    wrong = np.array([likest.get(i, 0.0) for i in range(logos.pictures)])
    counted = [n for n in named if n.right and n.similarity >= finder.config.similarity and n.lead >= lead]
    to_name = sum(n.right is not None for n in named)
    return {
        "scenes": logos.pictures, "bank": bank, "logos": len(logos.found),
        "recall_at_0.1_false": logos.recall(at_tenth)[0], "threshold_at_0.1_false": at_tenth,
        "recall": logos.recall(limits["logo"])[0], "false_boxes": _false(logos, limits["logo"]),
        "threshold_at_1_false": logos.threshold_at(1.0),
        "recall_by_side": {
            f"{a}-{b}" if b < 10_000 else f"{a}+": logos.recall(limits["logo"], a, b) for a, b in _SIZES
        },
        "top1_from_48": float(np.mean(large)), "top1_of": len(large),
        "top1_by_side": {
            f"{a}": float(np.mean([n.right for n in named if n.right is not None and a <= n.side < b] or [np.nan]))
            for a, b in _SIZES
        },
        "named": len(counted) / max(to_name, 1), "scenes_wrong": float((wrong >= finder.config.similarity).mean()),
        "wrong_99th": float(np.quantile(wrong, 0.99)),
        "obscured": len(hidden.found), "obscured_threshold": hidden.threshold_at(0.03),
        "obscured_recall": hidden.recall(limits["obscured"])[0],
        "obscured_false_boxes": _false(hidden, limits["obscured"]),
    }  # fmt: skip


def on_photos(finder: LogoFinder, folder: Path, *, false_boxes: float = 0.1) -> dict[str, Any]:
    """Real photos with boxes (`boxes.jsonl`): the first photo of each brand gives its bank picture, the others test."""
    by_brand: dict[str, dict[str, list[list[float]]]] = {}
    for line in (folder / "boxes.jsonl").read_text(encoding="utf-8").splitlines():
        photo = json.loads(line)
        by_brand.setdefault(photo["brand"], {}).setdefault(photo["file"], []).append(photo["box_px"])
    bank = KnownBrands(
        [
            KnownBrand(brand, brand, _cropped(finder, folder / next(iter(photos)), next(iter(photos.values()))))
            for brand, photos in sorted(by_brand.items())
        ]
    )
    logos, answers, given = Detections(), [], []
    for brand, photos in sorted(by_brand.items()):
        for name, true in list(photos.items())[1:]:
            image, truth = _read(folder / name), np.array(true, np.float32)
            boxes = [b for b in finder.detect([image], least=_LEAST)[0] if b.kind == "logo"]
            pixels = _pixels([b.box for b in boxes], image)
            owners = logos.add(pixels, [b.score for b in boxes], truth, np.empty((0, 4), np.float32))
            hits = [o for o in owners if o >= 0]
            matches = bank.match(finder.look_at(image, [boxes[o].box for o in hits]))
            answers += [(boxes[o].score, m.name == brand) for o, m in zip(hits, matches, strict=True)]
            # What the embedding says about the true places, whatever the detector finds.
            at_truth = bank.match(finder.look_at(image, [_fraction(t, image) for t in truth]))
            given += [m.name == brand for m in at_truth]
    threshold = logos.threshold_at(false_boxes)
    right = [r for score, r in answers if score >= threshold]
    return {
        "photos": logos.pictures, "logos": len(logos.found), "threshold": threshold,
        "recall": logos.recall(threshold)[0], "recall_interval": _interval([f >= threshold for f in logos.found]),
        "recall_at_bundle_threshold": logos.recall(finder.config.thresholds["logo"])[0],
        "false_at_bundle_threshold": _false(logos, finder.config.thresholds["logo"]),
        "recall_of_any": logos.recall(_LEAST)[0],
        "top1": float(np.mean(right)) if right else float("nan"), "top1_of": len(right),
        "top1_interval": _interval(right),
        "top1_of_any": float(np.mean([r for _, r in answers])),
        "top1_on_true_boxes": float(np.mean(given)),
    }  # fmt: skip


def false_brands(
    finder: LogoFinder, bank: KnownBrands, pictures: Iterable[tuple[Picture, frozenset[str]]], *, lead: float = _LEAD
) -> dict[str, Any]:
    """Pictures with the brands (lower case) that they do show: how many show another one, as a scan would say."""
    wrong, right, there, count = [], 0, 0, 0
    for image, shown in pictures:
        count += 1
        boxes = [b for b in finder.detect([image])[0] if b.kind == "logo"]
        matches = bank.match(finder.look_at(image, [b.box for b in boxes]))
        named = {m.name for m in matches if m.similarity >= finder.config.similarity and m.lead >= lead}
        wrong += sorted(name for name in named if name.lower() not in shown)[:1]
        there += bool(shown)
        right += any(name.lower() in shown for name in named)
    return {"pictures": count, "with_a_brand": len(wrong), "brands": sorted(set(wrong)), "right": right, "of": there}


def marked_photos(folder: Path, marks: Path, bank: KnownBrands) -> Iterator[tuple[Picture, frozenset[str]]]:
    """The measuring half of the product photos, with the brands of the bank that were marked on them by hand."""
    for line in marks.read_text(encoding="utf-8").splitlines():
        photo = json.loads(line)
        shown = frozenset(m["brand"] for m in photo["marks"] if m["brand"] and m["legible"])
        yield _read(folder / photo["file"]), shown & bank.names


def clip_frames(folder: Path) -> Iterator[tuple[Picture, frozenset[str]]]:
    """A frame a second of every clip below a folder that can be read."""
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".mp4", ".mkv", ".mov", ".webm", ".avi"}):
        try:
            with open_media(path) as media:
                for frame in media.frames() if media.info.has_video else ():
                    yield frame.image, frozenset()
        except InputError:
            continue


def _bank(finder: LogoFinder, maker: SceneMaker, count: int) -> tuple[KnownBrands, dict[str, Icon]]:
    """The first `count` brands, by one clean picture each, as `bank add` would embed it; the others are strangers."""
    icons = {brand: maker.icons_of(brand)[0] for brand in maker.brands[:count]}
    side = finder.config.crop_side
    known = [
        KnownBrand(brand, brand, finder.embed(list(reference_crops(icon.art, drawn=True, side=side))))
        for brand, icon in icons.items()
    ]
    return KnownBrands(known), icons


def _cropped(finder: LogoFinder, path: Path, true: list[list[float]]) -> NDArray[np.float32]:
    """The largest logo of a photo, cut out as a user would, as `bank add` would embed it."""
    image, boxes = _read(path), np.array(true, np.float32)
    x0, y0, x1, y1 = boxes[int(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).argmax())].round().astype(int)
    piece = image[max(y0, 0) : y1, max(x0, 0) : x1]
    opaque = np.dstack([piece, np.full(piece.shape[:2], 255, np.uint8)])
    return finder.embed(list(reference_crops(opaque, drawn=False, side=finder.config.crop_side)))


def _read(path: Path) -> Picture:
    image = cv2.imread(str(path))
    if image is None:
        raise InputError(f"{path}: not a picture that can be read.")
    return image.astype(np.uint8, copy=False)


def _pixels(boxes: Sequence[Box], image: Picture) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    return np.array([[b.x0 * width, b.y0 * height, b.x1 * width, b.y1 * height] for b in boxes], np.float32).reshape(
        -1, 4
    )


def _fraction(box: NDArray[np.float32], image: Picture) -> Box:
    height, width = image.shape[:2]
    return Box(float(box[0]) / width, float(box[1]) / height, float(box[2]) / width, float(box[3]) / height)


def _false(detections: Detections, threshold: float) -> float:
    """False boxes a picture from this score on."""
    wrong = [s for s, right in zip(detections.scores, detections.right, strict=True) if not right and s >= threshold]
    return len(wrong) / max(detections.pictures, 1)


def _interval(values: Sequence[bool]) -> tuple[float, float]:
    """90% of the bootstrap's means."""
    if not values:
        return float("nan"), float("nan")
    rng = np.random.default_rng(0)
    means = rng.choice(np.array(values, float), (2000, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.05)), float(np.quantile(means, 0.95))
