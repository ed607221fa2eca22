"""Open untrusted videos and pictures: probe, sample frames, read sound and subtitles.

Names are loaded on first use, so that `import moderation` and the decoding child stay light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moderation.media.decoder import DecoderPool
    from moderation.media.media import Media, open_media, probe
    from moderation.media.settings import MediaLimits, SamplingSettings
    from moderation.media.shots import ShotTracker, difference, shot_changes, thumbnail

_HOME = {
    "DecoderPool": "decoder",
    "Media": "media",
    "MediaLimits": "settings",
    "SamplingSettings": "settings",
    "ShotTracker": "shots",
    "difference": "shots",
    "open_media": "media",
    "probe": "media",
    "shot_changes": "shots",
    "thumbnail": "shots",
}

__all__ = [
    "DecoderPool",
    "Media",
    "MediaLimits",
    "SamplingSettings",
    "ShotTracker",
    "difference",
    "open_media",
    "probe",
    "shot_changes",
    "thumbnail",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
