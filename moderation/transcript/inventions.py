"""Text that Whisper writes where nobody speaks: loops over music, credits of subtitle makers, thanks to viewers.

The voice activity detector has said "speech" before anything comes here, so what is dropped here is reported as a
place where nothing could be made out, never passed over in silence. Thresholds: the model's own habits, as published
with it (no-speech 0.6, compression 2.4), and margins around the real speech measured in this room's README.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from moderation.transcript.whisper import WindowText, Word

# Whole utterances that come from subtitle files of the training data, read without spaces and punctuation.
_CREDITS = re.compile(
    r"字幕(由|by|制作|製作|组|組|志愿|志願|提供|校对|翻译)|(中文)?字幕(組|组)$|(请|請)不吝(点赞|點贊|點讚)|打赏支持明镜|打賞支持明鏡|"
    r"明镜与点点|明鏡與點點|点点栏目|點點欄目|優優獨播|优优独播|yoyotelevision|amaraorg|"
    r"(谢谢|感谢|多谢|謝謝|感謝|多謝)(您的|你的|大家的?|各位的?)?(观看|收看|收听|觀看|收看|收聽)|"
    r"thank(s|you)(somuch|verymuch)?forwatching|pleasesubscribe(tomychannel)?$|subtitlesby|captionsby|transcribedby|translatedby|"
    r"^词曲|^作词|^作曲|^編曲|^编曲"
)
# What the model says to noise when it has nothing to say; dropped where it is all there is.
_FILLERS = re.compile(
    r"(you|thank(you|s)(somuch|verymuch)?|bye(bye)?|ok(ay)?|[aou]h|u?[hm]m+|yeah|yes|so|the|music|字幕|[谢謝]{2}(大家)?|"
    r"再[见見]|[嗯啊哦呃呵我你好]|音[乐樂]|掌[声聲]|笑[声聲])+"
)
_LEAST_LOG_PROBABILITY = -1.2
_NO_SPEECH, _NO_SPEECH_LOG_PROBABILITY = 0.6, -0.8
# Where people speak, the model is surer of the language than this; a few words where it is not are noise.
SURE_LANGUAGE, _TINY = 0.95, 5
_UNSURE_LANGUAGE, _UNSURE_LOG_PROBABILITY = 0.4, -0.7
_COMPRESSION, _COMPRESSED_FROM = 2.4, 40
# A loop: this many equal pieces in a row, this many letters long together.
_LOOP_TIMES, _LOOP_LETTERS, _LOOP_LONGEST = 5, 14, 20
# Fewer hanzi or words in a second of speech than this is no speech; slow speakers say two.
_SPARSE_RATE, _SPARSE_FROM_S = 0.5, 2.5
_PUNCTUATION = re.compile(r"[\W_]+")
_UNIT = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff_]+")


def bare(text: str) -> str:
    """Letters, digits and hanzi only, lower case."""
    return _PUNCTUATION.sub("", text).lower()


def is_credit(text: str) -> bool:
    """Whether an utterance is a stock phrase of subtitle files."""
    return _CREDITS.search(bare(text)) is not None


def is_tiny(text: str) -> bool:
    """Whether a text is only a few words long, or filler."""
    return len(_UNIT.findall(text)) < _TINY or is_filler(text)


def is_filler(text: str) -> bool:
    """Whether a text holds nothing but what the model says to noise."""
    return _FILLERS.fullmatch(bare(text)) is not None


def doubt(window: WindowText, words: Sequence[Word], speech_s: float) -> str | None:
    """Why the text of a window is not to be believed; None where it is.

    `words`: those left without loops. `speech_s`: how long the detector heard somebody speak in it.
    """
    text = "".join(word.text for word in words)
    units = len(_UNIT.findall(text))
    if units == 0:
        return "no text"
    if window.log_probability < _LEAST_LOG_PROBABILITY:
        return "improbable"
    if window.no_speech > _NO_SPEECH and window.log_probability < _NO_SPEECH_LOG_PROBABILITY:
        return "no speech"
    if window.likelihood < _UNSURE_LANGUAGE and window.log_probability < _UNSURE_LOG_PROBABILITY:
        return "no language"
    if is_filler(text):
        return "filler"
    if speech_s >= _SPARSE_FROM_S and units / speech_s < _SPARSE_RATE:
        return "sparse"
    return "repeats" if _compression(text) > _COMPRESSION else None


def without_loops(words: Sequence[Word]) -> tuple[list[Word], list[tuple[float, float]]]:
    """The words without repetitions of a loop, and the time (seconds of the window) that each loop ran.

    A loop keeps its first piece: the model fell into it after hearing something.
    """
    letters: list[int] = []  # the index of the word that each letter belongs to
    text = ""
    for index, word in enumerate(words):
        plain = bare(word.text)
        text += plain
        letters += [index] * len(plain)
    dropped: set[int] = set()
    times: list[tuple[float, float]] = []
    at = 0
    while at < len(text):
        found = _loop_at(text, at)
        if found is None:
            at += 1
            continue
        piece, end = found
        first, last = letters[at + piece - 1] + 1, letters[end - 1]
        dropped.update(range(first, last + 1))
        if first <= last:
            times.append((words[first].start_s, words[last].end_s))
        at = end
    return [word for index, word in enumerate(words) if index not in dropped], times


def _compression(text: str) -> float:
    """How many times smaller the text gets; 1 for short ones, where the figure says nothing."""
    raw = bare(text).encode()
    return len(raw) / len(zlib.compress(raw)) if len(raw) > _COMPRESSED_FROM else 1.0


def _loop_at(text: str, at: int) -> tuple[int, int] | None:
    """(length of the piece, end of the loop) of a loop that begins at `at`."""
    for piece in range(1, min(_LOOP_LONGEST, (len(text) - at) // 2) + 1):
        unit = text[at : at + piece]
        end = at + piece
        while text.startswith(unit, end):
            end += piece
        # Long pieces are a loop when said four times in a row; short ones people do repeat (买买买, 三二一三二一).
        times = (end - at) // piece
        if end - at >= _LOOP_LETTERS and times >= (_LOOP_TIMES if piece < 6 else 4):
            return piece, end
    return None
