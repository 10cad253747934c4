"""Graph-based segmentation, compiled: a counting sort of the edges, one forest for a run.

See `sightline.ops.segments` for what each one means. A component's smallest pixel is its root, as
in the definition, so labels follow without another look. Edges that the first pass has seen inside
a component stay inside for ever: only the others are looked at again for small components.
"""

from typing import Any

import numpy as np

from sightline.kernels.cpu.blocks import copy
from sightline.kernels.cpu.compile import compiled
from sightline.ops.segments import STEP

Array = np.ndarray[Any, Any]

NONE = int(255 * np.sqrt(3) * STEP) + 2
"""More than any weight: three channels that differ as much as bytes can."""


@compiled
def _columns(plane: Array, taps: Array, out: Array) -> None:
    height, width, reach = plane.shape[0], plane.shape[1], taps.size // 2
    for y in range(height):
        row = out[y]
        row[:] = np.float32(0)
        for i in range(taps.size):
            source, tap = plane[min(max(y + i - reach, 0), height - 1)], taps[i]
            for x in range(width):
                row[x] += tap * source[x]


@compiled
def _rows(plane: Array, taps: Array, out: Array) -> None:
    height, width, reach = plane.shape[0], plane.shape[1], taps.size // 2
    wide = np.empty(width + 2 * reach, np.float32)
    for y in range(height):
        wide[:reach], wide[reach + width :] = plane[y, 0], plane[y, width - 1]
        copy(plane[y], wide[reach:])
        row = out[y]
        row[:] = np.float32(0)
        for i in range(taps.size):
            tap, part = taps[i], wide[i : i + width]
            for x in range(width):
                row[x] += tap * part[x]


def convolve(planes: Array, down: Array, across: Array) -> Array:
    """The kernel of `ops.segments.convolve`."""
    out, between = np.empty_like(planes), np.empty(planes.shape[1:], np.float32)
    for plane, goal in zip(planes, out, strict=True):
        _columns(plane, down, between)
        _rows(between, across, goal)
    return out


@compiled
def _weigh(planes: Array, weights: Array, dy: int, dx: int, sums: Array) -> None:
    """The weights of the edges of one direction, row by row; `NONE` where there is no neighbour."""
    channels, height, width = planes.shape
    left, right = max(0, -dx), width - max(0, dx)
    for y in range(height - dy):
        for x in range(left, right):
            sums[x] = np.float32(0)
        for c in range(channels):
            here, there = planes[c, y, left:right], planes[c, y + dy, left + dx : right + dx]
            for x in range(right - left):
                step = here[x] - there[x]
                sums[left + x] += step * step
        row = weights[y]
        for x in range(left, right):
            row[x] = np.uint16(np.int32(np.sqrt(sums[x]) * np.float32(STEP) + np.float32(0.5)))


@compiled
def _sort(weights: Array) -> tuple[Array, Array]:
    """Edges by weight, equal ones by number: counted, then laid in their places."""
    directions, pixels = weights.shape
    places = np.zeros(NONE + 2, np.int32)
    for d in range(directions):
        for p in range(pixels):
            places[np.int64(weights[d, p]) + 1] += 1
    for w in range(1, places.size):
        places[w] += places[w - 1]
    count = places[NONE]
    edges, ordered = np.empty(count, np.int32), np.empty(count, np.int32)
    for p in range(pixels):
        for d in range(directions):
            w = weights[d, p]
            if w != NONE:
                place = places[w]
                places[w] = place + 1
                edges[place], ordered[place] = 4 * p + d, w
    return edges, ordered


def sorted_edges(planes: Array) -> tuple[Array, Array]:
    """The kernel of `ops.segments.sorted_edges`."""
    _, height, width = planes.shape
    weights = np.full((4, height, width), NONE, np.uint16)
    sums = np.empty(width, np.float32)
    for d, (dy, dx) in enumerate(((0, 1), (1, -1), (1, 0), (1, 1))):
        _weigh(planes, weights[d], dy, dx, sums)
    edges, ordered = _sort(weights.reshape(4, -1))
    return edges, ordered


@compiled
def _root(parent: Array, pixel: int) -> Any:
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


@compiled
def _segment(edges: Array, weights: Array, height: int, width: int, k: Any, least: int) -> Array:
    count = height * width
    lead = (1, width - 1, width, width + 1)
    parent, size = np.arange(count).astype(np.int32), np.ones(count, np.int32)
    tolerance = np.full(count, k, np.float32)
    between, left = np.empty((edges.size, 2), np.int32), 0
    for i in range(edges.size):
        edge = edges[i]
        p = edge >> 2
        q = p + lead[edge & 3]
        if parent[p] == parent[q]:
            continue  # most edges end here
        a, b = _root(parent, p), _root(parent, q)
        if a == b:
            continue
        cost = np.float32(weights[i]) / np.float32(STEP)
        if cost <= tolerance[a] and cost <= tolerance[b]:
            if a > b:
                a, b = b, a
            parent[b] = a
            size[a] += size[b]
            tolerance[a] = cost + k / np.float32(size[a])
        else:
            between[left, 0], between[left, 1] = a, b
            left += 1
    for i in range(left):
        a, b = _root(parent, between[i, 0]), _root(parent, between[i, 1])
        if a != b and min(size[a], size[b]) < least:
            if a > b:
                a, b = b, a
            parent[b] = a
            size[a] += size[b]
    labels, found = np.empty(count, np.int32), 0
    for pixel in range(count):
        above = parent[pixel]
        if above == pixel:
            labels[pixel] = found
            found += 1
        else:  # the root is a smaller pixel, and has its label
            labels[pixel] = labels[above]
    return labels


def segment(edges: Array, weights: Array, size: tuple[int, int], k: float, least: int) -> Array:
    """The kernel of `ops.segments.segment`."""
    return _segment(edges, weights, size[0], size[1], np.float32(k), least).reshape(size)
