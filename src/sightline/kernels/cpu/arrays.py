"""Tensors as the arrays that kernels read."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def array(values: Tensor, kind: Any) -> np.ndarray[Any, Any]:
    """The values of a tensor as one block of numbers of a kind on the CPU: the tensor's own memory
    where that is possible. There is no gradient through it.
    """
    if values.requires_grad:
        values = values.detach()
    if not values.is_cpu:
        values = values.cpu()
    if values.dtype is torch.bfloat16:  # which NumPy does not know
        values = values.float()
    return np.ascontiguousarray(values.numpy(), kind)
