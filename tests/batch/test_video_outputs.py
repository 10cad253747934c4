"""A video's results: what each file holds, when it is there, and that one's failure is its own."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.batch.journal import Journal
from sightline.batch.video_outputs import KINDS, VideoOutputs
from sightline.batch.videos import VideoRun
from sightline.errors import ResourceError, UsageError, VideoError
from sightline.skeletons import PERSON
from sightline.tracking import Tracker
from sightline.types import Detections
from sightline.video import VideoFrame, writing
from sightline.video.reading import Frames, Report

pytest.importorskip("av")

SIZE = (32, 48)
INFO = {"rate": 25.0, "aspect": None, "seconds": None, "frames": None}


def found(index: int) -> Detections:
    points = torch.zeros(1, 17, 3)
    points[0, :2] = torch.tensor([[5.0 + index, 6.25, 0.5], [7, 8, 0.25]])
    return Detections(
        torch.tensor([[1.0 + index, 2, 21 + index, 30]]),
        torch.tensor([0.75]),
        torch.tensor([0]),
        torch.tensor([index]),
        SIZE,
        ("person",),
        (1,),
        keypoints=points,
        skeleton=PERSON,
    )


def clip(count: int = 4, error: Exception | None = None, live: bool = False) -> Frames:
    def source() -> Iterator[VideoFrame]:
        for index in range(count):
            image = torch.full((3, *SIZE), 10 * index, dtype=torch.uint8)
            yield VideoFrame(2 * index, 0.08 * index, image)
        if error is not None:
            raise error

    frames = Frames(None, source(), INFO, Report())
    frames.live = live
    return frames


def outputs(folder: Path, kinds: Any = KINDS) -> VideoOutputs:
    return VideoOutputs(folder, kinds, "clip", "a/clip.mp4", "rle")


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_every_kind(tmp_path: Path) -> None:
    run = VideoRun(lambda frame: found(frame.index), outputs(tmp_path), tracker=Tracker())
    run.over(clip())
    assert (run.objects, run.tracks) == (4, 1)
    people = [f"openpose/clip/clip_{2 * i:012d}_keypoints.json" for i in range(4)]
    ends = ("coco_images.json", "coco_results.json", "csv", "jsonl", "mp4")
    assert names(tmp_path) == [*people, *(f"videos/clip.{end}" for end in ends)]
    rows = [json.loads(text) for text in (tmp_path / "videos/clip.jsonl").read_text().splitlines()]
    assert rows[1] == {
        "file": "a/clip.mp4",
        "frame": 2,
        "seconds": 0.08,
        "width": 48,
        "height": 32,
        "detections": [
            {
                "label": "person",
                "score": 0.75,
                "box": [3, 2, 23, 30],
                "keypoints": found(2).keypoints[0].tolist(),  # type: ignore[index]
                "track_id": 1,
            }
        ],
    }
    results = json.loads((tmp_path / "videos/clip.coco_results.json").read_text())
    assert [(r["image_id"], r["track_id"], r["category_id"]) for r in results] == [
        (0, 1, 1), (2, 1, 1), (4, 1, 1), (6, 1, 1),
    ]  # fmt: skip
    assert results[1]["bbox"] == [3, 2, 20, 28]
    images = json.loads((tmp_path / "videos/clip.coco_images.json").read_text())
    assert images["images"][1] == {
        "id": 2, "file_name": "a/clip.mp4", "width": 48, "height": 32, "frame": 2, "seconds": 0.08,
    }  # fmt: skip
    assert images["categories"] == [{"id": 1, "name": "person"}]
    table = list(csv.reader((tmp_path / "videos/clip.csv").open(newline="")))
    assert table[2] == [
        "a/clip.mp4",
        "2",
        "0.08",
        "person",
        "0.75",
        "3.0",
        "2.0",
        "23.0",
        "30.0",
        "1",
    ]
    person = json.loads((tmp_path / people[1]).read_text())
    assert person["version"] == 1.3
    assert person["people"][0]["person_id"] == [1]
    values = person["people"][0]["pose_keypoints_2d"]
    assert len(values) == 51
    assert values[:7] == [7, 6.25, 0.5, 7, 8, 0.25, 0]
    assert person["people"][0]["face_keypoints_2d"] == []


def test_a_video_that_cannot_be_written_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V18: the disk is full for the annotated video alone, at its third frame or at its end."""
    for method, when in (("add", 3), ("close", 1)):
        folder, calls = tmp_path / method, []
        whole = getattr(writing.VideoWriter, method)

        def fail(
            self: Any, *given: Any, whole: Any = whole, when: int = when, calls: Any = calls
        ) -> None:
            calls.append(1)
            if len(calls) == when:
                raise ResourceError("the disk is full", code="resource.disk_full")
            whole(self, *given)

        with monkeypatch.context() as patch:
            patch.setattr(writing.VideoWriter, method, fail)
            with pytest.raises(ResourceError) as caught:
                VideoRun(lambda frame: found(frame.index), outputs(folder)).over(clip())
        assert caught.value.code == "resource.disk_full"
        assert len((folder / "videos/clip.jsonl").read_text().splitlines()) == 4
        assert len(json.loads((folder / "videos/clip.coco_results.json").read_text())) == 4
        assert not (folder / "videos/clip.mp4").exists()
        assert not [name for name in names(folder) if ".tmp" in name]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), ValueError("a bug")])
def test_an_interrupted_file_leaves_its_journal_and_is_gone_on_with(
    error: Any, tmp_path: Path
) -> None:
    """V19: the model is asked about the frames that are missing, and all results are the same."""
    asked: list[int] = []

    def find(frame: VideoFrame) -> Detections:
        asked.append(frame.index)
        return found(frame.index)

    def begin(folder: Path) -> VideoRun:
        journal = Journal(folder / "videos" / ".clip.journal", "mark", ("person",))
        return VideoRun(find, outputs(folder), journal, Tracker())

    with pytest.raises(type(error)):
        begin(tmp_path / "a").over(clip(2, error))
    assert [name for name in names(tmp_path / "a") if "openpose" not in name] == [
        "videos/.clip.journal"
    ]
    assert asked == [0, 2]
    begin(tmp_path / "a").over(clip())
    assert asked == [0, 2, 4, 6]
    begin(tmp_path / "b").over(clip())
    assert names(tmp_path / "a") == names(tmp_path / "b")
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("live", "error"), [(True, KeyboardInterrupt()), (False, VideoError("lost", code="video.x"))]
)
def test_what_is_live_or_cannot_be_read_on_keeps_what_there_was(
    live: bool, error: Any, tmp_path: Path
) -> None:
    run = VideoRun(lambda frame: found(frame.index), outputs(tmp_path))
    with pytest.raises(type(error)):
        run.over(clip(3, error, live))
    assert len((tmp_path / "videos/clip.jsonl").read_text().splitlines()) == 3
    assert (tmp_path / "videos/clip.mp4").exists()


def test_what_is_not_written_of_videos(tmp_path: Path) -> None:
    for kinds, masks in ((["yolo"], "rle"), (["jsonl"], "bitmaps")):
        with pytest.raises(UsageError):
            VideoOutputs(tmp_path / "x", kinds, "clip", "clip.mp4", masks)
    assert not (tmp_path / "x").exists()
