from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from moderation.commands.text import parse_lines
from moderation.scoring import TextRequest


def test_plain_lines_are_numbered_and_blank_ones_skipped() -> None:
    items = list(parse_lines(["好茶".encode(), b"", b"two"]))
    assert items == [TextRequest("1", "好茶"), TextRequest("3", "two")]


def test_a_bad_json_line_is_answered_and_the_rest_go_on() -> None:
    lines = [
        b'{"id": 7, "text": "a", "category": "food", "source": "title"}',
        b"not json",
        b'{"id": "x"}',
        b'{"id": "y", "text": 3}',
        b"[1]",
        b'{"id": "z", "text": "b", "category": "toys"}',
        b'{"text": "last"}',
        b"\xff\xfe",
    ]
    items = list(parse_lines(lines))
    assert items[0] == TextRequest(7, "a", "food", "title")
    assert items[6] == TextRequest("7", "last")
    errors = [item for item in items if isinstance(item, dict)]
    assert [e["id"] for e in errors] == ["2", "x", "y", "5", "z", "8"]
    assert all(set(e) == {"id", "error"} and e["error"]["message"] for e in errors)


@given(st.lists(st.binary(max_size=40) | st.text().map(lambda t: json.dumps({"text": t}).encode())))
def test_any_bytes_give_items_or_errors(lines: list[bytes]) -> None:
    for item in parse_lines(lines):
        assert isinstance(item, TextRequest) or "error" in item
