"""Lines that belong together become one text."""

from __future__ import annotations

from moderation.transcript.blocks import PlacedLine, to_utterances
from moderation.transcript.regions import Rect


def line(
    text: str,
    x: int,
    y: int,
    *,
    size: int = 40,
    start: float | None = 0.0,
    end: float | None = 4.0,
    column: bool = False,
) -> PlacedLine:
    along = size * len(text)
    rect = Rect(x, y, x + size, y + along) if column else Rect(x, y, x + along, y + size)
    return PlacedLine(text, 0.9, rect, float(size), column, (720, 1280), start, end)


def texts(*lines: PlacedLine) -> list[str]:
    return [u.text for u in to_utterances(lines)]


def test_a_claim_over_two_rows_is_one_text() -> None:
    (utterance,) = to_utterances([line("糖尿病都好了", 100, 850), line("喝了两个月", 110, 800)])
    assert utterance.text == "喝了两个月 糖尿病都好了"
    assert utterance.box is not None
    assert (utterance.box.y0, utterance.box.y1) == (800 / 1280, 890 / 1280)


def test_words_of_a_row_are_one_text_from_left_to_right() -> None:
    assert texts(line("一百九十九", 260, 802), line("到手价", 120, 800)) == ["到手价 一百九十九"]


def test_columns_are_read_from_right_to_left() -> None:
    right, left = line("正品保障", 400, 100, column=True), line("假一赔十", 340, 100, column=True)
    assert texts(left, right) == ["正品保障 假一赔十"]


def test_other_sizes_places_and_times_stay_apart() -> None:
    title = line("大字标题", 100, 100, size=90)
    assert len(texts(title, line("小字说明", 100, 195, size=30))) == 2
    assert len(texts(line("上面一行", 100, 100), line("很远一行", 100, 600))) == 2
    assert len(texts(line("先来一行", 100, 100), line("后来一行", 100, 150, start=6, end=9))) == 2


def test_a_text_lasts_from_its_first_line_to_its_last() -> None:
    (utterance,) = to_utterances(
        [line("先出现的", 100, 100, start=1, end=5), line("后出现的", 100, 150, start=2, end=5)]
    )
    assert (utterance.start_s, utterance.end_s) == (1, 5)


def test_a_picture_has_no_time() -> None:
    (utterance,) = to_utterances([line("面料说明", 0, 0, start=None, end=None)])
    assert (utterance.start_s, utterance.end_s) == (None, None)


def test_a_lone_letter_is_noise_unless_it_belongs_to_a_text() -> None:
    assert texts(line("H", 600, 100)) == []
    assert texts(line("加", 100, 100), line("V", 160, 100)) == ["加 V"]


def test_a_block_does_not_swallow_a_page() -> None:
    rows = [line("很长的一篇文章", 100, 100 + 45 * n) for n in range(12)]
    assert len(texts(*rows)) == 2
