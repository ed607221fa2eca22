"""The commands as other programs call them: exit status, JSON keys, one answer an input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from moderation.types import LABELS, TEXT_LABELS

KEYS = {
    "schema", "id", "path", "sha256", "duration_s", "suggestion", "findings", "scores", "transcript", "versions",
    "timings_s", "warnings", "error",
}  # fmt: skip
FINDING_KEYS = {
    "label", "score", "action", "source", "start_s", "end_s", "text", "span", "normalised", "box", "match", "detector",
    "basis", "snapshot",
}  # fmt: skip


def run(*words: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "moderation", *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=240, cwd=cwd)


def lines(done: subprocess.CompletedProcess[bytes]) -> list[dict]:
    return [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]


@pytest.fixture(scope="module")
def banner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A listing's picture with a claim on it."""
    import cv2

    image = np.full((480, 900, 3), 245, np.uint8)
    cv2.putText(image, "喝一个月糖尿病就治好了", (40, 240), (20, 20, 20), cv2.FontFace("uni"), 56, 600)
    path = tmp_path_factory.mktemp("goods") / "banner.png"
    cv2.imwrite(str(path), image)
    return path


def test_a_picture_gets_a_verdict_with_every_key(banner: Path) -> None:
    done = run("scan", banner, "--json", "--no-speech")
    (verdict,) = lines(done)
    assert done.returncode == 0
    assert set(verdict) == KEYS
    assert set(verdict["scores"]) == set(LABELS)
    assert verdict["suggestion"] == "block"
    finding = next(f for f in verdict["findings"] if f["label"] == "medical_claim")
    assert set(finding) >= FINDING_KEYS
    assert finding["source"] == "screen"
    assert "糖尿病" in finding["text"][slice(*finding["span"])]
    assert all(0 <= v <= 1 for v in finding["box"])
    assert {"decode", "ocr", "asr", "text", "visual", "total"} <= set(verdict["timings_s"])


def test_the_report_is_written_and_named(banner: Path, tmp_path: Path) -> None:
    done = run("scan", banner, "--json", "--no-speech", "--report", tmp_path / "out")
    (verdict,) = lines(done)
    page = tmp_path / "out" / f"{verdict['id']}.html"
    assert page.read_text("utf-8").startswith("<!doctype html>")
    snapshot = verdict["findings"][0]["snapshot"]
    assert (tmp_path / "out" / snapshot).read_bytes().startswith(b"\xff\xd8")


def test_one_bad_file_does_not_stop_the_others(banner: Path, tmp_path: Path) -> None:
    empty = tmp_path / "空 文件.mp4"
    empty.touch()
    loop = tmp_path / "loop.mp4"
    loop.symlink_to(loop)
    dash = tmp_path / "-dash.png"
    dash.write_bytes(banner.read_bytes())
    paths = [tmp_path / "absent.mp4", empty, tmp_path, loop, Path("-dash.png")]
    done = run("scan", "--json", "--no-speech", "--", *paths, cwd=tmp_path)
    answers = lines(done)
    codes = [a["error"]["code"] if a["error"] else None for a in answers]
    assert done.returncode == 1
    assert codes == ["not_found", "unreadable_media", "not_a_file", "not_found", None]
    assert answers[-1]["suggestion"] == "block"
    assert all(a["suggestion"] is None and a["findings"] == [] for a in answers[:-1])


def test_metadata_is_refused_by_key(banner: Path, tmp_path: Path) -> None:
    meta = tmp_path / "meta.json"
    meta.write_text('{"titel": "x"}')
    done = run("scan", banner, "--json", "--no-speech", "--meta", meta)
    (verdict,) = lines(done)
    assert done.returncode == 1
    assert verdict["error"]["code"] == "bad_metadata"
    assert "titel" in verdict["error"]["message"]


