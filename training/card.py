"""The card of a bundle: what it is, where it comes from, what was measured, what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_INTRODUCTION = """# {name}

Multi-label classifier for claims in live-commerce texts (Chinese, English): one probability a label for a text, with the
words that carry it. It runs as int8 ONNX on a CPU; `moderation` loads it, checks its hashes and applies calibration and
thresholds of `config.json`.

**Meant for** sorting videos and live segments for human review, and blocking only where the threshold `block` is given.
**Not meant for** judging people, for languages it was not trained on, or as the only ground of a penalty: a probability is no
proof, and its share of errors on your own traffic must be measured there. Scores of two bundles are not comparable; their
calibrated thresholds are.
"""


def write_card(path: Path, name: str, training: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Write `README.md` of a bundle from what its manifest says."""
    parts = [_INTRODUCTION.format(name=name), _origin(training)]
    if test := metrics.get("test"):
        parts += _test(test)
    if penalty := metrics.get("penalty_cases"):
        parts.append(
            f"## Fined claims\n\n{penalty['claims']} of {penalty['of']} published cases carry a claim under the policy "
            f"(marked by hand). Flagged `medical_claim` or `efficacy_guarantee` at review: **{_percent(penalty['flagged'])}**. "
            "None of them was trained on.\n"
        )
    if "calibration" in metrics:
        parts.append(_calibration(metrics["calibration"]))
    if changed := metrics.get("before_after"):
        parts.append(_before_after(changed))
    path.write_text("\n".join(parts), encoding="utf-8")


def _origin(training: Mapping[str, Any]) -> str:
    rows = "\n".join(f"- {key}: `{value}`" for key, value in training.items() if key not in {"config", "held_out"})
    settings = training.get("config", {})
    stages = "; ".join(
        f"{s['epochs']} epochs at {s['learning_rate']:g}" + (f", layers {s['keep_layers']}" if s["keep_layers"] else "")
        for s in settings.get("stages", ())
    )
    return (
        f"## Origin\n\n{rows}\n- seed {settings.get('seed')}; stages: {stages}; all settings are in `manifest.json`\n"
    )


def _test(test: Mapping[str, Any]) -> list[str]:
    parts = [
        "## Frozen test split\n\nWritten by people who saw only the policy, never the training items; read by nothing that "
        "trains or sets thresholds. The int8 graph as a worker runs it. PR-AUC is average precision; recall and false "
        "positives are at the review threshold.\n"
    ]
    languages = [key for key in ("zh", "en") if key in test]
    for language in languages:
        parts.append(_language(language, test[language]))
    parts.append(
        f"Calibration error (pooled pairs scored 0.1 and more): {test['calibration_error']:.3f}\n\n"
        "![precision and recall by label](precision_recall.png)\n\n![reliability](reliability.png)\n"
    )
    return parts


