"""One pass over the scores: whole blocks without any above the threshold are passed over."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.kernels.cpu.compile import compiled

BLOCK = 256

Array = np.ndarray[Any, Any]


@compiled
def _above(scores: Array, threshold: float) -> Array:
    """The places of all finite scores > threshold in a flat array."""
    limit, most = np.float32(threshold), np.finfo(np.float32).max
    places, count = np.empty(4096, np.int64), 0
    whole = scores.size // BLOCK
    for number in range(whole + 1):
        start = number * BLOCK
        block = scores[start : start + BLOCK]
        if number < whole:
            found = np.uint32(0)
            for i in range(np.uint64(BLOCK)):  # no branch and a fixed length: made wide
                found = np.uint32(found + np.uint32(block[i] > limit))
            if found == 0:
                continue
        if count + BLOCK > places.size:
            more = np.empty(2 * places.size, np.int64)
            more[:count] = places[:count]
            places = more
        for i in range(block.size):
            if block[i] > limit and block[i] <= most:
                places[count] = start + i
                count += 1
    return places[:count].copy()


def above(scores: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The kernel of `ops.candidates.above`."""
    if scores.ndim != 2:
        raise UsageError(f"(R, K) scores are wanted, not {tuple(scores.shape)}", code="usage.shape")
    flat = scores.detach().float().contiguous().view(-1).numpy()
    places = torch.from_numpy(_above(flat, float(threshold)))
    columns = max(scores.shape[1], 1)
    return places // columns, places % columns
