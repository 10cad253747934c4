"""Priors: the few shapes of boxes that stand for all of a data set (YOLOv2, Redmon 2017, § 2).

k-means over widths and heights. With Euclidean distance large boxes would decide alone, so the
distance of a box from a prior is 1 − IoU, both with one centre: how bad a box the prior would be.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.shape_match import nearest_shapes

SAMPLE = 10_000
"""Boxes that the restarts look at; the best of them then goes on with all."""

ROUNDS = 100
"""So often at most the means are moved. They stand still long before."""

PATIENCE, GAIN = 3, 1e-5
"""Moves in a row that may raise the mean IoU by less than this: the mean of a cluster is not the
shape that is nearest to it in IoU, so a move can cost a little.
"""


@dataclass(frozen=True)
class Priors:
    """k shapes (width, height), the smallest first, and how well they stand for the boxes.

    `counts` is how many boxes each is the nearest of, `overlaps` their mean IoU with it.
    """

    sides: Float[Tensor, "k 2"]
    counts: Int[Tensor, "k"]
    overlaps: Float[Tensor, "k"]

    def __len__(self) -> int:
        return len(self.sides)

    @property
    def mean_iou(self) -> float:
        """The mean IoU of all boxes with their nearest prior: the paper's "Avg IOU"."""
        return float((self.overlaps * self.counts).sum() / self.counts.sum())


def fit(sides: Float[Tensor, "N 2"], count: int, seed: int = 0, restarts: int = 5) -> Priors:
    """`count` priors of boxes with these widths and heights, in any unit.

    The best of `restarts` starts, each drawn as by k-means++: a box becomes the next prior with a
    probability in proportion to its distance from those there are. A prior that no box is nearest
    to moves to the box that is worst off. The same boxes, seed and numbers give the same priors.
    Raises UsageError: `priors.count` for fewer shapes than priors, `priors.sides` for sides that
    are not positive numbers.
    """
    sides, draw = _checked(sides), torch.Generator().manual_seed(seed)
    some = sides[torch.randperm(len(sides), generator=draw)[:SAMPLE]]
    if len(sides) <= SAMPLE or not _differ(some, count):
        some = sides
    if count < 1 or restarts < 1:
        raise UsageError(f"{count} priors of {restarts} starts: one at least", code="priors.count")
    if not _differ(some, count):
        raise UsageError(
            f"{count} priors cannot be told from fewer different shapes of boxes",
            code="priors.count",
            hint="ask for fewer, or give more boxes",
        )
    best, reached = some[:0], -1.0
    for _ in range(restarts):
        found, overlap = _settle(some, _start(some, count, draw))
        if overlap > reached:
            best, reached = found, overlap
    if some is not sides:
        best, _ = _settle(sides, best)
    return measure(sides, best)


def measure(sides: Float[Tensor, "N 2"], priors: Float[Tensor, "k 2"]) -> Priors:
    """How well given priors stand for boxes."""
    sides, priors = sides.double(), priors.double()
    priors = priors[priors.prod(dim=1).argsort(stable=True)]
    owner, overlap = nearest_shapes(sides, priors)
    counts = owner.bincount(minlength=len(priors))
    sums = owner.bincount(overlap, minlength=len(priors))
    return Priors(priors, counts, sums / counts.clamp(min=1))


def elbow(sides: Float[Tensor, "N 2"], counts: Sequence[int], seed: int = 0) -> dict[int, float]:
    """The mean IoU with each number of priors that there are shapes enough for (figure 2)."""
    usable = [count for count in counts if _differ(sides, count)]
    return {count: fit(sides, count, seed).mean_iou for count in usable}


def _checked(sides: Tensor) -> Tensor:
    if not bool((sides.isfinite() & (sides > 0)).all()):
        raise UsageError("widths and heights must be positive numbers", code="priors.sides")
    return sides.double()


def _differ(sides: Tensor, count: int) -> bool:
    """Whether there are so many different shapes; the first boxes usually tell."""
    first = len(numpy.unique(sides[:SAMPLE].cpu().numpy(), axis=0))
    if first >= count or len(sides) <= SAMPLE:
        return first >= count
    return len(numpy.unique(sides.cpu().numpy(), axis=0)) >= count


def _start(sides: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """The first priors: boxes, each drawn by its distance from those before it."""
    rows = [int(torch.randint(len(sides), (1,), generator=draw))]
    while len(rows) < count:
        distance = 1 - nearest_shapes(sides, sides[rows])[1]
        sums = distance.clamp(min=0).cumsum(0)
        aim = torch.rand(1, generator=draw, dtype=torch.float64) * sums[-1]
        row = int(torch.searchsorted(sums, aim, right=True).clamp(max=len(sides) - 1))
        rows.append(row)
    return sides[rows]


def _settle(sides: Tensor, priors: Tensor) -> tuple[Tensor, float]:
    """Move priors to the means of their boxes while that helps; the best that were met."""
    best, reached, since = priors, -1.0, 0
    for _ in range(ROUNDS):
        owner, overlap = nearest_shapes(sides, priors)
        mean = float(overlap.mean())
        since = 0 if mean > reached + GAIN else since + 1
        if mean > reached:
            best, reached = priors, mean
        if since >= PATIENCE:
            break
        counts = owner.bincount(minlength=len(priors))
        means = [owner.bincount(side, minlength=len(priors)) for side in sides.unbind(1)]
        moved = torch.stack(means, dim=1) / counts.clamp(min=1)[:, None]
        empty = (counts == 0).nonzero()[:, 0]
        if len(empty):
            moved[empty] = sides[overlap.argsort(stable=True)[: len(empty)]]
        if torch.equal(moved, priors):
            break
        priors = moved
    return best, reached
