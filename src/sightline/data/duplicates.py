"""The same image twice: byte for byte, pixel for pixel, or changed a little, in one split or two.

A test image that was trained on makes every figure better than it is. Copies are found by digest;
near copies (compressed again, resized, brighter, cropped by a few per cent, mirrored) by hashes
that differ in few bits, and are then held against each other as thumbnails.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from sightline import images
from sightline.data.fingerprints import (
    MIRROR,
    SIDE,
    contrast,
    hashes,
    likeness,
    read_bytes,
    thumbnail,
)
from sightline.data.near_hashes import FEW, near_pairs
from sightline.data.records import Dataset, Example, Fault
from sightline.errors import ImageError

__all__ = ["Duplicates", "Group", "find", "leaks"]

BITS = 16
"""Hashes that differ in more of their 63 bits are never looked at again."""

ALIKE = 0.6
"""Changed copies of real photos reach 0.9 and more, a second shot of the same still scene about
0.65, different photos stay below 0.45 (`benchmarks/duplicates.py`)."""

SAME = 0.98
"""Only pairs as alike as this are decoded in full to compare their pixels."""

FLAT = 1.0
"""Thumbnails whose grey levels vary by less than this (standard deviation) show nothing."""

PAIRS = 256
"""Pairs whose thumbnails are compared at a time."""


@dataclass(frozen=True)
class Group:
    """Rows, ascending, that show one image; `kind` is "exact" where all have the same pixels.

    `copies` tells for each row the first one with the same pixels; `mirrored` whether it is left
    and right exchanged, compared with the first row.
    """

    rows: tuple[int, ...]
    kind: Literal["exact", "near"]
    copies: tuple[int, ...]
    mirrored: tuple[bool, ...]


@dataclass(frozen=True)
class Duplicates:
    """What `find` found: groups of two rows or more, and the rows that could not be read."""

    groups: tuple[Group, ...]
    unreadable: tuple[int, ...]


class _Forest:
    """Sets that grow together, each row with whether it mirrors its set's first row."""

    def __init__(self, count: int) -> None:
        self.parents = list(range(count))
        self.flips = [False] * count

    def find(self, row: int) -> tuple[int, bool]:
        flip = False
        trail = []
        while self.parents[row] != row:
            trail.append(row)
            row = self.parents[row]
        for step in reversed(trail):
            flip ^= self.flips[step]
            self.parents[step], self.flips[step] = row, flip
        return row, flip

    def join(self, a: int, b: int, mirrored: bool = False) -> None:
        (low, left), (high, right) = sorted([self.find(a), self.find(b)])
        if low != high:
            self.parents[high], self.flips[high] = low, left ^ right ^ mirrored


def find(
    paths: Sequence[str | os.PathLike[str]], progress: Callable[[int, int], None] | None = None
) -> Duplicates:
    """Which of the images are one and the same, or nearly.

    `progress` gets (images read, images). Rows whose image cannot be read are in `unreadable` and
    in no group, unless their bytes are those of another. An image of one even colour has exact
    copies only.
    """
    names = [os.fspath(path) for path in paths]
    copies, near = _Forest(len(names)), _Forest(len(names))
    thumbs = np.zeros((len(names), SIDE, SIDE), np.uint8)
    seen: dict[bytes, int] = {}
    unreadable, rows = [], []
    for row, name in enumerate(names):
        try:
            data = read_bytes(name)
            digest = hashlib.sha256(data).digest()
            if digest in seen:
                copies.join(seen[digest], row)
            else:
                seen[digest] = row
                thumbs[row] = thumbnail(data)
                rows.append(row)
        except ImageError:
            unreadable.append(row)
        if progress is not None:
            progress(row + 1, len(names))
    shown = np.array(rows, np.int64)
    shown = shown[contrast(thumbs[shown]) >= FLAT]
    _join_alike(shown, thumbs, names, copies, near)
    for row in range(len(names)):
        near.join(row, copies.find(row)[0])
    return Duplicates(tuple(_groups(copies, near)), tuple(unreadable))


