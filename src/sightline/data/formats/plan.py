"""Where each image of a conversion goes, and copying it there."""

import os
import re
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sightline.data.reading import IMAGE_SUFFIXES
from sightline.data.records import Dataset, Example
from sightline.data.yolo_yaml import SPLITS as YOLO_SPLITS
from sightline.errors import DatasetError, SightlineWarning, UsageError
from sightline.files import atomic_write, make_folder, refuse
from sightline.images import SUFFIXES, read_format

ImageMode = Literal["copy", "link", "none"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Names of splits that every file system can hold, and every label format."""


@dataclass(frozen=True)
class Part:
    """One split to be written: its images under the names they get, none of them in a folder."""

    split: str | None
    dataset: Dataset
    names: tuple[str, ...]

    def pairs(self) -> list[tuple[str, Example]]:
        """Each image with its new name."""
        return list(zip(self.names, self.dataset, strict=True))


def plan(datasets: Sequence[Dataset]) -> list[Part]:
    """New names for all images: the old file name; "a-2.jpg" where its stem is taken already.

    Stems differ even in a file system that ignores case, over all splits together. Readers look for
    images by a few endings: others (`.jfif`, none) become that of what the file is, with a warning.
    ImageError where it is no image.
    """
    taken: set[str] = set()
    changed: list[str] = []
    parts = []
    for dataset in datasets:
        names = []
        for example in dataset:
            stem, end = example.path.stem, example.path.suffix
            if end.lower() not in IMAGE_SUFFIXES:
                end = SUFFIXES[read_format(example.path)][0]
                changed.append(f"{example.path.name} → {end}")
            name, number = stem, 1
            while name.casefold() in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name.casefold())
            names.append(name + end)
        parts.append(Part(dataset.split, dataset, tuple(names)))
    if changed:
        warnings.warn(
            f"{len(changed)} images get an ending that readers look for; the first: {changed[0]}",
            SightlineWarning,
            stacklevel=3,
        )
    return parts


def as_yolo_calls_them(parts: Sequence[Part]) -> list[Part]:
    """The parts with YOLO's own names of splits, the only ones that its readers look for: train2017
    is train, valid is val, no split at all is train.

    DatasetError `convert.name` where a split is none of these, or two are the same.
    """
    found: dict[str, Part] = {}
    for part in parts:
        old = "train" if part.split is None else part.split
        name = next((known for known in YOLO_SPLITS if old.lower().startswith(known)), None)
        if name is None or name in found:
            twice = "" if name is None else f" beside {found[name].split!r}"
            raise DatasetError(
                f"YOLO has no place for the split {old!r}{twice}",
                code="convert.name",
                path=part.dataset.root,
                hint=f"its splits are {', '.join(YOLO_SPLITS)}: convert one with --split, "
                "or divide anew with sightline split",
            )
        found[name] = replace(part, split=name)
    return list(found.values())


def check_split_names(names: Sequence[str], to: str) -> None:
    """UsageError `split.name` where a name stands twice, cannot be a file's, or is none that YOLO
    knows.
    """
    for row, name in enumerate(names):
        if name.casefold() in (other.casefold() for other in names[:row]):
            raise UsageError(
                f"there are two splits {name!r}", code="split.name", hint="give each its own name"
            )
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a split",
                code="split.name",
                hint="letters, digits, - and _ make one",
            )
        if to == "yolo" and name not in YOLO_SPLITS:
            raise UsageError(
                f"YOLO has no split {name!r}",
                code="split.name",
                hint=f"its splits are {', '.join(YOLO_SPLITS)}; --to coco and voc hold any",
            )


def place_image(source: Path, goal: Path, mode: ImageMode) -> None:
    """Bring one image to `goal`, byte for byte; "link" copies where no hard link can be made."""
    if mode == "none":
        return
    make_folder(goal.parent)
    if mode == "link":
        try:
            os.link(source.resolve(), goal)
            return
        except OSError:  # another disk, or a file system without hard links
            pass
    with atomic_write(goal) as temporary:
        try:
            shutil.copyfile(source, temporary)
        except OSError as error:
            refuse(error, goal)
