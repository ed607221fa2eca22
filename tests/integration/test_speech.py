"""The packaged speech model: what is spoken is read, and nothing is read where nobody speaks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pypinyin import lazy_pinyin
from rapidfuzz.distance import Levenshtein

from moderation.media import open_media
from moderation.transcript.asr import Heard, SpeechRecogniser, SpeechSettings, open_recogniser
from moderation.transcript.sentences import simplified
from moderation.types import Audio

pytestmark = pytest.mark.slow

RATE = 16000
# Exact transcripts among the recordings, see their README; the rest has none.
RECORDINGS = {
    "wenet-e2e+wenet/test/resources/aishell-BAC009S0724W0121.wav": "广州市房地产中介协会分析",
    "FunAudioLLM+CosyVoice/asset/zero_shot_prompt.wav": "希望你以后能够做的比我还好呦。",
    "yeyupiaoling+PPASR/dataset/test.wav": "近几年不但我用书给女儿儿压岁也劝说亲朋不要给女儿压岁钱而改送压岁书",
}


@pytest.fixture(scope="module")
def recogniser() -> SpeechRecogniser:
    made, warnings = open_recogniser(SpeechSettings())
    if made is None:
        pytest.skip("; ".join(warnings))
    return made


@dataclass(frozen=True)
class Spoken:
    heard: Heard
    lines: list[tuple[float, float, str]]
    text: str


def audio_of(path: Path) -> Audio:
    with open_media(path) as media:
        audio = media.audio()
    assert audio is not None
    return audio


@pytest.fixture(scope="module")
def spoken(real_data: Path, recogniser: SpeechRecogniser) -> list[Spoken]:
    """Every clip with Mandarin of which the exact words are known."""
    clips: list[Spoken] = []
    for line in (real_data / "planted" / "truth.jsonl").read_text("utf-8").splitlines():
        truth = json.loads(line)
        lines = [(start, end, text) for start, end, text in truth["speech"]]
        if lines and re.search(r"[\u4e00-\u9fff]", lines[0][2]):
            heard = recogniser.transcribe(audio_of(real_data / "planted" / truth["file"]))
            clips.append(Spoken(heard, lines, "".join(text for _, _, text in lines)))
    for name, text in RECORDINGS.items():
        clips.append(Spoken(recogniser.transcribe(audio_of(real_data / "speech" / name)), [], text))
    return clips


def plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", simplified(text).lower())


def error_rate(pairs: Iterable[tuple[list[str] | str, list[str] | str]]) -> float:
    """Edits over the length of the truth, all pairs together."""
    counted = [(Levenshtein.distance(found, truth), len(truth)) for found, truth in pairs]
    return sum(edits for edits, _ in counted) / sum(length for _, length in counted)


def test_mandarin_is_read(spoken: list[Spoken], record_property: Callable[[str, object], None]) -> None:
    texts = [(plain("".join(u.text for u in clip.heard.utterances)), plain(clip.text)) for clip in spoken]
    characters = error_rate(texts)
    syllables = error_rate((lazy_pinyin(found), lazy_pinyin(truth)) for found, truth in texts)
    record_property("cer", round(characters, 3))
    record_property("pinyin", round(syllables, 3))
    assert characters <= 0.20
    assert syllables <= 0.10


def test_each_line_is_covered_by_an_utterance_of_its_time(spoken: list[Spoken]) -> None:
    for clip in spoken:
        for start_s, end_s, text in clip.lines:
            overlapping = [
                u for u in clip.heard.utterances if (u.start_s or 0) < end_s - 0.3 and (u.end_s or 0) > start_s + 0.3
            ]
            assert overlapping, text
        if clip.lines:
            assert clip.heard.utterances[0].start_s == pytest.approx(clip.lines[0][0], abs=1.0)
            assert clip.heard.utterances[-1].end_s == pytest.approx(clip.lines[-1][1], abs=1.0)


def test_no_known_speech_is_reported_as_not_understood(spoken: list[Spoken]) -> None:
    assert [clip.heard.warnings for clip in spoken if clip.heard.warnings] == []


def test_english_is_read_as_english(real_data: Path, recogniser: SpeechRecogniser) -> None:
    audio = audio_of(real_data / "planted" / "en_health.mp4")
    for hint in (None, "zh"):
        text = " ".join(u.text for u in recogniser.transcribe(audio, language=hint).utterances).lower()
        assert "diabetes" in text
        assert "guaranteed" in text


def test_long_speech_is_read_to_its_end_and_joined_windows_lose_nothing(
    real_data: Path, recogniser: SpeechRecogniser
) -> None:
    audio = audio_of(real_data / "speech" / "TMElyralab+MuseTalk" / "data" / "audio" / "sun.wav")
    long = Audio(np.tile(audio.samples, 4), start_s=5.0)
    heard = recogniser.transcribe(long)
    assert heard.warnings == ()
    last = "所以好好珍惜在一起的幸福时光"
    assert (
        sum(last in plain("".join(u.text for u in heard.utterances[n:])) for n in (0, len(heard.utterances) // 2)) == 2
    )
    assert heard.utterances[-1].end_s == pytest.approx(5.0 + 4 * audio.duration_s, abs=2.0)
    for before, after in zip(heard.utterances, heard.utterances[1:], strict=False):
        assert (after.start_s or 0) - (before.end_s or 0) < 2.5


def noise(kind: str, length_s: float) -> Audio:
    """Sounds without anybody speaking, drawn by numbers."""
    rng = np.random.default_rng(7)
    t = np.arange(int(length_s * RATE)) / RATE
    if kind == "silence":
        wave = np.zeros_like(t)
    elif kind == "white noise":
        wave = rng.normal(0, 0.1, len(t))
    elif kind == "rumble":
        wave = np.cumsum(rng.normal(0, 0.02, len(t)))
        wave -= np.convolve(wave, np.ones(400) / 400, "same")
    elif kind == "tone":
        wave = 0.3 * np.sin(2 * np.pi * 440 * t)
    elif kind == "beeps":
        wave = 0.3 * np.sin(2 * np.pi * 880 * t) * (t % 1 < 0.2)
    else:  # chords over a beat, each note with overtones that fade
        wave = np.zeros_like(t)
        for bar, root in enumerate([220.0, 174.6, 261.6, 196.0] * int(length_s / 8 + 1)):
            since = t - bar * 2
            fade = np.where((since >= 0) & (since < 2), np.exp(-1.5 * np.clip(since, 0, 2)), 0)
            for step in (1, 1.26, 1.5, 2):
                for overtone in (1, 2, 3):
                    wave += 0.05 / overtone * fade * np.sin(2 * np.pi * root * step * overtone * t)
        wave += 0.1 * rng.normal(0, 1, len(t)) * np.exp(-30 * (t % 0.5))
    return Audio(np.clip(wave, -1, 1).astype(np.float32))


@pytest.mark.parametrize("kind", ["silence", "white noise", "rumble", "tone", "beeps", "chords"])
@pytest.mark.parametrize("length_s", [3.0, 40.0])
def test_nothing_is_invented_where_nobody_speaks(recogniser: SpeechRecogniser, kind: str, length_s: float) -> None:
    assert recogniser.transcribe(noise(kind, length_s)).utterances == ()


@pytest.mark.parametrize("kind", ["white noise", "rumble", "chords"])
def test_the_model_alone_does_not_get_past_the_filters(recogniser: SpeechRecogniser, kind: str) -> None:
    """The detector taken away: what the model says to noise must be doubted, too."""
    deaf = SpeechRecogniser(recogniser._engine, SpeechSettings(vad_threshold=0.0))
    heard = deaf.transcribe(noise(kind, 20.0))
    assert heard.utterances == ()


def test_speech_over_chords_is_still_read(real_data: Path, recogniser: SpeechRecogniser) -> None:
    audio = audio_of(real_data / "planted" / "tea_med_speech.mp4")
    music = noise("chords", audio.duration_s + 1).samples[: len(audio.samples)]
    heard = recogniser.transcribe(Audio((audio.samples + 0.25 * music).astype(np.float32)))
    assert "糖尿病" in "".join(u.text for u in heard.utterances)


@pytest.mark.parametrize("name", ["parttime.mp4", "qr_corner.mp4", "gun_small.mp4"])
def test_nothing_is_invented_over_music(real_data: Path, recogniser: SpeechRecogniser, name: str) -> None:
    assert recogniser.transcribe(audio_of(real_data / "planted" / name)).utterances == ()
