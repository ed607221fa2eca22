"""`moderation text`: score texts from standard input, plain lines or JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from moderation.commands.arguments import SubParsers, add_command, add_json_option, add_policy_option
from moderation.errors import TextInputError
from moderation.scoring import TextRequest, TextScore, TextScorer
from moderation.serialise import json_line
from moderation.telemetry import settle_memory
from moderation.types import CATEGORIES, Source

EXAMPLE = """  echo 喝了它糖尿病都能好 | moderation text
  moderation text --json < texts.jsonl   # {"id": "1", "text": "…", "category": "food", "source": "speech"}"""
MAX_LINE_BYTES = 4 << 20


def add_parser(commands: SubParsers) -> None:
    parser = add_command(commands, "text", run, summary="score texts from standard input", example=EXAMPLE)
    add_policy_option(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    scorer = TextScorer.load(args.policy)
    settle_memory()
    failed = False
    for item in parse_lines(sys.stdin.buffer):
        if isinstance(item, dict):
            failed = True
            print(json_line(item) if args.json else f"error  {item['id']}: {item['error']['message']}", flush=True)
            continue
        score = scorer.score(item)
        print(json_line(score.as_json()) if args.json else _for_people(item, score), flush=True)
    return 1 if failed else 0


def parse_lines(lines: Iterable[bytes]) -> Iterator[TextRequest | dict[str, Any]]:
    """Items of a stream, or the error object of a line that is none.

    A line that begins with `{` is JSON; once one was seen, every line must be.
    """
    expects_json = False
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if not line:
            continue
        expects_json = expects_json or line.startswith(b"{")
        fallback_id = str(number)
        try:
            text = _decode(line, number)
            yield _json_item(text, number) if expects_json else TextRequest(fallback_id, text)
        except TextInputError as error:
            yield {"id": _id_of(line, fallback_id), "error": {"code": error.code, "message": str(error)}}


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
