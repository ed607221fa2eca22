"""Pictures of the moments that findings point at, taken after the decision.

Frames are not kept while a video is read (an hour of them would fill the memory); the few that speak for
a finding are decoded once more, exactly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moderation.bank.live import BankSnapshot
from moderation.media import Media
from moderation.types import Finding

JPEG_QUALITY = 82
STRIP_FRAMES = 8
STRIP_SIDE = 320
# The sampler counts a frame that begins this little after the time asked for as on display.
PTS_TOLERANCE_S = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One picture of the clip: the time it stands for and its JPEG bytes."""

    time_s: float
    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A clip's pictures: one a finding with a time (by snapshot name), and an even strip for orientation."""

    moments: dict[str, Moment]
    strip: tuple[Moment, ...]


def snapshot_time(finding: Finding) -> float | None:
    """When to photograph a finding: inside its interval, past the fade-in of a caption; None without a time."""
    if finding.start_s is None:
        return None
    end = finding.end_s if finding.end_s is not None else finding.start_s
    return round((finding.start_s + end) / 2, 3)


def photograph(
    media: Media, video_id: str, findings: Sequence[Finding], *, side: int
) -> tuple[list[Finding], Evidence]:
    """Findings with `snapshot` filled in, and the pictures they name. `side` is the longer side in pixels."""
    if not media.info.has_video:
        return list(findings), Evidence({}, ())
    times = sorted({t for t in map(snapshot_time, findings) if t is not None})
    taken = _on_display(times, [_moment(f.pts_s, f.image) for f in media.frames_at(times, max_side=side)])
    named, moments = [], {}
    for finding in findings:
        time = snapshot_time(finding)
        moment = taken.get(time) if time is not None else None
        if moment is None:
            named.append(finding)
            continue
        name = f"{video_id}/{round(moment.time_s * 10):06d}.jpg"
        moments[name] = moment
        named.append(replace(finding, snapshot=name))
    return named, Evidence(moments, _strip(media))


def with_bank_pictures(evidence: Evidence, findings: Sequence[Finding], bank: BankSnapshot) -> Evidence:
    """The evidence with the bank's picture for each finding that matched one, under the name it carries."""
    moments = dict(evidence.moments)
    for finding in findings:
        if finding.match is None or finding.match.picture is None:
            continue
        entry_id = Path(finding.match.picture).parent.name
        middle = ((finding.match.start_s or 0.0) + (finding.match.end_s or 0.0)) / 2
        moments[finding.match.picture] = _from_jpeg(middle, bank.picture(entry_id, middle))
    return replace(evidence, moments=moments)


def write_snapshots(folder: Path, evidence: Evidence) -> None:
    """Write the pictures below `folder`, under the names that findings carry."""
    for name, moment in evidence.moments.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(moment.jpeg)


def _on_display(times: Sequence[float], moments: Sequence[Moment]) -> dict[float, Moment]:
    """Which picture was on display at each time: the last one that began by then, else the first."""
    starts = [moment.time_s for moment in moments]
    return {t: moments[max(bisect_right(starts, t + PTS_TOLERANCE_S) - 1, 0)] for t in times} if moments else {}


def _strip(media: Media) -> tuple[Moment, ...]:
    duration = media.info.duration_s or 0.0
    if media.info.is_picture or duration <= 0:
        times = [0.0]
    else:
        times = [round(duration * (i + 0.5) / STRIP_FRAMES, 3) for i in range(STRIP_FRAMES)]
    return tuple(_moment(f.pts_s, f.image) for f in media.frames_at(times, max_side=STRIP_SIDE))


def _from_jpeg(time_s: float, jpeg: bytes) -> Moment:
    import cv2

    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    height, width = picture.shape[:2] if picture is not None else (0, 0)
    return Moment(time_s, jpeg, width, height)


def _moment(time_s: float, image: NDArray[np.uint8]) -> Moment:
    import cv2

    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Moment(time_s, jpeg.tobytes(), image.shape[1], image.shape[0])
