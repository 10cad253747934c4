"""Every box against every prior without a table of them: 800,000 × 15 would be 100 MB."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.ops.shape_match import require_shapes

Array = np.ndarray[Any, Any]


@compiled
def _nearest(sides: Array, priors: Array, owner: Array, overlap: Array) -> None:
    for i in range(len(sides)):
        width, height = sides[i]
        area, best, which = width * height, -1.0, 0
        for j in range(len(priors)):
            shared = min(width, priors[j, 0]) * min(height, priors[j, 1])
            value = shared / (area + priors[j, 0] * priors[j, 1] - shared)
            if value > best:
                best, which = value, j
        owner[i], overlap[i] = which, best


def nearest_shapes(sides: Tensor, priors: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel of `ops.shape_match.nearest_shapes`: the same bits."""
    require_shapes(sides, priors)
    owner = torch.empty(len(sides), dtype=torch.int64)
    overlap = torch.empty(len(sides), dtype=torch.float64)
    boxes, shapes = sides.contiguous().numpy(), priors.contiguous().numpy()
    _nearest(boxes, shapes, owner.numpy(), overlap.numpy())
    return owner, overlap
