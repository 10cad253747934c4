"""Two stages, piece by piece: which map, which regions, what they learn."""

import math
from dataclasses import replace

import pytest
import torch

from sightline import boxes as bx
from sightline import pipeline
from sightline.detectors.faster_rcnn import faster_rcnn_mobilenet_v2
from sightline.detectors.region_head import RegionCriterion, RegionPooling, TwoLayers
from sightline.detectors.region_proposals import ProposalCriterion
from sightline.matching import BACKGROUND, IGNORED, Sampler, with_truth
from sightline.nets.layouts import layout
from sightline.types import Batch, Frame, Regions, Targets
from small_detectors import small


def targets(*boxes: list[float], labels: list[int] | None = None, crowd: int = 0) -> Targets:
    count = len(boxes)
    return Targets(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.tensor(labels or [0] * count, dtype=torch.int64),
        torch.arange(count) >= count - crowd,
    )


def test_the_level_of_a_region() -> None:
    """224 × 224 reads level 4; half the side one level finer, whatever the shape."""
    boxes = torch.tensor(
        [
            [0.0, 0, 224, 224],
            [0, 0, 223, 224],
            [0, 0, 112, 112],
            [0, 0, 56, 448 / 2],
            [0, 0, 9, 9],
            [0, 0, 448, 448],
            [0, 0, 5000, 5000],
            [3, 3, 3, 9],
        ]
    )
    pooling = RegionPooling()
    assert pooling.level(boxes, finest=2, levels=4).tolist() == [2, 1, 1, 1, 0, 3, 3, 0]
    assert pooling.level(boxes, finest=3, levels=3).tolist() == [1, 0, 0, 0, 0, 2, 2, 0]


@pytest.mark.parametrize("method", ["align", "pool"])
def test_pooling_reads_the_level_and_keeps_the_order(method: str) -> None:
    maps = tuple(torch.full((2, 3, 64 >> i, 96 >> i), 10.0 * i) for i in range(4))
    for x in maps:
        x[1] += 1  # the second image
    side = torch.tensor([20.0, 300.0, 130.0, 20.0, 600.0])
    boxes = torch.stack([torch.ones(5), torch.ones(5), side, side], dim=1)
    regions = Regions(boxes, torch.tensor([0, 1, 0, 1, 1]), torch.zeros(5, dtype=torch.int64))
    found = RegionPooling(method=method)(maps, regions, (256, 384))  # type: ignore[arg-type]
    assert found.shape == (5, 3, 7, 7)
    assert found[:, 0, 0, 0].tolist() == [0, 21, 10, 1, 31]


def test_proposals_are_the_first_detectors_answers() -> None:
    model = small("faster_rcnn_mobilenet_v2", longer=224, shorter=128)
    image = torch.randint(0, 256, (3, 150, 230), dtype=torch.uint8)
    trace = pipeline.run(model, [image])
    (objects,) = pipeline.run(model.proposer, [image]).detections
    assert model.proposer.classes == ("object",)
    assert len(objects) == len(trace.regions) > 100
    frame = trace.batch.frames[0]
    back = frame.to_original(trace.regions.boxes)
    torch.testing.assert_close(bx.clip(back, (150, 230)), objects.boxes, rtol=0, atol=1e-3)
    assert trace.regions.scores is not None
    torch.testing.assert_close(trace.regions.scores, objects.scores)
    for level in trace.regions.level.unique():
        own = trace.regions.boxes[trace.regions.level == level]
        overlap = bx.iou(own, own).fill_diagonal_(0)
        assert overlap.max() <= 0.7


def test_the_sampler_takes_positives_first_and_fills_up() -> None:
    pixels = torch.rand(3, 40, 60)
    matched = torch.full((1000,), BACKGROUND)
    matched[::10], matched[1::10] = 3, IGNORED
    rows = Sampler(64, 0.25)(matched, pixels)
    assert len(rows) == 64 and len(rows.unique()) == 64
    assert (matched[rows] >= 0).sum() == 16 and (matched[rows] == BACKGROUND).sum() == 48
    few = Sampler(256, 0.5)(matched, pixels)
    assert (matched[few] >= 0).sum() == 100 and len(few) == 256
    assert len(Sampler(5000, 0.5)(matched, pixels)) == 900  # the ignored ones never
    assert torch.equal(rows, Sampler(64, 0.25)(matched, pixels))
    assert not torch.equal(rows, Sampler(64, 0.25)(matched, pixels, salt=1))
    assert not torch.equal(rows, Sampler(64, 0.25)(matched, pixels * 0.99))


def test_objects_are_added_and_crowds_are_not() -> None:
    regions = Regions(torch.zeros(2, 4), torch.tensor([0, 1]), torch.tensor([3, 3]))
    truth = [targets([1, 1, 5, 5], [2, 2, 9, 9], crowd=1), targets([4, 4, 8, 8])]
    found = with_truth(regions, truth)
    assert found.boxes[2:].tolist() == [[1, 1, 5, 5], [4, 4, 8, 8]]
    assert found.image.tolist() == [0, 1, 0, 1]
    assert with_truth(regions, [targets(), targets()]).boxes.shape == (2, 4)


def batch(height: int = 64, width: int = 96, count: int = 1) -> Batch:
    frame = Frame((height, width), (height, width))
    return Batch(torch.rand(count, 3, height, width), (frame,) * count)


