"""A labelled folder taken as a whole, divided anew, and what came of it."""

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from sightline.data.checks import OnBad
from sightline.data.open import open_dataset, splits
from sightline.data.records import Dataset, Example
from sightline.data.split import divide
from sightline.data.units import NOTHING, merge
from sightline.errors import DatasetError, SightlineWarning, UsageError

__all__ = ["Deviation", "Division", "divide_dataset", "gather", "group_by_name"]

NAMED = 8
"""Classes that one warning names; the others are counted."""


@dataclass(frozen=True)
class Deviation:
    """A class, the split it is farthest from its ratio in, and its images there and in all."""

    label: int
    split: str
    images: int
    total: int
    ratio: float

    @property
    def share(self) -> float:
        """The part of the class's images that is in the split, 0 … 1."""
        return self.images / self.total


@dataclass(frozen=True)
class Division:
    """A data set and the rows of each of its new splits; `groups` are rows that stayed together."""

    dataset: Dataset
    ratios: Mapping[str, float]
    seed: int
    rows: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[int, ...], ...]

    def parts(self) -> list[Dataset]:
        """The splits as data sets, in the order of the ratios."""
        return [
            replace(self.dataset.subset(rows), split=name)
            for name, rows in zip(self.ratios, self.rows, strict=True)
        ]

    def folds(self) -> dict[str, list[Dataset]]:
        """For cross-validation: under each split's name itself as "val", all others as "train"."""
        answer = {}
        for name, rows in zip(self.ratios, self.rows, strict=True):
            rest = sorted(set(range(len(self.dataset))).difference(rows))
            pair = (("train", rest), ("val", rows))
            answer[name] = [replace(self.dataset.subset(r), split=part) for part, r in pair]
        return answer

    @property
    def images(self) -> Int[ndarray, "rows S"]:
        """How many images of each split show each class, a row each; last those without objects."""
        return self._tables[0]

    @property
    def objects(self) -> Int[ndarray, "rows S"]:
        """How many objects of each class each split has, in the same rows, crowds not counted."""
        return self._tables[1]

    @cached_property
    def _tables(self) -> tuple[ndarray, ndarray]:
        shape = (len(self.dataset.classes) + 1, len(self.rows))
        images, objects = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for place, rows in enumerate(self.rows):
            for row in rows:
                for label, count in (_content(self.dataset[row]) or {NOTHING: 0}).items():
                    images[label, place] += 1
                    objects[label, place] += count
        return images, objects

    def deviation(self) -> Deviation | None:
        """The class that is farthest from its ratio, of those with as many images as splits; None
        where there is none of these.
        """
        totals = self.images[:-1].sum(axis=1)
        rows = np.flatnonzero(totals >= len(self.rows))
        if not len(rows):
            return None
        shares = self.images[rows] / totals[rows, None]
        away = np.abs(shares - np.array(list(self.ratios.values())))
        row, place = np.unravel_index(int(away.argmax()), away.shape)
        label, name = int(rows[row]), list(self.ratios)[place]
        count = int(self.images[label, place])
        return Deviation(label, name, count, int(totals[label]), self.ratios[name])

    def absent(self) -> list[str]:
        """The classes that have objects, but in some split none."""
        found = self.images[:-1]
        rows = np.flatnonzero(found.any(axis=1) & ~found.all(axis=1))
        return [self.dataset.classes[row] for row in rows]

    def uneven(self) -> list[str]:
        """The splits whose size misses their ratio by more than a tenth and more than an image."""
        wanted = {name: ratio * len(self.dataset) for name, ratio in self.ratios.items()}
        return [
            name
            for (name, want), rows in zip(wanted.items(), self.rows, strict=True)
            if abs(len(rows) - want) > max(1.0, want / 10)
        ]

    def files(self) -> dict[str, list[str]]:
        """The images of each split, under the names they have in the source."""
        data = self.dataset
        return {
            name: [data.file_name(data[row]) for row in rows]
            for name, rows in zip(self.ratios, self.rows, strict=True)
        }

    def to_json(self) -> dict[str, Any]:
        """Ratios, seed, sizes, classes with images and objects a split, and the groups' number."""
        away = self.deviation()
        data = self.dataset
        classes = zip(data.classes, self.images.tolist(), self.objects.tolist(), strict=False)
        return {
            "seed": self.seed,
            "ratios": dict(self.ratios),
            "images": {n: len(rows) for n, rows in zip(self.ratios, self.rows, strict=True)},
            "without_objects": self.images[-1].tolist(),
            "classes": {name: {"images": i, "objects": o} for name, i, o in classes},
            "groups": len(self.groups),
            "grouped_images": sum(map(len, self.groups)),
            "absent": self.absent(),
            "deviation": None
            if away is None
            else {
                "class": data.classes[away.label],
                "split": away.split,
                "share": away.share,
                "ratio": away.ratio,
            },
        }


