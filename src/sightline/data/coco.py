"""COCO's JSON: read strictly, and written.

Category ids may have gaps, any order, or be text: classes are sorted by id and become 0 … K−1;
ids that are no numbers are replaced by 1 … K in `category_ids`. Images without objects stay.
Missing `iscrowd` is 0, a missing `area` is computed from the mask, else the box; missing sizes come
from the image's header. Boxes are cut at the image's edge. `[]` and null mean "no mask".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline import images as pictures
from sightline.data.checks import Checks, OnBad, is_id, is_number
from sightline.data.coco_categories import Categories, Rows, read_categories
from sightline.data.coco_export import to_coco, write_coco
from sightline.data.coco_layout import CocoSource, image_folder
from sightline.data.coco_objects import Place, Row, gather, parse_row
from sightline.data.reading import contained, is_file, parse_json
from sightline.data.records import Dataset, Example
from sightline.data.upright import settle
from sightline.errors import AnnotationError, DatasetError, ImageError
from sightline.types import Size

__all__ = ["CocoSource", "read_coco", "to_coco", "write_coco"]

LARGEST = 1 << 28
"""Pixels that an image may have: a mask of it is as many bytes."""

SECTIONS = "a COCO file has images, annotations and categories"

MENDS = {
    "keypoints.count": "correct the number, or leave it out",
    "box.swapped": "write the upper left corner first",
    "area": "leave it out, or compute it anew",
}


@dataclass
class _Image:
    path: Path
    image_id: int | str
    size: Size
    rows: list[Row]


def read_coco(source: CocoSource, on_bad: OnBad = "error") -> Dataset:
    """The data set of one COCO file.

    AnnotationError with every fault, its JSON pointer and annotation id; with `on_bad="skip"` bad
    annotations, and images that are missing, are dropped and told in `skipped`. Faults of the
    file's text and of its categories are raised in any case, with all others.
    """
    path = source.annotations
    checks = Checks(on_bad)
    report = (checks, path)
    labels = _sections(report)
    categories = read_categories(_rows(labels, "categories", report), *report)
    listed, lost = _images(labels, source, report)
    _annotations(labels, listed, categories, report)
    if lost is not None:
        lost.faults = tuple(checks.faults)
        raise lost
    with_points = any(row.keypoints is not None for item in listed.values() for row in item.rows)
    bones = categories.skeleton if with_points else None
    examples = [
        Example(item.path, item.image_id, item.size, gather(item.rows, bones))
        for item in listed.values()
        if item.path.parts
    ]
    upright = settle(examples, checks)
    return Dataset(
        examples=upright,
        classes=categories.names,
        category_ids=categories.ids,
        skeleton=bones,
        name=source.root.name,
        root=source.root,
        split=source.split,
        skipped=checks.finish(),
        repaired=tuple(checks.repaired),
        notes=tuple(checks.notes),
    )


def _sections(report: tuple[Checks, Path]) -> dict[str, Any]:
    """The file's data, in which the three lists are; AnnotationError where one is not."""
    checks, path = report
    labels, odd = parse_json(path)
    for fault in odd:
        checks.ruin(fault.error(), path, None)
    if not isinstance(labels, dict):
        text = "the file holds no JSON object"
        error = AnnotationError(text, code="json.object", hint=SECTIONS)
        checks.ruin(error, path, None)
        labels = {}
    else:
        for key in ("images", "annotations", "categories"):
            if not isinstance(labels.get(key), list):
                text = f"there is no list {key!r}"
                error = AnnotationError(text, code="json.missing_key", hint=SECTIONS)
                checks.ruin(error, path, f"/{key}")
    if any(fault.code in ("json.object", "json.missing_key") for fault in checks.faults):
        checks.finish()
    return labels


def _rows(labels: dict[str, Any], key: str, report: tuple[Checks, Path]) -> Rows:
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


