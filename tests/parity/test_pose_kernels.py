"""Peaks, limbs, matching and assembly: the kernels find the rows of their definitions."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.kernels.cpu import assembly as fast_assembly
from sightline.kernels.cpu import limbs as fast_limbs
from sightline.kernels.cpu import peaks as fast_peaks
from sightline.kernels.cpu import poses as fast_poses
from sightline.ops.assembly import assemble, group_greedily, match_greedy
from sightline.ops.limbs import LineRule, limb_integrals, limb_midpoints
from sightline.ops.peaks import part_boxes, part_peaks
from sightline.ops.poses import PoseRule, greedy_poses, poses
from sightline.types import Frame, Regions, Scored

STRIDE = 6.0
LIMBS = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 0], [3, 1]])


def noise(*shape: int, seed: int = 0, smooth: bool = True) -> Tensor:
    """Maps with many hills, some of them below 0."""
    maps = torch.randn(*shape, generator=torch.manual_seed(seed))
    if smooth and maps.numel():
        maps = torch.nn.functional.avg_pool2d(maps, 3, 1, 1) * 2
    return maps


def same(got: tuple[Tensor, ...], want: tuple[Tensor, ...]) -> None:
    for a, b in zip(got, want, strict=True):
        if a.is_floating_point():
            torch.testing.assert_close(a, b, rtol=2e-6, atol=2e-6)
        else:
            assert torch.equal(a, b)


@pytest.mark.parametrize("shape", [(2, 3, 23, 41), (1, 1, 1, 1), (1, 2, 1, 9), (2, 1, 8, 1),
                                   (0, 3, 5, 6), (1, 0, 5, 6), (1, 1, 40, 130),
                                   (3, 9, 4, 7), (2, 3, 3, 64)])  # fmt: skip
@pytest.mark.parametrize("reach", [1, 2, 4])
def test_peaks(shape: tuple[int, ...], reach: int) -> None:
    maps = noise(*shape)
    want = part_peaks.reference(maps, 0.1, reach)
    same(fast_peaks.part_peaks(maps, 0.1, reach), want)
    assert len(want[1]) or 0 in shape or maps.amax() <= 0.1


def test_peaks_of_plateaus_and_broken_cells() -> None:
    maps = (noise(1, 2, 19, 37, seed=3) * 3).round() / 3  # many equal neighbours
    maps[0, 0, 4, 4:9], maps[0, 1, 7, 3], maps[0, 1, 12, 30] = torch.nan, torch.inf, -torch.inf
    want = part_peaks.reference(maps, 0.2)
    assert want[0].isfinite().all() and len(want[0]) > 20
    same(fast_peaks.part_peaks(maps, 0.2), want)
    strided = maps.expand(3, -1, -1, -1).transpose(2, 3).half()
    same(fast_peaks.part_peaks(strided, 0.2), part_peaks.reference(strided, 0.2))


def scene(seed: int, count: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.manual_seed(seed)
    places = torch.rand(count, 2, generator=rng) * torch.tensor([50.0, 31.0]) - 3
    places[1] = places[0]
    image = torch.randint(0, 2, (count,), generator=rng)
    half = torch.rand(count, 2, generator=rng)
    half[1] = half[0]
    boxes = torch.cat([places - half, places + half], 1) * STRIDE
    return boxes, image, torch.randint(0, 5, (count,), generator=rng)


@pytest.mark.parametrize(
    "rule",
    [
        LineRule(),
        LineRule(1, share=1.0),
        LineRule(7, -0.2, 0.0, 0.2, 2.0),
        LineRule(5, 0.0, 0.4),
        LineRule(10, 0.3, 0.5, faint=-0.1),
    ],
)
@pytest.mark.parametrize("size", [(25, 44), (1, 9), (6, 1)])
def test_limbs(rule: LineRule, size: tuple[int, int]) -> None:
    fields = noise(2, 10, *size, seed=5) + 0.3
    columns = scene(1)
    want = limb_integrals.reference(fields, *columns, LIMBS, rule, STRIDE)
    got = fast_limbs.limb_integrals(fields, *columns, LIMBS, rule, STRIDE)
    same(got, want)
    maps = fields[:, :5]
    middles = limb_midpoints.reference(maps, *columns, LIMBS, 0.2, STRIDE)
    same(fast_limbs.limb_midpoints(maps, *columns, LIMBS, 0.2, STRIDE), middles)
    crowd = scene(2, 300)  # of so many pairs those far from any field are passed over
    fields[fields.abs() < 0.5] = 0
    lone = limb_integrals.reference(fields, *crowd, LIMBS, rule, STRIDE)
    same(fast_limbs.limb_integrals(fields, *crowd, LIMBS, rule, STRIDE), lone)
    if size == (25, 44):
        assert len(want[0]) > 5 and len(middles[0]) > 50 and len(lone[0]) > 5
    none = [value[:0] for value in columns]
    empty = limb_integrals.reference(fields, *none, LIMBS, rule, STRIDE)
    same(fast_limbs.limb_integrals(fields, *none, LIMBS, rule, STRIDE), empty)


def test_boxes_around_peaks() -> None:
    maps = noise(2, 3, 23, 41, seed=4)
    want = part_boxes.reference(maps, 0.1, STRIDE)
    same(fast_peaks.part_boxes(maps, 0.1, STRIDE), want)
    middles = (want[0][:, :2] + want[0][:, 2:]) / (2 * STRIDE)
    torch.testing.assert_close(middles, part_peaks(maps, 0.1)[0])
    assert len(middles) > 20
    some = part_boxes.reference(maps, 0.1, STRIDE, 2)  # the third map is the background's
    same(fast_peaks.part_boxes(maps, 0.1, STRIDE, 2), some)
    same(some, tuple(column[want[3] < 2] for column in want))


def drawn(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ninety parts, and candidate limbs between them."""
    part = torch.randint(0, 5, (90,), generator=rng)
    limb = torch.randint(0, len(LIMBS), (count,), generator=rng)
    ends = [_rows(part, LIMBS[limb, end], rng) for end in (0, 1)]
    return part, torch.stack([limb, *ends], 1)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("count", [0, 1, 30, 400])
