"""Bytes of one size to a network's numbers of another: see `sightline.ops.resample`.

Two source rows are mixed into one contiguous row of floats (which vectorises), then each output
column mixes two of its neighbours: a picture is read once, and no enlarged copy of it exists.
"""

import numpy as np
from torch import Tensor

from sightline.kernels.cpu.compile import compiled
from sightline.kernels.cpu.threads import share

__all__ = ["resample"]

ONE, ZERO = np.float32(1), np.float32(0)

LEAST = 20_000
"""Samples of one colour that are worth a thread."""

Pair = tuple[np.ndarray, np.ndarray]
Part = tuple[int, int]


@compiled
def _taps(count: int, length: int) -> Pair:
    """For each of `length` outputs the first of two neighbours among `count`, and the second's
    weight. PyTorch computes the place with one fused multiply-add in single precision, which is
    done here too: anything else moves a sample by up to 3e-5 of a pixel.
    """
    first, weight = np.empty(length, np.int64), np.empty(length, np.float32)
    scale = np.float64(np.float32(count) / np.float32(length))
    for i in range(length):
        place = max(np.float32(scale * (i + 0.5) - 0.5), ZERO)
        first[i] = min(int(place), count - 1)
        weight[i] = min(place - np.float32(first[i]), ONE)
    return first, weight


@compiled
def _mix(upper: np.ndarray, lower: np.ndarray, weight: np.float32, out: np.ndarray) -> None:
    rest = ONE - weight
    for i in range(out.size):
        out[i] = rest * np.float32(upper[i]) + weight * np.float32(lower[i])


@compiled
def _interleaved(
    pixels: np.ndarray, target: np.ndarray, rows: Pair, columns: Pair, colours: Pair, part: Part
) -> None:
    """`pixels` (H, 3 W): the three bytes of a pixel lie side by side."""
    row, last = np.empty(pixels.shape[1], np.float32), pixels.shape[1] - 3
    (firsts, weights), (gain, bias) = columns, colours
    for y in range(part[0], part[1]):
        above = rows[0][y]
        below = min(above + 1, pixels.shape[0] - 1)
        _mix(pixels[above], pixels[below], rows[1][y], row)
        for x in range(firsts.size):
            a, w = 3 * firsts[x], weights[x]
            b, rest = min(a + 3, last), ONE - w
            for c in range(3):
                value = rest * row[a + c] + w * row[b + c]
                target[c, y, x] = value * gain[c] + bias[c]


@compiled
def _planar(
    pixels: np.ndarray, target: np.ndarray, rows: Pair, columns: Pair, colours: Pair, part: Part
) -> None:
    """`pixels` (3, H, W): each colour is a picture of its own."""
    row, last = np.empty(pixels.shape[2], np.float32), pixels.shape[2] - 1
    (firsts, weights), (gain, bias) = columns, colours
    for c in range(3):
        for y in range(part[0], part[1]):
            above = rows[0][y]
            below = min(above + 1, pixels.shape[1] - 1)
            _mix(pixels[c, above], pixels[c, below], rows[1][y], row)
            for x in range(firsts.size):
                a, w = firsts[x], weights[x]
                value = (ONE - w) * row[a] + w * row[min(a + 1, last)]
                target[c, y, x] = value * gain[c] + bias[c]


def resample(
    image: Tensor, target: Tensor, size: tuple[int, int], gain: Tensor, bias: Tensor
) -> None:
    """The definition's answer, to a few units in the last place."""
    height, width = image.shape[1:]
    rows, columns = _taps(height, size[0]), _taps(width, size[1])
    target[:, size[0] :] = 0
    target[:, :, size[1] :] = 0
    colours, upright = (gain.numpy(), bias.numpy()), image.permute(1, 2, 0)
    if upright.is_contiguous():  # as decoders leave it
        pixels, fill = upright.reshape(height, 3 * width).numpy(), _interleaved
    else:
        pixels, fill = image.contiguous().numpy(), _planar
    out = target.numpy()

    def work(start: int, end: int) -> None:
        fill(pixels, out, rows, columns, colours, (start, end))

    share(size[0], -(-LEAST // size[1]), work)
