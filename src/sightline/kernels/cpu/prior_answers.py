"""Scores and boxes of priors in one pass: YOLO v3 has a million numbers an image, and every
operation on them apart would go through all.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline import boxes as bx
from sightline.kernels.cpu.arrays import array
from sightline.kernels.cpu.compile import compiled_fused
from sightline.kernels.cpu.exponentials import exponential
from sightline.kernels.cpu.threads import share
from sightline.ops.prior_answers import require_answers

LEAST = 1024
"""Fewer priors are not worth a thread."""

HALF, ONE, TWO = np.float32(0.5), np.float32(1), np.float32(2)
LIMIT = np.float32(bx.LOG_SCALE_LIMIT)

Array = np.ndarray[Any, Any]


@compiled_fused
def _sigmoid(x: Any) -> Any:
    """1 / (1 + exp(−x)); what is no number stays so."""
    value = ONE / (ONE + exponential(-min(max(x, np.float32(-87)), np.float32(87))))
    return x if np.isnan(x) else value


@compiled_fused
def _answers(raw: Array, priors: Array, stride: Array, scores: Array, boxes: Array) -> None:
    for row in range(len(raw)):
        sure = _sigmoid(raw[row, 4])
        for label in range(raw.shape[1] - 5):
            scores[row, label] = sure * _sigmoid(raw[row, 5 + label])
        for axis in range(2):
            low, high, grown = priors[row, axis], priors[row, axis + 2], raw[row, axis + 2]
            centre = (low + high) / TWO + (_sigmoid(raw[row, axis]) - HALF) * stride[row]
            half = np.exp(LIMIT if grown > LIMIT else grown) * (high - low) / TWO
            boxes[row, axis], boxes[row, axis + 2] = centre - half, centre + half


def independent_answers(raw: Tensor, priors: Tensor, stride: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel of `ops.prior_answers.independent_answers`."""
    require_answers(raw, priors, stride)
    numbers, shapes, steps = (array(one, np.float32) for one in (raw, priors, stride))
    scores, boxes = torch.empty(len(raw), raw.shape[1] - 5), torch.empty(len(raw), 4)
    out = scores.numpy(), boxes.numpy()

    def work(first: int, end: int) -> None:
        rows = slice(first, end)
        _answers(numbers[rows], shapes[rows], steps[rows], out[0][rows], out[1][rows])

    share(len(raw), LEAST, work)
    return scores, boxes
