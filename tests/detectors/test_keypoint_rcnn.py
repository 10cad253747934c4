"""Keypoints: where their maps say they are, what is learnt, and any skeleton."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline import catalogue, pipeline
from sightline.detectors.keypoint_rcnn import (
    KeypointBranch,
    KeypointHead,
    cells_of,
    keypoint_rcnn_mobilenet_v2,
)
from sightline.detectors.region_head import RegionPooling
from sightline.ops.heatmaps import peaks
from sightline.skeletons import PERSON, Skeleton, skeleton
from sightline.types import Batch, Detections, Frame, Regions, Targets

STAR = skeleton(
    ("top", "left_hand", "right_hand", "left_foot", "right_foot"),
    [(0, 1), (0, 2), (0, 3), (0, 4)],
)
SIZE = (96, 128)


@given(x=st.floats(0, 1), y=st.floats(0, 1), left=st.floats(-20, 60), width=st.floats(20, 90))
def test_the_peak_of_a_points_own_cell_is_the_point(
    x: float, y: float, left: float, width: float
) -> None:
    """To half a cell, and half a pixel of the enlarged map."""
    box = torch.tensor([[left, 10.0, left + width, 70.0]])
    point = torch.tensor([[[left + x * width, 10 + y * 60, 2.0]]])
    cell, inside = cells_of(point, box, (56, 28))
    assert inside.all()
    maps = torch.zeros(1, 1, 56 * 28)
    maps[0, 0, cell] = 5
    (place,), _ = peaks(maps.view(1, 1, 56, 28), box)
    assert abs(place[0, 0] - point[0, 0, 0]) <= width / 28 + 0.51
    assert abs(place[0, 1] - point[0, 0, 1]) <= 60 / 56 + 0.51


def test_points_without_a_label_or_outside_their_box_are_not_learnt() -> None:
    box = torch.tensor([[10.0, 10.0, 30.0, 50.0]])
    points = torch.tensor([[[10.0, 10, 2], [30, 50, 1], [20, 30, 0], [9, 30, 2], [20, 51, 2]]])
    cell, inside = cells_of(points, box, (4, 2))
    assert inside.tolist() == [[True, True, False, False, False]]
    assert cell[0, :2].tolist() == [0, 7]


def scene(bones: Skeleton = STAR) -> tuple[Batch, tuple[torch.Tensor, ...], Regions, Targets]:
    """Two objects on a map of random features, and where their points are."""
    torch.manual_seed(1)
    boxes = torch.tensor([[8.0, 10.0, 60.0, 80.0], [70.0, 20.0, 120.0, 90.0]])
    sides = boxes[:, None, 2:] - boxes[:, None, :2]
    places = boxes[:, None, :2] + torch.rand(2, len(bones.points), 2) * sides
    points = torch.cat([places, torch.full((2, len(bones.points), 1), 2.0)], dim=2)
    features = (torch.randn(1, 8, 12, 16),)
    batch = Batch(torch.zeros(1, 3, *SIZE), (Frame((192, 256), SIZE),))
    nothing = torch.zeros(2, dtype=torch.int64)
    target = Targets(boxes, nothing, nothing.bool(), keypoints=points)
    return batch, features, Regions(boxes, nothing, nothing), target


def test_a_branch_learns_five_points_of_two_objects() -> None:
    batch, features, regions, target = scene()
    branch = KeypointBranch(KeypointHead(8, 5, RegionPooling(size=(14, 14)), 32, 1), STAR)
    optimizer = torch.optim.Adam(branch.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        branch.loss(batch, features, regions, torch.arange(2), [target])["keypoints"].backward()
        optimizer.step()
    twice = torch.cat([2 * regions.boxes])
    found = Detections(twice, torch.ones(2), target.labels, target.labels, (192, 256), ("star",))
    with torch.no_grad():
        (answer,) = branch.look(batch, features, regions, [found])
    assert answer.skeleton == STAR
    assert answer.keypoints is not None and target.keypoints is not None
    away = (answer.keypoints[..., :2] - 2 * target.keypoints[..., :2]).abs()
    assert away.max() < 6, "pixels of the original image, where a cell is four"
    assert (answer.keypoints[..., 2] > 0.5).all()


def test_objects_without_keypoints_teach_the_rest() -> None:
    batch, features, regions, target = scene()
    branch = KeypointBranch(KeypointHead(8, 5, RegionPooling(size=(14, 14)), 8, 1), STAR)
    assert target.keypoints is not None
    unlabelled = replace(target, keypoints=target.keypoints * torch.tensor([1.0, 1.0, 0.0]))
    for none in (unlabelled, replace(target, keypoints=None)):
        loss = branch.loss(batch, features, regions, torch.arange(2), [none])
        assert loss["keypoints"].item() == 0
    whole = branch.loss(batch, features, regions, torch.arange(2), [target])
    half = replace(target, keypoints=target.keypoints * torch.tensor([[[1.0]], [[0.0]]]))
    first = branch.loss(batch, features, regions, torch.arange(2), [half])
    alone = branch.loss(batch, features, regions, torch.tensor([0, -1]), [target])
    torch.testing.assert_close(first["keypoints"], alone["keypoints"])
    assert not torch.isclose(first["keypoints"], whole["keypoints"])


@pytest.mark.parametrize("bones", [None, STAR])
def test_the_light_model_finds_the_points_of_any_skeleton(bones: Skeleton | None) -> None:
    torch.manual_seed(0)
    model = catalogue.build("keypoint_rcnn", ["star", "person"], bones)
    assert isinstance(model, type(keypoint_rcnn_mobilenet_v2(["a"])))
    model.preparation = replace(model.preparation, longer=128)
    model.selection = replace(model.selection, score=1e-4)
    model.eval()
    (found,) = pipeline.detect(model, [torch.randint(0, 255, (3, *SIZE), dtype=torch.uint8)])
    expected = PERSON if bones is None else STAR
    assert model.skeleton == found.skeleton == expected
    assert len(found) and found.keypoints is not None
    assert found.keypoints.shape == (len(found), len(expected.points), 3)
    x, y = found.keypoints[..., 0], found.keypoints[..., 1]
    x1, y1, x2, y2 = found.boxes[:, :, None].unbind(1)
    assert ((x >= x1 - 1) & (x <= x2 + 1) & (y >= y1 - 1) & (y <= y2 + 1)).all(), "in their boxes"


def test_only_models_of_keypoints_take_a_skeleton() -> None:
    finding = [name for name in catalogue.MODELS if catalogue.finds_keypoints(name)]
    posing = ("cpm", "keypoint", "openpose")
    assert finding == [name for name in catalogue.MODELS if name.startswith(posing)]
    assert not hasattr(catalogue.build("faster_rcnn", ["a"], STAR), "skeleton")
