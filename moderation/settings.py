"""One root for every setting of a scan. Rooms own their settings; this gathers them.

Defaults here are the only ones: the command line overrides, nothing else repeats them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from moderation.bank.folder import default_bank
from moderation.media import MediaLimits, SamplingSettings
from moderation.text.classifier import TextClassifierSettings
from moderation.transcript.asr import SpeechSettings
from moderation.transcript.ocr import OcrSettings
from moderation.visual.logos import LogoSettings


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """How videos are scored. `policy` None means the shipped one; `speech` None switches speech off,
    `text` None the text classifier, `bank` None the user's bank, `logos` None everything about logos."""

    policy: Path | None = None
    limits: MediaLimits = field(default_factory=MediaLimits)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    ocr: OcrSettings = field(default_factory=OcrSettings)
    speech: SpeechSettings | None = field(default_factory=SpeechSettings)
    text: TextClassifierSettings | None = field(default_factory=TextClassifierSettings)
    logos: LogoSettings | None = field(default_factory=LogoSettings)
    bank: Path | None = field(default_factory=default_bank)
    # A listing's picture is read at up to this longer side: its small print matters and it is one frame.
    picture_side: int = 2560
    # A moment of evidence is photographed for the report at this longer side, in pixels.
    snapshot_side: int = 960
