"""Subtitles that lie beside a video: NAME.srt, NAME.zh.vtt, NAME.ass … (embedded ones come from the media room)."""

from __future__ import annotations

import codecs
import logging
from collections.abc import Iterator
from pathlib import Path

from moderation.types import Utterance

logger = logging.getLogger(__name__)

FORMATS = {".srt": "srt", ".vtt": "vtt", ".ass": "ass", ".ssa": "ssa"}
MAX_BYTES = 4 << 20
MAX_CUES = 20_000
MAX_FILES = 16
# pysubs2 gives milliseconds; a cue past a day is a broken clock.
_LATEST_S = 86_400.0
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_sidecars(video: Path) -> tuple[list[Utterance], list[str]]:
    """The cues of every subtitle file of this video's name, in order of time, and what could not be read.

    Text is plain (markup and drawings removed), times are seconds. Never raises for a file's content.
    """
    utterances: list[Utterance] = []
    warnings: list[str] = []
    for path in _sidecars(video):
        try:
            utterances += _read(path)
        except Exception as error:
            # The parser is not ours and the file is a stranger's; one bad file must not hide the rest.
            logger.info("%s could not be read", path, exc_info=True)
            warnings.append(f"subtitles: {path.name} could not be read ({error}); save it as SRT in UTF-8.")
    if len(utterances) > MAX_CUES:
        warnings.append(f"subtitles: only the first {MAX_CUES} of {len(utterances)} cues were read; split the video.")
    return sorted(utterances[:MAX_CUES], key=lambda u: (u.start_s or 0.0, u.end_s or 0.0)), warnings


def _sidecars(video: Path) -> list[Path]:
    """NAME.EXT and NAME.anything.EXT beside the video, at most `MAX_FILES`."""
    try:
        beside = sorted(video.parent.iterdir())
    except OSError:
        return []
    named = (p for p in beside if p.suffix.lower() in FORMATS and p != video)
    ours = (p for p in named if p.stem == video.stem or p.stem.rpartition(".")[0] == video.stem)
    return [p for p in ours if p.is_file()][:MAX_FILES]


def _read(path: Path) -> Iterator[Utterance]:
    import pysubs2

    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"it has {size} bytes, the limit is {MAX_BYTES}")
    text = _decoded(path.read_bytes())
    if not text.strip():
        return iter(())
    subtitles = pysubs2.SSAFile.from_string(text, format_=FORMATS[path.suffix.lower()])
    if not subtitles.events:
        raise ValueError("no cue was found in it")
    return (
        Utterance(words, "subtitle", round(event.start / 1000, 3), round(max(event.end, event.start) / 1000, 3))
        for event in subtitles.events
        if not event.is_comment and not event.is_drawing and 0 <= event.start <= _LATEST_S * 1000
        for words in [" ".join(event.plaintext.split())]
        if words
    )


def _decoded(content: bytes) -> str:
    """By its byte order mark, else UTF-8, else GB 18030, in which older Chinese subtitles are written."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content.decode(encoding)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("gb18030")
