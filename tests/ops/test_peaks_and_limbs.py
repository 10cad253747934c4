"""Positions of peaks, line integrals, and matchings, by hand and against exhaustive search."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drawn_poses import limb_fields, part_maps
from sightline.errors import UsageError
from sightline.ops.assembly import assemble, match_greedy, match_optimal
from sightline.ops.dispatch import Kernel
from sightline.ops.limbs import LineRule, limb_integrals, limb_midpoints
from sightline.ops.peaks import part_peaks


@settings(max_examples=30)
@given(st.floats(2, 9), st.floats(2, 14), st.floats(0.6, 2.5))
def test_the_peak_of_a_gaussian_is_its_centre(y: float, x: float, sigma: float) -> None:
    maps = part_maps(torch.tensor([[[x, y]]]), (11, 16), sigma)
    places, values, image, part = part_peaks(maps, 0.05)
    torch.testing.assert_close(places, torch.tensor([[x, y]]), rtol=0, atol=2e-3)
    assert image.tolist() == part.tolist() == [0]
    assert values[0] == maps.amax()


def test_peaks_at_the_border_and_side_by_side() -> None:
    maps = torch.zeros(1, 1, 4, 7)
    maps[0, 0, 0, 0], maps[0, 0, 3, 6] = 0.9, 0.8
    maps[0, 0, 1, 3:5] = 0.5  # a plateau: the first of the two, its summit between them
    places, values, _, _ = part_peaks(maps, 0.1)
    assert places.tolist() == [[0.5, 0.5], [4.0, 1.5], [6.5, 3.5]]
    torch.testing.assert_close(values, torch.tensor([0.9, 0.5, 0.8]))
    assert len(part_peaks(maps, 0.6)[0]) == 2 and len(part_peaks(maps, 0.1, 3)[0]) == 2


LIMB = torch.tensor([[0, 1]])


def columns(people: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    places = people.flatten(0, 1).repeat(1, 2)
    return places, torch.zeros(len(places), dtype=torch.int64), torch.arange(2).repeat(len(people))


def test_a_line_along_its_field_and_one_against_it() -> None:
    people = torch.tensor([[[5.5, 4.5], [17.5, 4.5]]])
    fields = limb_fields(people, [(0, 1)], (12, 25))
    rows, scores, shares = limb_integrals(fields, *columns(people), LIMB, LineRule())
    assert rows.tolist() == [[0, 0, 1]] and shares.tolist() == [1.0]
    torch.testing.assert_close(scores, torch.tensor([0.5]))  # 12 cells: 0.5 · 12 / 12 − 1 + 1
    assert not len(limb_integrals(-fields, *columns(people), LIMB, LineRule())[0])
    longer = LineRule(usual=2.0)
    torch.testing.assert_close(
        limb_integrals(fields, *columns(people), LIMB, longer)[1], torch.ones(1)
    )
    assert not len(limb_integrals(fields, *columns(people), LIMB, LineRule(longest=0.4))[0])


@pytest.mark.parametrize(("share", "found"), [(0.5, 1), (0.6, 0)])
def test_how_much_of_a_line_must_agree(share: float, found: int) -> None:
    people = torch.tensor([[[3.5, 4.5], [23.5, 4.5]]])
    fields = limb_fields(people, [(0, 1)], (12, 25))
    fields[..., 14:] = 0
    rule = LineRule(share=share, usual=9.0, longest=2.0)
    rows, _, shares = limb_integrals(fields, *columns(people), LIMB, rule)
    assert len(rows) == found and shares.tolist() == [0.5] * found


def test_a_midpoint_is_read_half_way() -> None:
    places = torch.tensor([[2.0, 3.0], [9.0, 6.0], [6.0, 6.0]])
    maps = torch.arange(40.0).view(1, 1, 5, 8) / 40
    part = torch.tensor([0, 1, 1])
    boxes = places.repeat(1, 2)
    rows, scores, _ = limb_midpoints(maps, boxes, torch.zeros_like(part), part, LIMB, 0.62)
    assert rows.tolist() == [[0, 0, 1], [0, 0, 2]]  # (5.5, 4.5) and (4, 4.5)
    torch.testing.assert_close(scores, torch.tensor([37.0, 35.5]) / 40)


def table(limb: list[int], first: list[int], second: list[int]) -> Tensor:
    return torch.tensor([limb, first, second]).T


def test_the_better_of_two_matchings() -> None:
    pairs = table([0] * 4, [0, 0, 1, 1], [2, 3, 2, 3])
    scores = torch.tensor([0.9, 0.8, 0.8, 0.1])
    assert match_greedy(pairs, scores, 4).tolist() == [0, 3]
    assert match_optimal(pairs, scores, 4).tolist() == [1, 2]


PAIRS = st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(3, 5), st.integers(1, 20))


@settings(max_examples=40)
@given(st.lists(PAIRS, max_size=9, unique_by=lambda row: row[:3]))
def test_optimal_is_the_best_of_all_matchings(rows: list[tuple[int, int, int, int]]) -> None:
    pairs = torch.tensor([row[:3] for row in rows], dtype=torch.int64).view(-1, 3)
    scores = torch.tensor([float(row[3]) for row in rows])
    best = 0.0
    for size in range(len(rows) + 1):
        for some in itertools.combinations(rows, size):
            firsts, seconds = {(r[0], r[1]) for r in some}, {(r[0], r[2]) for r in some}
            if len(firsts) == len(seconds) == size:
                best = max(best, float(sum(r[3] for r in some)))
    kept = match_optimal(pairs, scores, 6)
    greedy = match_greedy(pairs, scores, 6)
    assert scores[kept].sum() == best >= scores[greedy].sum() >= best / 2
    for mask in (kept, greedy):
        for end in (1, 2):
            ends = pairs[mask][:, [0, end]]
            assert len(ends.unique(dim=0)) == len(ends)


def test_limbs_that_make_a_cycle_and_one_that_is_wrong() -> None:
    part = torch.tensor([0, 1, 2, 0, 1, 2, 3])
    limbs = table([0, 0, 1, 1, 2, 2, 1], [0, 3, 1, 4, 2, 5, 1], [1, 4, 2, 5, 0, 3, 5])
    scores = torch.tensor([0.9, 0.9, 0.8, 0.8, 0.7, 0.7, 0.3])
    people, total = assemble(limbs, scores, part, 4)
    assert people.tolist() == [[0, 1, 2, -1], [3, 4, 5, -1]]
    torch.testing.assert_close(total, torch.tensor([2.4, 2.4]))
    best = torch.tensor([0, 1, 6, 2, 3, 4, 5])  # the wrong one third: it is believed
    people, total = assemble(limbs[best], scores[best], part, 4)
    assert people.tolist() == [[0, 1, 5, -1], [3, 4, -1, -1]]
    torch.testing.assert_close(total, torch.tensor([1.2, 0.9]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: part_peaks(torch.zeros(2, 3, 4), 0.1),
        lambda: part_peaks(torch.zeros(1, 2, 0, 4), 0.1),
        lambda: part_peaks(torch.zeros(1, 2, 3, 4), float("nan")),
        lambda: part_peaks(torch.zeros(1, 2, 3, 4), 0.1, 0),
        lambda: LineRule(samples=0),
        lambda: LineRule(share=1.2),
        lambda: LineRule(usual=float("nan")),
        lambda: limb_integrals(torch.zeros(1, 1, 5, 5), *columns(torch.ones(1, 2, 2)), LIMB,
                               LineRule()),
        lambda: limb_midpoints(torch.zeros(1, 1, 5, 5), *columns(torch.full((1, 2, 2), torch.nan)),
                               LIMB, 0.1),
        lambda: match_greedy(torch.tensor([[0, 1, 7]]), torch.ones(1), 5),
        lambda: assemble(torch.tensor([[0, 1, -1]]), torch.ones(1), torch.arange(3), 3),
    ],
)  # fmt: skip
def test_faults(call: object) -> None:
    with pytest.raises(UsageError) as caught:
        call()  # type: ignore[operator]
    assert caught.value.code in ("usage.shape", "usage.out_of_range")


@pytest.mark.parametrize(
    "call",
    [
        lambda: limb_integrals(torch.zeros(1, 2, 5, 5), *columns(torch.ones(1, 2, 2)),
                               torch.tensor([[0, -1]]), LineRule()),
        lambda: limb_midpoints(torch.zeros(1, 1, 5, 5), torch.ones(1, 4), torch.zeros(1).long(),
                               torch.tensor([-7]), LIMB, 0.1),
        lambda: match_greedy(torch.tensor([[-3, 0, 1]]), torch.ones(1), 5),
        lambda: assemble(torch.tensor([[0, 1, 2]]), torch.ones(1), torch.arange(3), 2),
        lambda: assemble(torch.tensor([[0, 1, 2]]), torch.ones(1), torch.arange(3) - 1, 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", ["kernel", "definition"])
def test_numbers_of_what_is_not_there(
    call: object, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel would write where it has no memory."""
    if way == "definition":
        monkeypatch.setattr(Kernel, "__call__", lambda self, *args: self.reference(*args))
    with pytest.raises(UsageError) as caught:
        call()  # type: ignore[operator]
    assert caught.value.code == "usage.shape"
