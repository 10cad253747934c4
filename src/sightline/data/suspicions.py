"""What is suspect in labels that can be read: rules over whole data sets, nothing is decoded.

A rule takes the splits of a data set by name and gives a `Fault` for every place; the labels are
used as they are all the same. Reading itself (`coco`, `voc`, `yolo`) finds what cannot be used.
"""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sightline.data.reading import is_image_name
from sightline.data.records import Dataset, Fault, Severity
from sightline.data.split_names import APART
from sightline.data.suspect_objects import (
    Splits,
    every_example,
    keypoints_astray,
    masks_astray,
    objects_in_one_cell,
    repeated_objects,
    wrong_areas,
)

Rule = Callable[[Splits], list[Fault]]

LEAVING = 0.3
"""The share of boxes that leave their image from which on their format is doubted."""

FORMULA_OR_PAGE = re.compile(r"^[=+\-@]|[<>]")
"""Names that a spreadsheet runs, or that a page takes for its own text."""

LONGEST = 100
"""Characters of a class name that tables and pictures have room for."""

SHOWN = 20
"""Files named one by one where thousands may break one rule; the rest are counted."""


def _of_split(code: str, message: str, dataset: Dataset, hint: str, severity: Severity) -> Fault:
    pointer = None if dataset.split is None else f"split {dataset.split}"
    return Fault(code, message, str(dataset.root), pointer, hint, severity)


def no_objects(splits: Splits) -> list[Fault]:
    """A split in which nothing is labelled at all: nothing can be learnt or measured."""
    return [
        _of_split(
            "dataset.no_objects",
            f"none of its {len(dataset)} images has an object",
            dataset,
            "is the label folder where it belongs, and are the files named like the images?",
            "error",
        )
        for dataset in splits.values()
        if len(dataset) and not any(len(example.objects) for example in dataset)
    ]


def classes_differ(splits: Splits) -> list[Fault]:
    """Splits whose lists of classes are not the same."""
    names = list(splits)
    answer = []
    for name in names[1:]:
        first, other = splits[names[0]], splits[name]
        if first.classes != other.classes:
            only = [c for c in first.classes if c not in other.classes]
            more = [c for c in other.classes if c not in first.classes]
            text = f"only in {names[0]}: {only[:5]}; only in {name}: {more[:5]}"
            if not only and not more:
                text = "the same names in another order"
            hint = "give every split the same classes in the same order"
            message = f"{names[0]} and {name} have different classes ({text})"
            answer.append(_of_split("dataset.classes", message, other, hint, "error"))
    return answer


def unused_classes(splits: Splits) -> list[Fault]:
    """Classes without an object in a split: nothing is learnt of them, or their AP is null."""
    answer = []
    for dataset in splits.values():
        counts = class_counts(dataset)
        unused = [name for name, count in counts.items() if not count]
        if unused and len(unused) < len(counts):
            more = f" and {len(unused) - SHOWN} more" if len(unused) > SHOWN else ""
            message = f"no object of {', '.join(unused[:SHOWN])}{more}"
            hint = "label some, or take them out of the classes"
            answer.append(_of_split("category.unused", message, dataset, hint, "warning"))
    return answer


def class_counts(dataset: Dataset) -> dict[str, int]:
    """How many objects each class has, crowds not counted."""
    counts: Counter[int] = Counter()
    for example in dataset:
        counts.update(example.objects.labels[~example.objects.crowd].tolist())
    return {name: counts[i] for i, name in enumerate(dataset.classes)}


def listed_twice(splits: Splits) -> list[Fault]:
    """Images that two splits list, unless one split is the other and more (VOC's trainval)."""
    answer = []
    members = {name: {e.path for e in dataset} for name, dataset in splits.items()}
    for one, other in itertools.combinations(members, 2):
        shared = members[one] & members[other]
        pairs = ((one, other), (other, one))
        whole = any(a not in APART and members[a] >= members[b] for a, b in pairs)
        if not shared or whole:
            continue
        first = min(shared).name
        message = f"{len(shared)} images are in {one} and in {other}: {first} is one"
        hint = "keep each in one split: a test image must be new"
        answer.append(_of_split("image.leak", message, splits[other], hint, "warning"))
    return answer


def strange_names(splits: Splits) -> list[Fault]:
    """Names that break tables, terminals or pages: control characters, formulas, mark-up."""
    answer = []
    for dataset in list(splits.values())[:1]:
        for name in dataset.classes:
            strange = not name.isprintable() or name != name.strip() or len(name) > LONGEST
            if strange or FORMULA_OR_PAGE.search(name):
                message = f"others trip over the characters or the length of {name[:LONGEST]!r}"
                hint = "it is escaped wherever it is shown; a plain name is safer"
                fault = _of_split("category.characters", message, dataset, hint, "warning")
                answer.append(fault)
    return answer


def names_alike(splits: Splits) -> list[Fault]:
    """Classes whose names differ in nothing but case, spaces, or how accents are stored."""
    answer = []
    for dataset in list(splits.values())[:1]:
        first: dict[str, str] = {}
        for name in dataset.classes:
            key = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
            if key in first:
                message = f"the classes {first[key]!r} and {name!r} are hard to tell apart"
                hint = "if they are one class, write it in one way"
                answer.append(_of_split("category.alike", message, dataset, hint, "warning"))
            first.setdefault(key, name)
    return answer


def corners_for_sides(splits: Splits) -> list[Fault]:
    """Many boxes that reach out of their images: x2, y2 where width and height belong."""
    answer = []
    for dataset in splits.values():
        codes = ("box.clipped", "box.outside")
        leaving = sum(fault.code in codes for fault in (*dataset.repaired, *dataset.skipped))
        lost = sum(fault.code == "box.outside" for fault in dataset.skipped)
        total = sum(len(example.objects) for example in dataset) + lost
        if leaving >= 5 and leaving > LEAVING * total:
            message = f"{leaving} of {total} boxes leave their image"
            hint = "do corners stand where x, y, width, height are expected, or pixels for shares?"
            answer.append(_of_split("box.corners", message, dataset, hint, "warning"))
    return answer


def unlisted(splits: Splits) -> list[Fault]:
    """Images that lie beside the labelled ones and that no label file names."""
    listed = {example.path for example in every_example(splits)}
    for dataset in splits.values():  # what was dropped for a fault has been told of already
        listed |= {Path(fault.path) for fault in dataset.skipped}
    answer = []
    for folder in sorted({path.parent for path in listed if is_image_name(path)}):
        other = [p for p in sorted(folder.iterdir()) if is_image_name(p) and p not in listed]
        hint = "they are not used; list them if they should be"
        for path in other[:SHOWN]:
            message = "no label file names this image"
            answer.append(Fault("image.unlisted", message, str(path), None, hint, "note"))
        if len(other) > SHOWN:
            message = f"{len(other) - SHOWN} more images that no label file names"
            answer.append(Fault("image.unlisted", message, str(folder), None, hint, "note"))
    return answer


RULES: tuple[Rule, ...] = (
    no_objects,
    classes_differ,
    unused_classes,
    strange_names,
    names_alike,
    corners_for_sides,
    listed_twice,
    repeated_objects,
    objects_in_one_cell,
    masks_astray,
    wrong_areas,
    keypoints_astray,
    unlisted,
)
"""Every rule, in the order in which they are told."""
