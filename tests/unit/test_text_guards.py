"""Guards and exemptions: the shipped ones by their own examples, and the rules they follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from moderation.errors import PolicyError
from moderation.text.check import check_guards
from moderation.text.guards import Guards, Hit

SHIPPED = Path(__file__).parents[2] / "configs" / "policy" / "guards.yaml"

SMALL = """\
clause_openers: [但是, ' but ']
subject_shifts: [别家]
guards:
- {name: denial, why: no, before: [不能], reach: 2, unless: [谁说], drops: ['不能[[根治]]'], keeps: ['能[[根治]]']}
- {name: fraud, why: no, after: [骗], unless_sentence: [不骗], drops: ['[[根治]]是骗人'], keeps: ['[[根治]]了']}
- {name: asked, why: no, around: [请问], unless_next: [当然], drops: ['请问[[根治]]'], keeps: ['[[根治]]']}
exemptions:
- {name: grade, why: g, basis: b, labels: [absolute_term], covers: [特级初榨],
   drops: ['[[特级]]初榨'], keeps: ['[[特级]]']}
- {name: share, why: g, basis: b, labels: [absolute_term], sentence: [[据], [年]],
   drops: ['据去年[[第一]]'], keeps: ['[[第一]]']}
"""


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory) -> Guards:
    path = tmp_path_factory.mktemp("policy") / "guards.yaml"
    path.write_text(SMALL, encoding="utf-8")
    assert check_guards(path) == []
    return Guards.load(path)


def held_by(
    guards: Guards, text: str, word: str, *, label: str = "medical_claim", gap: str = "", general: bool = True
) -> str:
    start = text.index(word)
    gaps = ((text.index(gap), text.index(gap) + len(gap)),) if gap else ()
    guard = guards.reason(Hit(text, start, start + len(word), gaps), label=label, source="speech", general=general)
    return guard.name if guard else ""


def test_shipped_guards_drop_and_keep_their_examples() -> None:
    assert [str(m) for m in check_guards(SHIPPED)] == []


def test_every_shipped_guard_has_examples_of_both_kinds() -> None:
    for guard in Guards.load(SHIPPED).guards:
        assert guard.drops, guard.name
        assert guard.keeps or guard.exemption, guard.name
        assert guard.basis or not guard.exemption, guard.name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("这个不能根治", "denial"),
        ("这个不能真的根治", "denial"),  # two characters between
        ("这个不能说是完全根治", ""),  # too far
        ("不能退,根治", ""),  # another clause
        ("不能退但是根治", ""),  # a disclaimer followed by a claim
        ("谁说不能根治", ""),
        ("根治,都是骗人", "fraud"),
        ("根治,但是别的骗人", ""),  # the sentence turned
        ("根治,别家骗人", ""),  # somebody else
        ("根治。都是骗人", ""),  # another sentence
        ("根治,不骗人", ""),
        ("请问能根治", "asked"),
        ("请问能根治?当然", ""),
    ],
)
def test_a_guard_looks_no_farther_than_its_clause_and_sentence(guards: Guards, text: str, name: str) -> None:
    assert held_by(guards, text, "根治") == name


def test_a_denial_inside_a_gap_counts(guards: Guards) -> None:
    assert held_by(guards, "喝了不能根治", "喝了不能根治") == ""
    assert held_by(guards, "喝了不能根治", "喝了不能根治", gap="了不能") == "denial"


def test_a_break_ends_a_clause(guards: Guards) -> None:
    text = "不能退根治"
    assert guards.reason(Hit(text, 3, 5), label="medical_claim", source="speech", breaks=[]) is not None
    assert guards.reason(Hit(text, 3, 5), label="medical_claim", source="speech", breaks=[3]) is None


def test_exemptions_cover_their_label_only(guards: Guards) -> None:
    assert held_by(guards, "特级初榨橄榄油", "特级", label="absolute_term") == "grade"
    assert held_by(guards, "特级初榨橄榄油", "特级", label="superstition") == ""
    assert held_by(guards, "据统计去年第一", "第一", label="absolute_term") == "share"
    assert held_by(guards, "据统计第一", "第一", label="absolute_term") == ""


def test_an_entry_without_guards_still_has_the_exemptions(guards: Guards) -> None:
    assert held_by(guards, "不能根治", "根治", general=False) == ""
    assert held_by(guards, "特级初榨", "特级", label="absolute_term", general=False) == "grade"


def test_guards_are_switched_off_by_name(guards: Guards) -> None:
    assert held_by(guards.without(["denial"]), "不能根治", "根治") == ""
    with pytest.raises(KeyError, match="nobody"):
        guards.without(["nobody"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("reach: 2", "reach: far"), "'reach' is a whole number"),
        (("why: no", "wy: no"), "unknown key 'wy'"),
        (("basis: b, ", ""), "'basis' is missing"),
        (("[[根治]]'], keeps: ['能", "根治'], keeps: ['能"), "marks no hit"),
        (("name: fraud", "name: denial"), "defined twice"),
        (("labels: [absolute_term]", "labels: [boasting]"), "unknown label"),
        (("before: [不能]", "before: ['(不能']"), "never closed"),
        (("drops: ['不能[[根治]]']", "drops: ['也能[[根治]]']"), "must drop its example"),
        (("keeps: ['能[[根治]]']", "keeps: ['不能[[根治]]']"), "must keep its example"),
    ],
)
def test_mistakes_have_a_line_and_a_fix(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "guards.yaml"
    path.write_text(SMALL.replace(*change, 1), encoding="utf-8")
    found = [m for m in check_guards(path) if message in m.message]
    assert found
    assert found[0].line >= 4
    assert found[0].fix


def test_load_refuses_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "guards.yaml"
    path.write_text("guards: 3\n", encoding="utf-8")
    with pytest.raises(PolicyError, match="expected a list"):
        Guards.load(path)
