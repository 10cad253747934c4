"""Pairs of 64-bit hashes that differ in few bits, without a look at every pair."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from sightline.ops.dispatch import kernel

BLOCK = 1024
"""Rows whose pairs are told at a time."""

FEW = 4096
"""Up to so many hashes the definition is faster than the kernel is loaded."""

Pairs = tuple[Int[ndarray, "n"], Int[ndarray, "n"]]


@kernel
def near_pairs(codes: ndarray, flip: int, bits: int) -> Iterator[Pairs]:
    """Pairs of rows i < j for which `codes[i]` and `codes[j] ^ flip` differ in `bits` bits or less.

    `codes` are (n,) uint64. They come in ascending order (i, then j), those of `BLOCK` rows at a
    time. The kernel gives the same ones by an index over parts of the hashes (Norouzi, Punjani and
    Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing", 2014).
    """
    other = codes ^ np.uint64(flip)
    for start in range(0, len(codes), BLOCK):
        block = codes[start : start + BLOCK, None]
        i, j = np.nonzero(np.bitwise_count(block ^ other[None, start:]) <= bits)
        later = j > i
        yield i[later] + start, j[later] + start