@pytest.mark.parametrize(
    "words",
    [
        ["scan"],
        ["nonsense"],
        ["scan", "a.mp4", "b.mp4", "--meta", "m.json"],
        ["scan", "a.mp4", "--policy", "/nonexistent"],
        ["text", "--policy", "/nonexistent"],
    ],
)
def test_wrong_use_is_status_2(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stderr
    assert not done.stdout


def test_texts_are_answered_in_order_with_offsets() -> None:
    given = [
        {"id": "a", "text": "这款茶喝了糖niao病都能治好", "category": "food", "source": "speech"},
        {"id": "b", "text": "七天无理由退换，放心拍"},
    ]
    done = run("text", "--json", stdin="\n".join(json.dumps(g, ensure_ascii=False) for g in given).encode())
    first, second = lines(done)
    assert done.returncode == 0
    assert set(first) == {"id", "scores", "labels", "spans"}
    assert set(first["scores"]) == set(TEXT_LABELS)
    assert "medical_claim" in first["labels"]
    span = next(s for s in first["spans"] if s["label"] == "medical_claim")
    assert "niao" in given[0]["text"][span["start"] : span["end"]]
    assert second["labels"] == []


def test_a_bad_text_line_is_answered_and_the_rest_go_on() -> None:
    done = run("text", "--json", stdin=b'{"id": 1, "text": "a"}\n{"id": 2}\n{"id": 3, "text": "b"}\n')
    answers = lines(done)
    assert done.returncode == 1
    assert [a["id"] for a in answers] == [1, 2, 3]
    assert answers[1]["error"]["message"]


def test_the_shipped_policy_has_no_mistakes_and_a_broken_one_is_explained(tmp_path: Path) -> None:
    import shutil

    from moderation.policy.load import shipped_policy

    assert run("policy", "check", shipped_policy()).returncode == 0
    copy = tmp_path / "policy"
    shutil.copytree(shipped_policy(), copy)
    file = copy / "policy.yaml"
    file.write_text(file.read_text("utf-8").replace("score_comments: false", "score_coments: false"), "utf-8")
    done = run("policy", "check", copy)
    assert done.returncode == 1
    assert b"policy.yaml:" in done.stdout
    assert "score_coments" in done.stdout.decode()


def test_models_verify_hashes_what_is_installed() -> None:
    done = run("models", "verify", "--json")
    files = lines(done)
    assert done.returncode == 0
    assert {"ocr"} <= {f["model"] for f in files}
    assert all(len(f["sha256"]) == 64 for f in files)


@pytest.fixture(scope="module")
def clip_and_copy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A clip of six scenes, and a smaller copy of its middle with a caption."""
    import av
    import cv2

    folder = tmp_path_factory.mktemp("known")
    scenes = []
    for seed in range(6):
        small = np.random.default_rng(seed).integers(0, 256, (6, 10, 3)).astype(np.uint8)
        scenes.append(cv2.resize(small, (480, 272), interpolation=cv2.INTER_CUBIC).astype(np.uint8))

    def write(path: Path, pictures: list[np.ndarray], crf: str) -> Path:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=8)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt, stream.options = "yuv420p", {"crf": crf}
            for picture in pictures:
                for _ in range(16):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(stream.encode())
        return path

    def changed(picture: np.ndarray) -> np.ndarray:
        small = cv2.resize(picture, (320, 180), interpolation=cv2.INTER_AREA).astype(np.uint8)
        return cv2.putText(small, "new", (10, 170), 0, 1.0, (255, 255, 255), 3).astype(np.uint8)

    original = write(folder / "original.mp4", scenes, "20")
    return original, write(folder / "copy.mp4", [changed(s) for s in scenes[1:5]], "34")


def test_a_copy_of_a_known_violation_is_found_until_its_entry_is_switched_off(
    clip_and_copy: tuple[Path, Path], tmp_path: Path
) -> None:
    original, copy = clip_and_copy
    bank, report = tmp_path / "bank", tmp_path / "report"
    (entry,) = lines(run("bank", "add", "--kind", "violation", "taken down", original, "--bank", bank, "--json"))
    scan = ("scan", copy, "--no-speech", "--json", "--bank", bank)
    (verdict,) = lines(run(*scan, "--report", report))
    finding = next(f for f in verdict["findings"] if f["label"] == "known_violation")
    assert (finding["source"], finding["detector"], finding["text"]) == ("bank", "bank", "taken down")
    assert finding["match"]["start_s"] == pytest.approx(2.0, abs=1.0)
    assert finding["match"]["similarity"] > 0.7
    assert verdict["versions"]["bundles"]["bank"].startswith("sha256:")
    for picture in (finding["snapshot"], finding["match"]["picture"]):
        assert (report / picture).read_bytes().startswith(b"\xff\xd8")
    assert "% with taken down" in next(report.glob("*.html")).read_text("utf-8")

    assert run("bank", "disable", entry["id"][:6], "--bank", bank).returncode == 0
    (verdict,) = lines(run(*scan))
    assert not [f for f in verdict["findings"] if f["label"] == "known_violation"]
    (listed,) = lines(run("bank", "list", "--bank", bank, "--json"))
    assert listed["enabled"] is False


def test_a_bank_says_what_is_wrong(clip_and_copy: tuple[Path, Path], tmp_path: Path) -> None:
    original, _ = clip_and_copy
    add = ("bank", "add", "--kind", "violation", "x", "--bank", tmp_path / "bank")
    assert run(*add, original).returncode == 0
    twice = run(*add, original, tmp_path / "absent.mp4")
    assert twice.returncode == 1
    assert b"in the bank already" in twice.stderr
    assert b"absent.mp4" in twice.stderr
    index = tmp_path / "bank" / "bank.json"
    index.write_bytes(index.read_bytes()[:40])
    broken = run("scan", original, "--bank", tmp_path / "bank")
    assert broken.returncode == 2
    assert b"bank.json" in broken.stderr
