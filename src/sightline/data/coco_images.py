"""The images that a COCO file lists: their files and sizes, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.data.checks import Checks, is_id
from sightline.data.coco_categories import Rows
from sightline.data.coco_layout import CocoSource, image_folder
from sightline.data.coco_objects import Row
from sightline.data.reading import contained, is_file
from sightline.data.sizes import LARGEST, image_size, said_size
from sightline.errors import AnnotationError, DatasetError
from sightline.types import Size


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
            said = said_size(row.get("height"), row.get("width"))
            image.size = said or (0, 0)
            if lost is None:
                image.path = _file(row, folder, files)
                image.size = image_size(said, image.path)
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
