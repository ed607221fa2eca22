"""All mistakes of a policy folder at once, each with line and fix; every example of the lexicon is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moderation.policy.load import read_policy
from moderation.text.check import check_guards, check_lexicon
from moderation.text.schema import Mistake


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What is wrong with a policy, and one line on what it holds."""

    mistakes: tuple[Mistake, ...]
    summary: str


def check_policy(path: Path) -> CheckResult:
    """Check a policy folder, or one file of it (then only that file's mistakes count)."""
    folder, only = (path, None) if path.is_dir() else (_folder_of(path), path.name)
    policy, mistakes = read_policy(folder)
    report = check_lexicon(folder / "lexicon", guards=folder / "guards.yaml", only=[only] if only else [])
    mistakes = [*mistakes, *report.mistakes, *check_guards(folder / "guards.yaml")]
    if only is not None:
        mistakes = [m for m in mistakes if m.file == only or not path.exists()]
    return CheckResult(tuple(sorted(set(mistakes))), _summary(report.counts, policy.hash if policy else None))


def _folder_of(path: Path) -> Path:
    """The policy folder that a single file belongs to."""
    return next((parent for parent in path.parents if (parent / "policy.yaml").is_file()), path.parent)


def _summary(counts: dict[tuple[str, str], int], policy_hash: str | None) -> str:
    by_language: dict[str, int] = {}
    for (_, language), count in counts.items():
        by_language[language] = by_language.get(language, 0) + count
    entries = ", ".join(f"{count} {language}" for language, count in sorted(by_language.items()))
    return f"{sum(counts.values())} terms ({entries}). {policy_hash or ''}".rstrip()
