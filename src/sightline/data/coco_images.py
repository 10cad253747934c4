"""The images that a COCO file lists: their files and sizes, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline import images as pictures
from sightline.data.checks import Checks, is_id, is_number
from sightline.data.coco_categories import Rows
from sightline.data.coco_layout import CocoSource, image_folder
from sightline.data.coco_objects import Row
from sightline.data.reading import contained, is_file
from sightline.errors import AnnotationError, DatasetError, ImageError
from sightline.types import Size

LARGEST = 1 << 28
"""Pixels that an image may have: a mask of it is as many bytes."""


@dataclass
class Listed:
    """An image of the file, and its objects; the path is empty where it is to be dropped."""

    path: Path
    image_id: int | str
    size: Size
    rows: list[Row]


def rows_of(labels: dict[str, Any], key: str, report: tuple[Checks, Path]) -> Rows:
    """The entries of a list with their places; those that are no objects are faults.

    Each is given away as it is read, so that a large file is not in memory twice.
    """
    checks, path = report
    rows = labels[key]
    for i, row in enumerate(rows):
        rows[i] = None
        if isinstance(row, dict):
            yield i, row
            continue
        place = f"/{key}/{i}"
        error = AnnotationError(
            "no JSON object", code="json.object", hint="write {…}, or delete it"
        )
        if key == "categories":
            checks.ruin(error, path, place)
        else:
            checks.add_error(error, path, place)


def read_images(
    labels: dict[str, Any], source: CocoSource, report: tuple[Checks, Path]
) -> tuple[dict[int | str, Listed], DatasetError | None]:
    """The listed images by id, and the error where their folder is nowhere.

    A faulty one keeps its id with an empty path, to be dropped; and its size, where it has one, so
    that its annotations can be checked.
    """
    checks, path = report
    names = [row.get("file_name") for row in labels["images"] if isinstance(row, dict)]
    folder, lost = Path(), None
    try:
        folder = image_folder(source, [name for name in names if isinstance(name, str)])
    except DatasetError as error:
        lost = error
    listed: dict[int | str, Listed] = {}
    files: set[Path] = set()
    for i, row in rows_of(labels, "images", report):
        key, pointer = row.get("id"), f"/images/{i}"
        if not is_id(key):
            hint = "number the images, and name these numbers in the annotations"
            checks.add("image.id", f"{key!r} is no image id", path, pointer, hint)
            continue
        if key in listed:
            hint = "give each an id of its own; whose are the annotations?"
            checks.add("image.duplicate_id", f"two images have the id {key!r}", path, pointer, hint)
            continue
        listed[key] = image = Listed(Path(), key, (0, 0), [])
        try:
            image.size = _said_size(row)
            if lost is None:
                image.path = _file(row, folder, files)
                image.size = _true_size(image)
        except AnnotationError as error:
            image.path = Path()
            checks.add_error(error, path, f"{pointer} (id {key})", key)
        if not image.path.parts and image.size[0] * image.size[1] > LARGEST:
            image.size = (0, 0)
    return listed, lost


def _file(row: dict[str, Any], folder: Path, files: set[Path]) -> Path:
    """The image's path, which is added to `files`, none of which may be named twice."""
    path = contained(folder, row.get("file_name"))
    if path in files:
        raise AnnotationError(
            "two images have one file",
            code="image.duplicate_file",
            hint="join the two: one image, all its annotations",
        )
    files.add(path)
    if not is_file(path):
        raise AnnotationError(
            f"the image {row['file_name'][:80]!r} is not in {folder}",
            code="image.missing",
            hint="put it there, or name the folder with images=… (--images DIR)",
        )
    return path


def _said_size(row: dict[str, Any]) -> Size:
    """The size that the file gives, (0, 0) where it gives none."""
    height, width = row.get("height"), row.get("width")
    if height is None and width is None:
        return 0, 0
    sides = []
    for side in (height, width):
        if not is_number(side) or side < 1 or side != int(side):
            raise AnnotationError(
                f"{str(width)[:40]} × {str(height)[:40]} is no image size",
                code="image.size",
                hint="write the image's width and height, or leave both out",
            )
        sides.append(int(side))
    return sides[0], sides[1]


def _true_size(image: Listed) -> Size:
    """The size that was given, else the header's; a mask of that size must fit into memory."""
    size = image.size
    if size == (0, 0) or size[0] * size[1] > LARGEST:
        try:
            size = pictures.read_size(image.path)
        except ImageError as error:
            raise AnnotationError(error.message, code=error.code, hint=error.hint) from error
    if size[0] * size[1] > LARGEST:
        raise AnnotationError(
            f"{size[1]} × {size[0]} pixels are more than {LARGEST:,}",
            code="image.too_many_pixels",
            hint="cut the image up first",
        )
    if image.size not in ((0, 0), size, size[::-1]):
        raise AnnotationError(
            f"the labels speak of {image.size[1]} × {image.size[0]} pixels, "
            f"the image has {size[1]} × {size[0]}",
            code="image.size",
            hint="were the images resized, or exchanged, after labelling?",
        )
    return size if image.size == (0, 0) else image.size
