"""`sightline detect` on videos: with a tiny model, a tiny clip, and what goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

import sightline
from sightline.cli import app

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (48, 200, 3), np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(
            "libx264" if "libx264" in av.codecs_available else "mpeg4", rate=25
        )
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for number in range(10):
            part = np.ascontiguousarray(noise[:, 4 * number : 4 * number + 64])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
        file.mux(stream.encode())
    return path


def detect(*words: object) -> tuple[int, str, str]:
    answer = CliRunner().invoke(app, ["detect", *(str(word) for word in words)])
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer.exit_code, answer.stdout, answer.stderr


def test_files_of_a_video_and_of_an_image_in_one_run(
    checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    Pillow.fromarray(np.zeros((40, 60, 3), np.uint8)).save(photo)
    out = tmp_path / "out"
    status, text, _ = detect(
        clip, photo, "--model", checkpoint, "--score", 0.05, "--limit", 2, "--every", 3,
        "--save", "pictures,coco,csv,jsonl", "--out", out,
    )  # fmt: skip
    assert status == 0
    assert "4 frames" in text
    rows = [json.loads(row) for row in (out / "videos/clip.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == [0, 3, 6, 9]
    assert [row["seconds"] for row in rows] == [0, 0.12, 0.24, 0.36]
    python = list(sightline.load(checkpoint, score=0.05).video(clip, every=3, track=True))
    for row, (frame, found) in zip(rows, python, strict=True):
        assert row["frame"] == frame.index
        assert [one["score"] for one in row["detections"]] == [
            round(score, 5) for score in found.scores[:2].tolist()
        ]
        assert all(one["track_id"] >= 1 for one in row["detections"])
    assert any(row["detections"] for row in rows)
    assert (out / "pictures/photo.jpg").exists()
    written = list(sightline.video.frames(out / "videos/clip.mp4"))
    assert [f.seconds for f in written] == pytest.approx([0, 0.12, 0.24, 0.36], abs=1e-3)
    assert not list((out / "videos").glob(".*"))


def test_lines_alone(checkpoint: Path, clip: Path, tmp_path: Path) -> None:
    words = (clip, "--model", checkpoint, "--json", "--end", 0.1, "--no-track", "--score", 0.05)
    status, text, told = detect(*words)
    rows = [json.loads(row) for row in text.splitlines()]
    assert (status, told) == (0, "")
    assert [row["frame"] for row in rows] == [0, 1, 2]
    assert all("track_id" not in one for row in rows for one in row["detections"])
    assert list(tmp_path.iterdir()) == []


def test_one_broken_video_stops_nothing(checkpoint: Path, clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    out = tmp_path / "out"
    words = (broken, clip, "--model", checkpoint, "--end", 0.05, "--save", "jsonl", "--out", out)
    status, _, told = detect(*words)
    assert status == 3
    assert "broken.mp4" in told and "video.unopenable" in told
    assert (out / "videos/clip.jsonl").exists()
    status, text, _ = detect(broken, "--model", checkpoint, "--json")
    assert status == 4
    assert json.loads(text)["error"]["code"] == "video.unopenable"


def test_a_folder_as_a_video_and_a_moving_image(checkpoint: Path, tmp_path: Path) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for number in (10, 9):
        Pillow.fromarray(np.full((40, 60, 3), number, np.uint8)).save(shots / f"{number}.png")
    moving = tmp_path / "moving.gif"
    pair = [Pillow.fromarray(np.full((40, 60, 3), n, np.uint8)) for n in (9, 200)]
    pair[0].save(moving, save_all=True, append_images=pair[1:], duration=50)
    status, text, _ = detect(shots, moving, "--model", checkpoint, "--fps", 10, "--json")
    rows = [json.loads(row) for row in text.splitlines()]
    assert status == 0
    assert [(Path(row["file"]).name, row["seconds"]) for row in rows] == [
        ("shots", 0),
        ("shots", 0.1),
        ("moving.gif", 0),
        ("moving.gif", 0.05),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--save", "yolo"],
        ["--save", "openpose"],
        ["--live", "never"],
        ["--start", "2", "--end", "1"],
        ["--fps", "0"],
    ],
)
def test_calls_that_make_no_sense(
    wrong: list[str], checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    from sightline.errors import UsageError

    source = tmp_path if wrong[0] == "--fps" else clip
    Pillow.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(UsageError):
        detect(source, "--model", checkpoint, "--out", tmp_path / "out", *wrong)


@pytest.mark.slow
def test_killed_and_gone_on_with(checkpoint: Path, tmp_path: Path) -> None:
    """V19: kill -9 anywhere, again and again; the results are those of a run that was let be."""
    clip = tmp_path / "long.mp4"
    noise = np.random.default_rng(0).integers(0, 256, (48, 400, 3), np.uint8)
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for number in range(60):
            part = np.ascontiguousarray(noise[:, 4 * number : 4 * number + 64])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
        file.mux(stream.encode())

    def start(out: Path) -> subprocess.Popen[bytes]:
        words = [
            "detect",
            clip,
            "--model",
            checkpoint,
            "--score",
            0.05,
            "--limit",
            3,
            "--threads",
            1,
        ]
        words += ["--save", "pictures,jsonl,coco,csv", "--out", out]
        command = [sys.executable, "-m", "sightline", *(str(word) for word in words)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ})

    assert start(tmp_path / "whole").wait() == 0
    journal = tmp_path / "killed/videos/.long.journal"
    for frames in (5, 20, 45):
        process = start(tmp_path / "killed")
        while process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") > frames:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.02)
        process.wait()
        kept = [p.name for p in (tmp_path / "killed/videos").iterdir() if p.name[0] != "."]
        assert kept == []
    assert start(tmp_path / "killed").wait() == 0
    for name in ("long.jsonl", "long.coco_results.json", "long.coco_images.json", "long.csv"):
        whole = (tmp_path / "whole/videos" / name).read_bytes()
        assert (tmp_path / "killed/videos" / name).read_bytes() == whole
    assert not journal.exists()
