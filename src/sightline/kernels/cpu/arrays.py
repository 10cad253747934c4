"""Tensors as the arrays that kernels read."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def array(values: Tensor, kind: Any) -> np.ndarray[Any, Any]:
    """The values of a tensor as one block of numbers of a kind on the CPU: the tensor's own memory
    where that is possible. There is no gradient through it.
    """
    try:  # nearly always: questions first would take as long as the answer
        plain = values.numpy()
    except (RuntimeError, TypeError):
        values = values.detach().cpu()
        plain = (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    return np.ascontiguousarray(plain, kind)
