"""The records: what they hold, and how they are cut and printed."""

import json

import pytest
import torch

from sightline.types import Batch, Detections, Frame, Targets


def detections() -> Detections:
    return Detections(
        boxes=torch.tensor([[0.0, 1, 10, 21], [5, 5, 9, 7], [1, 2, 3, 4]]),
        scores=torch.tensor([0.75, 0.5, 0.25]),
        labels=torch.tensor([1, 0, 1]),
        region=torch.tensor([7, 3, 9]),
        size=(30, 40),
        classes=("cat", "dog"),
        masks=torch.zeros(3, 30, 40, dtype=torch.bool),
        keypoints=torch.arange(18.0).view(3, 2, 3),
    )


def test_a_frame_by_hand():
    """100 × 200 shrunk to 50 × 50 at (top 4, left 8): y halves, x becomes a quarter."""
    frame = Frame(original=(100, 200), resized=(50, 50), offset=(4, 8))
    prepared = frame.to_prepared(torch.tensor([[0.0, 0, 200, 100], [40, 20, 80, 60]]))
    assert prepared.tolist() == [[8, 4, 58, 54], [18, 14, 28, 34]]
    assert frame.to_original(prepared)[1].tolist() == [40, 20, 80, 60]
    assert frame.to_prepared(torch.tensor([[40.0, 20]])).tolist() == [[18, 14]]


@pytest.mark.parametrize(
    "rows",
    [torch.tensor([True, False, True]), torch.tensor([0, 2]), [0, 2], slice(0, 3, 2)],
    ids=["mask", "index", "list", "slice"],
)
def test_a_subset_cuts_every_column(rows):
    part = detections()[rows]
    assert part.scores.tolist() == [0.75, 0.25] and part.region.tolist() == [7, 9]
    assert part.boxes.shape == (2, 4) and part.masks.shape == (2, 30, 40)
    assert part.keypoints[1, 0].tolist() == [12, 13, 14]
    assert part.size == (30, 40) and part.classes == ("cat", "dog")


def test_none_is_a_subset_too():
    empty = detections()[[]]
    assert len(empty) == 0 and list(empty) == [] and empty.to_json() == []


def test_above_is_strict():
    assert len(detections().above(0.5)) == 1 and len(detections().above(0.49)) == 2


def test_names_and_rows():
    assert detections().names == ["dog", "cat", "dog"]
    name, score, box = next(iter(detections()))
    assert (name, box) == ("dog", [0, 1, 10, 21]) and score == 0.75


def test_plain_data():
    rows = json.loads(json.dumps(detections().to_json(), allow_nan=False))
    assert rows[1]["label"] == "cat" and rows[1]["keypoints"] == [[6, 7, 8], [9, 10, 11]]
    plain = detections().to_dict()
    assert set(plain) == {"boxes", "labels", "scores", "masks", "keypoints"}
    assert plain["labels"].tolist() == [1, 0, 1]


def test_to_supervision():
    pytest.importorskip("supervision", reason="the extra package supervision is not installed")
    made = detections().to_supervision()
    assert made.xyxy.shape == (3, 4) and made.data["class_name"].tolist() == ["dog", "cat", "dog"]


def test_batch_and_targets():
    batch = Batch(torch.zeros(2, 3, 32, 64), (Frame((1, 2), (16, 32)),) * 2)
    assert len(batch) == 2 and batch.size == (32, 64) and batch.to("cpu").size == (32, 64)
    targets = Targets(torch.zeros(4, 4), torch.zeros(4).long(), torch.zeros(4).bool())
    assert len(targets.to("cpu")) == 4 and targets.to("cpu").masks is None
