"""Every region meets one fate, and the kept ones are those that `select` gives."""

import math
from dataclasses import replace

import pytest
import torch

from sightline.boxes import iou
from sightline.reasons import Outcome, reasons
from sightline.suppress import METHODS, Selection, select
from sightline.types import Batch, Frame, Regions, Scored

FRAMES = (Frame((60, 80), (60, 80)), Frame((30, 40), (60, 80), (4, 8)))
BATCH = Batch(torch.zeros(2, 3, 96, 128), FRAMES)
CLASSES = ("cat", "dog", "hen")


def noise(rows: int, seed: int) -> Scored:
    rng = torch.Generator().manual_seed(seed)
    corner = torch.rand(rows, 2, generator=rng) * torch.tensor([90.0, 70])
    side = torch.rand(rows, 2, generator=rng) * 40
    boxes = torch.cat([corner - side / 2, corner + side / 2], dim=1)
    boxes[::17, 1] = math.nan
    scores = ((torch.rand(rows, 3, generator=rng) ** 3) * 20).round() / 20
    scores[5::29, 0] = math.inf
    scores[6::29] = math.nan
    level = torch.randint(0, 3, (rows,), generator=rng).sort().values
    image = torch.randint(0, 2, (rows,), generator=rng)
    return Scored(Regions(boxes, image, level), scores, boxes)


def test_each_fate_by_a_worked_example() -> None:
    boxes = torch.tensor(
        [
            [10.0, 10, 30, 30],  # kept
            [10, 10, 30, 26],  # IoU 0.8 with it
            [40, 10, 60, 30],  # kept, second
            [60, 40, 70, 50],  # third: beyond the limit of two
            [60, 40, 70, 49],  # suppressed by the third, so beyond the limit too
            [90, 10, 95, 20],  # in the padding
            [math.nan, 0, 9, 9],
            [0, 40, 9, 49],  # below the threshold
            [20, 40, 29, 49],  # ninth of its level
            [70, 10, 71, 20],  # narrower than two pixels
        ]
    )
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.4, 0.05, 0.1, 0.3])[:, None]
    none = torch.zeros(10, dtype=torch.int64)
    scored = Scored(Regions(boxes, none, none), scores, boxes)
    batch = Batch(torch.zeros(1, 3, 96, 128), FRAMES[:1])
    (told,) = reasons(scored, batch, Selection(limit=2, per_level=8, min_size=2.0))
    assert [Outcome(x).name for x in told.outcome.tolist()] == [
        "KEPT",
        "SUPPRESSED",
        "KEPT",
        "BEYOND_LIMIT",
        "BEYOND_LIMIT",
        "OUTSIDE",
        "NON_FINITE",
        "BELOW_SCORE",
        "BEYOND_LEVEL",
        "TOO_SMALL",
    ]
    assert told.by.tolist() == [0, 0, 1, *[-1] * 7]
    assert told.iou.tolist() == pytest.approx([1, 0.8, 1, *[0] * 7])
    assert told.score.tolist() == pytest.approx(scores[:, 0].tolist())


def test_only_the_best_of_each_class_are_looked_at() -> None:
    boxes = torch.tensor([[10.0 * i, 10, 10.0 * i + 8, 20] for i in range(5)])
    scores = torch.tensor([[0.5, 0.0], [0.9, 0.0], [0.7, 0.3], [0.6, 0.0], [0.0, 0.2]])
    none = torch.zeros(5, dtype=torch.int64)
    scored = Scored(Regions(boxes, none, none), scores, boxes)
    batch = Batch(torch.zeros(1, 3, 96, 128), FRAMES[:1])
    chosen = Selection(per_class=2)
    (found,) = select(scored, batch, chosen, ("cat", "dog"))
    pairs = list(zip(found.region.tolist(), found.names, strict=True))
    assert pairs == [(1, "cat"), (2, "cat"), (2, "dog"), (4, "dog")]
    (told,) = reasons(scored, batch, chosen)
    fates = [Outcome(x).name for x in told.outcome.tolist()]
    assert fates == ["BEYOND_CLASS", "KEPT", "KEPT", "BEYOND_CLASS", "KEPT"]


