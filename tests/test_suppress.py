"""What stays of a detector's scores: worked examples for each method, and bad inputs."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sightline.boxes import iou
from sightline.errors import UsageError
from sightline.ops.candidates import best_of_each
from sightline.ops.fusion import fuse
from sightline.ops.soft_nms import soft_nms_gaussian, soft_nms_linear
from sightline.suppress import METHODS, Selection, select
from sightline.types import Batch, Detections, Frame, Regions, Scored

FRAME = Frame(original=(60, 80), resized=(60, 80))
CLASSES = ("cat", "dog")


def batch_of(*frames: Frame) -> Batch:
    return Batch(torch.zeros(len(frames), 3, 96, 128), frames)


def scored_of(
    boxes: Tensor, scores: Tensor, level: Tensor | None = None, image: Tensor | None = None
) -> Scored:
    none = torch.zeros(len(scores), dtype=torch.int64)
    regions = Regions(
        boxes if boxes.ndim == 2 else boxes[:, 0],
        none if image is None else image,
        none if level is None else level,
    )
    return Scored(regions, scores, boxes)


def noise(rows: int, seed: int, images: int = 1) -> Scored:
    rng = torch.Generator().manual_seed(seed)
    corner = torch.rand(rows, 2, generator=rng) * torch.tensor([80.0, 60])
    side = torch.rand(rows, 2, generator=rng) * 30
    boxes = torch.cat([corner - side / 2, corner + side / 2], dim=1)
    scores = (torch.rand(rows, 2, generator=rng) * 20).round() / 20  # many ties
    level = torch.randint(0, 3, (rows,), generator=rng).sort().values
    image = torch.randint(0, images, (rows,), generator=rng)
    return scored_of(boxes, scores, level, image)


def assert_same(a: Detections, b: Detections) -> None:
    assert torch.equal(a.boxes, b.boxes)
    assert torch.equal(a.scores, b.scores)
    assert torch.equal(a.labels, b.labels)


def test_classes_do_not_suppress_each_other_unless_asked() -> None:
    boxes = torch.tensor([[10.0, 10, 30, 30], [10, 10, 30, 29], [40, 10, 60, 30]])
    scores = torch.tensor([[0.9, 0.6], [0.8, 0.05], [0.04, 0.3]])
    scored = scored_of(boxes, scores)
    (found,) = select(scored, batch_of(FRAME), Selection(), CLASSES, (17, 18))
    assert list(zip(found.region.tolist(), found.names, strict=True)) == [
        (0, "cat"),
        (0, "dog"),
        (2, "dog"),
    ]
    assert found.scores.tolist() == pytest.approx([0.9, 0.6, 0.3])
    assert (found.size, found.category_ids) == ((60, 80), (17, 18))
    (one,) = select(scored, batch_of(FRAME), Selection(class_agnostic=True), CLASSES)
    assert one.region.tolist() == [0, 2]
    assert one.labels.tolist() == [0, 1]


def test_a_score_equal_to_the_threshold_is_out() -> None:
    scores = torch.tensor([[0.5, 0.0], [0.500001, 0.0]])
    boxes = torch.tensor([[0.0, 0, 9, 9], [20, 0, 29, 9]])
    (found,) = select(scored_of(boxes, scores), batch_of(FRAME), Selection(score=0.5), CLASSES)
    assert found.region.tolist() == [1]


def test_the_best_of_each_level_and_ties_by_region_and_class() -> None:
    boxes = torch.arange(6.0)[:, None] * 12 + torch.tensor([0.0, 0, 8, 8])
    scores = torch.tensor([[0.5, 0.5], [0.5, 0.1], [0.6, 0.1], [0.2, 0.3], [0.3, 0.1], [0.3, 0.3]])
    level = torch.tensor([0, 0, 0, 1, 1, 1])
    chosen = Selection(per_level=2)
    (found,) = select(scored_of(boxes, scores, level), batch_of(FRAME), chosen, CLASSES)
    pairs = list(zip(found.region.tolist(), found.labels.tolist(), strict=True))
    assert pairs == [(2, 0), (0, 0), (3, 1), (4, 0)]


def test_best_of_each_agrees_with_a_loop() -> None:
    rng = torch.Generator().manual_seed(4)
    scores = (torch.rand(500, generator=rng) * 10).round()
    groups = torch.randint(-3, 4, (500,), generator=rng)
    for limit in (1, 7, 1000):
        want = torch.zeros(500, dtype=torch.bool)
        for group in range(-3, 4):
            rows = [i for i in range(500) if groups[i] == group]
            want[sorted(rows, key=lambda i: (-scores[i].item(), i))[:limit]] = True
        assert torch.equal(best_of_each(scores, groups, limit), want)


def test_boxes_are_cut_to_the_picture_and_come_back_in_its_pixels() -> None:
    frame = Frame(original=(30, 50), resized=(60, 100), offset=(4, 8))
    boxes = torch.tensor([[28.0, 14, 58, 34], [0, 0, 28, 24], [109, 65, 120, 90], [0, 0, 8, 50]])
    scores = torch.tensor([[0.9, 0.0], [0.8, 0.0], [0.7, 0.0], [0.6, 0.0]])
    (found,) = select(scored_of(boxes, scores), batch_of(frame), Selection(), CLASSES)
    assert found.boxes.tolist() == [[10, 5, 25, 15], [0, 0, 10, 10]]
    few = Selection(min_size=20.5)  # of the second 20 prepared pixels are left
    (found,) = select(scored_of(boxes, scores), batch_of(frame), few, CLASSES)
    assert found.region.tolist() == []
    (found,) = select(
        scored_of(boxes, scores), batch_of(frame), replace(few, min_size=20.0), CLASSES
    )
    assert found.region.tolist() == [0, 1]


def test_boxes_of_each_class() -> None:
    boxes = torch.tensor([[[0.0, 0, 9, 9], [20, 20, 40, 40]], [[1, 0, 10, 9], [50, 20, 60, 40]]])
    scores = torch.tensor([[0.9, 0.8], [0.7, 0.6]])
    (found,) = select(scored_of(boxes, scores), batch_of(FRAME), Selection(), CLASSES)
    assert found.boxes.tolist() == [[0, 0, 9, 9], [20, 20, 40, 40], [50, 20, 60, 40]]


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_finite_never_comes_out(method: str) -> None:
    scored = noise(60, 1)
    scored.boxes[0, 0], scored.boxes[1, 2], scored.boxes[2, 3] = math.nan, math.inf, -math.inf
    scored.scores[:3] = 1.0
    scored.scores[3] = math.inf
    scored.scores[4] = math.nan
    (found,) = select(scored, batch_of(FRAME), Selection(method=method), CLASSES)
    assert len(found) > 5
    assert found.boxes.isfinite().all()
    assert found.scores.isfinite().all()
    assert not set(found.region.tolist()) & {0, 1, 2, 3, 4}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fill", [math.nan, 0.0, -math.inf])
def test_no_candidate_at_all(method: str, fill: float) -> None:
    scored = noise(20, 2)
    scored.scores[:] = fill
    (found,) = select(scored, batch_of(FRAME), Selection(method=method), CLASSES)
    assert found.boxes.shape == (0, 4)
    nothing = scored_of(torch.zeros(0, 4), torch.zeros(0, 2))
    (found,) = select(nothing, batch_of(FRAME), Selection(method=method), CLASSES)
    assert len(found) == 0


@pytest.mark.parametrize("method", METHODS)
def test_alone_or_in_a_batch_with_one_thread_or_two(method: str) -> None:
    frames = (FRAME, Frame((30, 40), (60, 80)), Frame((60, 80), (48, 64), (3, 5)))
    scored, chosen = noise(400, 3, images=3), Selection(method=method, per_level=30, limit=40)
    together = select(scored, batch_of(*frames), chosen, CLASSES)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        again = select(scored, batch_of(*frames), chosen, CLASSES)
    finally:
        torch.set_num_threads(threads)
    for index, frame in enumerate(frames):
        mine = scored.regions.image == index
        own = scored_of(scored.boxes[mine], scored.scores[mine], scored.regions.level[mine])
        (alone,) = select(own, batch_of(frame), chosen, CLASSES)
        assert 0 < len(alone) <= 40
        assert_same(alone, together[index])
        assert_same(again[index], together[index])
        rows = mine.nonzero()[:, 0]
        assert torch.equal(rows[alone.region], together[index].region)


def test_soft_nms_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6], [0, 4, 10, 10], [30, 0, 40, 10]])
    scores, groups = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.zeros(4, dtype=torch.int64)
    # IoU of the first with the second and third is 0.6; of those two with each other 2/10 = 0.2.
    rows, new = soft_nms_linear(boxes, scores, groups, 0.5)
    assert rows.tolist() == [0, 3, 1, 2]
    assert new.tolist() == pytest.approx([0.9, 0.6, 0.8 * 0.4, 0.7 * 0.4])
    rows, new = soft_nms_gaussian(boxes, scores, groups, 0.5)
    once, twice = math.exp(-0.36 / 0.5), math.exp(-0.36 / 0.5) * math.exp(-0.04 / 0.5)
    assert rows.tolist() == [0, 3, 1, 2]
    assert new.tolist() == pytest.approx([0.9, 0.6, 0.8 * once, 0.7 * twice])
    apart = torch.tensor([0, 1, 2, 0])
    rows, new = soft_nms_gaussian(boxes, scores, apart, 0.5)
    assert rows.tolist() == [0, 1, 2, 3]
    assert torch.equal(new, scores)
    rows, _ = soft_nms_linear(boxes, scores, groups, 0.5, floor=0.3)
    assert rows.tolist() == [0, 3, 1]
    rows, _ = soft_nms_linear(boxes, scores, groups, 0.5, limit=2)
    assert rows.tolist() == [0, 3]


def test_soft_selection_lowers_scores_and_drops_what_falls_to_the_threshold() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 9.9]])
    scores = torch.tensor([[0.9, 0.0], [0.8, 0.0], [0.7, 0.0]])
    chosen = Selection(method="soft_linear")
    (found,) = select(scored_of(boxes, scores), batch_of(FRAME), chosen, CLASSES)
    assert found.region.tolist() == [0, 1]  # the third: 0.7 · 0.01 · …
    assert found.scores.tolist() == pytest.approx([0.9, 0.32])


def test_weighted_box_fusion_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [30, 0, 40, 10], [0, 0, 10, 10]])
    scores, groups = torch.tensor([0.6, 0.2, 0.5, 0.9]), torch.tensor([0, 0, 0, 1])
    fused = fuse(boxes, scores, groups, 0.5)
    assert fused.best.tolist() == [3, 2, 0]
    assert fused.scores.tolist() == pytest.approx([0.9, 0.5, 0.4])
    assert fused.cluster.tolist() == [2, 2, 1, 0]
    assert fused.boxes[2].tolist() == pytest.approx([0.5, 0, 10.5, 10])  # (0.6 · 0 + 0.2 · 2) / 0.8
    two = fuse(boxes, scores, groups, 0.5, models=2)  # seen by one of two networks: half
    assert two.scores.tolist() == pytest.approx([0.45, 0.4, 0.25])
    assert two.best.tolist() == [3, 0, 2]
    broken = fuse(boxes, torch.tensor([0.6, math.nan, -0.1, 0.9]), groups, 0.5)
    assert broken.cluster.tolist() == [1, -1, -1, 0]


def test_fusion_grows_with_its_mean_box() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [3, 0, 13, 10], [5, 0, 15, 10]])
    scores, groups = torch.tensor([0.5, 0.5, 0.5]), torch.zeros(3, dtype=torch.int64)
    assert iou(boxes[:1], boxes[2:]).item() == pytest.approx(1 / 3)
    fused = fuse(boxes, scores, groups, 0.45)  # the third meets the mean [1.5, 11.5] at 6.5/13.5
    assert fused.boxes.tolist() == [pytest.approx([8 / 3, 0, 38 / 3, 10])]


def test_fused_selection_names_the_best_member() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10]])
    scores = torch.tensor([[0.2, 0.0], [0.6, 0.0]])
    chosen = Selection(method="fusion")
    (found,) = select(scored_of(boxes, scores), batch_of(FRAME), chosen, CLASSES)
    assert found.region.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([0.4])
    assert found.boxes[0].tolist() == pytest.approx([1.5, 0, 11.5, 10])


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "wbf"},
        {"iou": 1.5},
        {"iou": math.nan},
        {"score": math.nan},
        {"score": -1.0, "method": "fusion"},
        {"limit": 0},
        {"per_level": 0},
        {"per_class": 0},
        {"sigma": 0.0},
        {"min_size": -1.0},
    ],
)
def test_a_senseless_selection_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        Selection(**wrong)  # type: ignore[arg-type]
    assert caught.value.code in ("usage.out_of_range", "usage.unknown_method")


def test_margins_may_be_negative_under_plain_suppression() -> None:
    scored = scored_of(torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([[-0.5, -2.0]]))
    (found,) = select(scored, batch_of(FRAME), Selection(score=-1.0), CLASSES)
    assert found.scores.tolist() == [-0.5]


def test_classes_that_are_not_the_columns_are_refused() -> None:
    with pytest.raises(UsageError, match="columns"):
        select(noise(5, 0), batch_of(FRAME), Selection(), ("cat",))
