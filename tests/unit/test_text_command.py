from __future__ import annotations

import io
import json
import os
import threading

from hypothesis import given
from hypothesis import strategies as st

from moderation.commands.text import LineParser, lines_at_hand
from moderation.types import TextRequest


def parse_lines(lines: list[bytes]) -> list[TextRequest | dict]:
    parser = LineParser()
    return [item for line in lines if (item := parser.parse(line)) is not None]


def test_plain_lines_are_numbered_and_blank_ones_skipped() -> None:
    items = parse_lines(["好茶".encode(), b"", b"two"])
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
    items = parse_lines(lines)
    assert items[0] == TextRequest(7, "a", "food", "title")
    assert items[6] == TextRequest("7", "last")
    errors = [item for item in items if isinstance(item, dict)]
    assert [e["id"] for e in errors] == ["2", "x", "y", "5", "z", "8"]
    assert all(set(e) == {"id", "error"} and e["error"]["message"] for e in errors)


@given(st.lists(st.binary(max_size=40) | st.text().map(lambda t: json.dumps({"text": t}).encode())))
def test_any_bytes_give_items_or_errors(lines: list[bytes]) -> None:
    for item in parse_lines(lines):
        assert isinstance(item, TextRequest) or "error" in item


@given(st.lists(st.binary(max_size=30)))
def test_lines_at_hand_are_the_lines_of_the_stream(lines: list[bytes]) -> None:
    stream = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
    read = [line for some in lines_at_hand(io.BufferedReader(io.BytesIO(stream))) for line in some]
    assert [line for line in read if line] == [x for line in lines if (x := line.replace(b"\n", b""))]


def test_a_line_is_answered_before_the_next_one_is_sent() -> None:
    reading, writing = os.pipe()
    answered = threading.Event()

    def send() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            pipe.write(b"one\n")
            assert answered.wait(10)
            pipe.write(b"two")

    sender = threading.Thread(target=send)
    sender.start()
    found = []
    with os.fdopen(reading, "rb") as stream:
        for lines in lines_at_hand(stream):
            found.append(lines)
            answered.set()
    sender.join()
    assert found == [[b"one"], [b"two"]]
