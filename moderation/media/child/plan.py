"""Which packets must be decoded to get exactly the frames that are on display at given times.

Pure functions over an index of one video stream; no PyAV here.

Packets are grouped at *entry points*: keyframes that nothing after them looks behind of, except
their leading pictures (decoded after, shown before). A group without a wanted frame is skipped;
the others are decoded up to their last wanted packet. A wanted leading picture needs the group
before as well, so that group is then decoded whole and the decoder is not reset in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SKIP, NEEDED, WANTED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class PacketIndex:
    """One entry a packet, in decoding order. `hidden` packets decode but are never shown."""

    pts: Sequence[int]
    entry: Sequence[bool]
    hidden: Sequence[bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """`actions[n]` is SKIP, NEEDED or WANTED for packet n; before a packet of `resets`, drain and flush.

    `wanted` holds the pts to be delivered, ascending. A reset, like the end of the stream, completes
    every wanted frame before it.
    """

    actions: bytes
    resets: frozenset[int]
    wanted: tuple[int, ...]


def grid(first: float, last: float, interval: float, also: Iterable[float], limit: int) -> list[float]:
    """Ascending times: the first frame, every multiple of `interval` up to `last`, and `also`."""
    times = {first}
    step = max(0, int(first / interval))
    while (time := step * interval) <= last and len(times) < limit:
        if time >= first:
            times.add(time)
        step += 1
    times.update(time for time in also if time <= last)
    return sorted(times)[:limit]


def on_display(shown: Sequence[int], ticks: Iterable[float]) -> list[int]:
    """For each time the last pts that is not after it (the first pts, for times before all); ascending."""
    if not shown:
        return []
    return sorted({shown[max(0, bisect_right(shown, tick) - 1)] for tick in ticks})


def candidates(index: PacketIndex) -> list[int]:
    """The pts that a decoder started at the first entry point will show, ascending."""
    start = next((n for n, entry in enumerate(index.entry) if entry), len(index.entry))
    if start == len(index.entry):
        return []
    floor = index.pts[start]
    rows = zip(index.pts[start:], index.hidden[start:], strict=True)
    return sorted(pts for pts, hidden in rows if not hidden and pts >= floor)


def make_plan(index: PacketIndex, wanted: Sequence[int]) -> Plan:
    """Plan the packets for the given pts, each of which must be one of `candidates(index)`."""
    total = len(index.pts)
    targets = set(wanted)
    entries = [n for n, entry in enumerate(index.entry) if entry]
    actions = bytearray(total)
    resets = set()
    whole = False  # the group after this one starts with a wanted leading picture
    for start, end in reversed(list(zip(entries, [*entries[1:], total], strict=True))):
        floor = index.pts[start]
        hits = [n for n in range(start, end) if index.pts[n] in targets and not index.hidden[n]]
        chained = start != entries[0] and any(index.pts[n] < floor for n in hits)
        last = end - 1 if whole else (hits[-1] if hits else start - 1)
        for n in range(start, last + 1):
            leading = n > start and index.pts[n] < floor
            actions[n] = SKIP if leading and not chained else NEEDED
        for n in hits:
            actions[n] = WANTED
        if last >= start and not chained:
            resets.add(start)
        whole = chained
    return Plan(bytes(actions), frozenset(resets), tuple(sorted(targets)))
