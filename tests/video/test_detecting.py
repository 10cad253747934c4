"""A model on a video, one frame at a time."""

from collections.abc import Sequence
from pathlib import Path

import clips
import pytest
import torch
from torch import Tensor

from sightline.tracking import Tracking
from sightline.types import Detections
from sightline.video import frames
from sightline.video.detecting import video

pytest.importorskip("av")


class Finder:
    """Finds one box in every frame, further to the right each time."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def find(self, pixels: Sequence[Tensor], batch_size: int = 1) -> list[Detections]:
        (image,) = pixels
        number = clips.number_of(image)
        self.seen.append(number)
        left = float(number)
        box = torch.tensor([[left, 0, left + 10, 10]])
        one = torch.ones(1)
        rows = torch.zeros(1, dtype=torch.int64)
        return [Detections(box, one, rows, rows, tuple(image.shape[1:]), ("thing",))]


def test_frame_after_frame(tmp_path: Path, here: None) -> None:
    path = clips.write(tmp_path / "clip.mp4", range(8))
    finder = Finder()
    answers = video(finder, path, every=2)
    frame, found = next(answers)
    assert finder.seen == [0]  # nothing is looked at before it is asked for
    assert (frame.index, found.tracks) == (0, None)
    assert [frame.index for frame, _ in answers] == [2, 4, 6]
    assert finder.seen == [0, 2, 4, 6]


def test_with_ids_of_frames_that_were_opened(tmp_path: Path, here: None) -> None:
    path = clips.write(tmp_path / "clip.mp4", range(8))
    ids = [
        found.tracks.tolist()  # type: ignore[union-attr]
        for _, found in video(Finder(), frames(path, start=0.1), track=Tracking(hits=2))
    ]
    assert ids == [[0], [1], [1], [1], [1]]
