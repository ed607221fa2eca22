from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.errors import MetadataError
from moderation.metadata import VideoMetadata, load_metadata, parse_metadata


def test_every_documented_key_is_read() -> None:
    meta = parse_metadata(
        {
            "id": "v1", "title": "…", "description": "…", "category": "food", "views": 12000, "seller_id": "s1",
            "creator_id": "c1", "room_id": None, "authorised_brands": ["nike"], "price": 39.9, "currency": "CNY",
            "reference_price": 1299.0, "qualifications": ["3C:2023010907xxxx"], "language": "zh",
        },
        where="test",
    )  # fmt: skip
    assert meta.authorised_brands == ("nike",)
    assert [u.source for u in meta.utterances()] == ["title", "description"]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"titel": "x"}, "titel"),
        ({"price": "39"}, "price"),
        ({"price": float("nan")}, "price"),
        ({"price": -1}, "price"),
        ({"views": 1.5}, "views"),
        ({"views": True}, "views"),
        ({"category": "toys"}, "category"),
        ({"authorised_brands": "nike"}, "authorised_brands"),
        ({"authorised_brands": [1]}, "authorised_brands.0"),
        ({"currency": "yuan"}, "currency"),
        ({"id": "../escape"}, "id"),
        ({"id": ""}, "id"),
        ([], "list"),
        ("text", "str"),
        (None, "NoneType"),
    ],
)
def test_a_mistake_is_named(data: object, named: str) -> None:
    with pytest.raises(MetadataError, match=named):
        parse_metadata(data, where="clip.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{", b"[" * 100_000, b"nul", b'{"title": "a" "b"}'])
def test_a_broken_file_is_bad_metadata(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.json"
    path.write_bytes(content)
    with pytest.raises(MetadataError, match=r"clip\.json"):
        load_metadata(path)


def test_a_directory_or_a_huge_file_is_bad_metadata(tmp_path: Path) -> None:
    with pytest.raises(MetadataError):
        load_metadata(tmp_path)
    huge = tmp_path / "huge.json"
    huge.write_bytes(b" " * (2 << 20))
    with pytest.raises(MetadataError, match="limit"):
        load_metadata(huge)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "clip.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"title": "茶"}).encode())
    assert load_metadata(path).title == "茶"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


@given(json_values | st.dictionaries(st.sampled_from(list(VideoMetadata.model_fields)), json_values))
def test_any_json_gives_metadata_or_a_clear_error(value: object) -> None:
    try:
        assert isinstance(parse_metadata(value, where="clip.json"), VideoMetadata)
    except MetadataError as error:
        assert "clip.json" in str(error)