def test_matching_and_assembly(count: int, tied: bool) -> None:
    rng = torch.manual_seed(count)
    part, candidates = drawn(count, rng)
    scores = torch.rand(count, generator=rng)
    if tied:
        scores = (scores * 4).round() / 4
    want = match_greedy.reference(candidates, scores, 90)
    kept = fast_assembly.match_greedy(candidates, scores, 90)
    assert torch.equal(kept, want)
    best = scores.sort(descending=True, stable=True).indices
    for rows in (kept, best):
        same(
            fast_assembly.assemble(candidates[rows], scores[rows], part, 6),
            assemble.reference(candidates[rows], scores[rows], part, 6),
        )


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("count", [0, 1, 30, 400])
def test_groups_in_one_go(count: int, tied: bool) -> None:
    rng = torch.manual_seed(count)
    part, candidates = drawn(count, rng)
    integrals, values = torch.rand(count, generator=rng), torch.rand(90, generator=rng)
    if tied:
        integrals, values = (integrals * 4).round() / 4, (values * 4).round() / 4
    want = group_greedily.reference(candidates, integrals, values, part, (6, 3))
    got = fast_assembly.group_greedily(candidates, integrals, values, part, (6, 3))
    same(got, want)
    assert len(got[0]) == 0 or 0 < got[1].max() <= 1


def parts(seed: int, count: int = 200) -> tuple[Tensor, Tensor, Scored]:
    """People of parts that lie anywhere, some outside their image; they come by image."""
    rng = torch.manual_seed(seed)
    corner = torch.rand(count, 2, generator=rng) * 90 - 20
    image = torch.arange(count) * 2 // count
    regions = Regions(torch.cat([corner, corner + 3], 1), image, image * 0)
    values = (torch.rand(count, 1, generator=rng) * 12).round() / 10  # some above 1, many equal
    people = torch.arange(count).view(-1, 5)
    people = torch.where(torch.rand(people.shape, generator=rng) < 0.4, -1, people)
    scores = (torch.rand(len(people), generator=rng) * 8).round() / 8
    return people, scores, Scored(regions, values + 0.1, regions.boxes)


FRAMES = (Frame((50, 60), (50, 60)), Frame((33, 47), (40, 44), (3, 9)))


@pytest.mark.parametrize("rule", [PoseRule(0, 0.0, 100), PoseRule(2, 0.3, 6), PoseRule(9, 0.0, 5)])
def test_answers_from_people(rule: PoseRule) -> None:
    people, scores, scored = parts(3)
    points = torch.tensor([4, 0, 2, 1])
    want = poses.reference(people, scores, scored, points, FRAMES, rule)
    for mine, theirs in zip(
        fast_poses.poses(people, scores, scored, points, FRAMES, rule), want, strict=True
    ):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    counts = [len(one[0]) for one in want]
    assert counts == [0, 0] if rule.least_parts == 9 else min(counts) > 3
    assert rule.limit != 6 or counts == [6, 6]
    empty = poses.reference(people[:0], scores[:0], scored, points, FRAMES, rule)
    same_empty = fast_poses.poses(people[:0], scores[:0], scored, points, FRAMES, rule)
    assert [one[3].shape for one in empty] == [one[3].shape for one in same_empty]


