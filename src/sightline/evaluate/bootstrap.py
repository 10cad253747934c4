"""How sure is a figure? The same images drawn again, with replacement, a thousand times.

Efron's bootstrap ("Bootstrap Methods: Another Look at the Jackknife", 1979) over whole images: a
data set of I images is drawn anew, I times one of its own, and judged again. The spread of the
figures is what another set of as many images of the same kind could have told. Matching depends on
nothing but the image itself, so it is done once; a resample only counts its matches again. Of
answers of one image with the very same score the copies rank side by side, which is the one thing
that COCO would order otherwise.

All models are judged on the same resamples: of two figures the *difference* has an interval of its
own, which is much narrower than theirs, since a hard image is hard for both.

Letters: I images, D detections, S resamples, K classes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from sightline.errors import UsageError
from sightline.evaluate.columns import Columns
from sightline.evaluate.matching import RECALLS, match, precision_at_recalls, ranked
from sightline.ops.dispatch import kernel

IOUS = np.linspace(0.5, 0.95, 10)
"""COCO's thresholds, whose mean is AP."""

LEVEL = 0.95
"""The share of resamples that an interval holds."""


@kernel
def resampled_precision(
    image: Int64[ndarray, "D"],
    hits: Bool[ndarray, "D"],
    objects: Int64[ndarray, "I"],
    copies: Int64[ndarray, "S I"],
) -> Float64[ndarray, "S 101"]:
    """COCO's interpolated precision of one class in every resample; NaN where it has no object.

    `image` and `hits` are of the detections in ranked order, `objects` how many are to be found in
    each image, `copies` how often each resample drew it.
    """
    answer = np.full((len(copies), len(RECALLS)), np.nan)
    for row, times in enumerate(copies):
        total = int(times @ objects)
        if total:
            answer[row] = precision_at_recalls(np.repeat(hits, times[image]), total)
    return answer


@dataclass(frozen=True)
class Resamples:
    """COCO's figures of boxes in every resample; NaN in one without any object."""

    AP: Float64[ndarray, "S"]
    AP50: Float64[ndarray, "S"]
    AP75: Float64[ndarray, "S"]


def draw(images: int, count: int, seed: int) -> Int64[ndarray, "S I"]:
    """How often each of `count` resamples draws each image."""
    rng = np.random.default_rng(seed)
    shares = np.full(max(images, 1), 1 / max(images, 1))
    drawn: ndarray = rng.multinomial(images, shares, size=count)[:, :images]
    return drawn.astype(np.int64)


def bootstrap(columns: Columns, count: int = 1000, seed: int = 0) -> Resamples:
    """The figures of `columns` in `count` resamples of its images.

    The same for every model that is judged on the same images with the same seed. Raises UsageError
    (usage.value) for less than one resample.
    """
    if count < 1:
        raise UsageError(f"{count} resamples tell nothing", code="usage.value")
    return judged(columns, draw(columns.images, count, seed))


def judged(columns: Columns, copies: Int64[ndarray, "S I"]) -> Resamples:
    """The figures in the resamples that are given."""
    truth, found = columns.truth, columns.found
    order = ranked(found.scores)
    present = np.flatnonzero(columns.counts)
    objects = np.zeros((len(columns.classes), copies.shape[1]), np.int64)
    np.add.at(objects, (truth.label[~truth.crowd], truth.image[~truth.crowd]), 1)
    table = np.full((len(present), len(IOUS), len(copies)), np.nan)
    for place, iou in enumerate(IOUS):
        matches = match(columns, iou)
        counted = order[~matches.ignored[order]]
        for row, k in enumerate(present):
            rows = counted[found.label[counted] == k]
            precision = resampled_precision(
                found.image[rows], matches.hits[rows], objects[k], copies
            )
            table[row, place] = precision.mean(axis=1)
    return Resamples(_mean(table), _mean(table[:, :1]), _mean(table[:, 5:6]))


def _mean(table: Float64[ndarray, "K T S"]) -> Float64[ndarray, "S"]:
    """The mean over the classes that a resample has, and over thresholds."""
    known = ~np.isnan(table)
    total, number = np.where(known, table, 0).sum(axis=(0, 1)), known.sum(axis=(0, 1))
    answer: ndarray = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return answer


def interval(values: Float64[ndarray, "S"], level: float = LEVEL) -> tuple[float, float] | None:
    """The percentile interval that holds `level` of the resamples; None without a figure."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def tied(first: Float64[ndarray, "S"], second: Float64[ndarray, "S"], level: float = LEVEL) -> bool:
    """Whether the interval of the difference of two models, on the same resamples, holds zero."""
    spread = interval(first - second, level)
    return spread is None or spread[0] <= 0 <= spread[1]
