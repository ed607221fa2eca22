"""Checks a lexicon and its guards: their schema, and that every example does what it is there for.

`python -m moderation.text.check FOLDER [FILE …]` prints each mistake with file, line and reason, then
counts by label and language; exit status 1 where there are mistakes. With FILEs, only theirs count.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moderation.text.guards import Guards, Hit
from moderation.text.lexicon import Entry, Lexicon
from moderation.text.matcher import Explained, TermMatcher, TextItem
from moderation.text.normalise import normalise
from moderation.text.schema import Mistake


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What is wrong with a lexicon, and how many sound entries it has by (label, language)."""

    mistakes: tuple[Mistake, ...]
    counts: dict[tuple[str, str], int]


def check_lexicon(folder: Path, *, guards: Path | None = None, only: Iterable[str] = ()) -> CheckReport:
    """Check the lexicon in `folder`; `only` limits the report to files of these names.

    `guards` defaults to `guards.yaml` beside the folder.
    """
    files = set(only)
    lexicon, mistakes = Lexicon.read(folder)
    rules, _ = Guards.read(guards or folder.parent / "guards.yaml")
    entries = [e for e in lexicon.entries if not files or _place(e)[0] in files]
    mistakes += _tried(entries, Lexicon(tuple(entries), lexicon.sets), rules)
    shown = sorted({m for m in mistakes if not files or m.file in files})
    return CheckReport(tuple(shown), dict(Counter((e.label, e.language) for e in entries)))


def check_guards(path: Path) -> list[Mistake]:
    """Mistakes of `guards.yaml`: its schema, and that each guard drops and keeps its own examples."""
    guards, mistakes = Guards.read(path)
    for guard in guards.guards:
        alone = Guards((guard,), guards.openers, guards.shifts)
        label, source = min(guard.labels), "speech" if "speech" in guard.sources else min(guard.sources)
        for example, drop in [(e, True) for e in guard.drops] + [(e, False) for e in guard.keeps]:
            reading = normalise(example.text)
            start, end = np.searchsorted(reading.starts, (example.start, example.end)).tolist()
            hit = Hit(reading.text, start, end)
            held = alone.reason(hit, label=label, source=source, breaks=reading.breaks.tolist())
            if (held is not None) != drop:
                message = f"guard '{guard.name}' must {'drop' if drop else 'keep'} its example '{example.text}'"
                mistakes.append(Mistake(path.name, example.line, 1, message, "change the guard or the example"))
    return mistakes


def _tried(entries: Sequence[Entry], lexicon: Lexicon, guards: Guards) -> list[Mistake]:
    """Every example and counter, read as the entry's own source and goods category."""
    matcher = TermMatcher(lexicon, guards)
    cases = [(e, text, True) for e in entries for text in e.examples]
    cases += [(e, text, False) for e in entries for text in e.counters]
    results = matcher.explain_many([_item(entry, text) for entry, text, _ in cases])
    mistakes: list[Mistake] = []
    for (entry, text, wanted), result in zip(cases, results, strict=True):
        stands, reason = _outcome(entry, result)
        file, line = _place(entry)
        if wanted and not stands:
            fix = f"let go by {reason}" if reason else "the term is not in the sentence"
            mistakes.append(Mistake(file, line, 1, f"'{entry.term}' must match its example '{text}'", fix))
        elif stands and not wanted:
            fix = "add an allow pattern, narrow the term, or choose another counter"
            mistakes.append(Mistake(file, line, 1, f"'{entry.term}' must not match its counter '{text}'", fix))
    return mistakes


def _item(entry: Entry, text: str) -> TextItem:
    source = "speech" if "speech" in entry.sources else min(entry.sources)
    return TextItem(text, min(entry.only_in, default=None), source)  # type: ignore[arg-type]


def _outcome(entry: Entry, result: Explained) -> tuple[bool, str]:
    """Whether the entry matched, and if not, what dropped it."""
    if any(m.entry == entry.where and m.term == entry.term for m in result.matches):
        return True, ""
    reasons = [d.reason for d in result.dropped if d.match.entry == entry.where and d.match.term == entry.term]
    if any(r.startswith("merged:") for r in reasons):
        return True, ""
    return False, "; ".join(dict.fromkeys(reasons))


def _place(entry: Entry) -> tuple[str, int]:
    file, line = entry.where.rsplit(":", 1)
    return file, int(line)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m moderation.text.check", description=__doc__)
    parser.add_argument("folder", type=Path, help="the lexicon folder, for example configs/policy/lexicon")
    parser.add_argument("files", nargs="*", type=Path, help="report on these files only")
    options = parser.parse_args(arguments)
    report = check_lexicon(options.folder, only=[f.name for f in options.files])
    mistakes = [*report.mistakes, *check_guards(options.folder.parent / "guards.yaml")]
    write = sys.stdout.write
    for mistake in mistakes:
        write(f"{mistake}\n")
    for (label, language), count in sorted(report.counts.items()):
        write(f"{label}.{language}: {count} entries\n")
    write(f"{sum(report.counts.values())} entries, {len(mistakes)} mistakes\n")
    return 1 if mistakes else 0


if __name__ == "__main__":
    raise SystemExit(main())
