"""Resampled precision without writing out a single resample: one pass forward, one back.

Copies of a detection lie side by side in the ranking. Among copies of a right one precision only
rises, so the last of them stands for all; wrong ones only count.
"""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled

Array = np.ndarray[Any, Any]

RECALLS = np.linspace(0.0, 1.0, 101)
"""Where COCO reads precision, as in `evaluate.matching`, which lies above the kernels."""


@compiled
def _precision(
    image: Array, hits: Array, objects: Array, copies: Array, recalls: Array, answer: Array
) -> None:
    right, precision = np.empty(len(image), np.int64), np.empty(len(image))
    for row in range(len(copies)):
        total = 0
        for i in range(len(objects)):
            total += copies[row, i] * objects[i]
        if total == 0:
            answer[row] = np.nan
            continue
        met, said, count = 0, 0, 0
        for d in range(len(image)):
            times = copies[row, image[d]]
            said += times
            if hits[d] and times > 0:
                met += times
                right[count], precision[count] = met, met / said
                count += 1
        place, best = len(recalls) - 1, 0.0
        for j in range(count - 1, -1, -1):
            while place >= 0 and recalls[place] > right[j] / total:
                answer[row, place] = best
                place -= 1
            best = max(best, precision[j])
        while place >= 0:
            answer[row, place] = best
            place -= 1


def resampled_precision(image: Array, hits: Array, objects: Array, copies: Array) -> Array:
    """The kernel of `evaluate.bootstrap.resampled_precision`: the same bits."""
    answer = np.empty((len(copies), len(RECALLS)))
    rows, right = np.ascontiguousarray(image), np.ascontiguousarray(hits)
    _precision(rows, right, np.ascontiguousarray(objects), copies, RECALLS, answer)
    return answer
