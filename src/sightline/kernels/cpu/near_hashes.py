"""The numba twin of `sightline.data.near_hashes.near_pairs`: multi-index hashing.

A hash is cut into four parts. If two hashes differ in b bits at most, then in some part c they
differ in r_c at most, where the r_c + 1 sum to b + 1 (the pigeonhole rule). So only those are
looked at whose part is one of the few numbers near one's own, by a table for each part. With b = 16
these are 7 in 100 of random hashes, and they lie side by side in memory.
"""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from sightline.kernels.cpu.compile import compiled

PARTS, WIDTH = 4, 16
SIZE = 1 << WIDTH
BLOCK = 1024
ROOM = 1 << 16
"""Pairs of a block that there is room for at first."""


def near_pairs(codes: ndarray, flip: int, bits: int) -> Iterator[tuple[ndarray, ndarray]]:
    """Pairs of hashes that differ in few bits: see the definition."""
    other = codes ^ np.uint64(flip)
    radii = np.array([(bits + 1 + c) // PARTS - 1 for c in range(PARTS)], np.int64)
    index = [_table(other, c) for c in range(PARTS)]
    order, starts = (np.stack([table[k] for table in index]) for k in range(2))
    ordered = other[order]
    ones = np.bitwise_count(np.arange(SIZE, dtype=np.uint16))
    near = [np.flatnonzero(ones <= radius) for radius in radii]
    ends = np.cumsum([0, *map(len, near)])
    tables = (ordered, order, starts, np.concatenate(near), ends, radii)
    found = np.empty((2, ROOM), np.int64)
    for start in range(0, len(codes), BLOCK):
        rows = (start, min(start + BLOCK, len(codes)))
        count = _search(codes, rows, bits, tables, found)
        if count > found.shape[1]:
            found = np.empty((2, count), np.int64)
            _search(codes, rows, bits, tables, found)
        i, j = found[:, :count]
        sort = np.lexsort((j, i))
        yield i[sort], j[sort]


def _table(codes: ndarray, part: int) -> tuple[ndarray, ndarray]:
    """The rows in the order of one part of their hashes, and where each of its numbers begins."""
    keys = (codes >> np.uint64(WIDTH * part) & np.uint64(SIZE - 1)).astype(np.int64)
    counts = np.bincount(keys, minlength=SIZE)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return np.argsort(keys, kind="stable").astype(np.int32), starts.astype(np.int32)


@compiled
def _ones(x: np.uint64) -> np.uint64:
    """How many bits are set, by sums of neighbours; compilers know it as one instruction."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@compiled
def _search(
    codes: ndarray,
    rows: tuple[int, int],
    bits: int,
    tables: tuple[ndarray, ndarray, ndarray, ndarray, ndarray, ndarray],
    found: ndarray,
) -> int:
    """Fill `found` with the pairs of some rows as far as there is room; how many there are."""
    ordered, order, starts, near, ends, radii = tables
    count = 0
    for part in range(PARTS):  # one table at a time, which the nearest memory holds
        for i in range(rows[0], rows[1]):
            key = np.int64((codes[i] >> np.uint64(WIDTH * part)) & np.uint64(SIZE - 1))
            for n in range(ends[part], ends[part + 1]):
                value = key ^ near[n]
                for place in range(starts[part, value + 1] - 1, starts[part, value] - 1, -1):
                    j = order[part, place]
                    if j <= i:
                        break
                    differ = codes[i] ^ ordered[part, place]
                    if np.int64(_ones(differ)) <= bits and _first(differ, part, radii):
                        if count < found.shape[1]:
                            found[0, count] = i
                            found[1, count] = j
                        count += 1
    return count


@compiled
def _first(differ: np.uint64, part: int, radii: ndarray) -> bool:
    """Whether no earlier part finds the same pair."""
    for earlier in range(part):
        piece = (differ >> np.uint64(WIDTH * earlier)) & np.uint64(SIZE - 1)
        if np.int64(_ones(piece)) <= radii[earlier]:
            return False
    return True
