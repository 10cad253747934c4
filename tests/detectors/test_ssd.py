"""SSD: the default boxes, which background is learnt from, and what the loss asks."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.detectors.ssd import (
    WEIGHTS,
    DefaultBoxes,
    MultiBoxCriterion,
    hardest,
    ssd300_vgg16,
    ssd_mobilenet_v2,
)
from sightline.matching import BACKGROUND, IGNORED
from sightline.types import Batch, Frame, Targets

CLASSES = ("cat", "dog", "person")
GRIDS = [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)]


def targets(*rows: tuple[list[float], int], crowd: bool = False) -> Targets:
    boxes = torch.tensor([box for box, _ in rows], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([label for _, label in rows], dtype=torch.int64)
    return Targets(boxes, labels, torch.full((len(rows),), crowd))


def test_the_paper_counts_8732_default_boxes() -> None:
    with torch.device("meta"):
        detector = ssd300_vgg16(CLASSES)
        maps = detector.encoder(torch.zeros(1, 3, 300, 300))
        logits, offsets = detector.predictors(maps)
    assert [tuple(x.shape[-2:]) for x in maps] == GRIDS
    assert logits.shape == (1, 8732, 4) and offsets.shape == (1, 8732, 4)
    boxes, level = detector.anchors.boxes(GRIDS, (300, 300))
    assert len(boxes) == 8732
    assert torch.bincount(level).tolist() == [5776, 2166, 600, 150, 36, 4]


def test_default_boxes_by_hand() -> None:
    boxes, _ = DefaultBoxes(strides=(8, 16, 32, 64, 100, 300)).boxes(GRIDS, (300, 300))
    # the first cell of 8 pixels: s = 0.07 · 300 = 21, s' = 300 √(0.07 · 0.15), then 2 : 1 and 1 : 2
    prime, long, short = 300 * math.sqrt(0.07 * 0.15), 21 * math.sqrt(2), 21 / math.sqrt(2)
    wanted = [(21, 21), (prime, prime), (long, short), (short, long)]
    sides = boxes[:4, 2:] - boxes[:4, :2]
    torch.testing.assert_close(sides, torch.tensor(wanted), rtol=0, atol=1e-3)
    torch.testing.assert_close(bx.centres(boxes[:5]), torch.tensor([[4.0, 4]] * 4 + [[12, 4]]))
    # the only cell of the last map; 0.87 · √2 of the image would be more than all of it
    sides = boxes[-4:, 2:] - boxes[-4:, :2]
    prime, short = 300 * math.sqrt(0.87 * 1.05), 261 / math.sqrt(2)
    wanted = [(261, 261), (prime, prime), (300, short), (short, 300)]
    torch.testing.assert_close(sides, torch.tensor(wanted), rtol=0, atol=1e-3)
    torch.testing.assert_close(bx.centres(boxes[-4:]), torch.full((4, 2), 150.0))


def test_without_strides_the_image_is_divided_among_the_cells() -> None:
    default = DefaultBoxes()
    grids = [(20, 30), (10, 15), (5, 8), (3, 4), (2, 2), (1, 1)]
    large, level = default.boxes(grids, (160, 240))
    small, _ = default.boxes(grids, (80, 120))
    torch.testing.assert_close(large, 2 * small)
    assert len(large) == sum(a * h * w for a, (h, w) in zip(default.per_cell, grids, strict=True))
    centres = bx.centres(large[level == 2])
    torch.testing.assert_close(centres[0], torch.tensor([15.0, 16.0]))  # cells of 30 × 32 pixels
    torch.testing.assert_close(centres[-1], torch.tensor([225.0, 144.0]))


def test_the_hardest_background_is_mined_image_by_image() -> None:
    loss = torch.tensor(
        [
            [0.1, 9.0, 0.7, 0.5, 8.0, 0.6, 0.2, 0.9],
            [1.0, 2.0, 2.0, 2.0, 0.5, 2.0, 0.1, 0.0],
            [0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0],
        ]
    )
    matched = torch.full((3, 8), BACKGROUND)
    matched[0, 1], matched[0, 4] = 0, IGNORED  # neither is background, however high its loss
    matched[1, 0] = 2
    # three for one positive; of four equal losses the first three; two where nothing is positive
    assert hardest(loss, matched, ratio=3, least=2).nonzero().tolist() == [
        [0, 2], [0, 5], [0, 7], [1, 1], [1, 2], [1, 3], [2, 0], [2, 1],
    ]  # fmt: skip
    assert not hardest(loss, matched, ratio=3, least=0)[2].any()
    everything = hardest(loss, matched, ratio=100, least=0)
    assert torch.equal(everything[:2], matched[:2] == BACKGROUND)


def answers(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random logits and offsets of two images on small maps, with their default boxes."""
    torch.manual_seed(seed)
    default = DefaultBoxes()
    boxes, level = default.boxes([(6, 8), (3, 4), (2, 2), (1, 1), (1, 1), (1, 1)], (96, 128))
    return torch.randn(2, len(boxes), 4), torch.randn(2, len(boxes), 4), boxes, level


