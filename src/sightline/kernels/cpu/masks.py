"""The numba twin of `sightline.data.masks.fill_ring`: only crossings are kept, no outline."""

import numpy as np

from sightline.kernels.cpu.compile import compiled

LATTICE = 5


@compiled
def _fill(corners: np.ndarray, mask: np.ndarray) -> None:
    height, width = mask.shape
    number = len(corners)
    for i in range(number):
        x1, y1 = corners[i]
        x2, y2 = corners[(i + 1) % number]
        if x1 == x2:
            continue
        steep = abs(x2 - x1) < abs(y2 - y1)
        if (y1 > y2) if steep else (x1 > x2):
            x1, y1, x2, y2 = x2, y2, x1, y1
        steps = abs(y2 - y1) if steep else x2 - x1
        slope = (x2 - x1) / steps if steep else (y2 - y1) / steps
        before_x, before_y = x1, y1
        for t in range(1, steps + 1):
            if steep:
                x, y = int(x1 + slope * t + 0.5), y1 + t
            else:
                x, y = x1 + t, int(y1 + slope * t + 0.5)
            low = min(x, before_x)
            if x != before_x and low >= 0 and low % LATTICE == 2 and low < LATTICE * width:
                row = np.ceil((min(y, before_y) + 0.5) / LATTICE - 0.5)
                _flip(mask, int(min(max(row, 0), height)), low // LATTICE)
            before_x, before_y = x, y


@compiled
def _flip(mask: np.ndarray, row: int, column: int) -> None:
    if row < mask.shape[0]:
        mask[row, column] = not mask[row, column]


@compiled
def _accumulate(mask: np.ndarray) -> None:
    for row in range(1, mask.shape[0]):
        for column in range(mask.shape[1]):
            mask[row, column] ^= mask[row - 1, column]


def fill_ring(ring: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels inside one closed ring: see the definition."""
    corners = np.trunc(LATTICE * ring + 0.5).astype(np.int64)
    mask = np.zeros(size, np.bool_)
    _fill(corners, mask)
    _accumulate(mask)
    return mask
