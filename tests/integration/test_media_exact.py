"""Exact frames are bit for bit those of decoding everything, whatever the GOP looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation, VideoReformatter

from moderation.media import open_media
from tests.media_files import write_video

X264 = {"preset": "medium", "bf": "3", "refs": "3"}
CASES: dict[str, dict[str, Any]] = {
    "h264-b-pyramid": {"name": "a.mp4", "options": {**X264, "x264-params": "b-pyramid=normal:scenecut=0"}},
    "h264-open-gop": {"name": "a.mp4", "options": {**X264, "x264-params": "open-gop=1:b-pyramid=normal:scenecut=0"}},
    "h264-no-b": {"name": "a.mp4", "options": {"preset": "veryfast", "bf": "0"}},
    "h264-one-idr": {"name": "a.mp4", "options": X264, "gop": 1000},
    "h264-intra-refresh": {"name": "a.mp4", "options": {**X264, "x264-params": "intra-refresh=1"}},
    "h264-interlaced": {"name": "a.mp4", "options": {**X264, "x264-params": "tff=1:b-pyramid=normal"}},
    "h264-ts": {"name": "a.ts", "options": {**X264, "x264-params": "open-gop=1"}},
    "h264-mkv": {"name": "a.mkv", "options": X264},
    "h264-avi": {"name": "a.avi", "options": {"preset": "veryfast", "bf": "0"}},
    "hevc": {
        "name": "a.mp4",
        "codec": "libx265",
        "options": {"x265-params": "log-level=none:bframes=4:b-pyramid=1:pools=1"},
    },
    "hevc-closed": {
        "name": "a.mkv",
        "codec": "libx265",
        "options": {"x265-params": "log-level=none:open-gop=0:pools=1"},
    },
    "hevc-layers": {
        "name": "a.mp4",
        "codec": "libx265",
        "options": {"x265-params": "log-level=none:temporal-layers=3:bframes=4:b-pyramid=1:pools=1"},
    },
    "vp8": {
        "name": "a.webm",
        "codec": "libvpx",
        "options": {"auto-alt-ref": "1", "lag-in-frames": "12", "cpu-used": "8"},
    },
    "vp9": {
        "name": "a.webm",
        "codec": "libvpx-vp9",
        "options": {"auto-alt-ref": "1", "lag-in-frames": "12", "deadline": "realtime", "cpu-used": "8"},
    },
    "av1": {"name": "a.mp4", "codec": "libsvtav1", "options": {"preset": "12", "svtav1-params": "lp=1"}},
    "mpeg4-b": {"name": "a.mp4", "codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg4-avi": {"name": "a.avi", "codec": "mpeg4", "options": {"bf": "0"}},
    "mpeg2-ts": {"name": "a.ts", "codec": "mpeg2video", "options": {"bf": "2"}},
    "mjpeg": {"name": "a.mkv", "codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "flv": {"name": "a.flv", "codec": "flv"},
}


def make(tmp_path: Path, case: str) -> Path:
    fields = dict(CASES[case])
    path = tmp_path / fields.pop("name")
    if fields.get("codec", "libx264") not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {fields['codec']}")
    return write_video(path, **fields)


def decode_all(path: Path) -> dict[float, np.ndarray]:
    """Every frame by its time, decoded by plain PyAV with its defaults."""
    reformatter = VideoReformatter()
    found: dict[float, np.ndarray] = {}
    with av.open(str(path)) as container:
        origin = (container.start_time or 0) / av.time_base
        for n, frame in enumerate(container.decode(video=0)):
            # AVI stores no presentation times; what FFmpeg guesses is a frame late.
            time = n / 24 if path.suffix == ".avi" else float(frame.time or 0) - origin
            picture = reformatter.reformat(frame, format="bgr24", interpolation=Interpolation.BILINEAR)
            found[round(time, 4)] = picture.to_ndarray()
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("interval", [1.0, 0.3137])
def test_exact_frames_equal_decoding_everything(tmp_path: Path, case: str, interval: float) -> None:
    path = make(tmp_path, case)
    truth = decode_all(path)
    with open_media(path) as media:
        frames = list(media.frames(interval_s=interval, also_at=(1.77, 3.01)))
        warnings = media.warnings
    assert warnings == []
    times = sorted(truth)
    last = times[-1]
    wanted = [times[0], *np.arange(0, last + 1e-9, interval), 1.77, 3.01]
    expected = sorted({max([t for t in times if t <= w + 0.0201], default=times[0]) for w in wanted if w <= last})
    assert [f.pts_s for f in frames] == pytest.approx(expected, abs=2e-3)
    for frame in frames:
        nearest = min(times, key=lambda t: abs(t - frame.pts_s))
        assert np.array_equal(frame.image, truth[nearest]), f"frame at {frame.pts_s} differs"


@pytest.mark.parametrize("case", ["h264-b-pyramid", "h264-open-gop", "hevc", "vp9", "mpeg4-b"])
def test_every_single_frame_can_be_fetched_alone(tmp_path: Path, case: str) -> None:
    path = make(tmp_path, case)
    truth = decode_all(path)
    with open_media(path) as media:
        for time in sorted(truth)[::7]:
            (frame,) = media.frames_at([time])
            assert frame.pts_s == pytest.approx(time, abs=2e-3)
            assert np.array_equal(frame.image, truth[time])


def test_a_time_after_the_end_gives_the_last_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", seconds=1)
    with open_media(path) as media:
        assert [round(f.pts_s, 3) for f in media.frames_at([99.0])] == [round(23 / 24, 3)]
        assert [f.pts_s for f in media.frames_at([])] == []


def test_keyframes_are_frames_of_the_full_decode(tmp_path: Path) -> None:
    path = make(tmp_path, "h264-b-pyramid")
    truth = decode_all(path)
    with open_media(path) as media:
        frames = list(media.keyframes())
    assert [f.pts_s for f in frames] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5], abs=1e-3)
    assert all(f.keyframe for f in frames)
    assert all(np.array_equal(f.image, truth[round(f.pts_s, 4)]) for f in frames)


def test_variable_frame_rate_shows_what_is_on_display(tmp_path: Path) -> None:
    pts = [0, 2, 22, 24 * 5, 24 * 5 + 3, 24 * 8]
    path = write_video(tmp_path / "a.mkv", seconds=len(pts) / 24, pts=pts, options={"bf": "0"})
    with open_media(path) as media:
        times = [round(f.pts_s, 2) for f in media.frames(1.0)]
    assert times == [0.0, 0.92, 5.0, 5.12, 8.0]