def _language(language: str, report: Mapping[str, Any]) -> str:
    systems = [key for key, value in report.items() if isinstance(value, Mapping) and "macro" in value]
    lines = [f"### {'Chinese' if language == 'zh' else 'English'}: {report['items']} items\n"]
    lines.append(f"| label | n | {' | '.join(systems)} | recall | R@P.8 | R@P.9 | R@P.95 |")
    lines.append("|" + "---|" * (len(systems) + 6))
    ours = report["classifier"]
    for label, row in ours["labels"].items():
        figures = " | ".join(f"{report[s]['labels'][label]['pr_auc']:.3f}" for s in systems)
        lines.append(
            f"| {label} | {row['positives']} | {figures} | {report['at_review']['recall'][label]:.2f} | "
            + " | ".join(f"{row[f'recall_at_{p}']:.2f}" for p in (0.8, 0.9, 0.95))
            + " |"
        )
    macro = " | ".join(f"**{report[s]['macro']['pr_auc']:.3f}**" for s in systems)
    lines.append(
        f"| **macro** | | {macro} | **{report['at_review']['recall']['macro']:.2f}** | "
        + " | ".join(f"{ours['macro'][f'recall_at_{p}']:.2f}" for p in (0.8, 0.9, 0.95))
        + " |\n"
    )
    for name, row in report["error_reduction"].items():
        lines.append(
            f"- 1 − PR-AUC against {name}: {_percent(row['reduction'])} lower "
            f"(90% interval {_percent(row['low'])} to {_percent(row['high'])})"
        )
    false = report["at_review"]["false_positives"]
    lines.append(
        f"- flagged for any label: {_share(false['ordinary'])} of ordinary copy, {_share(false['contrast'])} of minimal "
        f"contrasts; macro F1 {report['at_review']['macro_f1']:.3f}"
    )
    both = report["fused_at_review"]
    lines.append(
        f"- together with the terms of the shipped policy: recall {both['recall']['macro']:.2f}, flagged "
        f"{_share(both['false_positives']['ordinary'])} of ordinary copy, {_share(both['false_positives']['contrast'])} of "
        f"minimal contrasts"
    )
    block = report["at_block"]
    lines.append(
        f"- block: recall {_percent(block['recall'])}, {block['wrong_pairs']} of {block['innocent_pairs']} innocent pairs wrong, "
        f"{block['innocent_items_blocked']} innocent texts blocked"
    )
    for name, row in report["slices"].items():
        plain, changed = row["plain"], row[name]
        lines.append(
            f"- {name}, {row['items']} twins: micro PR-AUC {changed['micro_pr_auc']:.3f} (plain {plain['micro_pr_auc']:.3f}), "
            f"recall {_percent(changed['recall_at_review'])} (plain {_percent(plain['recall_at_review'])})"
        )
    for kind in ("category", "source"):
        lines.append(
            f"- false positives by {kind}: " + ", ".join(f"{k or '–'} {_share(v)}" for k, v in false[kind].items())
        )
    return "\n".join(lines) + "\n"


def _calibration(calibration: Mapping[str, Any]) -> str:
    cost, guarantee = calibration["int8_cost"], calibration["block_guarantee"]
    lines = [
        f"## Calibration and thresholds\n\n{calibration['items']} items that trained nothing set Platt scaling and thresholds.\n",
        f"Review from {calibration['review_threshold']:.3f} (90% interval {calibration['review_interval'][0]:.3f} to "
        f"{calibration['review_interval'][1]:.3f}), for every label.",
    ]
    if guarantee:
        lines.append(
            f"\nBlock from {guarantee['threshold']:.3f}: with {_percent(guarantee['confidence'])} confidence at most "
            f"{100 * guarantee['false_positive_rate_at_most']:.3f}% of innocent pairs of text and label reach it and at least "
            f"{_percent(guarantee['recall_at_least'])} of the violating ones do, pooled over labels "
            f"({guarantee['innocent_pairs']:.0f} and {guarantee['violating_pairs']:.0f} pairs, taken as independent)."
        )
    else:
        lines.append("\nBlock: off for every label; the items are too few, or too often wrong, for the guarantee.")
    lines.append(
        f"\nONNX float32 against PyTorch: {calibration['parity']:.1e} at most. int8 costs {cost['lost_points']:.2f} points of macro "
        f"F1 on these items ({cost['macro_f1_float']:.3f} → {cost['macro_f1_int8']:.3f}).\n"
    )
    return "\n".join(lines)


def _before_after(changed: Mapping[str, Any]) -> str:
    lines = [
        f"## Before and after your labels\n\nPR-AUC on {changed['items']} rows of yours that trained neither bundle.\n",
        "| label | positives | before | after |\n|---|---|---|---|",
    ]
    lines += [
        f"| {label} | {row['positives']} | {row['before']:.3f} | {row['after']:.3f} |"
        for label, row in changed.items()
        if isinstance(row, Mapping)
    ]
    return "\n".join(lines) + "\n"


def _share(row: Mapping[str, float]) -> str:
    return f"{_percent(row['flagged'])} of {row['items']:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"
