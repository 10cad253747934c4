"""Laws of dividing images into splits, whatever they show and whatever belongs together."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sightline.data.split import divide, fair
from sightline.data.units import merge

RATIOS = st.sampled_from(
    [
        {"train": 0.8, "val": 0.2},
        {"train": 0.8, "val": 0.1, "test": 0.1},
        {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3},
        {"a": 0.05, "b": 0.9, "c": 0.05},
        {"one": 0.5, "two": 0.5},
    ]
)
SEEDS = st.integers(-5, 2**70)


@dataclass
class Case:
    contents: list[Counter[int]]
    names: list[str]
    groups: list[list[int]]


@st.composite
def cases(draw: st.DrawFn, grouped: bool = True) -> Case:
    count = draw(st.integers(1, 60))
    image = st.dictionaries(st.integers(0, 5), st.integers(1, 9), max_size=3)
    contents = [Counter(draw(image)) for _ in range(count)]
    rows = st.lists(st.integers(0, count - 1), min_size=1, max_size=6)
    groups = draw(st.lists(rows, max_size=6)) if grouped else []
    return Case(contents, [f"é {i * 7919 % 1009}.jpg" for i in range(count)], groups)


@settings(max_examples=120, deadline=None)
@given(cases(), RATIOS, SEEDS)
def test_every_image_is_in_one_split_and_no_group_is_parted(
    case: Case, ratios: dict[str, float], seed: int
) -> None:
    units = merge(case.groups, len(case.names))
    assume(len(units) >= len(ratios))
    parts = divide(case.contents, case.names, ratios, seed, case.groups)
    assert len(parts) == len(ratios)
    assert all(part and list(part) == sorted(part) for part in parts)
    assert sorted(row for part in parts for row in part) == list(range(len(case.names)))
    place = {row: j for j, part in enumerate(parts) for row in part}
    for group in case.groups:
        assert len({place[row] for row in group}) == 1
    largest, total = max(map(len, units)), len(case.names)
    for part, want in zip(parts, fair(list(ratios.values()), total), strict=True):
        assert len(part) - want < largest
        assert want - len(part) < (len(parts) - 1) * largest


@settings(max_examples=80, deadline=None)
@given(cases(grouped=False), RATIOS, SEEDS)
def test_without_groups_sizes_are_those_of_the_ratios(
    case: Case, ratios: dict[str, float], seed: int
) -> None:
    total = len(case.names)
    assume(total >= len(ratios))
    parts = divide(case.contents, case.names, ratios, seed)
    for part, want in zip(parts, fair(list(ratios.values()), total), strict=True):
        assert abs(len(part) - want) < 1


@settings(max_examples=80, deadline=None)
@given(cases(), RATIOS, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(
    case: Case, ratios: dict[str, float], seed: int, shuffler: object
) -> None:
    assume(len(merge(case.groups, len(case.names))) >= len(ratios))
    first = divide(case.contents, case.names, ratios, seed, case.groups)
    order = list(range(len(case.names)))
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    back = {row: i for i, row in enumerate(order)}
    second = divide(
        [case.contents[row] for row in order],
        [case.names[row] for row in order],
        ratios,
        seed,
        [[back[row] for row in reversed(group)] for group in reversed(case.groups)],
    )
    assert [set(part) for part in first] == [{order[row] for row in part} for part in second]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(3, 40), min_size=1, max_size=6), RATIOS, SEEDS)
def test_no_split_goes_without_a_class_that_has_an_image_for_each(
    counts: list[int], ratios: dict[str, float], seed: int
) -> None:
    """One class an image; splits have room for an image of each class."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    assume(min(ratios.values()) * len(labels) >= len(counts))
    contents = [Counter({label: 1} if label else {}) for label in labels]  # class 0: no objects
    parts = divide(contents, [f"{i}" for i in range(len(labels))], ratios, seed)
    for part in parts:
        assert {labels[row] for row in part} == set(range(len(counts)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), RATIOS, SEEDS)
def test_each_class_has_its_share_where_images_are_plenty(
    world: int, classes: int, ratios: dict[str, float], seed: int
) -> None:
    """Classes of any frequency, independent of each other: within five of 300 images."""
    rng = np.random.default_rng(world)
    shown = rng.random((300, classes)) < rng.random(classes)
    contents = [Counter(np.flatnonzero(row).tolist()) for row in shown]
    parts = divide(contents, [f"{i}" for i in range(len(shown))], ratios, seed)
    total = shown.sum(axis=0)
    for part, ratio in zip(parts, ratios.values(), strict=True):
        assert np.abs(shown[list(part)].sum(axis=0) - ratio * total).max() <= 5


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 500), RATIOS)
def test_fair_shares_sum_up_and_none_is_below_one(total: int, ratios: dict[str, float]) -> None:
    shares = fair(list(ratios.values()), total)
    np.testing.assert_allclose(sum(shares), total, atol=1e-9)
    if total >= len(shares):
        assert min(shares) >= 1 - 1e-6
    for share, ratio in zip(shares, ratios.values(), strict=True):
        assert share <= ratio * total + 1e-6 or share <= 1 or min(shares) < 1 + 1e-6


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 30).flatmap(lambda n: st.tuples(
    st.just(n), st.lists(st.lists(st.integers(0, n - 1), min_size=1, max_size=4), max_size=8)
)))  # fmt: skip
def test_merged_groups_are_the_connected_ones(given_: tuple[int, list[list[int]]]) -> None:
    count, groups = given_
    reach = np.eye(count, dtype=bool)
    for group in groups:
        reach[np.ix_(group, group)] = True
    for _ in range(count):
        reach = reach @ reach
    wanted = sorted({tuple(np.flatnonzero(row).tolist()) for row in reach})
    assert [tuple(rows) for rows in merge(groups, count)] == wanted
