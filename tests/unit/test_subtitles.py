"""Subtitle files beside a video."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.transcript import subtitles
from moderation.transcript.subtitles import read_sidecars

SRT = "1\n00:00:01,000 --> 00:00:03,500\n<i>喝一个月</i>\n血压就降了\n\n2\n00:00:04,000 --> 00:00:05,000\n谢谢大家\n"


def beside(tmp_path: Path, name: str, content: bytes | str) -> Path:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp_path / "clip.mp4"


def test_srt_without_markup_and_with_its_times(tmp_path: Path) -> None:
    utterances, warnings = read_sidecars(beside(tmp_path, "clip.srt", SRT))
    assert [(u.start_s, u.end_s, u.text, u.source) for u in utterances] == [
        (1.0, 3.5, "喝一个月 血压就降了", "subtitle"),
        (4.0, 5.0, "谢谢大家", "subtitle"),
    ]
    assert warnings == []


def test_vtt_and_ass(tmp_path: Path) -> None:
    beside(tmp_path, "clip.zh.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<v 主播>加我微信\n")
    ass = (
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, "
        "MarginV, Effect, Text\nDialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\b1}全网\\N最低\n"
        "Comment: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,a note\n"
        "Dialogue: 0,0:00:05.00,0:00:06.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}\n"
    )
    utterances, warnings = read_sidecars(beside(tmp_path, "clip.ass", ass))
    assert [u.text for u in utterances] == ["加我微信", "全网 最低"]
    assert warnings == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_encodings_that_chinese_subtitles_are_written_in(tmp_path: Path, encoding: str) -> None:
    utterances, warnings = read_sidecars(beside(tmp_path, "clip.SRT", SRT.encode(encoding)))
    assert [u.text for u in utterances] == ["喝一个月 血压就降了", "谢谢大家"]
    assert warnings == []


def test_only_files_of_the_same_name_count(tmp_path: Path) -> None:
    beside(tmp_path, "clip2.srt", SRT)
    beside(tmp_path, "other.srt", SRT)
    (tmp_path / "clip.vtt").mkdir()
    assert read_sidecars(tmp_path / "clip.mp4") == ([], [])


def test_a_bad_file_is_a_warning_and_hides_no_other(tmp_path: Path) -> None:
    beside(tmp_path, "clip.ass", b"\xff\xfe\x00")
    beside(tmp_path, "clip.vtt", "no subtitle at all")
    utterances, warnings = read_sidecars(beside(tmp_path, "clip.srt", SRT))
    assert len(utterances) == 2
    assert len(warnings) == 2
    assert all("clip." in w and "SRT in UTF-8" in w for w in warnings)


def test_too_large_a_file_and_too_many_cues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subtitles, "MAX_CUES", 1)
    utterances, warnings = read_sidecars(beside(tmp_path, "clip.srt", SRT))
    assert len(utterances) == 1
    assert "the first 1 of 2" in warnings[0]
    monkeypatch.setattr(subtitles, "MAX_BYTES", 10)
    assert "the limit is 10" in read_sidecars(tmp_path / "clip.mp4")[1][0]


@pytest.mark.fuzz
@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=400), suffix=st.sampled_from(sorted(subtitles.FORMATS)), mutate=st.booleans())
def test_any_bytes_give_text_or_a_warning(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str, mutate: bool
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    if mutate:
        content = SRT.encode()[: len(content)] + content + SRT.encode()
    utterances, warnings = read_sidecars(beside(folder, f"clip{suffix}", content))
    assert all(isinstance(w, str) for w in warnings)
    assert all(u.text and u.start_s is not None and u.end_s is not None and u.start_s <= u.end_s for u in utterances)
