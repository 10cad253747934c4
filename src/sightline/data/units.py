"""Images that stay together when a data set is divided."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NOTHING = -1
"""The class of images without objects, which are spread like any other."""


@dataclass(frozen=True)
class Unit:
    """Images that stay together: their rows, and for each class how many of them show it and how
    many objects of it they hold. `draw` is its number in every tie.
    """

    rows: tuple[int, ...]
    images: Mapping[int, int]
    objects: Mapping[int, int]
    draw: int


def merge(groups: Iterable[Sequence[int]], count: int) -> list[list[int]]:
    """All rows of 0 … count − 1 in groups that share none, rows and groups ascending.

    Groups that have a row in common become one; rows of no group stand alone.
    """
    parents = list(range(count))

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = parents[parents[row]]
            row = parents[row]
        return row

    for group in groups:
        for row in group[1:]:
            low, high = sorted((root(group[0]), root(row)))
            parents[high] = low
    members: dict[int, list[int]] = {}
    for row in range(count):
        members.setdefault(root(row), []).append(row)
    return list(members.values())


def lot(seed: int, *words: str) -> int:
    """A number drawn for `words`, the same on every machine."""
    text = "\0".join((str(seed), *words)).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def units_of(
    contents: Sequence[Mapping[int, int]],
    names: Sequence[str],
    seed: int,
    groups: Sequence[Sequence[int]],
) -> list[Unit]:
    """The units that groups of rows make; for the arguments see `split.divide`."""
    units = []
    for rows in groups:
        images: Counter[int] = Counter()
        objects: Counter[int] = Counter()
        for row in rows:
            found = {label: count for label, count in contents[row].items() if count}
            images.update((found or {NOTHING: 0}).keys())
            objects.update(found)
        draw = lot(seed, min(names[row] for row in rows))
        units.append(Unit(tuple(rows), images, objects, draw))
    return units
