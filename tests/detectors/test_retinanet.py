"""RetinaNet: what the towers start from, what each criterion asks, what a teacher adds."""

import math
from typing import get_args

import pytest
import torch

from sightline import boxes as bx
from sightline.detectors import retinanet as module
from sightline.detectors.dense import Answers
from sightline.detectors.hard_examples import HardExamples
from sightline.detectors.quality import QualityCriterion
from sightline.detectors.retinanet import (
    FocalCriterion,
    RetinaNet,
    retinanet_mobilenet_v2,
    retinanet_resnet50_fpn,
)
from sightline.errors import UsageError
from sightline.matching import AtssMatcher
from sightline.train.teacher import cells_of
from sightline.types import Batch, Frame, Regions, Scored, Targets

CLASSES = ("cat", "dog", "person")


def batch(images: int = 2, size: tuple[int, int] = (96, 128)) -> Batch:
    torch.manual_seed(3)
    return Batch(torch.randn(images, 3, *size), tuple(Frame(size, size) for _ in range(images)))


def targets(*rows: tuple[list[float], int]) -> Targets:
    boxes = torch.tensor([box for box, _ in rows], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([label for _, label in rows], dtype=torch.int64)
    return Targets(boxes, labels, torch.zeros(len(rows), dtype=torch.bool))


@pytest.mark.parametrize("build, cells", [(retinanet_mobilenet_v2, 1), (retinanet_resnet50_fpn, 9)])
def test_every_score_starts_at_the_prior(build: object, cells: int) -> None:
    detector: RetinaNet = build(CLASSES).eval()  # type: ignore[operator]
    with torch.inference_mode():
        logits, offsets = detector.towers(detector.encode(batch()))
    anchors = cells * (12 * 16 + 6 * 8 + 3 * 4 + 2 * 2 + 1)
    assert logits.shape == (2, anchors, 3) and offsets.shape == (2, anchors, 4)
    assert logits.sigmoid().median() == pytest.approx(module.PRIOR, rel=0.6)


def perfect(criterion: object, goal: Targets) -> tuple[Answers, torch.Tensor]:
    """Answers that say just what the criterion wants to hear, and who said it."""
    detector = retinanet_mobilenet_v2(CLASSES)
    grids = [(12, 16), (6, 8), (3, 4), (2, 2), (1, 1)]
    anchors, level = detector.anchors.boxes(grids, (96, 128))
    matched = criterion.matcher(anchors, level, goal)  # type: ignore[attr-defined]
    positive = matched >= 0
    offsets = torch.zeros(1, len(anchors), 4)
    offsets[0, positive] = bx.encode(goal.boxes[matched[positive]], anchors[positive])
    logits = torch.full((1, len(anchors), len(CLASSES)), -20.0)
    logits[0, positive, goal.labels[matched[positive]]] = 20.0
    return Answers(logits, offsets, anchors, level), positive


@pytest.mark.parametrize(
    "criterion",
    [FocalCriterion(), FocalCriterion(box="giou"), QualityCriterion(), HardExamples()],
    ids=["the paper's", "GIoU", "quality", "OHEM"],
)
def test_perfect_answers_cost_nothing_and_wrong_ones_do(criterion: object) -> None:
    goal = targets(([20, 20, 60, 62], 1), ([70, 10, 120, 80], 2))
    answers, positive = perfect(criterion, goal)
    assert positive.sum() >= 2
    losses = criterion(answers, [goal], None)  # type: ignore[operator]
    assert set(losses) == {"classification", "box"}
    assert all(float(v) == pytest.approx(0, abs=1e-4) for v in losses.values())
    wrong = Answers(-answers.logits, answers.offsets + 1, answers.anchors, answers.level)
    costly = criterion(wrong, [goal], None)  # type: ignore[operator]
    assert all(float(v) > 0.5 for v in costly.values())


@pytest.mark.parametrize("build", [retinanet_mobilenet_v2, retinanet_resnet50_fpn])
def test_images_without_objects_have_a_finite_loss_and_gradient(build: object) -> None:
    detector: RetinaNet = build(CLASSES)  # type: ignore[operator]
    losses = detector.loss(batch(), [targets(), targets()])
    torch.stack(list(losses.values())).sum().backward()
    assert float(losses["box"]) == 0 and math.isfinite(float(losses["classification"]))
    gradients = [p.grad for p in detector.parameters() if p.grad is not None]
    assert gradients and all(g.isfinite().all() for g in gradients)


def test_a_crowd_teaches_nothing_inside_itself() -> None:
    criterion = QualityCriterion()
    answers, _ = perfect(criterion, targets(([20, 20, 60, 62], 1)))
    loud = Answers(answers.logits + 15, answers.offsets, answers.anchors, answers.level)
    everywhere = torch.tensor([[-500.0, -500, 700, 700]])
    crowd = Targets(everywhere, torch.tensor([0]), torch.tensor([True]))
    assert float(criterion(loud, [crowd], None)["classification"]) == 0
    assert float(criterion(loud, [targets()], None)["classification"]) > 0


def lesson(answers: Answers) -> Scored:
    """A teacher that says of the first three levels what `answers` says."""
    cells, level = cells_of(96, 128)
    count = len(cells)
    boxes = bx.decode(answers.offsets[0, :count], answers.anchors[:count])
    regions = Regions(cells, torch.zeros(count, dtype=torch.int64), level)
    return Scored(regions, answers.logits[0, :count].sigmoid(), boxes)


def test_a_teacher_is_a_second_target() -> None:
    criterion = QualityCriterion(trust=0.7)
    goal = targets(([20, 20, 60, 62], 1))
    answers, _ = perfect(criterion, goal)
    agreed = criterion(answers, [goal], lesson(answers))
    assert set(agreed) == {"classification", "box", "lesson", "lesson_box"}
    assert all(float(v) == pytest.approx(0, abs=1e-4) for v in agreed.values())
    other, _ = perfect(criterion, targets(([64, 24, 104, 66], 2)))
    disputed = criterion(other, [goal], lesson(answers))
    assert all(float(v) > 0.1 for v in disputed.values())
    plain = criterion(other, [goal], None)
    assert float(disputed["box"]) == pytest.approx(0.3 * float(plain["box"]))


def test_a_teacher_of_other_cells_is_refused() -> None:
    criterion = QualityCriterion()
    answers, _ = perfect(criterion, targets(([20, 20, 60, 62], 1)))
    taught = lesson(answers)
    moved = Regions(taught.regions.boxes + 4, taught.regions.image, taught.regions.level)
    with pytest.raises(UsageError, match="cells") as caught:
        criterion(answers, [targets()], Scored(moved, taught.scores, taught.boxes))
    assert caught.value.code == "train.teacher"


@pytest.mark.parametrize("criterion", [FocalCriterion(), HardExamples()])
def test_a_loss_without_a_lesson_wants_no_teacher(criterion: object) -> None:
    answers, _ = perfect(criterion, targets(([20, 20, 60, 62], 1)))
    with pytest.raises(UsageError, match="no lesson") as caught:
        criterion(answers, [targets()], lesson(answers))  # type: ignore[operator]
    assert caught.value.code == "train.teacher"


PYRAMIDS = get_args(module.Pyramid)
GRIDS = {"single": [(3, 4)]}


@pytest.fixture(scope="module", params=PYRAMIDS)
def variant(request: pytest.FixtureRequest) -> tuple[str, RetinaNet]:
    torch.manual_seed(0)
    return request.param, retinanet_mobilenet_v2(CLASSES, pyramid=request.param)


def test_levels_and_anchors_of_the_four_pyramids(variant: tuple[str, RetinaNet]) -> None:
    """The same channels, strides, sizes and towers; the single map has all sizes in each cell."""
    name, detector = variant
    one = batch()
    with torch.inference_mode():
        features = detector.eval().encode(one)
        regions = detector.propose(one, features)
        scored = detector.classify(one, features, regions)
    grids = GRIDS.get(name, [(12, 16), (6, 8), (3, 4), (2, 2), (1, 1)])
    assert [tuple(x.shape) for x in features] == [(2, 96, *grid) for grid in grids]
    assert detector.encoder.strides == detector.anchors.strides
    expected = [tuple(-(-side // s) for side in (96, 128)) for s in detector.anchors.strides]
    assert grids == expected
    sides = (regions.boxes[:, 2:] - regions.boxes[:, :2]).unique().tolist()
    assert sides == pytest.approx([40, 80, 160, 320, 640])
    cells = sum(rows * columns for rows, columns in grids)
    assert len(regions) == 2 * cells * (5 if name == "single" else 1) == len(scored.scores)


def test_each_pyramid_learns(variant: tuple[str, RetinaNet]) -> None:
    _, detector = variant
    matcher = AtssMatcher(per_cell=detector.anchors.per_cell)
    detector.criterion = module.light_criterion("focal_2", matcher)
    detector.train()
    goal = [targets(([20, 20, 60, 62], 1)), targets(([70, 10, 120, 80], 2))]
    optimizer = torch.optim.AdamW(detector.parameters(), lr=3e-4)
    losses = []
    for _ in range(5):
        total = sum(detector.loss(batch(), goal).values())
        losses.append(total.item())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert all(p.grad is not None for p in detector.parameters())  # no layer without a use
    assert losses[-1] < 0.9 * losses[0], losses


def test_the_losses_differ_in_nothing_else() -> None:
    """One network's answers, judged by every loss of the builder: the classification differs
    everywhere, the box only where its weight is the quality's.
    """
    detector = retinanet_mobilenet_v2(CLASSES).eval()
    one, goal = batch(1), [targets(([20, 20, 60, 62], 1), ([64, 10, 120, 90], 2))]
    told = {}
    for loss in get_args(module.Loss):
        detector.criterion = module.light_criterion(loss, AtssMatcher())
        told[loss] = {k: v.item() for k, v in detector.loss(one, goal).items()}
    classification = [parts["classification"] for parts in told.values()]
    assert len({round(value, 6) for value in classification}) == len(told)
    assert all(value > 0 for value in classification)
    assert len({told[loss]["box"] for loss in told if loss != "quality"}) == 1


def test_the_builder_hands_its_loss_over() -> None:
    assert retinanet_mobilenet_v2(CLASSES).criterion == QualityCriterion()
    made = retinanet_mobilenet_v2(CLASSES, pyramid="single", loss="focal_0.5").criterion
    assert made == FocalCriterion(AtssMatcher(per_cell=5), alpha=0.5, gamma=0.5, box="giou")
    assert module.light_criterion("cross_entropy", AtssMatcher()) == FocalCriterion(
        AtssMatcher(), alpha=None, gamma=0.0, box="giou"
    )
