"""Losses that several papers share; all are sums over their elements, to be normalised outside."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline import processes


def focal(
    logits: Float[Tensor, "*n"],
    targets: Float[Tensor, "*n"],
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    weight: Float[Tensor, "*w"] | None = None,
) -> Float[Tensor, ""]:
    """FL(p_t) = −α_t (1 − p_t)^γ log(p_t) (Lin 2017, eq. 5); γ = 0 is cross-entropy.

    `weight`, broadcast over the elements, is what each counts.
    """
    loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if gamma > 0:
        missed = torch.where(targets > 0.5, -logits, logits).sigmoid()
        loss = loss * missed**gamma
    if alpha is not None:
        loss = loss * torch.where(targets > 0.5, alpha, 1 - alpha)
    return (loss if weight is None else loss * weight).sum()


def row_weights(
    weights: Sequence[float] | None,
    labels: Int[Tensor, "M"],
    rows: tuple[Int[Tensor, "M"], ...],
    shape: tuple[int, ...],
) -> Float[Tensor, "..."] | None:
    """What each region counts in its classification loss, of `shape` and one column more.

    The regions at `rows` answer for objects of classes `labels` and count `weights` of these; all
    others count once. None where there are no weights.
    """
    if weights is None:
        return None
    answer = torch.ones(shape, device=labels.device)
    answer[rows] = torch.tensor(weights, device=labels.device)[labels]
    return answer[..., None]


def normaliser(amount: Tensor) -> Tensor:
    """What the sums of a batch are divided by: its positives or their weight, at least 1.

    Where several processes learn one batch together it is the mean over them of the whole batch's,
    so that the mean of their gradients is the gradient of the whole batch.
    """
    count = processes.world_size() if processes.joined() else 1
    return processes.total(amount.detach().float()).clamp(min=1.0) / count
