"""Reference lists are known by their content, whatever the file is called."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.media.sniff import encrypted_kinds, forbidden_reference

LISTS = {
    "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1/a.ts\n",
    "hls-bom": b"\xef\xbb\xbf#EXTM3U\nfile:///etc/passwd\n",
    "m3u-bare": b"# a comment\nhttp://127.0.0.1/a.mp4\n",
    "ffconcat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "concat": b"# list\nfile '/etc/passwd'\nfile 'b.mp4'\n",
    "dash": b"<?xml version='1.0'?>\n<!-- x -->\n<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>",
    "smooth": b"<?xml version='1.0'?><SmoothStreamingMedia MajorVersion='2'/>",
    "smil": b"<smil><body><video src='http://127.0.0.1/a.mp4'/></body></smil>",
    "asx": b"<ASX version='3.0'><entry><ref href='http://127.0.0.1/a'/></entry></ASX>",
    "asx-1": b"[Reference]\r\nRef1=http://127.0.0.1/a\r\n",
    "pls": b"[playlist]\nFile1=http://127.0.0.1/a\n",
    "xspf": b"<?xml version='1.0'?><playlist version='1'></playlist>",
    "sdp": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 5004 RTP/AVP 96\r\n",
    "hds": b"<manifest xmlns='http://ns.adobe.com/f4m/1.0'></manifest>",
    "utf-16": "#EXTM3U\nhttp://127.0.0.1/\n".encode("utf-16"),
    "quicktime-link": b"<?xml version='1.0'?><?quicktime type='application/x-quicktime-media-link'?><embed src='a'/>",
    "address": b"rtsp://127.0.0.1/live\n",
}


def box(kind: bytes, *inside: bytes) -> bytes:
    body = b"".join(inside)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def movie(*, reference: bytes = b"", entry: bytes = b"") -> bytes:
    dref = box(b"dref", struct.pack(">II", 0, 1), reference)
    stsd = box(b"stsd", struct.pack(">II", 0, 1), entry)
    minf = box(b"minf", box(b"dinf", dref), box(b"stbl", stsd))
    return box(b"ftyp", b"isom") + box(b"moov", box(b"trak", box(b"mdia", minf)))


def asks(data: bytes) -> str | None:
    return forbidden_reference(lambda at, n: data[at : at + n], len(data))


@pytest.mark.parametrize("name", LISTS)
def test_reference_lists_are_recognised(name: str) -> None:
    assert asks(LISTS[name])


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"file", b"A text that mentions http://example.org/a.mp4", b"\x1aE\xdf\xa3", b"{}"]
)
def test_other_contents_are_not(data: bytes) -> None:
    assert asks(data) is None


def test_a_movie_with_its_media_elsewhere_is_recognised() -> None:
    outside = struct.pack(">I4sI", 12 + 20, b"url ", 0) + b"http://127.0.0.1/a\0\0"
    assert asks(movie(reference=outside))
    assert asks(box(b"ftyp", b"qt  ") + box(b"moov", box(b"rmra", box(b"rmda"))))


def test_a_self_contained_movie_is_not() -> None:
    assert asks(movie(reference=struct.pack(">I4sI", 12, b"url ", 1))) is None


def test_encrypted_streams_are_named() -> None:
    def kinds(data: bytes) -> frozenset[str]:
        return encrypted_kinds(lambda at, n: data[at : at + n], len(data))

    assert kinds(movie(entry=box(b"encv", b"\0" * 70))) == {"video"}
    assert kinds(movie(entry=box(b"enca", b"\0" * 28))) == {"audio"}
    assert kinds(movie(entry=box(b"avc1", b"\0" * 70))) == frozenset()
    assert kinds(b"RIFF") == frozenset()


@given(st.binary(max_size=400), st.integers(0, 200), st.binary(max_size=12))
def test_no_content_breaks_the_reader(tail: bytes, at: int, patch: bytes) -> None:
    data = bytearray(movie(reference=struct.pack(">I4sI", 12, b"url ", 1)) + tail)
    data[at : at + len(patch)] = patch
    asks(bytes(data))
    encrypted_kinds(lambda start, n: bytes(data[start : start + n]), len(data))
