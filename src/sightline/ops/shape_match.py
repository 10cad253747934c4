"""Which of a few shapes (widths and heights) each box is most like."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.ops.dispatch import kernel


@kernel
def nearest_shapes(
    sides: Float[Tensor, "N 2"], priors: Float[Tensor, "k 2"]
) -> tuple[Int[Tensor, "N"], Float[Tensor, "N"]]:
    """The prior that overlaps each box most when both have one centre, and their IoU.

    `sides` and `priors` are (width, height), positive, in double precision; of equal ones the first
    prior. Raises UsageError (usage.shape) for anything else, and for no prior.
    """
    require_shapes(sides, priors)
    shared = torch.minimum(sides[:, None], priors[None]).prod(dim=2)
    union = sides.prod(dim=1)[:, None] + priors.prod(dim=1)[None] - shared
    overlap = shared / union
    owner = overlap.argmax(dim=1)
    return owner, overlap.gather(1, owner[:, None])[:, 0]


def require_shapes(sides: Tensor, priors: Tensor) -> None:
    """Raise UsageError (usage.shape) unless both are doubles of two columns, and priors are there.

    A kernel would otherwise read memory that is not its own.
    """
    right = all(x.ndim == 2 and x.shape[1] == 2 for x in (sides, priors)) and len(priors) > 0
    if not right or not sides.dtype == priors.dtype == torch.float64:
        shapes = " and ".join(f"{x.dtype} {tuple(x.shape)}" for x in (sides, priors))
        raise UsageError(
            f"(N, 2) sides and (k, 2) priors in double precision are wanted, not {shapes}",
            code="usage.shape",
        )
