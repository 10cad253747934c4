"""The categories of a COCO file: its classes, and the skeleton of their keypoints.

Whatever is wrong here makes the whole file unusable. All of it is told, and reading goes on with
what can be made of it, to find the faults of images and annotations too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from sightline.data.checks import Checks, is_id
from sightline.data.records import Skeleton
from sightline.errors import AnnotationError, DatasetError
from sightline.skeletons import skeleton

Rows = Iterator[tuple[int, dict[str, Any]]]
"""The entries of a list with their places in it."""

HINTS = {
    "category.none": "list the classes under categories, each with id and name",
    "category.id": "give every category a number of its own",
    "category.name": "give every category a name",
    "category.duplicate_id": "number the categories anew, and their annotations with them",
    "category.duplicate_name": "join the two, or rename one",
    "skeleton.format": "write the points' names, and limbs as [1, 2]",
    "skeleton.limbs": "limbs are pairs of the points' numbers, counted from 1",
    "skeleton.flips": "give every keypoint a name of its own",
    "skeleton.many": "give both the same keypoints, or split the file",
}


@dataclass(frozen=True)
class Categories:
    """The classes in the order of their ids; `index` leads from the file's id to the class.

    `points` is how many keypoints a class has, None where the skeleton is at fault.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]
    index: dict[int | str, int]
    skeleton: Skeleton | None
    points: int | None


class _Report:
    """Faults of categories, told with their places."""

    def __init__(self, checks: Checks, path: Path) -> None:
        self.checks, self.path = checks, path

    def __call__(self, code: str, message: str, i: int | None, key: object = None) -> None:
        error = AnnotationError(message, code=code, hint=HINTS.get(code))
        place = "/categories" if i is None else f"/categories/{i}"
        known = f" (id {key})" if is_id(key) else ""
        self.checks.ruin(error, self.path, place + known)


def read_categories(rows: Rows, checks: Checks, path: Path) -> Categories:
    """The classes, every fault told to `checks` as one of the whole file."""
    report = _Report(checks, path)
    names: dict[int | str, str] = {}
    taken: set[str] = set()
    bones: list[Skeleton] = []
    flawed = False
    count = 0
    for i, row in rows:
        key, name, count = row.get("id"), row.get("name"), count + 1
        if is_id(key) and key in names:
            report("category.duplicate_id", f"two categories have the id {key!r}", i, key)
            continue
        if not is_id(key):
            report("category.id", f"{str(key)[:40]!r} is no category id", i)
        if not _is_name(name):
            report("category.name", f"{str(name)[:40]!r} is no class name", i, key)
            name = f"\0{i}"  # stands for the class while the rest is read
        elif name in taken:
            report("category.duplicate_name", f"two categories are called {name!r}", i, key)
        taken.add(str(name))
        if is_id(key):
            names[key] = str(name)
        if row.get("keypoints"):
            flawed = not _add_skeleton(row, bones, (report, i)) or flawed
    if not count:
        report("category.none", "there are no categories", None)
    numeric = all(isinstance(key, int) for key in names)
    if not numeric and any(isinstance(key, int) for key in names):
        report("category.id", "category ids are partly numbers and partly text", None)
    order = sorted(names, key=lambda key: (isinstance(key, str), key))
    ids = tuple(order) if numeric else tuple(range(1, len(order) + 1))
    return Categories(
        names=tuple(names[key] for key in order),
        ids=ids,  # type: ignore[arg-type]
        index={key: i for i, key in enumerate(order)},
        skeleton=bones[0] if bones else None,
        points=None if flawed else len(bones[0].points) if bones else 0,
    )


def _is_name(name: object) -> TypeGuard[str]:
    """Whether a value is a name that can be shown: text that is not empty, without half letters."""
    if not isinstance(name, str) or not name.strip():
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _add_skeleton(row: dict[str, Any], found: list[Skeleton], place: tuple[_Report, int]) -> bool:
    """Whether a category's keypoints and limbs, counted from 0, are sound and those of the others;
    if so they are added to `found`."""
    report, i = place
    points, limbs = row["keypoints"], row.get("skeleton")
    limbs = [] if limbs is None else limbs
    fine = isinstance(points, list) and all(map(_is_name, points))
    fine = fine and isinstance(limbs, list)
    fine = fine and all(
        isinstance(limb, list) and len(limb) == 2 and all(type(end) is int for end in limb)
        for limb in limbs
    )
    if not fine:
        report("skeleton.format", "keypoints are names, a skeleton pairs of numbers", i)
        return False
    try:
        found.append(skeleton(points, [(a - 1, b - 1) for a, b in limbs]))
    except DatasetError as error:
        report(error.code, error.message, i)
        return False
    if found[-1] != found[0]:
        report("skeleton.many", "two categories have different keypoints", i)
        return False
    return True
