"""Online hard example mining: which examples are taken, and what they cost, by hand."""

import math
from dataclasses import replace

import pytest
import torch

from sightline.detectors.dense import Answers
from sightline.detectors.hard_examples import HardExamples
from sightline.matching import BACKGROUND, IGNORED, IouMatcher
from sightline.types import Targets

CELLS = torch.tensor([[20.0 * x, 0, 20.0 * x + 16, 16] for x in range(6)])
"""Six anchors that do not touch."""

GOAL = Targets(CELLS[:1], torch.tensor([1]), torch.tensor([False]))
PLAIN = HardExamples(matcher=IouMatcher(0.5, 0.4), count=3)


def answers(*logits: list[float], anchors: torch.Tensor = CELLS) -> Answers:
    rows = torch.tensor(logits)[None]
    offsets = torch.zeros(1, len(anchors), 4, requires_grad=True)
    level = torch.zeros(len(anchors), dtype=torch.int64)
    return Answers(rows.requires_grad_(), offsets, anchors, level)


def entropy(logit: float, wanted: bool) -> float:
    return math.log1p(math.exp(-logit if wanted else logit))


LOUD = [[0.0, 0.0], [-9.0, -9.0], [2.0, -9.0], [-9.0, 1.0], [-9.0, -2.0], [-9.0, -9.0]]


def test_the_hardest_teach_and_the_others_do_not() -> None:
    """The positive costs 2 · log 2, the cells 2 and 3 about 2.1 and 1.3, 4 less, 1 and 5 nothing:
    three of six count, and the loss is their mean.
    """
    told = answers(*LOUD)
    losses = PLAIN(told, [GOAL])
    hardest = [
        entropy(0, True) + entropy(0, False),
        entropy(2, False) + entropy(-9, False),
        entropy(1, False) + entropy(-9, False),
    ]
    assert losses["classification"].item() == pytest.approx(sum(hardest) / 3, rel=1e-5)
    losses["classification"].backward()
    assert told.logits.grad is not None
    taught = told.logits.grad[0].abs().sum(dim=1) > 0
    assert taught.tolist() == [True, False, True, True, False, False]


def test_of_those_that_overlap_the_hardest_is_taken() -> None:
    """By the boxes as they are predicted: two anchors that say the same box are one example."""
    loss = torch.tensor([1.0, 5.0, 4.0, 3.0, 2.0, 0.5])
    matched = torch.full((6,), BACKGROUND)
    boxes = CELLS.clone()
    assert PLAIN.hardest(loss, boxes, matched).tolist() == [1, 2, 3]
    boxes[2] = boxes[1] + 1  # IoU 225 / 287 = 0.78
    assert PLAIN.hardest(loss, boxes, matched).tolist() == [1, 3, 4]
    assert replace(PLAIN, iou=0.8).hardest(loss, boxes, matched).tolist() == [1, 2, 3]


def test_equal_losses_go_by_row_and_ignored_ones_never() -> None:
    matched = torch.full((6,), BACKGROUND)
    matched[1] = IGNORED
    assert PLAIN.hardest(torch.ones(6), CELLS, matched).tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("matched", "count", "expected"),
    [
        ([0, -1, -1, -1, -1, 0], 4, [5, 4, 3, 2]),  # a quarter positive, though 0 is one too
        ([0, -1, -1, -1, -1, 0], 8, [5, 0, 4, 3, 2, 1]),  # 2 + 6, of which there are 4
        ([-1, -1, -1, -1, -1, -1], 8, [5, 4, 3]),  # as for one positive
        ([0, 0, 0, 0, 0, 0], 8, [5, 4]),
    ],
)
def test_three_negatives_for_every_positive(
    matched: list[int], count: int, expected: list[int]
) -> None:
    criterion = replace(PLAIN, count=count, negatives=3)
    loss = torch.arange(6.0)
    assert criterion.hardest(loss, CELLS, torch.tensor(matched)).tolist() == expected


def test_images_learn_the_same_alone_and_together() -> None:
    """The mean over both images' examples: each has its own three."""
    quiet = [[-3.0, -9.0]] * 6
    two = torch.tensor([LOUD, quiet])
    level = torch.zeros(6, dtype=torch.int64)
    both = PLAIN(Answers(two, torch.zeros(2, 6, 4), CELLS, level), [GOAL, GOAL])
    parts = [PLAIN(answers(*rows), [GOAL])["classification"].item() for rows in (LOUD, quiet)]
    assert both["classification"].item() == pytest.approx(sum(parts) / 2)


def test_numbers_that_are_none_are_not_passed_over() -> None:
    """NMS drops what is not finite; the loss must show it all the same."""
    told = answers(*LOUD[:5], [math.nan, 0.0])
    assert not PLAIN(told, [GOAL])["classification"].isfinite()