def test_a_region_is_told_as_its_luckiest_class() -> None:
    boxes = torch.tensor([[10.0, 10, 30, 30], [10, 10, 30, 29]])
    scores = torch.tensor([[0.9, 0.0, 0.1], [0.8, 0.3, 0.01]])
    none = torch.zeros(2, dtype=torch.int64)
    scored = Scored(Regions(boxes, none, none), scores, boxes)
    batch = Batch(torch.zeros(1, 3, 96, 128), FRAMES[:1])
    (told,) = reasons(scored, batch, Selection())
    assert told.outcome.tolist() == [Outcome.KEPT, Outcome.KEPT]
    assert told.label.tolist() == [0, 1]  # as a cat the second was suppressed
    assert told.by.tolist() == [0, 1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("limit", [3, 1000])
def test_they_agree_with_select_and_add_up(method: str, agnostic: bool, limit: int) -> None:
    scored = noise(400, 6)
    chosen = Selection(0.3, 0.4, limit, 30, method, class_agnostic=agnostic, min_size=2.0)
    found = select(scored, BATCH, chosen, CLASSES)
    for index, (told, kept) in enumerate(zip(reasons(scored, BATCH, chosen), found, strict=True)):
        mine = (scored.regions.image == index).nonzero()[:, 0]
        assert torch.equal(told.region, mine)
        counts, fate = told.count(), told.outcome
        assert sum(counts.values()) == len(mine)
        stays, lost = fate == Outcome.KEPT, fate == Outcome.SUPPRESSED
        assert told.region[stays].tolist() == sorted(set(kept.region.tolist()))
        assert torch.equal(kept.region[told.by[stays]], told.region[stays])
        named = stays | lost | (fate == Outcome.MERGED)
        assert torch.equal(told.by >= 0, named)
        assert agnostic or torch.equal(kept.labels[told.by[named]], told.label[named])
        if limit == 1000:
            assert bool(lost.any()) == (method != "fusion")
        if method in ("nms", "soft_linear"):
            assert bool((told.iou[lost] > 0.4).all())
        assert counts[Outcome.NON_FINITE] > 0
        assert counts[Outcome.BEYOND_LEVEL] > 0
        assert counts[Outcome.OUTSIDE] > 0


def test_the_overlap_told_is_that_of_the_boxes() -> None:
    scored, chosen = noise(300, 8), Selection(iou=0.3)
    frame = FRAMES[0]
    told = reasons(scored, BATCH, chosen)[0]
    found = select(scored, BATCH, chosen, CLASSES)[0]
    lost = (told.outcome == Outcome.SUPPRESSED).nonzero()[:, 0]
    low, high = torch.zeros(2), torch.tensor(frame.resized[::-1]).float()
    for row in lost.tolist():
        box = scored.boxes[told.region[row]].view(2, 2).clamp(low, high).view(1, 4)
        overlap = iou(box, found.boxes[int(told.by[row])][None]).item()
        assert told.iou[row].item() == pytest.approx(overlap, abs=1e-6)
        assert found.scores[int(told.by[row])] >= told.score[row]


@pytest.mark.parametrize("method", METHODS)
def test_no_regions_and_no_candidates(method: str) -> None:
    scored, chosen = noise(50, 9), Selection(method=method, score=2.0)
    for told in reasons(scored, BATCH, chosen):
        assert set(told.outcome.tolist()) <= {Outcome.BELOW_SCORE, Outcome.NON_FINITE}
    nothing = replace(
        scored,
        regions=Regions(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).long()),
        scores=torch.zeros(0, 3),
        boxes=torch.zeros(0, 4),
    )
    assert [len(told) for told in reasons(nothing, BATCH, chosen)] == [0, 0]
