"""The words of every warning of this room, in one place: what, where, what to do."""

from __future__ import annotations

from pathlib import Path

VIDEO_NAMES = frozenset({
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".ts", ".mts", ".m2ts", ".3gp", ".3g2",
    ".mpg", ".mpeg", ".wmv", ".asf", ".ogv", ".vob", ".rm", ".rmvb",
})  # fmt: skip

EMBEDDED = {
    "video_encrypted": "media: the pictures are encrypted and were not read; send the file decrypted",
    "audio_encrypted": "media: the sound is encrypted and was not read; send the file decrypted",
    "video_undecodable": "media: no picture of the video stream could be decoded; only the sound is scored",
    "audio_undecodable": "media: the sound could not be decoded; only the pictures are scored",
}


def picture_named_video(path: Path) -> str:
    return f"media: the file is a picture though its name says video ({path.suffix}); scored as a picture"


def cover_art() -> str:
    return "media: the only picture is cover art; scored as a picture, and the sound with it"


def animated_webp() -> str:
    return "media: animated WebP: only its first picture was read; send it as GIF or video to have all read"


def no_pictures() -> str:
    return "media: no pictures in the file; only the sound is scored"


def more_streams(count: int, kind: str) -> str:
    return f"media: {count} more {kind} stream(s) were not read; only the default one is scored"


def picture_subtitles(count: int) -> str:
    return f"media: {count} subtitle stream(s) made of pictures were not read"


def too_long(duration_s: float, limit_s: float) -> str:
    return (
        f"media: {_span(duration_s)} long, above the limit of {_span(limit_s)}; "
        f"only the first {_span(limit_s)} are read"
    )


def declared_duration(declared_s: float, real_s: float | None) -> str:
    real = f"packets reach to {_span(real_s)}" if real_s is not None else "no packet has a time"
    return f"media: the file declares {_span(declared_s)}, but its {real}; the declaration is ignored"


def missing_end(what: str, read_s: float, duration_s: float) -> str:
    missing = duration_s - read_s
    return (
        f"media: {what}: the last {missing:.1f} s of {duration_s:.1f} s ({missing / duration_s:.0%}) "
        "could not be read; the file is cut off or damaged"
    )


def bad_packets(what: str, bad: int, total: int, duration_s: float | None) -> str:
    share = bad / total if total else 1.0
    seconds = f", about {share * duration_s:.1f} s" if duration_s else ""
    return f"media: {what}: {bad} of {total} packets ({share:.1%}{seconds}) could not be decoded"


def damaged_frames(count: int) -> str:
    return f"media: pictures: {count} decoded with visible damage; they are scored as they are"


def clock_repaired() -> str:
    return "media: pictures: times are missing or run backwards; they were counted on from the frame rate"


def frame_limit(limit: int) -> str:
    return f"media: pictures: stopped at the limit of {limit} frames; ask for a longer interval to see the rest"


def cue_limit(limit: int) -> str:
    return f"media: subtitles: stopped at the limit of {limit} lines"


def out_of_time(what: str, limit_s: float, read_s: float | None) -> str:
    upto = f"only the first {read_s:.1f} s were read" if read_s is not None else "they were not read"
    return f"media: {what}: decoding passed its time limit of {limit_s:.0f} s; {upto}"


def decoder_died(what: str, how: str, read_s: float | None) -> str:
    upto = f"read up to {read_s:.1f} s" if read_s is not None else "not read"
    return f"media: {what}: the decoder died ({how}); {upto}"


def not_read(what: str, detail: str) -> str:
    return f"media: {what}: not read, because {detail}"


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
