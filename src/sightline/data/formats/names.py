"""Names and skeletons that a format cannot write, refused before anything is written.

Every function raises DatasetError `convert.name` with the name and its data set, but for
`check_skeletons`.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from sightline.data.formats.plan import Part
from sightline.data.reading import contained
from sightline.errors import AnnotationError, DatasetError

NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write (§2.2), and the return, which its readers change."""


def _refuse(message: str, root: Path, hint: str = "rename it") -> DatasetError:
    return DatasetError(message, code="convert.name", path=root, hint=hint)


def check_readable(parts: Sequence[Part]) -> None:
    """For every format: names that are no Unicode (half a surrogate pair out of JSON, a file name
    in another encoding), and images called as no label file could call them.
    """
    for part in parts:
        root = part.dataset.root
        points = () if part.dataset.skeleton is None else part.dataset.skeleton.points
        for name in (*part.names, *part.dataset.classes, *points, part.split or ""):
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise _refuse(f"the name {name!r} cannot be written as UTF-8", root) from error
        for name in part.names:
            try:
                contained(root, name)
            except AnnotationError as error:
                raise _refuse(f"the image {name!r}: {error.message}", root) from error
            if "\\" in name:
                raise _refuse(f"{name!r} has a backslash, which parts folders elsewhere", root)


def check_hidden(parts: Sequence[Part]) -> None:
    """For formats whose images are found by looking: hidden files are not looked at."""
    for part in parts:
        for name in part.names:
            if name.startswith("."):
                raise _refuse(f"the image {name!r} is a hidden file", part.dataset.root)


def check_blanks(parts: Sequence[Part]) -> None:
    """For formats whose readers take blanks away: classes that begin or end with one."""
    for part in parts:
        for name in part.dataset.classes:
            if name != name.strip():
                raise _refuse(
                    f"the name of the class {name!r} begins or ends with a blank",
                    part.dataset.root,
                )


def check_yolo(parts: Sequence[Part]) -> None:
    """Hidden images, blanks around classes, and keypoints that differ."""
    check_hidden(parts)
    check_blanks(parts)
    check_skeletons(parts)


def check_xml(parts: Sequence[Part]) -> None:
    """Characters that XML cannot hold."""
    for part in parts:
        points = () if part.dataset.skeleton is None else part.dataset.skeleton.points
        for name in (*part.names, *part.dataset.classes, *points, part.split or ""):
            if NOT_XML.search(name):
                raise _refuse(
                    f"XML cannot hold the characters of {name!r}",
                    part.dataset.root,
                    "rename it, or choose another format",
                )


def check_voc(parts: Sequence[Part]) -> None:
    """Blanks in the lists of splits and around classes, and characters that XML cannot hold."""
    check_blanks(parts)
    for part in parts:
        root = part.dataset.root
        spaced = next((name for name in part.names if name.split() != [name]), None)
        if part.split is not None and spaced is not None:
            raise _refuse(
                f"VOC's list of the split {part.split!r} cannot hold the file name {spaced!r}: "
                "it has spaces",
                root,
                "rename the image, or convert a data set without splits",
            )
    check_xml(parts)


def check_skeletons(parts: Sequence[Part]) -> None:
    """DatasetError `convert.skeleton` where the splits have different keypoints: for formats that
    hold one skeleton for all.
    """
    first = parts[0].dataset
    if any(part.dataset.skeleton != first.skeleton for part in parts):
        raise DatasetError(
            "the splits have different keypoints",
            code="convert.skeleton",
            path=first.root,
            hint="convert one split at a time with --split",
        )
