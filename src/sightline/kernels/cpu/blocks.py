"""Blocks of numbers copied, lengthened and put in order by loops that take little to compile.

`a[:n] = b`, `np.concatenate`, `array.sort()` and `np.argsort` do the same, but bring code for all
kinds of arrays with them, messages of their errors included: seconds of compiling, which is what a
first answer waits for.
"""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled

RUN = 16
"""Up to so many numbers insertion is faster than merging."""

Array = np.ndarray[Any, Any]


@compiled
def copy(source: Array, target: Array) -> None:
    """Put a row of numbers where another one, at least as long, begins."""
    for i in range(source.size):
        target[i] = source[i]


@compiled
def longer(array: Array) -> Array:
    """A row of numbers with room for as many more."""
    more = np.empty(2 * array.size, array.dtype)
    copy(array, more)
    return more


@compiled
def _before(a: Any, b: Any) -> bool:
    """Whether the score a comes before b: it is higher; whatever is not a number comes last."""
    return bool(a > b or (np.isnan(b) and not np.isnan(a)))


@compiled
def falling(scores: Array) -> Array:
    """The rows of scores from high to low, equal ones by index."""
    size = scores.size
    order, spare = np.empty(size, np.int64), np.empty(size, np.int64)
    for start in range(0, size, RUN):
        for i in range(start, min(start + RUN, size)):
            j = i
            while j > start and _before(scores[i], scores[order[j - 1]]):
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
    width = RUN
    while width < size:
        for start in range(0, size, 2 * width):
            left, right = start, min(start + width, size)
            middle, end = right, min(start + 2 * width, size)
            for place in range(start, end):
                if left < middle and not (
                    right < end and _before(scores[order[right]], scores[order[left]])
                ):
                    spare[place] = order[left]
                    left += 1
                else:
                    spare[place] = order[right]
                    right += 1
        order, spare = spare, order
        width *= 2
    return order
