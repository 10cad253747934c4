"""Hierarchical grouping, compiled: see `sightline.ops.grouping` for what each one means.

Pairs wait in a heap, the most similar on top; a pair whose members are gone is passed over when it
comes up. A region keeps its neighbours as a chain; a merged one takes the counts' rows of its
first part, so memory does not grow with the tree. Frequencies and their sums are whole numbers,
which vectorise and have no rounding.
"""

from typing import Any

import numpy as np

from sightline.kernels.cpu.blocks import longer
from sightline.kernels.cpu.compile import NONE, compiled
from sightline.ops.appearance import AXES, Segments
from sightline.ops.grouping import ONE, SIMILARITIES, Tree, require_similarity

Array = np.ndarray[Any, Any]


@compiled
def _before(values: Array, keys: Array, i: int, j: int) -> bool:
    """Whether entry i of the heap is to be merged before entry j."""
    return bool(values[i] > values[j] or (values[i] == values[j] and keys[i] < keys[j]))


@compiled
def _swap(values: Array, keys: Array, i: int, j: int) -> None:
    values[i], values[j] = values[j], values[i]
    keys[i], keys[j] = keys[j], keys[i]


@compiled
def _rise(values: Array, keys: Array, i: int) -> None:
    while i > 0 and _before(values, keys, i, (i - 1) >> 1):
        _swap(values, keys, i, (i - 1) >> 1)
        i = (i - 1) >> 1


@compiled
def _sink(values: Array, keys: Array, waiting: int) -> None:
    i = NONE
    while True:
        best = i
        for child in (2 * i + 1, 2 * i + 2):
            if child < waiting and _before(values, keys, child, best):
                best = child
        if best == i:
            return
        _swap(values, keys, i, best)
        i = best


@compiled
def _shared(a: Array, b: Array) -> float:
    total = np.int32(0)
    for d in range(a.size):
        total = np.int32(total + min(a[d], b[d]))
    return total / ONE


@compiled
def _similarity(regions: Any, a: int, b: int, wants: Any, pixels: int) -> float:
    size, boxes, slot, _, colour, _, texture = regions
    answer, both = 0.0, np.int64(size[a]) + size[b]
    if wants[0]:
        answer += _shared(colour[slot[a]], colour[slot[b]])
    if wants[1]:
        answer += _shared(texture[slot[a]], texture[slot[b]])
    if wants[2]:
        answer += 1 - both / pixels
    if wants[3]:
        width = np.int64(max(boxes[a, 2], boxes[b, 2])) - min(boxes[a, 0], boxes[b, 0])
        height = np.int64(max(boxes[a, 3], boxes[b, 3])) - min(boxes[a, 1], boxes[b, 1])
        answer += 1 - (width * height - both) / pixels
    return answer


@compiled
def _frequencies(counts: Array, shares: Array, size: int, planes: int) -> None:
    scale = ONE / (np.int64(size) * planes)
    for d in range(counts.size):
        shares[d] = np.int32(counts[d] * scale)


@compiled
def _merge(regions: Any, a: Any, b: Any, new: int, wants: Any, planes: int) -> None:
    """Region `new` of a and b, whose histograms take a's place."""
    size, boxes, slot, counts, colour, marks, texture = regions
    size[new] = size[a] + size[b]
    for side in range(2):
        boxes[new, side] = min(boxes[a, side], boxes[b, side])
        boxes[new, side + 2] = max(boxes[a, side + 2], boxes[b, side + 2])
    mine, yours = slot[a], slot[b]
    slot[new] = mine
    if wants[0]:
        counts[mine] += counts[yours]
        _frequencies(counts[mine], colour[mine], size[new], planes)
    if wants[1]:
        marks[mine] += marks[yours]
        _frequencies(marks[mine], texture[mine], size[new], AXES * planes)


@compiled
def _group(
    regions: Any, pairs: Array, leaves: int, wants: Any, planes: int, children: Array
) -> None:
    size = regions[0]
    pixels = size[:leaves].sum()
    room = max(16, 4 * pairs.shape[0])
    values, keys, waiting = np.empty(room), np.empty(room, np.int64), 0
    heads = np.full(size.size, -1, np.int32)  # of the chains of neighbours
    links, members, linked = np.empty(room, np.int32), np.empty(room, np.int32), 0
    gone, seen = np.zeros(size.size, np.uint8), np.full(size.size, -1, np.int32)
    for i in range(pairs.shape[0]):
        a, b = pairs[i, 0], pairs[i, 1]
        values[waiting] = _similarity(regions, a, b, wants, pixels)
        keys[waiting] = (np.int64(a) << 32) | b
        waiting += 1
        _rise(values, keys, waiting - 1)
        for v, other in ((a, b), (b, a)):
            links[linked], members[linked], heads[v] = heads[v], other, linked
            linked += 1
    new = leaves
    while new < size.size:
        key = keys[0]
        a, b = np.int64(key >> 32), np.int64(key & 0xFFFFFFFF)
        waiting -= 1
        values[0], keys[0] = values[waiting], keys[waiting]
        _sink(values, keys, waiting)
        if gone[a] or gone[b]:
            continue
        gone[a] = gone[b] = 1
        _merge(regions, a, b, new, wants, planes)
        children[new, 0], children[new, 1] = a, b
        for part in (a, b):
            link = heads[part]
            while link >= 0:
                v, link = members[link], links[link]
                if gone[v] or seen[v] == new:
                    continue
                seen[v] = new
                if waiting == values.size:
                    values, keys = longer(values), longer(keys)
                if linked + 2 > links.size:
                    links, members = longer(links), longer(members)
                values[waiting] = _similarity(regions, v, new, wants, pixels)
                keys[waiting] = (np.int64(v) << 32) | new
                waiting += 1
                _rise(values, keys, waiting - 1)
                links[linked], members[linked], heads[v] = heads[v], new, linked
                links[linked + 1], members[linked + 1], heads[new] = heads[new], v, linked + 1
                linked += 2
        new += 1


@compiled
def _first_frequencies(counts: Array, shares: Array, size: Array, planes: int) -> None:
    for row in range(counts.shape[0]):
        _frequencies(counts[row], shares[row], size[row], planes)


def group(segments: Segments, similarity: str) -> Tree:
    """The kernel of `ops.grouping.group`."""
    require_similarity(similarity)
    leaves = len(segments.size)
    rows, planes = 2 * leaves - 1, max(1, int(segments.colour[0].sum()) // int(segments.size[0]))
    wants = tuple(letter in similarity for letter in SIMILARITIES)
    size, boxes = np.zeros(rows, np.int32), np.empty((rows, 4), np.int32)
    size[:leaves], boxes[:leaves] = segments.size, segments.boxes
    slot = np.zeros(rows, np.int32)
    slot[:leaves] = np.arange(leaves)
    histograms = []
    for counts, wanted, each in (
        (segments.colour, wants[0], planes),
        (segments.texture, wants[1], AXES * planes),
    ):
        own = counts.copy() if wanted else counts[:0]
        shares = np.empty_like(own)
        if wanted:
            _first_frequencies(own, shares, segments.size, each)
        histograms += [own, shares]
    colour, colours, texture, textures = histograms
    regions = (size, boxes, slot, colour, colours, texture, textures)
    children = np.full((rows, 2), -1, np.int32)
    _group(regions, segments.pairs, leaves, wants, planes, children)
    return Tree(boxes, children)
