"""Reading a lexicon folder: what it holds, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from moderation.errors import PolicyError
from moderation.text.lexicon import Lexicon

HEAD = "label: medical_claim\nlanguage: zh\nentries:\n"
GOOD = "- {term: '根治', strength: review, category: cure, example: 能根治, counter: 治水}\n"


def write(folder: Path, entries: str, name: str = "medical_claim.zh.yaml", head: str = HEAD) -> Path:
    (folder / name).write_text(head + entries, encoding="utf-8")
    return folder


def test_an_entry_is_read_with_its_defaults(tmp_path: Path) -> None:
    (entry,) = Lexicon.load(write(tmp_path, GOOD)).entries
    assert (entry.label, entry.language, entry.strength, entry.category) == ("medical_claim", "zh", "review", "cure")
    assert (entry.term, entry.within, entry.sound, entry.guards) == ("根治", 12, False, True)
    assert "comment" not in entry.sources
    assert {"speech", "screen", "title"} <= entry.sources
    assert entry.examples == ("能根治",)
    assert entry.where == "medical_claim.zh.yaml:4"


@pytest.mark.parametrize(
    ("keys", "category", "source", "applies"),
    [
        ("", None, "speech", True),
        ("", None, "comment", False),
        ("only_in: [food], ", None, "speech", False),
        ("only_in: [food], ", "food", "speech", True),
        ("not_in: [drug], ", "drug", "speech", False),
        ("not_in: [drug], ", None, "speech", True),
        ("sources: [comment], ", None, "comment", True),
        ("sources: [comment], ", None, "speech", False),
    ],
)
def test_an_entry_applies_by_goods_and_source(
    tmp_path: Path, keys: str, category: str | None, source: str, *, applies: bool
) -> None:
    (entry,) = Lexicon.load(write(tmp_path, GOOD.replace("{", "{" + keys))).entries
    assert entry.applies(category, source) is applies


@pytest.mark.parametrize(
    ("entries", "line", "message"),
    [
        (GOOD.replace("strength", "strenght"), 4, "unknown key 'strenght'"),
        (GOOD.replace("review", "maybe"), 4, "unknown strength 'maybe'"),
        (GOOD.replace("category: cure", "category: Cure It"), 4, "category 'Cure It'"),
        (GOOD.replace(", example: 能根治", ""), 4, "'example' is missing"),
        (GOOD.replace(", counter: 治水", ""), 4, "'counter' is missing"),
        (GOOD.replace("example: 能根治", "example: "), 4, "expected text"),
        (GOOD.replace("'根治'", "'<nobody>根治'"), 4, "unknown set <nobody>"),
        (GOOD.replace("term: '根治'", "all: ['根治']"), 4, "'all' needs two"),
        (GOOD.replace("{", "{all: [根治, 断根], "), 4, "either 'term' or 'all'"),
        (GOOD.replace("{", "{within: 4, "), 4, "'within' goes with 'all'"),
        (GOOD.replace("{", "{sound: perhaps, "), 4, "'sound' is true or false"),
        (GOOD.replace("{", "{sources: [radio], "), 4, "unknown source 'radio'"),
        (GOOD.replace("{", "{only_in: [cars], "), 4, "unknown goods category 'cars'"),
        (GOOD.replace("'根治'", "'喝{4}根治'").replace("{term", "{sound: true, term"), 4, "cannot be matched by sound"),
        (GOOD + GOOD, 5, "is also at medical_claim.zh.yaml:4"),
        ("- 根治\n", 4, "expected keys and values"),
        ("- {term: 根治, [}\n", 4, "not YAML"),
    ],
)
def test_each_mistake_has_its_line_and_a_fix(tmp_path: Path, entries: str, line: int, message: str) -> None:
    _, mistakes = Lexicon.read(write(tmp_path, entries))
    found = [m for m in mistakes if message in m.message]
    assert found, mistakes
    assert found[0].line == line
    assert found[0].fix


def test_a_pattern_mistake_points_to_its_column(tmp_path: Path) -> None:
    _, (mistake,) = Lexicon.read(write(tmp_path, GOOD.replace("'根治'", "'根治)'")))
    assert mistake.column == GOOD.index("根治") + 1 + len("根治")


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("review", "maybe") + GOOD.replace("'根治'", "'('"))
    write(tmp_path, GOOD, name="superstition.zh.yaml")
    with pytest.raises(PolicyError) as caught:
        Lexicon.load(tmp_path)
    for part in ("3 mistake(s)", "medical_claim.zh.yaml:4", "medical_claim.zh.yaml:5", "superstition.zh.yaml:1"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("disease: []\n", "no words"),
        ("Disease: [糖尿病]\n", "set name"),
        ("disease: [糖尿病]\ndisease: [痛风]\n", "given twice"),
        ("- 糖尿病\n", "expected keys"),
        ("", "empty"),
    ],
)
def test_mistakes_in_sets(tmp_path: Path, sets: str, message: str) -> None:
    (tmp_path / "sets.zh.yaml").write_text(sets, encoding="utf-8")
    _, mistakes = Lexicon.read(tmp_path)
    assert any(message in m.message for m in mistakes), mistakes


def test_a_set_is_defined_once_over_all_files(tmp_path: Path) -> None:
    for name in ("sets.zh.yaml", "sets.medical_claim.zh.yaml"):
        (tmp_path / name).write_text("disease: [糖尿病]\n", encoding="utf-8")
    _, (mistake,) = Lexicon.read(tmp_path)
    assert "defined twice" in mistake.message


def test_a_missing_folder_is_a_mistake(tmp_path: Path) -> None:
    _, (mistake,) = Lexicon.read(tmp_path / "nowhere")
    assert "no such lexicon folder" in mistake.message
