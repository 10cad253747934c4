"""Quality focal loss: a score that learns to say how good its box is."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.ops.dispatch import kernel


@kernel
def quality_focal(
    logits: Float[Tensor, "*n"],
    targets: Float[Tensor, "*n"],
    weight: Float[Tensor, "*w"] | None = None,
) -> Float[Tensor, ""]:
    """The sum of QFL(σ) = |y − σ|² · BCE(σ, y) for soft y in [0, 1] (Li 2020, eq. 4, β = 2).

    `weight`, broadcast over the elements, is what each counts. Differentiable in `logits`;
    `targets` are taken as they are.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    loss = entropy * torch.square(targets - logits.sigmoid())
    return (loss if weight is None else loss * weight).sum()
