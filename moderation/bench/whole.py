"""The whole scan on one clip in a process of its own: speed against real time, and peak memory.

`python -m moderation.bench.whole CLIP WARMUP [--speech]` is that process; it loads the models, scores the
warm-up clip, waits for a line on standard input, scores CLIP once and prints what it took as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from moderation.bench.memory import PeakMemory


@dataclass(frozen=True, slots=True)
class WholeScan:
    """`wall_s` and `cpu_s` cover one warm scan, decoding processes included; memory is the peak PSS."""

    speech: bool
    duration_s: float
    wall_s: float
    cpu_s: float
    times_real_time: float
    peak_pss_mb: float
    timings_s: dict[str, float]
    suggestion: str


def measure_scan(clip: Path, warmup: Path, *, speech: bool) -> WholeScan:
    """Score `clip` once in a warm process. Raises RuntimeError with the process's words when it fails."""
    command = [
        sys.executable,
        "-m",
        "moderation.bench.whole",
        str(clip),
        str(warmup),
        *(["--speech"] if speech else []),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        ready = process.stdout.readline()
        with PeakMemory(process.pid) as memory:
            out, err = process.communicate("go\n", timeout=600)
    if ready.strip() != "ready" or process.returncode != 0:
        raise RuntimeError(f"the measured scan failed: {err.strip()[-2000:]}")
    return WholeScan(**{**json.loads(out), "peak_pss_mb": round(memory.peak_mb, 1)})


def main() -> None:
    """The measured process."""
    from moderation.pipeline import Scanner
    from moderation.settings import ScanSettings
    from moderation.telemetry import settle_memory

    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    parser.add_argument("warmup", type=Path)
    parser.add_argument("--speech", action="store_true")
    args = parser.parse_args()
    settings = ScanSettings()
    with Scanner(settings if args.speech else replace(settings, speech=None)) as scanner:
        scanner.scan(args.warmup)
        settle_memory()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        wall, cpu = time.perf_counter(), _cpu_seconds()
        verdict = scanner.scan(args.clip).verdict
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    if verdict.error is not None or verdict.suggestion is None or not verdict.duration_s:
        raise SystemExit(f"no verdict for {args.clip}: {verdict.error}")
    result = WholeScan(
        speech=args.speech,
        duration_s=verdict.duration_s,
        wall_s=round(wall, 3),
        cpu_s=round(cpu, 3),
        times_real_time=round(verdict.duration_s / wall, 2),
        peak_pss_mb=0.0,
        timings_s={k: round(v, 3) for k, v in verdict.timings_s.items()},
        suggestion=verdict.suggestion.value,
    )
    sys.stdout.write(json.dumps(asdict(result)))


def _cpu_seconds() -> float:
    """CPU of this process and of its finished children (the decoding process of a scan has ended by then)."""
    import resource

    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(r.ru_utime + r.ru_stime for r in spent)


if __name__ == "__main__":
    main()
