"""Losses that several papers share; all are sums over their elements, to be normalised outside."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def focal(
    logits: Float[Tensor, "*n"],
    targets: Float[Tensor, "*n"],
    alpha: float | None = 0.25,
    gamma: float = 2.0,
) -> Float[Tensor, ""]:
    """FL(p_t) = −α_t (1 − p_t)^γ log(p_t) (Lin 2017, eq. 5); γ = 0 is cross-entropy."""
    loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if gamma > 0:
        missed = torch.where(targets > 0.5, -logits, logits).sigmoid()
        loss = loss * missed**gamma
    if alpha is not None:
        loss = loss * torch.where(targets > 0.5, alpha, 1 - alpha)
    return loss.sum()
