"""Object keypoint similarity (Lin 2014, COCO): how alike two poses are, from 0 to 1.

OKS = Σ_i exp(−d_i² / (2 s² κ_i²)) δ(v_i > 0) / Σ_i δ(v_i > 0), with s² the object's area and
κ_i = 2σ_i. Between two *answers*, of which neither is the truth, every point counts and s² is the
mean of both areas: what suppression asks for. Points are (x, y) in pixels.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.checks import require_fraction

TINY = 1e-9
"""Keeps the similarity of poses without area finite: 1 where they are the same, else 0."""


def fall_off(
    points: Float[Tensor, "... 2"],
    others: Float[Tensor, "... 2"],
    areas: Float[Tensor, "..."],
    sigmas: Float[Tensor, "..."],
) -> Float[Tensor, "..."]:
    """exp(−d² / (2 s² κ²)) of points that are d apart; all broadcast. `areas`, s², are above 0."""
    distance = (points - others).square().sum(dim=-1)
    return (-distance / (2 * (2 * sigmas).square() * areas)).exp()


def mean_over(
    values: Float[Tensor, "... P"], counted: Bool[Tensor, "... P"]
) -> Float[Tensor, "..."]:
    """The mean of the points that count; 0 where none does."""
    return (values * counted).sum(dim=-1) / counted.sum(dim=-1).clamp(min=1)


def oks_with_truth(
    found: Float[Tensor, "D P 2"],
    truth: Float[Tensor, "G P 3"],
    areas: Float[Tensor, "G"],
    sigmas: Float[Tensor, "P"],
) -> Float[Tensor, "D G"]:
    """COCO's similarity of answers and objects: over each object's labelled points (visibility
    above 0), s² its area; 0 for objects without any. In double precision.
    """
    wide = areas.double()[:, None].clamp(min=TINY)
    values = fall_off(found[:, None].double(), truth[None, ..., :2].double(), wide, sigmas.double())
    return mean_over(values, truth[..., 2] > 0)


def oks(
    points: Float[Tensor, "N P 2"],
    others: Float[Tensor, "M P 2"],
    areas: Float[Tensor, "N"],
    other_areas: Float[Tensor, "M"],
    sigmas: Float[Tensor, "P"],
) -> Float[Tensor, "N M"]:
    """The similarity of every pose to every other one.

    Raises UsageError (usage.shape) for shapes that disagree.
    """
    _require(points, areas, sigmas)
    _require(others, other_areas, sigmas)
    wide = (areas[:, None, None].double() + other_areas[None, :, None].double()) / 2 + TINY
    values = fall_off(points[:, None].double(), others[None].double(), wide, sigmas.double())
    return values.mean(dim=-1).float()


def oks_nms(
    points: Float[Tensor, "R P 2"],
    areas: Float[Tensor, "R"],
    scores: Float[Tensor, "R"],
    sigmas: Float[Tensor, "P"],
    threshold: float,
) -> Int[Tensor, "M"]:
    """Greedy suppression of poses: the rows to keep, best first.

    A pose is suppressed by a kept one if their OKS is *greater* than `threshold`. Equal scores keep
    their order; a row with a number that is not finite is never kept and never suppresses. Raises
    UsageError for a threshold outside [0, 1] and for shapes that disagree.
    """
    _require(points, areas, sigmas)
    require_fraction("the OKS threshold", threshold)
    finite = points.isfinite().flatten(1).all(dim=1) & areas.isfinite() & scores.isfinite()
    order = scores.sort(descending=True, stable=True).indices
    order = order[finite[order]]
    alike = oks(points[order], points[order], areas[order], areas[order], sigmas) > threshold
    free = torch.ones(len(order), dtype=torch.bool, device=order.device)
    for row in range(len(order)):
        if free[row]:
            free[row + 1 :] &= ~alike[row, row + 1 :]
    return order[free]


def _require(points: Tensor, areas: Tensor, sigmas: Tensor) -> None:
    rows = points.shape[0] if points.ndim == 3 and points.shape[2] == 2 else None
    if rows is None or areas.shape != (rows,) or sigmas.shape != points.shape[1:2]:
        shapes = ", ".join(str(tuple(value.shape)) for value in (points, areas, sigmas))
        raise UsageError(
            f"(N, P, 2) points, (N,) areas and (P,) sigmas are wanted, not {shapes}",
            code="usage.shape",
        )