def gather(source: Path, on_bad: OnBad = "error", format: str | None = None) -> Dataset:
    """All images of a folder whatever their splits, in the order of their file names.

    Splits that number their images alike are renumbered. Errors as `open_dataset`.
    """
    try:
        dataset = open_dataset(source, on_bad=on_bad, format=format)
    except DatasetError as error:
        if error.code != "dataset.image_ids":
            raise
        parts = [
            open_dataset(source, name, on_bad=on_bad, format=format)
            for name in splits(source, format)
        ]
        unique = {example.path: example for part in parts for example in part}
        dataset = replace(parts[0], examples=tuple(unique.values()), split=None)
        dataset = replace(
            dataset,
            examples=tuple(replace(e, image_id=i) for i, e in enumerate(_sorted(dataset), start=1)),
        )
    return replace(dataset, examples=_sorted(dataset), split=None)


def _sorted(dataset: Dataset) -> tuple[Example, ...]:
    return tuple(sorted(dataset, key=lambda e: (dataset.file_name(e), e.path.as_posix())))


def group_by_name(dataset: Dataset, pattern: str) -> list[list[int]]:
    """Rows whose file names agree in what a regular expression finds there.

    That is its groups in brackets, or without any the whole match: `^(.+)_frame` keeps the frames
    of each video together. A warning counts the images that it does not match; they stand alone.
    UsageError `split.pattern` where it is none, or matches no image.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"{pattern!r} is no regular expression: {error}",
            code="split.pattern",
            hint="for instance '^([^_]+)_' for all that stands before the first underscore",
        ) from error
    found: dict[tuple[str | None, ...], list[int]] = {}
    for row, example in enumerate(dataset):
        match = compiled.search(dataset.file_name(example))
        if match is not None:
            found.setdefault(match.groups() or (match[0],), []).append(row)
    missed = len(dataset) - sum(map(len, found.values()))
    if not found:
        raise UsageError(
            f"{pattern!r} matches none of the file names",
            code="split.pattern",
            hint=f"the first is {dataset.file_name(dataset[0])}",
        )
    if missed:
        warnings.warn(
            f"{pattern!r} does not match {missed} of {len(dataset)} images; they stand alone",
            SightlineWarning,
            stacklevel=2,
        )
    return list(found.values())


def divide_dataset(
    dataset: Dataset,
    ratios: Mapping[str, float],
    seed: int = 0,
    groups: Sequence[Sequence[int]] = (),
) -> Division:
    """Divide a data set; `groups` are rows that stay together.

    A warning names the classes that cannot be in every split, for they have too few images, or
    that are not. UsageError and DatasetError as `divide`.
    """
    names = [dataset.file_name(example) for example in dataset]
    if len(set(names)) < len(names):
        names = [example.path.as_posix() for example in dataset]
    joined = [tuple(rows) for rows in merge(groups, len(names)) if len(rows) > 1]
    contents = [_content(example) for example in dataset]
    division = Division(
        dataset, ratios, seed, divide(contents, names, ratios, seed, joined), tuple(joined)
    )
    _warn(division)
    return division


def _warn(division: Division) -> None:
    told = []
    absent, uneven = division.absent(), division.uneven()
    if absent:
        more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        told.append(
            f"too few images to be in every split: {', '.join(absent[:NAMED])}{more}; "
            "nothing can be learnt or measured of a class where it is absent"
        )
    if uneven:
        sizes = dict(zip(division.ratios, map(len, division.rows), strict=True))
        told.append(
            "images that stay together leave sizes far from the ratios: "
            + ", ".join(f"{name} has {sizes[name]}" for name in uneven)
        )
    for text in told:
        warnings.warn(text, SightlineWarning, stacklevel=3)


def _content(example: Example) -> Counter[int]:
    """Class → number of objects, crowds not counted."""
    return Counter(example.objects.labels[~example.objects.crowd].tolist())
