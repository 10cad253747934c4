"""What is worth a second look: the few scores above a threshold among millions."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.ops.dispatch import kernel


@kernel
def above(
    scores: Float[Tensor, "R K"], threshold: float
) -> tuple[Int[Tensor, "C"], Int[Tensor, "C"]]:
    """(row, column) of every finite score greater than `threshold`, row by row.

    Compared in single precision.
    """
    values = scores.float()
    rows, columns = ((values > threshold) & values.isfinite()).nonzero(as_tuple=True)
    return rows, columns


@kernel
def best_of_each(
    scores: Float[Tensor, "C"], groups: Int[Tensor, "C"], limit: int
) -> Bool[Tensor, "C"]:
    """Marks the `limit` best of every group; of equal scores the first.

    Compared in single precision; what is not a number counts as best.
    """
    by_score = scores.float().sort(descending=True, stable=True).indices
    order = by_score[groups[by_score].sort(stable=True).indices]
    owner = groups[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(owner, owner)
    mark = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    mark[order[rank < limit]] = True
    return mark
