"""Who answers for which object: worked examples."""

from dataclasses import replace

import pytest
import torch

from sightline import boxes as bx
from sightline.anchors import AnchorGrid
from sightline.matching import (
    BACKGROUND,
    IGNORED,
    AtssMatcher,
    IouMatcher,
    MultiBoxMatcher,
    objects_of,
)
from sightline.types import Targets


def targets(*boxes: list[float], crowd: tuple[bool, ...] | None = None) -> Targets:
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    mark = torch.tensor(crowd or [False] * len(rows), dtype=torch.bool)
    return Targets(rows, torch.zeros(len(rows), dtype=torch.int64), mark)


def level_of(regions: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(regions), dtype=torch.int64)


REGIONS = torch.tensor(
    [[0.0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 4.5], [50, 50, 60, 60], [20, 0, 30, 3]]
)


def test_iou_matcher_by_hand() -> None:
    goal = targets([0, 0, 10, 10], [20, 0, 30, 10])
    # IoU with the first object: 1, 0.6, 0.45, 0, 0; the second object's best is region 4 with 0.3
    plain = IouMatcher(0.5, 0.4, best_too=False)(REGIONS, level_of(REGIONS), goal)
    assert plain.tolist() == [0, 0, IGNORED, BACKGROUND, BACKGROUND]
    generous = IouMatcher(0.5, 0.4, best_too=True)(REGIONS, level_of(REGIONS), goal)
    assert generous.tolist() == [0, 0, IGNORED, BACKGROUND, 1]


def test_an_object_that_touches_nothing_is_nobodys() -> None:
    goal = targets([500, 500, 510, 510])
    assert IouMatcher()(REGIONS, level_of(REGIONS), goal).tolist() == [BACKGROUND] * 5


def test_rows_skip_crowds_and_crowds_set_their_ground_aside() -> None:
    goal = targets([45, 45, 80, 80], [0, 0, 10, 10], crowd=(True, False))
    for matcher in (IouMatcher(), AtssMatcher(), MultiBoxMatcher()):
        matched = matcher(REGIONS, level_of(REGIONS), goal)
        assert matched[0] == 1 and matched[3] == IGNORED, matcher
        assert matched[4] == BACKGROUND, matcher


def test_without_objects_all_is_background() -> None:
    for matcher in (IouMatcher(), AtssMatcher(), MultiBoxMatcher()):
        assert matcher(REGIONS, level_of(REGIONS), targets()).tolist() == [BACKGROUND] * 5


def test_with_multibox_every_object_has_a_region_of_its_own() -> None:
    # IoUs with the first object: 1, 0.6, 0.45, 0, 0; with the second, 0.5, 0.83, 0.9, 0, 0; the
    # third object's best is region 4 with 0.3
    goal = targets([0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10])
    matched = MultiBoxMatcher()(REGIONS, level_of(REGIONS), goal)
    assert matched.tolist() == [0, 1, 1, BACKGROUND, 2]
    # two of the same size and place: the first object takes the best region, the second the next
    twins = targets([0, 0, 10, 10], [0, 0, 10, 10])
    matched = MultiBoxMatcher()(REGIONS, level_of(REGIONS), twins)
    assert matched.tolist() == [0, 1, BACKGROUND, BACKGROUND, BACKGROUND]
    # an IoU of just a half is not above it
    half = targets([0, 0, 10, 3], [0, 0, 10, 20])
    matched = MultiBoxMatcher()(REGIONS, level_of(REGIONS), half)
    assert matched.tolist() == [1, BACKGROUND, 0, BACKGROUND, BACKGROUND]


def test_more_objects_than_regions_and_objects_that_touch_none() -> None:
    goal = targets(*[[0, 0, 10, 10.0 - i] for i in range(7)], [500, 500, 510, 510], [3, 3, 3, 3])
    matched = MultiBoxMatcher()(REGIONS[:3], level_of(REGIONS[:3]), goal)
    assert sorted(matched.tolist()) == [0, 4, 5]  # of 10, 6 and 5 pixels: each region's own
    none = MultiBoxMatcher()(REGIONS[:0], level_of(REGIONS[:0]), goal)
    assert none.shape == (0,)


