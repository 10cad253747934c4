"""OpenPose: what it is taught, that perfect maps decode into the very people, its switches."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sightline import catalogue
from sightline.detectors.openpose import OpenPose, PoseCriterion, add_neck, limb_middles
from sightline.errors import DatasetError, UsageError
from sightline.skeletons import COCO_POINTS, PERSON, Skeleton, joined, skeleton, with_neck
from sightline.types import Batch, Detections, Features, Frame, Targets

STAR = skeleton(("middle", "top", "left_arm", "right_arm", "foot"), [])
GRID, STRIDE = (46, 60), 8
SIZE = (GRID[0] * STRIDE, GRID[1] * STRIDE)

FIGURE = {
    "nose": (0, -70), "eye": (6, -76), "ear": (14, -72), "shoulder": (24, -44),
    "elbow": (38, -10), "wrist": (44, 26), "hip": (16, 24), "knee": (20, 68), "ankle": (20, 110),
}  # fmt: skip
"""A standing person around (0, 0), the left side; the right one is its mirror image."""


def person(x: float, y: float, scale: float = 1.0) -> Tensor:
    rows = []
    for name in COCO_POINTS:
        dx, dy = FIGURE[name.split("_")[-1]]
        side = -1 if name.startswith("right") else 1
        rows.append([x + side * dx * scale, y + dy * scale, 2.0])
    return torch.tensor(rows)


def star(x: float, y: float, scale: float = 1.0) -> Tensor:
    places = [(0, 0), (0, -60), (50, -10), (-50, -10), (3, 70)]
    return torch.tensor([[x + dx * scale, y + dy * scale, 2.0] for dx, dy in places])


def targets(points: Tensor, crowd: list[int] | None = None) -> Targets:
    seen = points[..., 2:] > 0
    low = torch.where(seen, points[..., :2], 1e6).amin(1)
    high = torch.where(seen, points[..., :2], -1e6).amax(1)
    mark = torch.zeros(len(points), dtype=torch.bool)
    mark[crowd or []] = True
    labels = torch.zeros(len(points), dtype=torch.int64)
    return Targets(torch.cat([low, high], 1), labels, mark, None, points)


def decoded(model: OpenPose, people: Targets) -> Detections:
    """What the decoding makes of the maps that the criterion asks for."""
    seen = [model._seen(people)]
    truth = model.criterion.truth(seen, model.parts, GRID, STRIDE)
    features: Features = (truth.maps, truth.fields)
    batch = Batch(torch.zeros(1, 3, *SIZE), (Frame(SIZE, SIZE),))
    regions = model.propose(batch, features)
    return model.postprocess(batch, features, model.classify(batch, features, regions))[0]


@pytest.mark.parametrize("association", ["pafs", "midpoints"])
@pytest.mark.parametrize("kind", ["person", "person without neck", "star"])
def test_perfect_maps_decode_into_the_people(kind: str, association: str) -> None:
    """Three people of two sizes, every point within half a pixel."""
    draw = star if kind == "star" else person
    options = {"association": association, "neck": "no" if "without" in kind else "auto"}
    bones = STAR if kind == "star" else PERSON
    model = catalogue.build("openpose", ["person"], bones, options)
    assert isinstance(model, OpenPose)
    assert len(model.parts.points) == len(bones.points) + (kind == "person")
    truth = torch.stack([draw(90.3, 150.1), draw(240, 171.6, 0.9), draw(400.7, 180, 1.3)])
    found = decoded(model, targets(truth))
    assert len(found) == 3 and found.keypoints is not None and found.skeleton == bones
    order = found.keypoints[:, 0, 0].argsort()
    off = (found.keypoints[order][..., :2] - truth[..., :2]).norm(dim=2)
    assert float(off.max()) < 0.5
    assert (found.keypoints[..., 2] > 0.75).all() and (found.scores > 0.75).all()


def test_hidden_and_unknown_points() -> None:
    """Hidden ones teach like visible ones; of unknown ones and their limbs nothing is drawn."""
    one = person(200, 180)
    one[COCO_POINTS.index("left_wrist"), 2] = 1
    one[COCO_POINTS.index("right_wrist"), 2] = 0
    model = catalogue.build("openpose", ["person"])
    assert isinstance(model, OpenPose)
    truth = model.criterion.truth([model._seen(targets(one[None]))], model.parts, GRID, STRIDE)
    assert truth.maps[0, COCO_POINTS.index("left_wrist")].max() > 0.8
    assert truth.maps[0, COCO_POINTS.index("right_wrist")].max() == 0
    limbs = [{model.parts.points[a], model.parts.points[b]} for a, b in model.parts.limbs]
    row = limbs.index({"right_elbow", "right_wrist"})
    assert truth.fields[0, 2 * row : 2 * row + 2].abs().max() == 0
    assert truth.maps[0, -1].min() < 0.2 and truth.maps[0, -1].max() == 1  # background
    assert (truth.counts == 1).all()


def test_unlabelled_people_teach_nothing() -> None:
    """A crowd's box is left out, and a person's without points, but not who stands before them."""
    crowd, stranger, one = person(120, 180), person(380, 180), person(150, 180)
    stranger[:, 2] = 0
    people = targets(torch.stack([crowd, stranger, one]), crowd=[0])
    people.boxes[1] = torch.tensor([360.0, 90.0, 410.0, 300.0])
    criterion = PoseCriterion()
    truth = criterion.truth([people], joined(PERSON), GRID, STRIDE)
    nose = [int(one[0, 1]) // STRIDE, int(one[0, 0]) // STRIDE]
    assert truth.counts[0, 0, nose[0], nose[1]] == 1  # labelled, within the crowd's box
    crowd_only = [int(crowd[0, 1]) // STRIDE, int(people.boxes[0, 0]) // STRIDE]
    assert truth.counts[0, 0, crowd_only[0], crowd_only[1]] == 0
    assert (truth.counts[0, 0, 12:37, 45:51] == 0).all() and truth.counts[0, 0, 10, 51] == 1
    answers = torch.zeros(1, 38, *GRID), torch.zeros(1, 18, *GRID)
    told = criterion(([answers[0]], [answers[1]]), [people], joined(PERSON), STRIDE)
    answers[0][0, :, 12:37, 45:51] = 5.0
    answers[1][0, :, 12:37, 45:51] = -5.0
    again = criterion(([answers[0]], [answers[1]]), [people], joined(PERSON), STRIDE)
    assert told == again and all(value > 0 for value in told.values())


def test_an_image_without_keypoints_counts_where_nobody_is() -> None:
    """Objects without points are left out; the rest is background."""
    boxes = torch.tensor([[0.0, 0.0, 80.0, 80.0]])
    people = Targets(boxes, torch.tensor([0]), torch.tensor([False]))
    truth = PoseCriterion().truth([people], joined(PERSON), GRID, STRIDE)
    assert (truth.counts[0, 0, :10, :10] == 0).all()
    assert truth.counts.sum() == GRID[0] * GRID[1] - 100
    assert truth.fields.abs().sum() == 0 and truth.maps[0, :-1].sum() == 0


@pytest.mark.parametrize("association", ["pafs", "midpoints"])
def test_cells_that_count_more(association: str) -> None:
    """With answers of zero, the loss of what is not empty grows by `near`, and no other."""
    people = targets(person(200, 180)[None])
    plain = PoseCriterion(association)  # type: ignore[arg-type]
    nearer = replace(plain, near=3.0)
    channels = 38 if association == "pafs" else 19
    zeros = [torch.zeros(1, channels, *GRID)], [torch.zeros(1, 18, *GRID)]
    parts = joined(PERSON)
    one, other = (rule(zeros, [people], parts, STRIDE) for rule in (plain, nearer))
    name = "fields" if association == "pafs" else "middles"
    assert float(other[name]) == pytest.approx(3 * float(one[name]), rel=1e-5)
    truth = plain.truth([people], parts, GRID, STRIDE)
    background = float((truth.maps[0, -1] ** 2).sum() / (GRID[0] * GRID[1]))
    assert float(other["parts"]) == pytest.approx(
        3 * (float(one["parts"]) - background) + background, rel=1e-4
    )


def test_the_neck_is_between_the_shoulders() -> None:
    one = person(100, 100)
    one[COCO_POINTS.index("left_shoulder"), 2] = 1
    neck = add_neck(one[None], PERSON)[0, -1]
    assert neck.tolist() == [100, 56, 1]
    one[COCO_POINTS.index("right_shoulder"), 2] = 0
    assert add_neck(one[None], PERSON)[0, -1, 2] == 0


def test_middles_of_limbs() -> None:
    ends = torch.tensor([[[0.0, 2.0, 2.0], [4.0, 8.0, 1.0], [1.0, 1.0, 0.0]]])
    middles = limb_middles(ends, torch.tensor([[0, 1], [1, 2]]))
    assert middles.tolist() == [[[2, 5, 1], [2.5, 4.5, 0]]]


def test_switches_that_cannot_be() -> None:
    with pytest.raises(DatasetError, match="no left_shoulder"):
        catalogue.build("openpose", ["star"], STAR, {"neck": "yes"})
    with pytest.raises(UsageError, match="one class"):
        catalogue.build("openpose", ["person", "dog"])
    bones = Skeleton(("only",), (), (0,), (0.05,))
    with pytest.raises(UsageError, match="limbs"):
        catalogue.build("openpose", ["person"], bones)


def test_published_widths() -> None:
    """51.8 million weights in 2017's network, and 18 parts, 19 limbs."""
    with torch.device("meta"):
        model = catalogue.build("openpose_2017_vgg19", ["person"])
    assert isinstance(model, OpenPose) and model.parts == with_neck(PERSON)
    count = sum(value.numel() for value in model.parameters())
    assert count == pytest.approx(52.3e6, rel=0.01)
