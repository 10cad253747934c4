"""COCO's JSON: read strictly, and written.

Category ids may have gaps, any order, or be text: classes are sorted by id and become 0 … K−1;
ids that are no numbers are replaced by 1 … K in `category_ids`. Images without objects stay.
Missing `iscrowd` is 0, a missing `area` is computed from the mask, else the box; missing sizes come
from the image's header. Boxes are cut at the image's edge. `[]` and null mean "no mask".
"""

from pathlib import Path
from typing import Any

from sightline.data.checks import Checks, OnBad, is_id
from sightline.data.coco_categories import Categories, read_categories
from sightline.data.coco_export import to_coco, write_coco
from sightline.data.coco_images import Listed, read_images, rows_of
from sightline.data.coco_layout import CocoSource
from sightline.data.coco_objects import Place, gather, parse_row
from sightline.data.reading import parse_json
from sightline.data.records import Dataset, Example
from sightline.data.upright import settle
from sightline.errors import AnnotationError

__all__ = ["CocoSource", "read_coco", "to_coco", "write_coco"]

SECTIONS = "a COCO file has images, annotations and categories"

MENDS = {
    "keypoints.count": "correct the number, or leave it out",
    "box.swapped": "write the upper left corner first",
    "area": "leave it out, or compute it anew",
}


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
    categories = read_categories(rows_of(labels, "categories", report), *report)
    listed, lost = read_images(labels, source, report)
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
    place = (source.root, source.split)
    return checks.dataset(upright, categories.names, place, bones, categories.ids)


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


def _largest_id(rows: list[Any]) -> int:
    """The largest id that is a number: those above it are free."""
    keys = (row.get("id") for row in rows if isinstance(row, dict))
    return max((key for key in keys if type(key) is int and abs(key) < 2**62), default=0)


def _annotations(
    labels: dict[str, Any],
    listed: dict[int | str, Listed],
    categories: Categories,
    report: tuple[Checks, Path],
) -> None:
    """Hand every annotation to its image; each is told of all that is wrong with it."""
    checks, path = report
    ids: set[int | str] = set()
    free = _largest_id(labels["annotations"]) if checks.fixing else 0
    for i, row in rows_of(labels, "annotations", report):
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
    row: dict[str, Any], listed: dict[int | str, Listed], errors: list[AnnotationError]
) -> Listed | None:
    key = row.get("image_id")
    if is_id(key) and key in listed:
        return listed[key]
    message = f"there is no image with the id {str(key)[:80]!r}"
    hint = "list the image, or delete the annotation"
    errors.append(AnnotationError(message, code="annotation.image", hint=hint))
    return None


def _label_of(row: dict[str, Any], categories: Categories, errors: list[AnnotationError]) -> int:
    key = row.get("category_id")
    if is_id(key) and key in categories.index:
        return categories.index[key]
    if not categories.index:
        return 0  # that there are no categories has been told
    message = f"there is no category with the id {str(key)[:80]!r}"
    hint = "list the category, or correct the id"
    errors.append(AnnotationError(message, code="annotation.category", hint=hint))
    return 0
