"""How fast the text classifier is, and how much memory a process with nothing else needs."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from moderation.bench.memory import tree_memory_mb
from moderation.bench.text import live_room_lines
from moderation.policy.load import Policy
from moderation.text.classifier import TextClassifier
from moderation.text.matcher import TextItem

TOKENS, BATCH = 64, 32
PASSES = 9


@dataclass(frozen=True, slots=True)
class ClassifierBench:
    """`texts_per_s` for texts of exactly 64 tokens in batches of 32, reading and cutting included; `lines_per_s` for
    lines of a live room, batched as a scan does; memory in MB after all of it."""

    texts_per_s: float
    lines_per_s: float
    one_sentence_ms: float
    memory_mb: float
    provider: str
    threads: int


def measure_classifier() -> ClassifierBench:
    """Measure in a process of its own, so that its memory is nobody else's; about 15 s."""
    lines = json.dumps(live_room_lines(512, Policy.load().lexicon))
    done = subprocess.run(
        [sys.executable, "-m", "moderation.bench.meaning"],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return ClassifierBench(**json.loads(done.stdout))


def _measure(lines: list[str]) -> ClassifierBench:
    classifier = TextClassifier()
    full = [TextItem(text) for text in _texts_of(classifier, lines, TOKENS, BATCH)]
    batch = _seconds(lambda: classifier.classify(full))
    room = _seconds(lambda: classifier.classify([TextItem(line) for line in lines]))
    one = _seconds(lambda: classifier.classify([TextItem("这个茶喝三个月血糖自己就下来，家里老人都在喝", "food")]))
    return ClassifierBench(
        texts_per_s=BATCH / batch,
        lines_per_s=len(lines) / room,
        one_sentence_ms=1000 * one,
        memory_mb=tree_memory_mb(os.getpid()),
        provider=classifier.provider,
        threads=classifier.settings.session.thread_count,
    )


def _texts_of(classifier: TextClassifier, lines: list[str], tokens: int, count: int) -> list[str]:
    """Texts of exactly so many tokens, the frame included: lines joined and cut where a token ends."""
    joined = "，".join(lines)
    window = classifier.preprocessor.windows([joined])[0]
    starts = [int(w.starts[1]) for w in window]
    texts = []
    for begin in starts[:count]:
        cut = classifier.preprocessor.windows([joined[begin : begin + 4 * tokens]])[0][0]
        texts.append(joined[begin : begin + int(cut.ends[tokens - 2])])
    return texts


def _seconds(work: Callable[[], object]) -> float:
    """The middle one of several passes after one that warms up, in seconds of the clock."""
    work()
    passes = []
    for _ in range(PASSES):
        start = time.perf_counter()
        work()
        passes.append(time.perf_counter() - start)
    return statistics.median(passes)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(_measure(json.load(sys.stdin)))))