def _join_alike(
    rows: Int[ndarray, "n"],
    thumbs: UInt8[ndarray, "N side side"],
    names: list[str],
    copies: _Forest,
    near: _Forest,
) -> None:
    """Join in `near` the rows that are alike, and in `copies` those with the same pixels.

    Pairs that are together already are not compared again: a thousand frames of a still camera
    cost as much as a thousand others.
    """
    for first, second, mirrored in _candidates(hashes(thumbs[rows])):
        for start in range(0, len(first), PAIRS):
            a, b = rows[first[start : start + PAIRS]], rows[second[start : start + PAIRS]]
            apart = np.array(
                [near.find(int(i))[0] != near.find(int(j))[0] for i, j in zip(a, b, strict=True)]
            )
            a, b = a[apart], b[apart]
            other = thumbs[b][:, :, ::-1] if mirrored else thumbs[b]
            for i, j, alike in zip(a, b, likeness(thumbs[a], other), strict=True):
                if alike < ALIKE:
                    continue
                near.join(int(i), int(j), mirrored)
                if alike >= SAME and not mirrored and _same_pixels(names[i], names[j]):
                    copies.join(int(i), int(j))


def _candidates(codes: ndarray) -> Iterator[tuple[ndarray, ndarray, bool]]:
    """Pairs i < j of hashes that differ in few bits, a block of rows at a time."""
    search = near_pairs if len(codes) > FEW else near_pairs.reference
    for mirrored in (False, True):
        for first, second in search(codes, int(MIRROR) if mirrored else 0, BITS):
            yield first, second, mirrored


def _same_pixels(a: str, b: str) -> bool:
    try:
        if images.read_size(a) != images.read_size(b):
            return False
        return bool(images.read(a).equal(images.read(b)))
    except ImageError:
        return False


def _groups(copies: _Forest, near: _Forest) -> Iterator[Group]:
    members: dict[int, list[int]] = {}
    for row in range(len(near.parents)):
        members.setdefault(near.find(row)[0], []).append(row)
    for rows in members.values():
        if len(rows) > 1:
            firsts = tuple(copies.find(row)[0] for row in rows)
            kind: Literal["exact", "near"] = "exact" if len(set(firsts)) == 1 else "near"
            yield Group(tuple(rows), kind, firsts, tuple(near.find(row)[1] for row in rows))


def leaks(
    splits: Mapping[str, Dataset], progress: Callable[[int, int], None] | None = None
) -> list[Fault]:
    """A warning for every image that stands in another split too, or twice in its own.

    `image.leak` for the same image in two splits, `image.near_leak` for nearly the same,
    `image.duplicate` within one split. `path` is the later image, `id` its id; the message names
    both files. A file that two splits list is looked at once, see `suspicions.listed_twice`.
    """
    once: dict[Path, _Place] = {}  # a split may be made of others, as VOC's trainval is
    for name, dataset in splits.items():
        for example in dataset:
            once.setdefault(example.path, (name, dataset, example))
    rows = list(once.values())
    faults = []
    for group in find([example.path for _, _, example in rows], progress).groups:
        places = [rows[row] for row in group.rows]
        for k in range(1, len(places)):
            ranks = [
                (places[m][0] == places[k][0], group.copies[m] != group.copies[k], m)
                for m in range(k)
            ]
            inside, unlike, m = min(ranks)
            flipped = group.mirrored[m] != group.mirrored[k]
            faults.append(_fault(places[k], places[m], inside, unlike, flipped))
    return faults


_Place = tuple[str, Dataset, Example]


def _fault(late: _Place, early: _Place, inside: bool, unlike: bool, flipped: bool) -> Fault:
    code = "image.duplicate" if inside else "image.near_leak" if unlike else "image.leak"
    how = "is a mirrored copy of" if flipped else "is nearly" if unlike else "is the same image as"
    (split, dataset, example), (other_split, other_dataset, other) = late, early
    message = (
        f"{dataset.file_name(example)} ({split}) {how} "
        f"{other_dataset.file_name(other)} ({other_split})"
    )
    hint = "keep one of them" if inside else "keep them in one split: a test image must be new"
    return Fault(code, message, str(example.path), None, hint, "warning", example.image_id)
