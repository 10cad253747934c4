"""YOLO v2: where boxes can lie, who answers for an object, what Darknet's loss asks."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline import boxes as bx
from sightline.detectors.prior_cells import Answers, Cells, location
from sightline.detectors.yolo_v2 import (
    RegionCriterion,
    YoloV2,
    yolo_v2_mobilenet_v2,
    yolo_v2_tiny,
)
from sightline.detectors.yolo_v3 import YoloCriterion
from sightline.fitting import Desk
from sightline.matching import BACKGROUND, IGNORED
from sightline.ops.prior_answers import located
from sightline.ops.shape_match import nearest_shapes
from sightline.types import Batch, Frame, Targets

CELLS = Cells(((8, 12), (4, 6)), (16, 32), (((10.0, 20.0), (30.0, 10.0)), ((60.0, 60.0), (90.0, 40.0))))  # fmt: skip  # noqa: E501
SIZE = (128, 192)
ALL = 2 * (8 * 12 + 4 * 6)


def targets(*boxes: list[float], crowd: bool = False) -> Targets:
    count = len(boxes)
    rows = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    return Targets(rows, torch.arange(count) % 3, torch.full((count,), crowd))


def answers(raw: torch.Tensor, seen: int = 10**9) -> Answers:
    priors, level = CELLS.boxes()
    stride = torch.tensor([16.0, 32.0])[level]
    boxes = located(raw[..., :4], priors, stride)
    return Answers(raw, boxes, priors, level, stride, CELLS, SIZE, seen)


def test_priors_lie_around_the_centres_of_their_cells() -> None:
    boxes, level = CELLS.boxes()
    assert boxes.shape == (ALL, 4) and level.tolist() == [0] * 192 + [1] * 48
    assert boxes[0].tolist() == [3, -2, 13, 18]  # level 0, cell (0, 0), prior 10×20
    assert boxes[2 * (3 * 12 + 5) + 1].tolist() == [73, 51, 103, 61]  # row 3, column 5, prior 30×10
    assert boxes[192 + 2 * (1 * 6 + 2)].tolist() == [50, 18, 110, 78]


@given(
    raw=st.lists(st.floats(-30, 30), min_size=4, max_size=4),
    row=st.integers(0, ALL - 1),
)
def test_a_centre_never_leaves_its_cell(raw: list[float], row: int) -> None:
    """YOLO9000, figure 3; and `location` is the way back."""
    priors, level = CELLS.boxes()
    stride = torch.tensor([16.0, 32.0])[level[row : row + 1]]
    (found,) = located(torch.tensor([raw]), priors[row : row + 1], stride)
    middle = bx.centres(priors[row])
    assert ((bx.centres(found) - middle).abs() <= stride / 2 + 1e-2).all()
    sides = (found[2:] - found[:2]) / (priors[row, 2:] - priors[row, :2])
    wanted = [math.exp(min(t, bx.LOG_SCALE_LIMIT)) for t in raw[2:]]
    assert sides.tolist() == pytest.approx(wanted, rel=0.02, abs=1e-4)
    centre, side = location(found[None], priors[row : row + 1], stride)
    assert centre[0].tolist() == pytest.approx([1 / (1 + math.exp(-t)) for t in raw[:2]], abs=1e-3)
    if min(raw[2:]) > -3:
        assert side[0].tolist() == pytest.approx(
            [min(t, bx.LOG_SCALE_LIMIT) for t in raw[2:]], abs=0.02
        )


def test_the_responsible_prior() -> None:
    objects = torch.tensor(
        [
            [81.0, 51, 91, 71],  # 10×20 around (86, 61): level 0, row 3, column 5, prior 0
            [0.0, 0, 95, 42],  # 95×42 around (47.5, 21): level 1, row 0, column 1, prior 1
            [180.0, 118, 204, 138],  # its centre is the corner of the image: the last cell
        ]
    )
    rows = CELLS.responsible(objects)
    assert rows[:2].tolist() == [2 * (3 * 12 + 5), 192 + 2 * 1 + 1]
    assert int(rows[2]) in (2 * (7 * 12 + 11), 2 * (7 * 12 + 11) + 1)
    priors, _ = CELLS.boxes()
    sides = objects[:, 2:] - objects[:, :2]
    shapes = (priors[:, 2:] - priors[:, :2]).double()
    best = nearest_shapes(sides.double(), shapes)[1]
    own = torch.cat([nearest_shapes(a[None].double(), shapes[r][None])[1] for a, r in zip(sides, rows, strict=True)])  # fmt: skip  # noqa: E501
    torch.testing.assert_close(own, best)


def test_owners() -> None:
    """One prior an object; what already reaches it, or lies in a crowd, is left alone."""
    raw = torch.zeros(1, ALL, 8)
    truth = targets([81, 51, 91, 71], [81, 51, 91, 71])
    found = answers(raw).owners([truth], ignore=0.6)[0]
    own = 2 * (3 * 12 + 5)
    assert int(found[own]) == 1  # the later of two with the same prior
    assert (found >= 0).sum() == 1 and (found == IGNORED).sum() == 0
    near = raw.clone()
    near[0, own + 1, :2] = torch.logit(torch.tensor([6 / 16, 13 / 16]))  # the object's own place
    near[0, own + 1, 2:4] = torch.tensor([math.log(10 / 30), math.log(20 / 10)])
    found = answers(near).owners([truth], ignore=0.6)[0]
    assert (found == IGNORED).nonzero()[:, 0].tolist() == [own + 1]
    crowd = targets([0, 0, 192, 128], crowd=True)
    found = answers(raw).owners([crowd], ignore=0.6)[0]
    inside = bx.coverage(CELLS.boxes()[0], crowd.boxes)[:, 0] > 0.5
    assert torch.equal(found == IGNORED, inside) and (found[~inside] == BACKGROUND).all()


def perfect(truth: Targets) -> torch.Tensor:
    """What a head says that has learnt all."""
    priors, level = CELLS.boxes()
    stride = torch.tensor([16.0, 32.0])[level]
    raw = torch.full((1, ALL, 8), -20.0)
    raw[..., :4] = 0
    rows = CELLS.responsible(truth.boxes)
    centre, side = location(truth.boxes, priors[rows], stride[rows])
    raw[0, rows, :2], raw[0, rows, 2:4] = torch.logit(centre), side
    raw[0, rows, 4] = 20
    raw[0, rows, 5 + truth.labels] = 20
    return raw


@pytest.mark.parametrize("criterion", [RegionCriterion(), YoloCriterion()])
def test_perfect_answers_cost_least(criterion: Any) -> None:
    truth = targets([24, 20, 44, 62], [70.5, 10, 120, 81])
    best = criterion(answers(perfect(truth)), [truth])
    floor = 0.0
    if isinstance(criterion, YoloCriterion):  # cross-entropy with a place between 0 and 1
        rows = CELLS.responsible(truth.boxes)
        place = perfect(truth)[0, rows, :2].sigmoid()
        entropy = -(place * place.log() + (1 - place) * (1 - place).log())
        floor = float(((2 - bx.area(truth.boxes) / (128 * 192))[:, None] * entropy).sum())
    assert float(best["box"]) == pytest.approx(floor, abs=1e-4)
    assert all(float(v) == pytest.approx(0, abs=1e-4) for k, v in best.items() if k != "box")
    astray, unsure = perfect(truth), perfect(truth)
    astray[..., :4] += 2
    unsure[..., 4:] *= -1
    assert float(criterion(answers(astray), [truth])["box"]) > floor + 1
    wrong = criterion(answers(unsure), [truth])
    assert all(float(wrong[x]) > 2 for x in ("object", "background", "classification"))


def test_the_gradient_is_darknets() -> None:
    """region_layer.c, number by number, for one object and one prior that is no one's."""
    truth = targets([81, 51, 97, 77])
    raw = torch.randn(1, ALL, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    criterion = RegionCriterion()
    found = answers(raw)
    sum(criterion(found, [truth]).values()).backward()  # type: ignore[union-attr]
    row = int(CELLS.responsible(truth.boxes)[0])
    own, delta = raw.detach()[0, row], -raw.grad[0, row]  # type: ignore[index]
    s, weight = own.sigmoid(), 2 - 16 * 26 / (128 * 192)
    width, height = found.priors[row, 2:] - found.priors[row, :2]
    iou = bx.iou_pairs(found.boxes[0, row : row + 1].detach(), truth.boxes)[0]
    wanted = torch.stack(
        [
            weight * (89 / 16 - 5 - s[0]) * s[0] * (1 - s[0]),
            weight * (64 / 16 - 4 - s[1]) * s[1] * (1 - s[1]),
            weight * (torch.log(16 / width) - own[2]),
            weight * (torch.log(26 / height) - own[3]),
            5 * (iou - s[4]) * s[4] * (1 - s[4]),
            *(torch.tensor([1.0, 0, 0]) - own[5:].softmax(0)),
        ]
    )
    torch.testing.assert_close(delta, wanted, rtol=1e-4, atol=1e-6)
    other = int((found.owners([truth], 0.6)[0] == BACKGROUND).nonzero()[0])
    o = raw.detach()[0, other, 4].sigmoid()
    expected = torch.zeros(8)
    expected[4] = -o * o * (1 - o)
    torch.testing.assert_close(-raw.grad[0, other], expected)  # type: ignore[index]


def test_early_boxes_are_drawn_to_their_priors() -> None:
    raw = torch.randn(2, ALL, 8, generator=torch.Generator().manual_seed(1))
    truth = [targets([81, 51, 97, 77]), targets()]
    early = RegionCriterion()(answers(raw, seen=12799), truth)
    late = RegionCriterion()(answers(raw, seen=12800), truth)
    assert set(early) - set(late) == {"warm_up"}
    others = torch.ones(2, ALL, dtype=torch.bool)
    others[0, CELLS.responsible(truth[0].boxes)] = False
    drift = (raw[others][:, :2].sigmoid() - 0.5).square() + raw[others][:, 2:4].square()
    assert float(early["warm_up"]) == pytest.approx(0.01 * float(drift.sum()) / 2 / 2, rel=1e-4)


@pytest.mark.parametrize("criterion", [RegionCriterion, YoloCriterion])
def test_class_weights_count_the_classes_of_objects(criterion: Any) -> None:
    raw = torch.randn(1, ALL, 8, generator=torch.Generator().manual_seed(1))
    truth = [targets([20, 20, 44, 62], [70, 10, 120, 80])]
    plain = criterion()(answers(raw), truth)
    twice = criterion(weights=(2.0, 2.0, 2.0))(answers(raw), truth)
    assert float(twice["classification"]) == pytest.approx(2 * float(plain["classification"]))
    assert all(torch.equal(plain[k], twice[k]) for k in plain if k != "classification")


@pytest.fixture(scope="module")
def light() -> YoloV2:
    torch.manual_seed(0)
    return yolo_v2_mobilenet_v2(["cat", "dog"])


def test_seen_counts_images_in_training_alone(light: YoloV2) -> None:
    size = (64, 96)
    batch = Batch(torch.randn(2, 3, *size), (Frame(size, size), Frame(size, size)))
    light.train().seen.zero_()
    for _ in range(2):
        light.loss(batch, [targets([5, 5, 40, 50]), targets()])
    assert int(light.seen) == 4
    light.eval().loss(batch, [targets([5, 5, 40, 50]), targets()])
    assert int(light.seen) == 4


def test_other_priors(light: YoloV2) -> None:
    before = light.priors.clone()
    light.set_priors(before + 3)
    maps = (torch.zeros(1, 256, 2, 3),)
    sides = [list(shape) for shape in light.cells(maps).shapes[0]]
    assert sides == (before + 3)[0].tolist()
    assert "priors" in light.state_dict()
    with pytest.raises(ValueError, match="priors"):
        light.set_priors(before[:, :3])
    light.set_priors(before)


SHAPES = [(20.0, 40), (50, 30), (100, 100), (150, 60), (60, 190)]


class Photos(list[Any]):
    """Images of 104×208 pixels, each with one box of one of the shapes."""

    def __init__(self, shapes: list[tuple[float, float]]) -> None:
        boxes = [[3, 5, 3 + w, 5 + h] for w, h in shapes]
        super().__init__((torch.zeros(3, 104, 208), targets(box)) for box in boxes)


def test_priors_come_from_the_data_where_nothing_was_learnt(light: YoloV2) -> None:
    before, said = light.priors.clone(), []
    desk = Desk(say=said.append)
    light.seen.fill_(1)
    light.prime(Photos(SHAPES * 3), desk)
    assert torch.equal(light.priors, before) and not said
    light.seen.zero_()
    light.prime(Photos(SHAPES[:3]), desk)
    assert torch.equal(light.priors, before) and "stay as they are" in said[0]
    light.prime(Photos(SHAPES * 3), desk)
    twice = sorted([2 * w, 2 * h] for w, h in SHAPES)  # images of 208 pixels, prepared at 416
    assert sorted(light.priors[0].tolist()) == twice and "mean IoU 1.000" in said[1]
    light.set_priors(before)


def test_scores_are_objectness_times_a_softmax(light: YoloV2) -> None:
    size = (64, 96)
    batch = Batch(torch.randn(1, 3, *size), (Frame(size, size),))
    light.eval()
    with torch.inference_mode():
        features = light.encode(batch)
        scored = light.classify(batch, features, light.propose(batch, features))
        raw = light.predict(features)[0]
    assert raw.shape == (2 * 3 * 5, 7)
    torch.testing.assert_close(scored.scores.sum(dim=1), raw[:, 4].sigmoid())
    assert scored.scores.sum(dim=1).median() == pytest.approx(light.start, abs=0.05)


def test_the_neck_of_the_tiny_one() -> None:
    with torch.device("meta"):
        wide, narrow = yolo_v2_tiny(["a"]), yolo_v2_tiny(["a"], neck="512")
    assert (wide.encoder.channels, narrow.encoder.channels) == ((1024,), (512,))