@pytest.mark.parametrize("call", [poses.reference, fast_poses.poses])
def test_answers_of_what_is_not_there(call: Callable[..., object]) -> None:
    people, scores, scored = parts(4)
    points, rule = torch.arange(5), PoseRule(1, 0.0, 9)
    wrong = [
        (people + 1, scores, scored, points, FRAMES),
        (people, scores, scored, points + 1, FRAMES),
        (people, scores, scored, points - 1, FRAMES),
        (people, scores, scored, points, FRAMES[:1]),
    ]
    for words in wrong:
        with pytest.raises(UsageError) as caught:
            call(*words, rule)
        assert caught.value.code == "usage.shape"
    with pytest.raises(UsageError):  # the definition's types are checked by the tests before
        fast_poses.poses(people, scores[1:], scored, points, FRAMES, rule)


def limbs_of_two_images(seed: int, count: int = 150) -> Scored:
    """Parts of four kinds in two images, and candidate limbs between those of one image."""
    rng, (_, _, scored) = torch.manual_seed(seed), parts(seed)
    image, part = scored.regions.image, torch.randint(0, 4, (200,), generator=rng)
    limb = torch.randint(0, len(LIMBS), (2 * count,), generator=rng)
    ends = [_rows(part, LIMBS[limb, end], rng) for end in (0, 1)]
    candidates = torch.stack([limb, *ends], 1)[image[ends[0]] == image[ends[1]]]
    integrals = (torch.rand(len(candidates), generator=rng) * 16).round() / 16
    extras = {"limbs": candidates, "integrals": integrals}
    regions = replace(scored.regions, level=part)
    return replace(scored, regions=regions, extras=extras)


@pytest.mark.parametrize("rule", [PoseRule(1, 0.0, 100), PoseRule(3, 0.1, 4), PoseRule(9, 0.0, 5)])
def test_answers_from_limbs(rule: PoseRule) -> None:
    scored, points, size = limbs_of_two_images(5), torch.tensor([3, 0, 1]), (4, len(LIMBS))
    want = greedy_poses.reference(points, scored, size, FRAMES, rule)
    got = fast_poses.greedy_poses(points, scored, size, FRAMES, rule)
    for mine, theirs in zip(got, want, strict=True):
        same(mine, theirs)
    counts = [len(one[0]) for one in want]
    assert counts == [0, 0] if rule.least_parts == 9 else min(counts) > 3
    none = {name: rows[:0] for name, rows in scored.extras.items()}
    empty = fast_poses.greedy_poses(points, replace(scored, extras=none), size, FRAMES, rule)
    assert [one[3].shape for one in empty] == [(0, 3, 3)] * 2


@pytest.mark.parametrize("call", [greedy_poses.reference, fast_poses.greedy_poses])
def test_limbs_of_what_is_not_there(call: Callable[..., object]) -> None:
    scored, points, size = limbs_of_two_images(6), torch.arange(4), (4, len(LIMBS))
    limbs, integrals = scored.extras["limbs"], scored.extras["integrals"]
    beyond, kinds = limbs + torch.tensor([0, 0, 200]), scored.regions.level
    wrong = [
        (points, replace(scored, extras={"limbs": beyond, "integrals": integrals}), size, FRAMES),
        (
            points,
            replace(scored, extras={"limbs": limbs - 9, "integrals": integrals}),
            size,
            FRAMES,
        ),
        (points, scored, (3, len(LIMBS)), FRAMES),
        (points, replace(scored, regions=replace(scored.regions, level=kinds - 1)), size, FRAMES),
        (points + 1, scored, size, FRAMES),
        (points, scored, size, FRAMES[:1]),
    ]
    for words in wrong:
        with pytest.raises(UsageError) as caught:
            call(*words, PoseRule(1, 0.0, 9))
        assert caught.value.code == "usage.shape"


@pytest.mark.parametrize("column", ["limbs", "integrals", "scores", "boxes", "image", "level"])
def test_columns_that_do_not_fit(column: str) -> None:
    """The kernel reads nothing beyond its arrays: the definition says what is wrong."""
    scored, points, size = limbs_of_two_images(7), torch.arange(4), (4, len(LIMBS))
    regions, extras = copy(scored.regions), dict(scored.extras)
    if column in extras:
        extras[column] = extras[column][:9]
    elif column != "scores":  # records check their columns themselves where types are checked
        object.__setattr__(regions, column, getattr(regions, column)[:9])
    object.__setattr__(scored, "regions", regions)
    object.__setattr__(scored, "extras", extras)
    if column == "scores":
        object.__setattr__(scored, "scores", scored.scores[:9])
    with pytest.raises(UsageError):
        fast_poses.greedy_poses(points, scored, size, FRAMES, PoseRule(1, 0.0, 9))


def _rows(part: Tensor, kinds: Tensor, rng: torch.Generator) -> Tensor:
    """A row of each of these kinds, drawn."""
    draw: Callable[[int], Tensor] = lambda kind: (part == kind).nonzero()[:, 0]  # noqa: E731
    chosen = [draw(int(kind)) for kind in kinds]
    picks = [rows[torch.randint(0, len(rows), (), generator=rng)] for rows in chosen]
    return torch.stack(picks) if picks else part[:0]
