"""Label Studio's masks: run lengths packed in bits (rle-pack), of the four channels of a picture.

A stream is, highest bit first: 32 bits the number of words (4 × height × width, row by row: red,
green, blue, alpha), 5 bits a word's size less 1 (8 here), four times 4 bits the size of a count
less 1; then groups of one bit (1: one word repeated, 0: words as they are), two bits which size the
count has, the count less 1, and the words. Alpha is the mask.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from sightline.errors import AnnotationError
from sightline.images import Limits
from sightline.types import Size

WORD = 8
SIZES = (3, 4, 8, 16)
"""Bits of the counts that are written."""

HALF = 128
"""From this alpha on a pixel belongs to the mask: brushes have soft edges."""


class _Bits:
    """A stream of bits, read in numbers."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def read(self, count: int) -> int:
        start, end = self.at, self.at + count
        if end > 8 * len(self.data):
            raise AnnotationError("the run lengths end too early", code="rle.sum")
        self.at = end
        value = int.from_bytes(self.data[start // 8 : -(-end // 8)], "big")
        return value >> -end % 8 & (1 << count) - 1

    def words(self, count: int) -> np.ndarray:
        """`count` words as they are."""
        start, end = self.at, self.at + WORD * count
        if end > 8 * len(self.data):
            raise AnnotationError("the run lengths end too early", code="rle.sum")
        self.at = end
        piece = np.frombuffer(self.data[start // 8 : -(-end // 8)], np.uint8)
        shift = start % 8
        if shift == 0:
            return piece
        wide = piece.astype(np.uint16)
        return ((wide[:-1] << shift | wide[1:] >> 8 - shift) & 255).astype(np.uint8)


def decode(values: Any, size: Size) -> Bool[ndarray, "H W"]:
    """The mask of a list of bytes on an image of `size`.

    AnnotationError without a place: `rle.format`, `rle.size` (it is of another image),
    `image.too_many_pixels`, all before any mask is allocated; `rle.sum`.
    """
    if not isinstance(values, list) or not all(type(v) is int and 0 <= v < 256 for v in values):
        raise AnnotationError("a brush's rle is a list of bytes", code="rle.format")
    height, width = size
    if height * width > Limits().max_pixels:
        raise AnnotationError("the image is too large for masks", code="image.too_many_pixels")
    bits = _Bits(bytes(values))
    total = bits.read(32)
    if total != 4 * height * width:
        raise AnnotationError(
            f"the rle has {total} values, the image of {width} × {height} needs "
            f"{4 * height * width}",
            code="rle.size",
        )
    if bits.read(5) + 1 != WORD:
        raise AnnotationError("the rle's values have not eight bits", code="rle.format")
    sizes = [bits.read(4) + 1 for _ in range(4)]
    answer = np.zeros(total, np.uint8)
    at = 0
    while at < total:
        repeated = bits.read(1)
        end = at + 1 + bits.read(sizes[bits.read(2)])
        if end > total:
            raise AnnotationError("the run lengths lead out of the image", code="rle.sum")
        answer[at:end] = bits.read(WORD) if repeated else bits.words(end - at)
        at = end
    return np.asarray(answer.reshape(height, width, 4)[..., 3] >= HALF)


def encode(mask: Bool[ndarray, "H W"]) -> list[int]:
    """The bytes of a mask; all four channels are 255 inside and 0 outside."""
    flat = mask.ravel()
    starts = [0, *(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), flat.size]
    pieces = [f"{4 * flat.size:032b}{WORD - 1:05b}", *(f"{bits - 1:04b}" for bits in SIZES)]
    longest = 1 << SIZES[-1]
    for start, end in pairwise(starts):
        word = "1" * WORD if flat[start] else "0" * WORD
        left = 4 * (end - start)
        while left > 0:
            count = min(left, longest)
            which = next(i for i, bits in enumerate(SIZES) if count <= 1 << bits)
            pieces.append(f"1{which:02b}{count - 1:0{SIZES[which]}b}{word}")
            left -= count
    text = "".join(pieces)
    text += "0" * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]