@pytest.mark.parametrize("seed", range(20))
def test_multibox_takes_the_best_pair_that_is_left(seed: int) -> None:
    """Against the rule as it stands: the best of all pairs, then of what is left."""
    rng = torch.Generator().manual_seed(seed)

    def some(count: int) -> torch.Tensor:
        corner = torch.randint(0, 12, (count, 2), generator=rng).float()
        return torch.cat([corner, corner + torch.randint(1, 9, (count, 2), generator=rng)], dim=1)

    regions, objects = some(30), some(9)
    left = bx.iou(regions, objects)
    wanted = torch.where(left.amax(dim=1) > 0.5, left.argmax(dim=1), BACKGROUND)
    for _ in range(9):
        if left.max() <= 0:
            break
        number = int(left.amax(dim=0).argmax())
        row = int(left[:, number].argmax())
        wanted[row] = number
        left[row], left[:, number] = -1, -1
    assert torch.equal(
        MultiBoxMatcher()(regions, level_of(regions), targets(*objects.tolist())), wanted
    )


def pyramid() -> tuple[torch.Tensor, torch.Tensor]:
    grid = AnchorGrid(sizes=((40.0,), (80.0,)), ratios=(1.0,), strides=(8, 16))
    return grid.boxes([(12, 16), (6, 8)], (96, 128))


def test_atss_takes_the_level_that_fits() -> None:
    regions, level = pyramid()
    small, large = [40.0, 30, 80, 70], [20.0, 5, 100, 85]
    for box, wanted in ((small, 0), (large, 1)):
        matched = AtssMatcher()(regions, level, targets(box))
        chosen = (matched == 0).nonzero()[:, 0]
        assert 1 <= len(chosen) <= 18
        assert set(level[chosen].tolist()) == {wanted}
        assert bx.inside(bx.centres(regions[chosen]), torch.tensor([box])).all()


@pytest.mark.parametrize("corners", [[40.0, 30, 80, 70], [20, 5, 100, 85], [33, 21, 71, 66]])
def test_atss_by_the_definition(corners: list[float]) -> None:
    """The threshold, by a slow loop over one object's candidates."""
    regions, level = pyramid()
    box = torch.tensor([corners], dtype=torch.float32)
    centre = bx.centres(box)
    candidates: list[int] = []
    for number in (0, 1):
        rows = (level == number).nonzero()[:, 0]
        far = (bx.centres(regions[rows]) - centre).norm(dim=1)
        candidates += rows[far.argsort(stable=True)[:9]].tolist()
    near = bx.iou(regions[candidates], box)[:, 0]
    limit = near.mean() + near.std()
    inside = bx.inside(bx.centres(regions[candidates]), box)[:, 0]
    wanted = {c for c, v, i in zip(candidates, near, inside, strict=True) if v >= limit and i}
    matched = AtssMatcher()(regions, level, targets(box[0].tolist()))
    assert set((matched == 0).nonzero()[:, 0].tolist()) == wanted and wanted


def test_atss_gives_every_object_someone_however_small() -> None:
    regions, level = pyramid()
    goal = targets([40.5, 30.5, 42, 32], [41, 31, 90, 80], [100, 80, 101, 81])
    matched = AtssMatcher()(regions, level, goal)
    assert set(matched.unique().tolist()) >= {0, 1, 2}


def test_each_region_gets_the_object_of_its_own_image() -> None:
    """Rows count within an image; one without objects lies between the two."""
    truths = [targets([0, 0, 2, 3], [1, 1, 5, 6]), targets(), targets([2, 2, 9, 9])]
    truths = [replace(one, labels=torch.arange(len(one)) + 4 + i) for i, one in enumerate(truths)]
    boxes, labels = objects_of(truths, torch.tensor([2, 0, 0]), torch.tensor([0, 1, 0]))
    assert labels.tolist() == [6, 5, 4]
    assert boxes.tolist() == [[2, 2, 9, 9], [1, 1, 5, 6], [0, 0, 2, 3]]


def test_atss_takes_all_anchors_of_the_nearest_cells() -> None:
    """Two sizes in each cell of one map are matched as the same sizes of two maps with its cells:
    which cells are candidates does not depend on how their anchors are told.
    """
    both = AnchorGrid(sizes=((40.0, 80.0),), ratios=(1.0,), strides=(16,))
    apart = AnchorGrid(sizes=((40.0,), (80.0,)), ratios=(1.0,), strides=(16, 16))
    goal = targets([30, 21, 72, 66], [40, 9, 125, 90])
    regions, level = both.boxes([(6, 8)], (96, 128))
    found = AtssMatcher(per_cell=2)(regions, level, goal)
    one, two = AtssMatcher()(*apart.boxes([(6, 8), (6, 8)], (96, 128)), goal).view(2, -1)
    assert torch.equal(found.view(-1, 2), torch.stack([one, two], dim=1))
    assert {0, 1} <= set(found.tolist())
    assert not torch.equal(AtssMatcher()(regions, level, goal), found)
