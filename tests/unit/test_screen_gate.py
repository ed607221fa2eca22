"""Where in a frame new text may stand, and whether a line still stands where it stood."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from moderation.clips.draw import caption
from moderation.clips.footage import frames
from moderation.transcript.engine import Reading
from moderation.transcript.lines import TextLine
from moderation.transcript.regions import Gate, Rect, View, merge
from moderation.transcript.tracks import HARDLY_KEPT, SURELY_KEPT, Mark, Track, joined_again

SIZE = (360, 640)
Image = NDArray[np.uint8]


def scene(second: int, *captions: tuple[str, float]) -> Image:
    """A second of the drawn studio, with captions at fractions of the height."""
    image = _SECONDS[second].copy()
    for text, y in captions:
        caption(text, "outline", 28, SIZE, (0.5, y)).over(image)
    return image


def _seconds(count: int) -> list[Image]:
    stream = frames("studio", *SIZE, 1, seed=3)
    return [next(stream) for _ in range(count)]


_SECONDS = _seconds(6)


def line_at(image: Image, rect: Rect, text: str = "价格九十九元") -> tuple[View, TextLine]:
    corners = np.array([[rect.x0, rect.y0], [rect.x1, rect.y0], [rect.x1, rect.y1], [rect.x0, rect.y1]], np.float32)
    return View.of(image), TextLine(corners, Reading(text, 0.99, 0.95))


def caption_rect(text: str, y: float) -> Rect:
    """About what the detector gives: the letters and a little air."""
    layer = caption(text, "outline", 28, SIZE, (0.5, y))
    rows, columns = np.nonzero(layer.opacity > 0.5)
    return Rect(
        layer.x + int(columns.min()) - 2,
        layer.y + int(rows.min()) - 2,
        layer.x + int(columns.max()) + 3,
        layer.y + int(rows.max()) + 3,
    )


class TestGate:
    def look(self, before: Image, now: Image, known: tuple[Rect, ...] = ()) -> list[Rect]:
        gate = Gate()
        first = View.of(before)
        gate.examined(first, Rect(0, 0, *SIZE))
        gate.remember(first)
        return gate.new_places(View.of(now), known)

    def test_a_caption_that_appears_is_seen_whole(self) -> None:
        places = self.look(scene(0), scene(1, ("今天这款杯子特价", 0.8)))
        wanted = caption_rect("今天这款杯子特价", 0.8)
        assert any(wanted.shared_with(place) > 0.9 for place in places)

    def test_a_moving_scene_without_text_is_mostly_left_alone(self) -> None:
        places = self.look(scene(0), scene(1))
        assert sum(place.area for place in places) < 0.3 * SIZE[0] * SIZE[1]

    def test_a_known_line_is_no_new_place(self) -> None:
        text = ("今天这款杯子特价", 0.8)
        assert self.look(scene(0, text), scene(1, text), (caption_rect(*text),)) == self.look(scene(0), scene(1))

    def test_text_that_was_examined_is_not_looked_at_again(self) -> None:
        still = scene(0, ("今天这款杯子特价", 0.8))
        assert self.look(still, still) == []

    def test_another_frame_size_has_no_difference(self) -> None:
        gate = Gate()
        gate.remember(View.of(scene(0)))
        assert gate.difference(View.of(scene(0)[:320])) is None


class TestMark:
    TEXT, Y = "到手价一百九十九元", 0.5

    def test_a_line_stands_while_the_scene_moves_behind_it(self) -> None:
        view, line = line_at(scene(0, (self.TEXT, self.Y)), caption_rect(self.TEXT, self.Y))
        mark = Mark.of(view, line)
        assert all(mark.kept_in(View.of(scene(n, (self.TEXT, self.Y)))) >= SURELY_KEPT for n in range(1, 6))

    @pytest.mark.parametrize("other", ["到手价一百八十九元", "到手价二百九十九元", "到手价一百九十六元"])
    def test_one_other_letter_is_another_line(self, other: str) -> None:
        view, line = line_at(scene(0, (self.TEXT, self.Y)), caption_rect(self.TEXT, self.Y))
        assert Mark.of(view, line).kept_in(View.of(scene(0, (other, self.Y)))) < SURELY_KEPT

    def test_a_line_that_went_is_gone(self) -> None:
        view, line = line_at(scene(0, (self.TEXT, self.Y)), caption_rect(self.TEXT, self.Y))
        assert Mark.of(view, line).kept_in(View.of(scene(1))) < HARDLY_KEPT

    def test_a_smaller_frame_does_not_hold_it(self) -> None:
        view, line = line_at(scene(0, (self.TEXT, 0.95)), caption_rect(self.TEXT, 0.95))
        assert Mark.of(view, line).kept_in(View.of(scene(0)[:300])) == 0


def track(text: str, first_s: float, last_s: float, rect: Rect | None = None) -> Track:
    place = rect or Rect(10, 10, 90, 40)
    view, line = line_at(scene(0), place, text)
    return Track(line, Mark.of(view, line), SIZE, first_s, last_s, first_s - 1, last_s + 1)


class TestTracks:
    def test_a_line_that_was_lost_for_a_sample_is_one(self) -> None:
        (joined,) = joined_again([track("满减", 5, 8), track("满减", 2, 3)])
        assert (joined.first_s, joined.last_s, joined.after_s) == (2, 8, 9)

    def test_the_same_words_later_are_another_line(self) -> None:
        assert len(joined_again([track("满减", 2, 3), track("满减", 9, 10)])) == 2

    def test_the_same_words_twice_on_screen_are_two_lines(self) -> None:
        assert len(joined_again([track("满减", 2, 5), track("满减", 3, 5, Rect(200, 300, 280, 330))])) == 2

    def test_it_began_and_ended_between_samples(self) -> None:
        assert track("满减", 2, 5).interval(1.0) == (1.5, 5.5)

    def test_the_reach_bounds_what_is_not_known(self) -> None:
        line = track("满减", 10, 12)
        line.before_s, line.after_s = 2.0, None
        assert line.interval(1.0) == (9.0, 13.0)

    def test_the_reading_that_most_looks_agree_on_counts(self) -> None:
        line = track("加薇信", 1, 2)
        line.readings += [Reading("加微信", 0.9, 0.6), Reading("加微信", 0.95, 0.7)]
        assert line.text == "加微信"


rects = st.tuples(*(st.integers(0, 60) for _ in range(4))).map(
    lambda v: Rect(v[0], v[1], v[0] + v[2] + 1, v[1] + v[3] + 1)
)


@given(st.lists(rects, max_size=12))
def test_merged_rectangles_do_not_meet_and_cover_all(parts: list[Rect]) -> None:
    merged = merge(parts)
    assert all(any(part.shared_with(m) == 1 for m in merged) for part in parts)
    assert not any(a.meets(b) for i, a in enumerate(merged) for b in merged[:i])