def _images(
    labels: dict[str, Any], source: CocoSource, report: tuple[Checks, Path]
) -> tuple[dict[int | str, _Image], DatasetError | None]:
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
    listed: dict[int | str, _Image] = {}
    files: set[Path] = set()
    for i, row in _rows(labels, "images", report):
        key, pointer = row.get("id"), f"/images/{i}"
        if not is_id(key):
            hint = "number the images, and name these numbers in the annotations"
            checks.add("image.id", f"{key!r} is no image id", path, pointer, hint)
            continue
        if key in listed:
            hint = "give each an id of its own; whose are the annotations?"
            checks.add("image.duplicate_id", f"two images have the id {key!r}", path, pointer, hint)
            continue
        listed[key] = image = _Image(Path(), key, (0, 0), [])
        try:
            image.size = _said_size(row)
            if lost is None:
                image.path = _file(row, folder, files)
                image.size = _true_size(image)
        except AnnotationError as error:
            image.path = Path()
            checks.add_error(error, path, f"{pointer} (id {key})", key)
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
            f"the image {row['file_name']!r} is not in {folder}",
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


def _true_size(image: _Image) -> Size:
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


def _largest_id(rows: list[Any]) -> int:
    """The largest id that is a number: those above it are free."""
    keys = (row.get("id") for row in rows if isinstance(row, dict))
    return max((key for key in keys if type(key) is int and abs(key) < 2**62), default=0)


def _annotations(
    labels: dict[str, Any],
    listed: dict[int | str, _Image],
    categories: Categories,
    report: tuple[Checks, Path],
) -> None:
    """Hand every annotation to its image; each is told of all that is wrong with it."""
    checks, path = report
    ids: set[int | str] = set()
    free = _largest_id(labels["annotations"]) if checks.fixing else 0
    for i, row in _rows(labels, "annotations", report):
        key = row.get("id", i + 1)
        errors: list[AnnotationError] = []
        if not is_id(key) or key in ids:
            code = "annotation.duplicate_id" if is_id(key) else "annotation.id"
            message, hint = f"{key!r} is not an id of its own", "number them anew"
            if checks.fixing:
                checks.repair(code, f"{message}: numbered anew", path, f"/annotations/{i}")
                key = free = free + 1
            else:
                errors.append(AnnotationError(message, code=code, hint=hint))
        if is_id(key):
            ids.add(key)
        number = key if isinstance(key, int) else i + 1
        image = _image_of(row, listed, errors)
        label = _label_of(row, categories, errors)
        size = (0, 0) if image is None else image.size
        item, excess = None, 0.0
        if size != (0, 0):
            place = Place(label, number, size, categories.points, checks.fixing)
            item, excess = parse_row(row, place, errors)
        own = key if is_id(key) else None
        pointer = f"/annotations/{i} (id {key})"
        for error in errors:
            checks.add_error(error, path, pointer, own)
        if item is None or errors or image is None or not image.path.parts:
            continue
        image.rows.append(item)
        for code, message in item.mends:
            checks.repair(code, message, path, pointer, MENDS.get(code), own)
        checks.clipped(excess, path, pointer, own)


def _image_of(
    row: dict[str, Any], listed: dict[int | str, _Image], errors: list[AnnotationError]
) -> _Image | None:
    key = row.get("image_id")
    if is_id(key) and key in listed:
        return listed[key]
    message = f"there is no image with the id {key!r}"
    hint = "list the image, or delete the annotation"
    errors.append(AnnotationError(message, code="annotation.image", hint=hint))
    return None


def _label_of(row: dict[str, Any], categories: Categories, errors: list[AnnotationError]) -> int:
    key = row.get("category_id")
    if is_id(key) and key in categories.index:
        return categories.index[key]
    message = f"there is no category with the id {key!r}"
    hint = "list the category, or correct the id"
    errors.append(AnnotationError(message, code="annotation.category", hint=hint))
    return 0
