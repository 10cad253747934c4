"""Everything that is wrong with a folder of labelled images, found in one pass; nothing is changed.

Reading finds what cannot be used (`Fault`s of severity "error"), what was put right or is suspect
("warning"); `suspicions` and `duplicates` look at the whole.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.data.duplicates import leaks
from sightline.data.kept import kept
from sightline.data.open import open_dataset, splits
from sightline.data.records import Dataset, Fault
from sightline.data.suspicions import RULES, class_counts
from sightline.errors import AnnotationError, DatasetError, SightlineError, SightlineWarning

ALL = "all"
"""What the one part of a data set without splits is called."""

SEVERITIES = ("error", "warning", "note")
FATAL = ("dataset.missing", "dataset.unknown", "dataset.format", "dataset.split")
"""Codes of what is no data set at all, or not the one that was asked for."""

AREAS = ((0, 32**2, "small"), (32**2, 96**2, "medium"), (96**2, float("inf"), "large"))
"""COCO's sizes of objects, in square pixels."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found: the parts that could be read, and every finding, the worst first."""

    root: Path
    parts: Mapping[str, Dataset]
    findings: tuple[Fault, ...]

    @property
    def sound(self) -> bool:
        """Whether there is nothing that makes a label or an image unusable."""
        return not any(fault.severity == "error" for fault in self.findings)

    def by_rule(self) -> dict[tuple[str, str], list[Fault]]:
        """The findings of each (severity, rule), in order."""
        groups: dict[tuple[str, str], list[Fault]] = {}
        for fault in self.findings:
            groups.setdefault((fault.severity, fault.code), []).append(fault)
        return groups

    def to_json(self) -> dict[str, Any]:
        """Counts, classes, sizes and all findings as plain data."""
        counted = Counter(str(fault.severity) for fault in self.findings)
        return {
            "path": str(self.root),
            "sound": self.sound,
            "counts": {name: counted[name] for name in SEVERITIES},
            "rules": dict(Counter(fault.code for fault in self.findings)),
            "splits": {name: summary(part) for name, part in self.parts.items()},
            "findings": [asdict(fault) for fault in self.findings],
        }


def summary(part: Dataset) -> dict[str, Any]:
    """Images, objects, how many of each class, and how many of each size."""
    area = [example.objects.area for example in part]
    flat = np.concatenate(area) if area else np.zeros(0)
    return {
        "images": len(part),
        "without_objects": sum(len(example.objects) == 0 for example in part),
        "objects": len(flat),
        "crowds": int(sum(example.objects.crowd.sum() for example in part)),
        "classes": class_counts(part),
        "sizes": {name: int(((flat >= low) & (flat < high)).sum()) for low, high, name in AREAS},
    }


def check(
    folder: Path | str,
    split: str | None = None,
    annotations: Path | str | None = None,
    images: Path | str | None = None,
    look_alikes: bool = True,
    progress: Callable[[int, int], None] | None = None,
    format: str | None = None,
) -> Diagnosis:
    """Read every split of a folder and say all that is wrong with it.

    `split`, `annotations`, `images` and `format` are those of `open_dataset`. With `look_alikes`
    images are compared with each other too, for which each is decoded once, small; `progress` is
    told (images read, images). Only a folder that is no data set at all raises (DatasetError); a
    label file that cannot be read is a finding.
    """
    root = Path(folder)
    with kept():
        single = split is not None or annotations is not None
        names = (split,) if single else _names(root, format)
        parts, found = _read(root, names, annotations, images, format)
    for rule in RULES:
        found += rule(parts)
    if look_alikes:
        found += leaks(parts, progress)
    order = {name: i for i, name in enumerate(SEVERITIES)}
    unique = dict.fromkeys(found)  # an image of two splits has its faults in both
    return Diagnosis(root, parts, tuple(sorted(unique, key=lambda fault: order[fault.severity])))


def _read(
    root: Path,
    names: Sequence[str | None],
    annotations: Path | str | None,
    images: Path | str | None,
    format: str | None,
) -> tuple[dict[str, Dataset], list[Fault]]:
    """The splits that can be read, and what is wrong with all of them."""
    parts: dict[str, Dataset] = {}
    found: list[Any] = []
    for name in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SightlineWarning)
                part = open_dataset(root, name, annotations, images, "skip", format)
        except AnnotationError as error:
            found += error.faults or [_as_fault(error, root)]
        except DatasetError as error:
            if error.code in FATAL:
                raise
            found += [_as_fault(error, root), *error.faults]
        else:
            parts[name or ALL] = part
            found += [*part.skipped, *part.repaired, *part.notes]
    return parts, found


def _names(root: Path, format: str | None) -> Sequence[str | None]:
    """The splits to look at; None stands for all there is."""
    try:
        return splits(root, format) or (None,)
    except AnnotationError:  # opening it meets the same fault, and tells of it
        return (None,)


def _as_fault(error: SightlineError, root: Path) -> Fault:
    return Fault(error.code, error.message, error.path or str(root), error.pointer, error.hint)
