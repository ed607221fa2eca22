"""Speech to utterances: sound in, sentences with times out, and a word about everything that could not be read.

    find speech ─► (captions say the same?) ─► windows of 18 s ─► read ─► doubt ─► read the gaps ─► sentences

A voice that was not understood, a window that failed and a time limit each become a warning with its times: silence is
never reported as clean. This page opens the model; the work on one recording is in `listening`.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from moderation.errors import ModelError
from moderation.transcript.listening import Heard, Listening, SpeechEngine, SpeechSettings
from moderation.transcript.weights import INSTALL_LINE, MODEL_NAME, NoRoomError, join_weights, locate_packaged_parts
from moderation.transcript.whisper import RATE, WhisperEngine
from moderation.types import Audio, Utterance

__all__ = ["NO_MODEL", "Heard", "SpeechEngine", "SpeechRecogniser", "SpeechSettings", "open_recogniser"]

logger = logging.getLogger(__name__)

NO_MODEL = "asr: no model installed; speech was not read"


def open_recogniser(settings: SpeechSettings | None) -> tuple[SpeechRecogniser | None, tuple[str, ...]]:
    """The recogniser, or None with the warnings that each verdict then carries (none where speech is switched off).

    Raises ModelError where a model is there and is not what it should be, or cannot be loaded.
    """
    if settings is None:
        return None, ()
    packaged = locate_packaged_parts() if settings.model is None else None
    has_library = all(importlib.util.find_spec(name) for name in ("ctranslate2", "faster_whisper"))
    if not has_library or (settings.model is None and packaged is None):
        logger.warning("no speech model is installed: %s", INSTALL_LINE)
        return None, (NO_MODEL,)
    try:
        if packaged is not None:
            folder, name = join_weights(packaged), f"{MODEL_NAME}-{packaged.version}"
        else:
            folder, name = _chosen_folder(str(settings.model)), Path(str(settings.model)).name
    except NoRoomError as error:
        return None, (f"asr: {error} Speech was not read.",)
    engine = WhisperEngine(
        folder,
        name=name,
        threads=settings.threads,
        compute_type=settings.compute_type,
        beam_size=settings.beam_size,
        cap=settings.token_cap,
    )
    return SpeechRecogniser(engine, settings), ()


def _chosen_folder(model: str) -> Path:
    if Path(model).is_dir():
        return Path(model)
    from faster_whisper.utils import download_model

    try:
        return Path(download_model(model))
    except Exception as error:
        raise ModelError(
            f"{model}: neither a folder with a speech model nor one that could be fetched from the Hugging Face hub "
            f"({error}). Give a folder, a name such as 'small', or leave it out for the packaged model."
        ) from error


class SpeechRecogniser:
    """Reads the speech of one recording after another. Not for two threads at once."""

    def __init__(self, engine: SpeechEngine, settings: SpeechSettings | None = None) -> None:
        self._engine = engine
        self._settings = settings or SpeechSettings()

    @property
    def version(self) -> str:
        """For example `whisper-base-int8-1.0.0/ctranslate2-4.8`."""
        return self._engine.version

    def transcribe(
        self,
        audio: Audio,
        *,
        language: str | None = None,
        captions: Sequence[Utterance] = (),
        deadline: Callable[[], bool] | None = None,
    ) -> Heard:
        """Read the speech; never raises for what is in `audio`.

        `language`: a hint such as `zh` or `en-GB`. `captions`: text on screen and subtitles with their times.
        `deadline` is asked before each window and answers whether the time is over.
        """
        if audio.rate != RATE:
            return Heard(
                warnings=(f"asr: the sound has {audio.rate} samples a second, not {RATE}; speech was not read",)
            )
        hint = language.split("-")[0].lower() if language else None
        listening = Listening(self._engine, self._settings, audio, hint, deadline or (lambda: False))
        listening.listen(captions)
        return listening.heard()