def test_the_proposal_loss_by_hand() -> None:
    """Two of four anchors learn: an object's and background, not one in between and one outside."""
    anchors = torch.tensor([[0.0, 0, 20, 20], [40, 40, 60, 60], [0, 0, 20, 40], [-9, 0, 20, 20]])
    logits = torch.tensor([[2.0, -1.0, 9.0, 9.0]], requires_grad=True)
    offsets = torch.zeros(1, 4, 4, requires_grad=True)
    level, truth = torch.zeros(4, dtype=torch.int64), [targets([0, 0, 20, 22])]
    criterion = ProposalCriterion(inside=True)
    parts = criterion(logits, offsets, anchors, level, batch(), truth)
    softplus = torch.nn.functional.softplus
    entropy = (softplus(torch.tensor(-2.0)) + softplus(torch.tensor(-1.0))) / 2
    assert parts["objectness"].item() == pytest.approx(entropy.item())
    goal = bx.encode(truth[0].boxes, anchors[:1])[0]
    beta = 1 / 9
    expected = sum(v * v / 2 / beta if abs(v) < beta else abs(v) - beta / 2 for v in goal.tolist())
    assert parts["proposal_box"].item() == pytest.approx(expected / 2)
    sum(parts.values()).backward()
    assert logits.grad is not None and (logits.grad != 0).tolist() == [[True, True, False, False]]


def test_the_region_loss_by_hand() -> None:
    regions = Regions(
        torch.tensor([[0.0, 0, 20, 20], [50, 30, 90, 60], [0, 0, 20, 24], [1, 1, 20, 20]]),
        torch.tensor([0, 0, 1, 1]),
        torch.zeros(4, dtype=torch.int64),
    )
    truth = [targets(), targets([5, 5, 6, 6], [0, 0, 20, 20], labels=[0, 2])]
    criterion = RegionCriterion()
    chosen, owner = criterion.chosen(regions, truth, batch(count=2).pixels)
    assert owner.tolist() == [BACKGROUND, BACKGROUND, 1, 1]
    logits = torch.zeros(4, 4)
    offsets = torch.zeros(4, 3, 4, requires_grad=True)
    parts = criterion(logits, offsets, chosen, owner, truth)
    assert parts["classification"].item() == pytest.approx(math.log(4))
    parts["box"].backward()
    assert offsets.grad is not None
    touched = (offsets.grad != 0).any(dim=2)
    assert touched.nonzero().tolist() == [[2, 2], [3, 2]]  # the true class's box alone
    weighted = RegionCriterion(weights=(1.0, 1.0, 3.0))(logits, offsets, chosen, owner, truth)
    assert weighted["classification"].item() == pytest.approx(math.log(4) * (2 + 2 * 3) / 4)


def test_a_crowd_teaches_nothing() -> None:
    regions = Regions(torch.tensor([[0.0, 0, 20, 20]]), torch.tensor([0]), torch.tensor([0]))
    crowd = [targets([0, 0, 60, 60], crowd=1)]
    assert len(RegionCriterion().chosen(regions, crowd, batch().pixels)[1]) == 0
    own = [targets([0, 0, 21, 21])]
    assert len(RegionCriterion().chosen(regions, own, batch().pixels)[1]) == 1


def test_the_loss_of_an_image_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(1)
    model = faster_rcnn_mobilenet_v2(["a", "b"]).eval()
    both = batch(128, 192, count=2)
    truth = [targets([20, 20, 90, 100]), targets([10, 50, 40, 60], [60, 30, 120, 110])]
    whole = model.loss(both, truth)
    one = [model.loss(Batch(both.pixels[i : i + 1], both.frames[:1]), [truth[i]]) for i in (0, 1)]
    for name in ("objectness", "proposal_box"):  # as many anchors of both
        mean = (one[0][name] + one[1][name]) / 2
        torch.testing.assert_close(whole[name], mean, rtol=1e-4, atol=1e-5)


def test_the_order_of_the_published_layers() -> None:
    """fc6 reads (C, h, w) there and (h, w, C) here; the background is first there, last here."""
    torch.manual_seed(0)
    ours = layout("fasterrcnn_resnet50_fpn")
    bins, weight = torch.randn(2, 4, 7, 7), torch.randn(5, 4 * 49)
    layers = TwoLayers(4, hidden=5)
    key = "roi_heads.box_head.fc6.weight"
    mapped = ours.to_ours({key: weight})["head.layers.fc6.weight"]
    layers.fc6.weight.data, layers.fc6.bias.data = mapped, torch.zeros(5)
    layers.fc7.weight.data, layers.fc7.bias.data = torch.eye(5), torch.zeros(5)
    torch.testing.assert_close(layers(bins), (bins.flatten(1) @ weight.T).relu())
    assert torch.equal(ours.to_published({"head.layers.fc6.weight": mapped})[key], weight)
    score = {"roi_heads.box_predictor.cls_score.bias": torch.tensor([9.0, 1, 2])}
    assert ours.to_ours(score)["head.class_logits.bias"].tolist() == [1, 2, 9]
    box = {"roi_heads.box_predictor.bbox_pred.bias": torch.arange(12.0)}
    assert ours.to_ours(box)["head.box_offsets.bias"].tolist() == list(range(4, 12))


@pytest.mark.parametrize("name", ["faster_rcnn_mobilenet_v2", "mask_rcnn_mobilenet_v2"])
@pytest.mark.parametrize("stage", ["proposals", "answers"])
def test_nothing_at_all_is_an_answer(name: str, stage: str) -> None:
    """No proposal, or no proposal that is anything: no detection, and no error."""
    model = small(name, longer=96, shorter=64)
    image = torch.randint(0, 256, (2, 3, 50, 80), dtype=torch.uint8)
    if stage == "proposals":
        model.proposer.selection = replace(model.proposer.selection, score=0.999999)
    else:
        model.selection = replace(model.selection, score=0.999999)
    trace = pipeline.run(model, list(image))
    assert [len(found) for found in trace.detections] == [0, 0]
    assert (len(trace.regions) == 0) == (stage == "proposals")
    if name.startswith("mask"):
        assert all(found.masks.shape == (0, 50, 80) for found in trace.detections)
