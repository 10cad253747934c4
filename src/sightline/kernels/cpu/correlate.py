"""Few templates on a map: one row of answers stays in the nearest cache while all that belongs to
it is added, four neighbouring columns of the template in a pass.

A library's convolution works on many templates at once, and wastes most of that on one: from
`MANY` on it takes over.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.threads import share
from sightline.ops import correlate as definition
from sightline.ops.correlate import require_templates

Array = np.ndarray[Any, Any]

MANY = 8
"""So many templates are worth a convolution."""

WORK = 1_000_000
"""Products that are worth a thread."""


@compiled
def _add(source: Array, taps: Array, row: Array) -> None:
    """Add to `row` the products of one row of a template with one of the map."""
    count, i = row.size, 0
    while i + 4 <= taps.size:
        a, b, c, d = taps[i], taps[i + 1], taps[i + 2], taps[i + 3]
        first, second = source[i : i + count], source[i + 1 : i + 1 + count]
        third, fourth = source[i + 2 : i + 2 + count], source[i + 3 : i + 3 + count]
        for x in range(count):
            row[x] += (a * first[x] + b * second[x]) + (c * third[x] + d * fourth[x])
        i += 4
    while i < taps.size:
        a, first = taps[i], source[i : i + count]
        for x in range(count):
            row[x] += a * first[x]
        i += 1


@compiled
def _rows(features: Array, templates: Array, out: Array, start: int, end: int) -> None:
    """Rows `start` … `end` of every template's answers."""
    for y in range(start, end):
        for n in range(out.shape[0]):
            row = out[n, y]
            row[:] = np.float32(0)
            for c in range(features.shape[0]):
                for dy in range(templates.shape[2]):
                    _add(features[c, y + dy], templates[n, c, dy], row)


def correlate(features: Tensor, templates: Tensor) -> Tensor:
    """The kernel of `ops.correlate.correlate`, in float32; the definition in other precisions."""
    require_templates(features, templates)
    single = features.dtype == templates.dtype == torch.float32
    if len(templates) >= MANY or not single:
        return definition.correlate.reference(features, templates)
    height, width = (
        f - t + 1 for f, t in zip(features.shape[1:], templates.shape[2:], strict=True)
    )
    answer = torch.empty(len(templates), height, width)
    maps, weights = features.detach().contiguous(), templates.detach().contiguous()
    arrays = maps.numpy(), weights.numpy(), answer.numpy()
    least = max(1, WORK // max(1, width * weights.numel()))
    share(height, least, lambda start, end: _rows(*arrays, start, end))
    return answer
