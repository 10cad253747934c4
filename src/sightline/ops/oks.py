"""Object keypoint similarity (Lin 2014, COCO): how alike two poses are, from 0 to 1.

OKS = Σ_i exp(−d_i² / (2 s² κ_i²)) δ(v_i > 0) / Σ_i δ(v_i > 0), with s² the object's area and
κ_i = 2σ_i. Between two *answers*, of which neither is the truth, every point counts and s² is the
mean of both areas: what suppression and tracking ask for. Points are (x, y) in pixels.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.checks import require_fraction

TINY = 1e-9
"""Keeps the similarity of poses without area finite: 1 where they are the same, else 0."""


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
    distance = (points[:, None].double() - others[None].double()).square().sum(dim=-1)
    area = (areas[:, None].double() + other_areas[None].double()) / 2
    spread = 2 * (2 * sigmas.double()).square() * (area[..., None] + TINY)
    return (-distance / spread).exp().mean(dim=-1).float()


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
