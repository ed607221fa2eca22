"""Text on screen with the real models: what is read, when and where, and what is said when it is not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from moderation.clips.draw import Layer, Style, caption
from moderation.clips.footage import frames
from moderation.transcript.engine import OcrEngine
from moderation.transcript.lines import LineReader
from moderation.transcript.ocr import ScreenText, ScreenTextReader
from moderation.types import Frame

Image = NDArray[np.uint8]
SIZE = (720, 1280)
# start, end, text, style, size, place
Planted = tuple[float, float, str, Style, int, tuple[float, float]]


@pytest.fixture(scope="module")
def reader() -> ScreenTextReader:
    return ScreenTextReader()


def film(seconds: int, planted: Sequence[Planted], *, seed: int = 0, still: bool = False) -> list[Frame]:
    """A frame a second of the drawn studio with captions over it."""
    layers = [(start, end, caption(text, style, size, SIZE, at)) for start, end, text, style, size, at in planted]
    out = []
    stream = frames("studio", *SIZE, 1, seed=seed)
    first = next(stream)
    for second, image in enumerate([first] * seconds if still else [first, *islice(stream, seconds - 1)]):
        shown = image.copy()
        for start, end, layer in layers:
            if start <= second < end:
                layer.over(shown)
        out.append(Frame(float(second), shown))
    return out


def read(reader: ScreenTextReader, shown: Sequence[Frame]) -> ScreenText:
    session = reader.start()
    for frame in shown:
        session.push(frame)
    return session.finish(float(len(shown)))


def found(text: ScreenText) -> dict[str, tuple[float | None, float | None]]:
    return {u.text: (u.start_s, u.end_s) for u in text.utterances}


class TestVideo:
    def test_captions_with_their_time_and_place(self, reader: ScreenTextReader) -> None:
        text = read(
            reader,
            film(
                10,
                [(1, 4, "纯棉的不起球", "outline", 40, (0.5, 0.8)), (5, 9, "喝了血压就降", "banner", 44, (0.5, 0.3))],
            ),
        )
        assert found(text) == {"纯棉的不起球": (0.5, 3.5), "喝了血压就降": (4.5, 8.5)}
        assert text.warnings == ()
        first, second = text.utterances
        assert first.box is not None
        assert second.box is not None
        assert 0.76 < first.box.y0 < 0.8 < first.box.y1 < 0.84
        assert 0.25 < second.box.y0 < 0.3 < second.box.y1 < 0.35

    def test_a_price_that_changes_one_digit_is_read_again(self, reader: ScreenTextReader) -> None:
        text = read(
            reader,
            film(
                8, [(0, 4, "到手价199元", "outline", 44, (0.5, 0.6)), (4, 8, "到手价109元", "outline", 44, (0.5, 0.6))]
            ),
        )
        assert list(found(text)) == ["到手价199元", "到手价109元"]

    def test_words_written_on_are_one_line(self, reader: ScreenTextReader) -> None:
        whole, half = "今天下单送运费险", "今天下单"
        layer = caption(whole, "outline", 44, SIZE, (0.5, 0.7))
        shown = film(6, [])
        for frame in shown[1:]:
            part = layer if frame.pts_s >= 2 else _left(layer, len(half) / len(whole))
            part.over(frame.image)
        assert found(read(reader, shown)) == {whole: (0.5, 6.0)}

    def test_columns_and_turned_lines(self, reader: ScreenTextReader) -> None:
        text = read(reader, film(4, [(0, 4, "正品保障\n假一赔十", "vertical", 44, (0.8, 0.3))]))
        assert list(found(text)) == ["正品保障 假一赔十"]
        turned = [Frame(f.pts_s, np.ascontiguousarray(np.rot90(f.image))) for f in _plain("加微信更便宜哦")]
        assert list(found(read(reader, turned))) == ["加微信更便宜哦"]

    def test_small_print_that_stays_is_read(self, reader: ScreenTextReader) -> None:
        text = read(reader, film(8, [(2, 6, "具体以收到的实物为准", "small", 16, (0.5, 0.94))]))
        assert list(found(text)) == ["具体以收到的实物为准"]

    def test_a_short_caption_at_a_cut_is_read(self, reader: ScreenTextReader) -> None:
        before, after = film(3, [], seed=1), film(1, [(0, 1, "全网最低就今天", "outline", 44, (0.5, 0.5))], seed=9)
        shown = [*before, *after, *film(3, [], seed=4)]
        text = read(reader, [Frame(float(n), frame.image) for n, frame in enumerate(shown)])
        assert found(text) == {"全网最低就今天": (2.5, 3.5)}

    def test_a_still_video_is_read_once(self, reader: ScreenTextReader) -> None:
        text = read(reader, film(30, [(0, 30, "本店支持七天无理由", "banner", 40, (0.5, 0.5))], still=True))
        assert found(text) == {"本店支持七天无理由": (0.0, 30.0)}
        assert (text.stats.sweeps, text.stats.strips_read) == (1, 1)

    def test_frames_may_change_their_size(self, reader: ScreenTextReader) -> None:
        shown = film(4, [(0, 4, "纯棉的不起球", "outline", 44, (0.5, 0.5))])
        half = [Frame(f.pts_s, cv2.resize(f.image, (540, 960)).astype(np.uint8)) for f in shown[2:]]
        assert "纯棉的不起球" in found(read(reader, [*shown[:2], *half]))

    def test_a_frame_that_fails_is_a_warning_and_the_rest_is_read(self, reader: ScreenTextReader) -> None:
        shown = film(6, [(3, 6, "纯棉的不起球", "outline", 44, (0.5, 0.5))])
        shown[1] = Frame(1.0, np.zeros((4,), np.uint8))
        text = read(reader, shown)
        assert list(found(text)) == ["纯棉的不起球"]
        assert "1 of 6 frames could not be read (the first at 1.0 s" in text.warnings[0]

    @pytest.mark.parametrize("shape", [(1, 1), (2, 900), (900, 2), (31, 33)])
    def test_odd_frames_are_no_trouble(self, reader: ScreenTextReader, shape: tuple[int, int]) -> None:
        text = read(reader, [Frame(float(n), np.full((*shape, 3), 40 * n, np.uint8)) for n in range(4)])
        assert (text.utterances, text.warnings) == ((), ())


class TestPicture:
    def test_large_and_small_print_of_a_listing(self, reader: ScreenTextReader) -> None:
        image = np.full((2000, 2000, 3), 235, np.uint8)
        caption("冬季加厚棉服", "plain", 150, (2000, 2000), (0.5, 0.2)).over(image)
        caption("洗涤时请反面轻柔洗并平铺晾干切勿暴晒", "plain", 20, (2000, 2000), (0.5, 0.83)).over(image)
        text = reader.read_picture(Frame(0.0, image))
        assert [u.text for u in text.utterances] == ["冬季加厚棉服", "洗涤时请反面轻柔洗并平铺晾干切勿暴晒"]
        assert {(u.start_s, u.end_s) for u in text.utterances} == {(0.0, 0.0)}

    def test_a_picture_that_fails_is_a_warning(self, reader: ScreenTextReader) -> None:
        text = reader.read_picture(Frame(0.0, np.zeros((4,), np.uint8)))
        assert text.utterances == ()
        assert text.warnings[0].startswith("ocr: text in the picture could not be read")


class TestEngine:
    def test_reads_what_rapidocr_itself_reads(self, reader: ScreenTextReader) -> None:
        rapidocr = pytest.importorskip("rapidocr")
        settings = {"Global.log_level": "error", "Global.use_cls": False, "Det.limit_type": "max"}
        theirs = rapidocr.RapidOCR(params={**settings, "Det.limit_side_len": 736})
        for planted in ("手工打的年糕软糯香甜", "Free shipping today 2026"):
            (frame,) = film(1, [(0, 1, planted, "outline", 48, (0.5, 0.5))])
            lines = reader.engine.detect(frame.image, 736 / 1280)
            ours = [LineReader(reader.engine).read(frame.image, line.corners).text for line in lines]
            assert ours == list(theirs(frame.image).txts) == [planted]

    def test_a_line_on_its_head_is_turned(self, reader: ScreenTextReader) -> None:
        (frame,) = film(1, [(0, 1, "手工打的年糕软糯香甜", "banner", 48, (0.5, 0.5))])
        image = np.ascontiguousarray(np.rot90(frame.image, 2))
        (line,) = reader.engine.detect(image, 0.575)
        assert LineReader(reader.engine).read(image, line.corners).text == "手工打的年糕软糯香甜"

    def test_a_line_seen_before_is_not_read_again_but_another_price_is(self, reader: ScreenTextReader) -> None:
        lines = LineReader(reader.engine)
        for number, text in enumerate(("到手价199元", "到手价199元", "到手价109元")):
            (frame,) = film(1, [(0, 1, text, "banner", 44, (0.5, 0.5))], seed=number)
            (line,) = reader.engine.detect(frame.image, 0.575)
            assert lines.read(frame.image, line.corners).text == text
        assert (lines.read_count, lines.reused_count) == (2, 1)

    def test_the_version_names_models_and_package(self, reader: ScreenTextReader) -> None:
        assert reader.version.startswith("PP-OCRv6-small/rapidocr-3.")

    def test_a_model_of_another_hash_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from moderation.errors import ModelError
        from moderation.transcript import engine

        monkeypatch.setitem(engine.MODEL_SHA256, engine.DETECTOR, "0" * 64)
        with pytest.raises(ModelError, match="is not the expected"):
            OcrEngine()


def _plain(text: str) -> list[Frame]:
    return [Frame(float(n), f.image) for n, f in enumerate(film(3, [(0, 3, text, "banner", 48, (0.5, 0.5))]))]


def _left(layer: Layer, share: float) -> Layer:
    """The left part of a layer."""
    width = round(layer.opacity.shape[1] * share)
    return Layer(layer.image[:, :width], layer.opacity[:, :width], layer.x, layer.y)