def test_the_loss_is_equations_1_to_3() -> None:
    logits, offsets, boxes, level = answers(0)
    truth = [
        targets(([20, 20, 60, 62], 1), ([70, 10, 120, 80], 2)),
        targets(([5, 40, 50, 90], 0)),
    ]
    criterion = MultiBoxCriterion(weights=(1.0, 3.0, 0.5))
    losses = criterion(logits, offsets, boxes, level, truth)
    entropy, distance, count = 0.0, 0.0, 0
    for image, goal in enumerate(truth):
        matched = criterion.matcher(boxes, level, goal).tolist()
        logs = logits[image].log_softmax(dim=1)
        background = [-float(logs[i, 3]) for i, m in enumerate(matched) if m == BACKGROUND]
        positive = [i for i, m in enumerate(matched) if m >= 0]
        for i in positive:
            label = int(goal.labels[matched[i]])
            entropy -= (1.0, 3.0, 0.5)[label] * float(logs[i, label])
            true = bx.encode(goal.boxes[matched[i]], boxes[i], WEIGHTS)
            distance += float(F.smooth_l1_loss(offsets[image, i], true, reduction="sum"))
        entropy += sum(sorted(background, reverse=True)[: 3 * len(positive)])
        count += len(positive)
    assert count >= 5
    assert float(losses["classification"]) == pytest.approx(entropy / count, rel=1e-5)
    assert float(losses["box"]) == pytest.approx(distance / count, rel=1e-5)


def test_perfect_answers_cost_nothing() -> None:
    logits, offsets, boxes, level = answers(1)
    goal = targets(([20, 20, 60, 62], 1), ([70, 10, 120, 80], 2))
    criterion = MultiBoxCriterion()
    matched = criterion.matcher(boxes, level, goal)
    positive = matched >= 0
    offsets[:, positive] = bx.encode(goal.boxes[matched[positive]], boxes[positive], WEIGHTS)
    logits[:] = -20.0
    logits[:, ~positive, 3] = 20.0
    logits[:, positive, goal.labels[matched[positive]]] = 20.0
    losses = criterion(logits, offsets, boxes, level, [goal, goal])
    assert all(float(value) == pytest.approx(0, abs=1e-5) for value in losses.values())


def test_an_image_without_objects_teaches_its_three_worst_boxes() -> None:
    logits, offsets, boxes, level = answers(2)
    losses = MultiBoxCriterion()(logits, offsets, boxes, level, [targets(), targets()])
    worst = -logits.log_softmax(dim=2)[..., 3]
    wanted = float(worst.topk(3, dim=1).values.sum())
    assert float(losses["classification"]) == pytest.approx(wanted, rel=1e-5)
    assert float(losses["box"]) == 0
    nothing = MultiBoxCriterion(least=0)(logits, offsets, boxes, level, [targets(), targets()])
    assert float(nothing["classification"]) == 0


def test_a_crowd_teaches_nothing_inside_itself() -> None:
    logits, offsets, boxes, level = answers(3)
    crowd = targets(([-500, -500, 700, 700], 0), crowd=True)
    losses = MultiBoxCriterion()(logits, offsets, boxes, level, [crowd, crowd])
    assert all(float(value) == 0 for value in losses.values())


def test_a_background_column_is_dropped_and_boxes_are_moved() -> None:
    torch.manual_seed(0)
    detector = ssd_mobilenet_v2(CLASSES).eval()
    batch = Batch(torch.randn(1, 3, 128, 128), (Frame((128, 128), (128, 128)),))
    with torch.inference_mode():
        features = detector.encode(batch)
        regions = detector.propose(batch, features)
        logits, offsets = detector.predictors(features)
        scored = detector.classify(batch, features, regions)
    assert [x.shape[-1] for x in features] == [16, 8, 4, 2, 1, 1]
    assert len(regions) == sum(
        a * len(x[0, 0].flatten()) for a, x in zip(detector.anchors.per_cell, features, strict=True)
    )
    assert torch.equal(scored.scores, logits[0].softmax(dim=1)[:, :3])
    # WEIGHTS are what the offsets were multiplied with: 10 moves a box by its own width
    moved = bx.decode(offsets[0] / torch.tensor(WEIGHTS), regions.boxes)
    torch.testing.assert_close(scored.boxes, moved)
