"""What a detector cannot reach: objects of known places, shapes and sizes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sightline.data.records import Dataset, Example, Objects
from sightline.detectors.yolo_v1 import Grid, YoloV1
from sightline.evaluate.blind_spots import blind_spots
from sightline.preparation import Preparation
from sightline.types import Batch, Regions

SIZE = (120, 160)


def data(tmp_path: Path, *boxes: list[float], crowd: tuple[int, ...] = ()) -> dict[str, Dataset]:
    path = tmp_path / "one.png"
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
    objects = Objects.of(boxes, [0] * len(boxes))
    objects.crowd[list(crowd)] = True
    example = Example(path, 1, SIZE, objects)
    return {"train": Dataset((example,), ("cat",), (1,), None, "drawn", tmp_path, "train")}


class Squares:
    """A square of 32 prepared pixels at every 16, without a network; seen at half the size."""

    classes, preparation = ("cat",), Preparation(shorter=None, longer=80, divisor=1)
    searches = False

    def prepare(self, images: Any) -> Batch:
        return self.preparation(images)

    def encode(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        return (batch.pixels[..., ::16, ::16],)

    def propose(self, batch: Batch, features: Any) -> Regions:
        y, x = torch.meshgrid(*[torch.arange(0.0, side, 16) for side in batch.size], indexing="ij")
        boxes = torch.stack([x, y, x + 32, y + 32], dim=-1).reshape(-1, 4)
        zeros = torch.zeros(len(boxes), dtype=torch.int64)
        return Regions(boxes, zeros, zeros)

    def classify(self, *given: Any) -> Any:
        raise AssertionError("nothing is classified")

    postprocess = classify


class Pixels(nn.Module):
    """An encoder that sees what is there."""

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor]:
        return (pixels,)


def told(detector: Any, parts: dict[str, Dataset], trained: bool = False) -> dict[str, list[int]]:
    answer: dict[str, list[int]] = {}
    for fault in blind_spots(detector, parts, trained):
        answer.setdefault(fault.code, []).append(fault.id or 0)
    return answer


def test_shapes_and_sizes(tmp_path: Path) -> None:
    parts = data(
        tmp_path,
        [32, 32, 96, 96],  # just a square of 64, 32 as it is seen
        [0, 0, 150, 20],  # of no shape that there is
        [40, 40, 54, 54],  # seven pixels as it is seen
        [10, 10, 12, 12],  # a crowd
        crowd=(3,),
    )
    ids = parts["train"][0].objects.ids.tolist()
    found = told(Squares(), parts)
    assert found == {"reach.no_region": [ids[1], ids[2]], "reach.tiny": [ids[2]]}


def test_proposals_are_looked_for_in_the_pixels(tmp_path: Path) -> None:
    searching = Squares()
    searching.searches = True
    parts = data(tmp_path, [32, 32, 96, 96], [0, 0, 150, 20])
    faults = blind_spots(searching, parts, False)
    assert [fault.code for fault in faults] == ["reach.proposal", "reach.ceiling"]
    assert "50.0% of 2 objects in 1 sampled images" in faults[1].message
    assert (faults[0].severity, faults[1].severity) == ("warning", "note")


def test_two_centres_in_one_cell(tmp_path: Path) -> None:
    """Centres of one column of 4 × 4 cells: 30 pixels high, 40 wide."""
    model = YoloV1.__new__(YoloV1)  # its geometry alone: no network
    nn.Module.__init__(model)
    model.classes, model.grid, model.encoder = ("cat",), Grid(4, 2), Pixels()
    model.preparation = Preparation(shorter=None, longer=64, fit="stretch", fixed=True)
    parts = data(tmp_path, [10, 5, 60, 25], [20, 6, 50, 20], [20, 40, 50, 50])
    faults = blind_spots(model, parts, False)
    assert [fault.code for fault in faults] == ["reach.one_cell"]
    assert "objects 1, 2 have one cell of 4 × 4" in faults[0].message


def test_the_catalogue_says_what_searches() -> None:
    from sightline.detectors.fast_rcnn import FastRCNN
    from sightline.detectors.rcnn import RCNN

    assert FastRCNN.searches and RCNN.searches  # what the check asks detectors for


@pytest.mark.parametrize("sample", [1, 50])
def test_everything_is_heard_of(tmp_path: Path, sample: int) -> None:
    heard: list[tuple[int, int]] = []
    parts = data(tmp_path, [32, 32, 96, 96])
    both = {"train": parts["train"], "val": parts["train"]}
    blind_spots(Squares(), both, False, sample, lambda done, of: heard.append((done, of)))
    assert heard == [(1, 2), (2, 2)]
