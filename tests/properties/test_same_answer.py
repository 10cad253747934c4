"""An image gets one answer: alone or among others, with any number of threads, run after run.

For every detector of the catalogue, with random weights that find something everywhere, so that
many scores lie close together: the hardest case for a stable order.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skimage import data

from sightline import pipeline
from sightline.types import Detections, Regions, Scored
from small_detectors import BRIEF, small

SCORES, PIXELS = 3e-5, 1e-2
"""Sums of floats in another order differ by less; nothing else may."""

MOST, THREADS = 16, (1, 2, 4)


@cache
def detector(name: str) -> Any:
    return small(name, longer=96, shorter=64)


@cache
def picture(number: int) -> torch.Tensor:
    """Cut-outs of a photo in two sizes, one of a single colour, where whole rows of scores tie."""
    height, width = ((60, 90), (75, 50))[number % 2]
    if number % 5 == 4:
        return torch.full((3, height, width), 25 * number, dtype=torch.uint8)
    crop = data.chelsea()[20 * number :, 25 * number :][:height, :width]
    return torch.from_numpy(crop.copy()).permute(2, 0, 1).contiguous()


@cache
def alone(name: str, number: int) -> tuple[Scored, Detections]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    trace = pipeline.run(detector(name), [picture(number)])
    torch.set_num_threads(before)
    return trace.scored, trace.detections[0]


def same(found: Detections, wanted: Detections, regions: Regions) -> None:
    """The same objects, one to one; where scores differ by rounding alone, in either order.

    `regions` are those of the image alone. They are counted through a batch: those of one image all
    lie as far behind its own count, but that a first stage's may stand in either order too.
    """
    assert abs(len(found) - len(wanted)) <= 1
    scores = torch.cat([found.scores, wanted.scores.new_zeros(1)])[: len(wanted)]
    torch.testing.assert_close(scores, wanted.scores, rtol=0, atol=SCORES)
    gaps = torch.cat([wanted.scores.new_ones(1), -wanted.scores.diff(), wanted.scores.new_zeros(1)])
    sure = (gaps[:-1] > SCORES) & (gaps[1:] > SCORES)
    rows = sure.nonzero()[:, 0]
    assert torch.equal(found.labels[rows], wanted.labels[rows])
    shift = found.region[rows] - wanted.region[rows]
    if regions.scores is None:
        assert len(shift.unique()) <= 1
    elif len(rows):
        place = wanted.region[rows] + shift - shift.median()
        objectness = regions.scores[wanted.region[rows]]
        torch.testing.assert_close(regions.scores[place], objectness, rtol=0, atol=SCORES)
    torch.testing.assert_close(found.boxes[rows], wanted.boxes[rows], rtol=0, atol=PIXELS)


@pytest.mark.parametrize("name", BRIEF)
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    numbers=st.lists(st.integers(0, 9), min_size=1, max_size=MOST),
    batch=st.integers(1, MOST),
    threads=st.sampled_from(THREADS),
)
def test_company_and_threads_change_nothing(
    name: str, numbers: list[int], batch: int, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = pipeline.detect(detector(name), [picture(i) for i in numbers], batch_size=batch)
        again = pipeline.detect(detector(name), [picture(i) for i in numbers], batch_size=batch)
    finally:
        torch.set_num_threads(before)
    for one, other, number in zip(found, again, numbers, strict=True):
        for field in ("scores", "boxes", "labels", "region"):
            assert torch.equal(getattr(one, field), getattr(other, field)), field
        scored, wanted = alone(name, number)
        same(one, wanted, scored.regions)


def partners(found: Regions, wanted: Regions) -> torch.Tensor:
    """The row of `found` that is each row of `wanted`: the first stage's answers stand in the order
    of their scores, and where these differ by rounding alone in either order. Regions in the same
    place are told apart by their level: two parts of a body may have their peaks there.
    """
    assert found.scores is not None
    torch.testing.assert_close(found.scores, wanted.scores, rtol=0, atol=SCORES)
    if torch.equal(found.boxes, wanted.boxes):  # where boxes are equal, they cannot tell rows apart
        return torch.arange(len(wanted))
    apart = (found.boxes[None] - wanted.boxes[:, None]).abs().amax(dim=2)
    apart[found.level[None] != wanted.level[:, None]] = torch.inf
    assert apart.amin(dim=1).max() <= PIXELS
    return apart.argmin(dim=1)


@pytest.mark.parametrize("name", BRIEF)
@pytest.mark.parametrize(
    "threads", [pytest.param(n, marks=[pytest.mark.slow] if n != 2 else []) for n in THREADS]
)
def test_every_score_of_every_region_is_the_same(name: str, threads: int) -> None:
    numbers = [0, 2, 4, 6, 8] * 3 + [0]  # sixteen images of one size
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        scored = pipeline.run(detector(name), [picture(i) for i in numbers]).scored
    finally:
        torch.set_num_threads(before)
    for row, number in enumerate(numbers):
        mine, wanted = (scored.regions.image == row).nonzero()[:, 0], alone(name, number)[0]
        if wanted.regions.scores is not None:
            mine = mine[partners(scored.regions[mine], wanted.regions)]
        torch.testing.assert_close(scored.scores[mine], wanted.scores, rtol=0, atol=SCORES)
        torch.testing.assert_close(scored.boxes[mine], wanted.boxes, rtol=0, atol=PIXELS)


@pytest.mark.parametrize("name", BRIEF)
def test_equal_scores_keep_the_order_of_their_regions(name: str) -> None:
    model = detector(name)
    trace = pipeline.run(model, [picture(2)])
    spread = trace.scored.scores.max() - trace.scored.scores.min()
    for values in (20, 5, 2, 1):  # so many different scores, until many answers tie
        step = max(float(spread) / values, 1e-6)
        tied = replace(trace.scored, scores=(trace.scored.scores / step).round() * step)
        (found,) = model.postprocess(trace.batch, trace.features, tied)
        equal = (found.scores.diff() == 0).nonzero()[:, 0]
        if len(equal) >= len(found) / 3:
            break
    assert len(equal) >= len(found) / 3
    places = found.region * len(found.classes) + found.labels
    assert bool((places[equal] < places[equal + 1]).all())
