"""`moderation text`: score texts from standard input, plain lines or JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, get_args

from moderation.commands.arguments import (
    SubParsers,
    add_command,
    add_json_option,
    add_policy_option,
    add_text_bundle_option,
)
from moderation.errors import TextInputError
from moderation.serialise import json_line
from moderation.telemetry import settle_memory
from moderation.types import CATEGORIES, Source, TextRequest, TextScore

EXAMPLE = """  echo 喝了它糖尿病都能好 | moderation text
  moderation text --json < texts.jsonl   # {"id": "1", "text": "…", "category": "food", "source": "speech"}"""
MAX_LINE_BYTES = 4 << 20
BLOCK_BYTES = 1 << 16


def add_parser(commands: SubParsers) -> None:
    parser = add_command(commands, "text", run, summary="score texts from standard input", example=EXAMPLE)
    add_policy_option(parser)
    add_text_bundle_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    # Imported late: the command line loads this page for its help.
    from moderation.scoring import TextScorer

    scorer = TextScorer.load(args.policy, args.text_bundle)
    settle_memory()
    failed, parser = False, LineParser()
    for lines in lines_at_hand(sys.stdin.buffer):
        items = [item for line in lines if (item := parser.parse(line)) is not None]
        scores = iter(scorer.score_many([item for item in items if not isinstance(item, dict)]))
        for item in items:
            if isinstance(item, dict):
                failed = True
                print(json_line(item) if args.json else f"error  {item['id']}: {item['error']['message']}")
            else:
                score = next(scores)
                print(json_line(score.as_json()) if args.json else _for_people(item, score))
        sys.stdout.flush()
    return 1 if failed else 0


def lines_at_hand(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a stream, as many at a time as can be had without waiting.

    So a caller who sends one line and waits for its answer gets it, and a file is scored in batches.
    """
    rest = b""
    while block := stream.read1(BLOCK_BYTES):  # pyright: ignore[reportAttributeAccessIssue] - buffered readers have it
        *lines, rest = (rest + block).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]


class LineParser:
    """Items of a stream. A line that begins with `{` is JSON; once one was seen, every line must be."""

    def __init__(self) -> None:
        self._number = 0
        self._expects_json = False

    def parse(self, raw: bytes) -> TextRequest | dict[str, Any] | None:
        """The next line's item, the error object of one that is none, or None for an empty one."""
        self._number += 1
        line = raw.strip()
        if not line:
            return None
        self._expects_json = self._expects_json or line.startswith(b"{")
        fallback_id = str(self._number)
        try:
            text = _decode(line, self._number)
            return _json_item(text, self._number) if self._expects_json else TextRequest(fallback_id, text)
        except TextInputError as error:
            return {"id": _id_of(line, fallback_id), "error": {"code": error.code, "message": str(error)}}


def _decode(line: bytes, number: int) -> str:
    if len(line) > MAX_LINE_BYTES:
        raise TextInputError(f"line {number}: {len(line)} bytes; the limit is {MAX_LINE_BYTES}. Split the text.")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextInputError(f"line {number}: not UTF-8 (byte {error.start}). Convert the input to UTF-8.") from error


def _json_item(line: str, number: int) -> TextRequest:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TextInputError(f"line {number}: no valid JSON ({error}). Write one object a line.") from error
    if not isinstance(data, dict):
        raise TextInputError(f"line {number}: a JSON {type(data).__name__}, not an object. Write one object a line.")
    text, category, source = data.get("text"), data.get("category"), data.get("source")
    if not isinstance(text, str):
        raise TextInputError(f"line {number}: has no 'text' of type string. Add it.")
    if category is not None and category not in CATEGORIES:
        raise TextInputError(f"line {number}: 'category' is not one of {', '.join(CATEGORIES)}.")
    if source is not None and source not in get_args(Source):
        raise TextInputError(f"line {number}: 'source' is not one of {', '.join(get_args(Source))}.")
    identifier = data.get("id", str(number))
    return TextRequest(identifier, text, category, source or "speech")


def _id_of(line: bytes, fallback: str) -> Any:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return fallback
    return data.get("id", fallback) if isinstance(data, dict) else fallback


def _for_people(item: TextRequest, score: TextScore) -> str:
    if not score.spans:
        return f"pass    {item.text}"
    found = "; ".join(f"{s.label} “{item.text[s.start : s.end]}”" for s in score.spans)
    return f"{score.action.value:<7} {item.text}\n        {found}"
