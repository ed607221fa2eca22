from __future__ import annotations

from pathlib import Path

import pytest

from moderation.policy.document import Document, read_document, validate
from moderation.policy.schema import BrandsFile, QualificationsFile
from moderation.text.schema import Mistake


def parse(tmp_path: Path, text: str) -> Document | Mistake:
    path = tmp_path / "brands.yaml"
    path.write_text(text, "utf-8")
    return read_document(path)


def mistakes_of(tmp_path: Path, text: str) -> list[Mistake]:
    document = parse(tmp_path, text)
    assert isinstance(document, Document)
    checked = validate(document, BrandsFile)
    assert isinstance(checked, list)
    return checked


def test_a_value_knows_its_line(tmp_path: Path) -> None:
    document = parse(tmp_path, "brands:\n  - key: a\n    names: [a]\n  - key: b\n    names: [b]\n")
    assert isinstance(document, Document)
    assert document.line(("brands", 1, "key")) == 4
    assert document.line(("brands", 1, "floor_price", "bags")) == 4


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("brands:\n- key: a\n  names: [a]\n  naems: [b]\n", 4, "known keys"),
        ("brands:\n- key: a\n", 2, "missing"),
        ("brands:\n- {key: A B, names: [a]}\n", 2, "key"),
        ("brands:\n- {key: a, names: [a], ambiguous: [a]}\n", 2, "context"),
        ("brands:\n- {key: a, names: [x]}\n- {key: b, names: [X]}\n", 2, "names both"),
        ("brands:\n- key: a\n  names: [a]\n  floor_price: {bags: -5}\n", 4, "greater than 0"),
    ],
)
def test_each_mistake_has_its_line_and_what_to_do(tmp_path: Path, text: str, line: int, says: str) -> None:
    found = mistakes_of(tmp_path, text)
    assert any(m.line == line and says in str(m) for m in found), [str(m) for m in found]


@pytest.mark.parametrize(("text", "line"), [("brands: [\n", 2), ("a: 1\nb: 2\na: 3\n", 3), ("brands:\n\t- x\n", 2)])
def test_broken_yaml_and_double_keys_are_mistakes(tmp_path: Path, text: str, line: int) -> None:
    found = parse(tmp_path, text)
    assert isinstance(found, Mistake)
    assert found.line == line


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    found = read_document(tmp_path / "absent.yaml")
    assert isinstance(found, Mistake)


def test_a_qualification_must_pass_its_own_examples(tmp_path: Path) -> None:
    path = tmp_path / "qualifications.yaml"
    path.write_text(
        "rules:\n- category: drug\n  always: true\n  basis: x\n  needs:\n"
        "  - {name: drug_registration, pattern: '国药准字[HZSJB]\\d{8}', example: 国药准字H1, not_example: x}\n",
        "utf-8",
    )
    document = read_document(path)
    assert isinstance(document, Document)
    checked = validate(document, QualificationsFile)
    assert isinstance(checked, list)
    assert "does not match its example" in checked[0].message
    assert checked[0].line == 6
