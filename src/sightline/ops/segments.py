"""Graph-based segmentation (Felzenszwalb, Huttenlocher 2004), from pixels to labels.

Pixels are nodes, neighbours are joined by edges that weigh how different they look. Edges are
taken from the lightest on; two components become one if their edge is no heavier than either's
*internal difference* (the heaviest edge that built it) plus k / its size. What is smaller than
`least` pixels is then joined to the neighbour of its lightest edge.

Three steps, because every k shares the first two: `smooth`, `sorted_edges`, `segment`.
"""

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from numpy import ndarray

from sightline.ops.dispatch import kernel

STEP = 32
"""Weights are whole numbers of 1 / STEP of a grey level: a counting sort orders them."""


def gaussian(sigma: float) -> Float32[ndarray, "taps"]:
    """Weights of the taps −r … r, r = ⌈3σ⌉, that sum to 1."""
    reach = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    answer: ndarray = (taps / taps.sum()).astype(np.float32)
    return answer


@kernel
def convolve(
    planes: Float32[ndarray, "C H W"], down: Float32[ndarray, "a"], across: Float32[ndarray, "b"]
) -> Float32[ndarray, "C H W"]:
    """A separable filter, columns first; the border's pixels go on beyond it.

    The taps are summed in their order, in single precision.
    """
    for axis, taps in ((1, down), (2, across)):
        reach, count = len(taps) // 2, planes.shape[axis]
        total = np.zeros_like(planes)
        for i, tap in enumerate(taps):
            place = np.clip(np.arange(count) + i - reach, 0, count - 1)
            total = total + tap * planes.take(place, axis=axis)
        planes = total
    return planes


def smooth(image: UInt8[ndarray, "C H W"], sigma: float = 0.8) -> Float32[ndarray, "C H W"]:
    """The image after a Gaussian, which takes away what digitisation left."""
    taps = gaussian(sigma)
    return convolve(image.astype(np.float32), taps, taps)


def offsets(width: int) -> tuple[int, int, int, int]:
    """How far on in raster order the four edges of a pixel lead: right, below left, below, below
    right; with those of the pixels before it has eight neighbours.
    """
    return 1, width - 1, width, width + 1


@kernel
def sorted_edges(
    planes: Float32[ndarray, "C H W"],
) -> tuple[Int32[ndarray, "E"], Int32[ndarray, "E"]]:
    """All edges from the lightest on, and their weights in 1 / STEP.

    Edge 4 · p + d leads from pixel p (raster order) along `offsets`[d]. It weighs the Euclidean
    distance of both pixels' colours, rounded; equal weights keep the order of the edges.
    """
    channels, height, width = planes.shape
    weights = np.full((height, width, 4), -1, np.int32)
    for d, (dy, dx) in enumerate(((0, 1), (1, -1), (1, 0), (1, 1))):
        left, right = max(0, -dx), width - max(0, dx)
        if dy >= height or left >= right:
            continue
        here = planes[:, : height - dy, left:right]
        there = planes[:, dy:, left + dx : right + dx]
        square = np.zeros(here.shape[1:], np.float32)
        for c in range(channels):
            square = square + (here[c] - there[c]) * (here[c] - there[c])
        weights[: height - dy, left:right, d] = np.sqrt(square) * np.float32(STEP) + np.float32(0.5)
    flat = weights.reshape(-1)
    edges = np.argsort(flat, kind="stable").astype(np.int32)
    edges = edges[flat[edges] >= 0]
    return edges, flat[edges]


class _Components:
    """A forest over pixels: who is joined with whom, how large, and what each one tolerates."""

    def __init__(self, count: int, k: float) -> None:
        self.parent = list(range(count))
        self.size = [1] * count
        self.tolerance = [np.float32(k)] * count

    def root(self, pixel: int) -> int:
        while self.parent[pixel] != pixel:
            pixel = self.parent[pixel]
        return pixel

    def join(self, a: int, b: int) -> int:
        """Two roots become one, the smaller number."""
        a, b = min(a, b), max(a, b)
        self.parent[b] = a
        self.size[a] += self.size[b]
        return a


@kernel
def segment(
    edges: Int32[ndarray, "E"],
    weights: Int32[ndarray, "E"],
    size: tuple[int, int],
    k: float,
    least: int,
) -> Int32[ndarray, "H W"]:
    """Labels 0 … n − 1 of the segments of `sorted_edges`, in the order of their first pixels."""
    height, width = size
    lead, parts = offsets(width), _Components(height * width, k)
    for edge, weight in zip(edges.tolist(), weights.tolist(), strict=True):
        a, b = parts.root(edge // 4), parts.root(edge // 4 + lead[edge % 4])
        cost = np.float32(weight) / np.float32(STEP)
        if a != b and cost <= min(parts.tolerance[a], parts.tolerance[b]):
            one = parts.join(a, b)
            parts.tolerance[one] = cost + np.float32(k) / np.float32(parts.size[one])
    for edge in edges.tolist():
        a, b = parts.root(edge // 4), parts.root(edge // 4 + lead[edge % 4])
        if a != b and min(parts.size[a], parts.size[b]) < least:
            parts.join(a, b)
    roots = [parts.root(pixel) for pixel in range(height * width)]
    answer: ndarray = np.unique(roots, return_inverse=True)[1].astype(np.int32)
    return answer.reshape(size)
