"""What a decoding child may use, and how a video is sampled. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Bounds on one input. The defaults are the contract's.

    `max_pixels` is per decoded frame. `max_audio_s` bounds the memory of the sound (64 kB a second
    of 16 kHz float32). `max_frames` and `max_cues` bound what one request may answer.
    """

    max_bytes: int = 4 * 1024**3
    max_pixels: int = 40_000_000
    max_duration_s: float = 3600.0
    refuse_long: bool = False
    base_time_s: float = 60.0
    time_per_second: float = 0.5
    memory_bytes: int = 2 * 1024**3
    max_streams: int = 64
    max_frames: int = 20_000
    max_audio_s: float = 3600.0
    max_cues: int = 20_000

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if name != "refuse_long" and not value > 0:
                raise ValueError(f"MediaLimits.{name} must be above 0, not {value!r}")

    def time_limit_s(self, duration_s: float | None) -> float:
        """Seconds of decoding allowed for a declared duration, which is trusted up to `max_duration_s`."""
        return self.base_time_s + self.time_per_second * min(duration_s or 0.0, self.max_duration_s)


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """Defaults of the sampler; each can be overridden in the call.

    `interval_s` is the floor of exact frames; `keyframe_gap_s` thins the first pass where every
    frame is a keyframe. Sides are pixels of the longer side; nothing is ever enlarged.
    """

    interval_s: float = 1.0
    max_side: int = 1280
    keyframe_gap_s: float = 0.5
    keyframe_max_side: int = 640

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"SamplingSettings.{name} must be above 0, not {getattr(self, name)!r}")
