"""Hierarchical grouping (Uijlings 2013, algorithm 1): the two most similar neighbours become one.

From the segments of an image to a tree: n leaves, n − 1 merges, the whole image at its root. What
segments look like is counted, and compared, in whole numbers, so that the order of a sum changes
no bit and the same two are always the most similar.

Letters: n segments, D bins of all histograms, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int32
from numpy import ndarray

from sightline.errors import UsageError
from sightline.ops.appearance import Segments
from sightline.ops.dispatch import kernel

ONE = 1 << 24
"""A whole histogram: frequencies are whole numbers of 1 / ONE."""

SIMILARITIES = "ctsf"
"""The letters of colour, texture, size and fill."""


@dataclass(frozen=True)
class Tree:
    """Every region met: rows 0 … n − 1 are the segments, each further row is one merge.

    `children` (−1 for a segment) are the rows that a region was merged from; the last row is the
    whole image.
    """

    boxes: Int32[ndarray, "r 4"]
    children: Int32[ndarray, "r 2"]


def require_similarity(letters: str) -> None:
    """Raise UsageError (usage.similarity) unless `letters` are some of `SIMILARITIES`."""
    if not letters or set(letters) - set(SIMILARITIES) or len(set(letters)) < len(letters):
        raise UsageError(
            f"no similarity is called {letters!r}",
            code="usage.similarity",
            hint="letters of c (colour), t (texture), s (size), f (fill), each once",
        )


@kernel
def group(segments: Segments, similarity: str) -> Tree:
    """Merge the most similar neighbours until one region is left.

    `similarity` is the sum of what its letters stand for (eqs. 1 – 6): c and t, the intersection
    of the histograms of colour and texture; s = 1 − (|a| + |b|) / |image|; f = 1 − (|the box around
    both| − |a| − |b|) / |image|. Of equally similar pairs the one with the smallest numbers is
    merged. Raises UsageError (usage.similarity).
    """
    require_similarity(similarity)
    regions = [_Region(*row) for row in _rows(segments)]
    leaves, pixels = len(regions), int(segments.size.sum())
    children = [(-1, -1)] * leaves

    def alike(a: int, b: int) -> float:
        return _similarity(regions[a], regions[b], similarity, pixels)

    pairs = {(a, b): alike(a, b) for a, b in segments.pairs.tolist()}
    while pairs:
        a, b = min(pairs, key=lambda pair: (-pairs[pair], pair))
        new = len(regions)
        regions.append(_merged(regions[a], regions[b]))
        children.append((a, b))
        near = {v for pair in pairs if {a, b} & set(pair) for v in pair} - {a, b}
        pairs = {pair: value for pair, value in pairs.items() if not {a, b} & set(pair)}
        pairs |= {(v, new): alike(v, new) for v in near}
    boxes = np.array([region.box for region in regions], np.int32)
    return Tree(boxes, np.array(children, np.int32))


@dataclass(frozen=True)
class _Region:
    size: int
    box: ndarray
    colour: ndarray
    texture: ndarray


def _rows(segments: Segments) -> Iterator[tuple[int, ndarray, ndarray, ndarray]]:
    return zip(
        segments.size.tolist(), segments.boxes, segments.colour, segments.texture, strict=True
    )


def _merged(a: _Region, b: _Region) -> _Region:
    box = np.concatenate([np.minimum(a.box, b.box)[:2], np.maximum(a.box, b.box)[2:]])
    return _Region(a.size + b.size, box, a.colour + b.colour, a.texture + b.texture)


def frequencies(counts: Int[ndarray, "*n D"], total: int) -> Int32[ndarray, "*n D"]:
    """Counts, of which there are `total`, as whole numbers of 1 / ONE, rounded down."""
    answer: ndarray = (counts * (ONE / total)).astype(np.int32)
    return answer


def _shared(a: ndarray, b: ndarray) -> float:
    """The intersection of two histograms, each as a whole 1."""
    mine, yours = frequencies(a, int(a.sum())), frequencies(b, int(b.sum()))
    return int(np.minimum(mine, yours).sum()) / ONE


def _similarity(a: _Region, b: _Region, letters: str, pixels: int) -> float:
    answer, both = 0.0, a.size + b.size
    if "c" in letters:
        answer += _shared(a.colour, b.colour)
    if "t" in letters:
        answer += _shared(a.texture, b.texture)
    if "s" in letters:
        answer += 1 - both / pixels
    if "f" in letters:
        x1, y1, x2, y2 = _merged(a, b).box.tolist()
        answer += 1 - ((x2 - x1) * (y2 - y1) - both) / pixels
    return answer
