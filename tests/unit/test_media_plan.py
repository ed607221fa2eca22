"""The packet plan against a model of what a decoder needs."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from moderation.media.child.plan import NEEDED, SKIP, WANTED, PacketIndex, candidates, grid, make_plan, on_display


@st.composite
def indexes(draw: st.DrawFn) -> PacketIndex:
    """GOPs of an entry point, some leading pictures shown before it, some shown after it."""
    pts: list[int] = []
    entry: list[bool] = []
    clock = 0
    for _ in range(draw(st.integers(1, 5))):
        leading = draw(st.integers(0, 3))
        trailing = draw(st.integers(0, 6))
        shown = list(range(clock + leading + 1, clock + leading + 1 + trailing))
        group = [clock + leading, *range(clock, clock + leading), *draw(st.permutations(shown))]
        pts += group
        entry += [True] + [False] * (len(group) - 1)
        clock += len(group)
    hidden = [draw(st.booleans()) if draw(st.booleans()) else False for _ in pts]
    return PacketIndex(pts, entry, hidden)


@given(indexes(), st.data())
def test_every_wanted_frame_has_all_it_can_refer_to(index: PacketIndex, data: st.DataObject) -> None:
    shown = candidates(index)
    wanted = data.draw(st.lists(st.sampled_from(shown), unique=True)) if shown else []
    plan = make_plan(index, wanted)
    assert [index.pts[n] for n, action in enumerate(plan.actions) if action == WANTED] == sorted(
        (p for p in wanted), key=list(index.pts).index
    )
    starts = [n for n, entry in enumerate(index.entry) if entry]
    for pts in wanted:
        n = list(index.pts).index(pts)
        group = start = max(s for s in starts if s <= n)
        wanted_leads = index.pts[n] < index.pts[group]
        if wanted_leads:  # it needs the whole group before it
            start = max(s for s in starts if s < group)
        assert max(r for r in plan.resets if r <= n) <= start
        for m in range(start, n):
            own_group = max(s for s in starts if s <= m)
            leads = index.pts[m] < index.pts[own_group]
            assert plan.actions[m] != SKIP or (leads and not (wanted_leads and own_group == group))


@given(indexes())
def test_nothing_wanted_means_nothing_decoded(index: PacketIndex) -> None:
    plan = make_plan(index, [])
    assert set(plan.actions) <= {SKIP}
    assert not plan.resets


def test_a_group_is_decoded_only_up_to_its_last_wanted_packet() -> None:
    index = PacketIndex([0, 1, 2, 3, 4, 5], [True, False, False, True, False, False], [False] * 6)
    plan = make_plan(index, [1, 4])
    assert list(plan.actions) == [NEEDED, WANTED, SKIP, NEEDED, WANTED, SKIP]
    assert plan.resets == {0, 3}


def test_leading_pictures_of_an_unchained_group_are_left_out() -> None:
    index = PacketIndex([0, 1, 5, 3, 4, 6], [True, False, True, False, False, False], [False] * 6)
    assert list(make_plan(index, [6]).actions) == [SKIP, SKIP, NEEDED, SKIP, SKIP, WANTED]
    assert list(make_plan(index, [4]).actions) == [NEEDED, NEEDED, NEEDED, NEEDED, WANTED, SKIP]


def test_packets_before_the_first_entry_point_are_no_candidates() -> None:
    assert candidates(PacketIndex([1, 2, 5, 3, 6], [False, False, True, False, False], [False] * 5)) == [5, 6]


@given(
    st.lists(st.integers(0, 1000), min_size=1, unique=True).map(sorted),
    st.lists(st.floats(-10, 1100, allow_nan=False)),
)
def test_on_display_is_the_last_frame_not_after_the_time(shown: list[int], ticks: list[float]) -> None:
    picked = on_display(shown, ticks)
    assert picked == sorted({max((s for s in shown if s <= t), default=shown[0]) for t in ticks})


@given(st.floats(0, 50), st.floats(0, 100), st.floats(0.05, 10), st.lists(st.floats(0, 100)))
def test_the_floor_leaves_no_gap(first: float, length: float, interval: float, also: list[float]) -> None:
    times = grid(first, first + length, interval, also, 100_000)
    assert times == sorted(set(times))
    assert times[0] <= first
    on_floor = [t for t in times if t >= first]
    assert all(b - a <= interval * 1.0001 for a, b in itertools.pairwise(on_floor))
    assert first + length - on_floor[-1] <= interval * 1.0001


def test_the_grid_is_bounded() -> None:
    assert len(grid(0.0, 1e9, 0.001, (), 50)) == 50
