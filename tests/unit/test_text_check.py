"""The checker for authors of lexicons."""

from __future__ import annotations

from pathlib import Path

import pytest

from moderation.text.check import check_lexicon, main

HEAD = "label: medical_claim\nlanguage: zh\nentries:\n"
GUARDS = """\
guards:
- {name: denial, why: no, before: [不能], drops: ['不能[[根治]]'], keeps: ['能[[根治]]']}
"""


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    (tmp_path / "guards.yaml").write_text(GUARDS, encoding="utf-8")
    folder = tmp_path / "lexicon"
    folder.mkdir()
    return folder


def write(folder: Path, *entries: str) -> None:
    lines = "".join(f"- {{term: '根治', strength: review, category: cure, {e}}}\n" for e in entries)
    (folder / "medical_claim.zh.yaml").write_text(HEAD + lines, encoding="utf-8")


def test_a_sound_lexicon_has_no_mistakes(lexicon: Path) -> None:
    write(lexicon, "allow: [根治水患], example: [能根治, 跟之也根治], counter: [根治水患, 不能根治]")
    report = check_lexicon(lexicon)
    assert report.mistakes == ()
    assert report.counts == {("medical_claim", "zh"): 1}


@pytest.mark.parametrize(
    ("entry", "message", "fix"),
    [
        ("example: 治水, counter: 治水", "must match its example '治水'", "not in the sentence"),
        ("example: 不能根治, counter: 治水", "must match its example '不能根治'", "guard: denial"),
        ("allow: [根治的], example: 根治的, counter: 治水", "must match its example '根治的'", "allow: 根治的"),
        ("example: 能根治, counter: 根治水患", "must not match its counter '根治水患'", "allow pattern"),
    ],
)
def test_examples_and_counters_are_tried(lexicon: Path, entry: str, message: str, fix: str) -> None:
    write(lexicon, entry)
    (mistake,) = check_lexicon(lexicon).mistakes
    assert message in mistake.message
    assert fix in mistake.fix
    assert (mistake.file, mistake.line) == ("medical_claim.zh.yaml", 4)


def test_a_stronger_entry_over_the_same_words_is_no_mistake(lexicon: Path) -> None:
    write(lexicon, "example: 真能根治, counter: 治水")
    with (lexicon / "medical_claim.zh.yaml").open("a", encoding="utf-8") as stream:
        stream.write("- {term: '真能根治', strength: block, category: cure, example: 真能根治, counter: 真能}\n")
    assert check_lexicon(lexicon).mistakes == ()


def test_only_the_named_files_are_reported(lexicon: Path) -> None:
    write(lexicon, "example: 治水, counter: 治水")
    assert check_lexicon(lexicon, only=["superstition.zh.yaml"]).mistakes == ()


def test_the_command_prints_mistakes_and_counts(lexicon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(lexicon, "example: 能根治, counter: 治水")
    assert main([str(lexicon)]) == 0
    assert "medical_claim.zh: 1 entries" in capsys.readouterr().out
    write(lexicon, "example: 治水, counter: 治水")
    assert main([str(lexicon)]) == 1
    assert "medical_claim.zh.yaml:4" in capsys.readouterr().out
