"""COCO's JSON: read strictly, and written.

Category ids may have gaps, any order, or be text: classes are sorted by id and become 0 … K−1;
ids that are no numbers are replaced by 1 … K in `category_ids`. Images without objects stay.
Missing `iscrowd` is 0, a missing `area` is computed from the mask, else the box; missing sizes come
from the image's header. Boxes are cut at the image's edge. `[]` and null mean "no mask".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from sightline.data.checks import Checks, OnBad
from sightline.data.coco_export import to_coco, write_coco
from sightline.data.coco_layout import CocoSource, image_folder
from sightline.data.coco_objects import Place, Row, gather, parse_row
from sightline.data.pages import image_size
from sightline.data.reading import contained, is_file, read_json
from sightline.data.records import Dataset, Example, Skeleton
from sightline.data.skeletons import skeleton
from sightline.data.upright import settle
from sightline.errors import AnnotationError, DatasetError
from sightline.types import Size

__all__ = ["CocoSource", "read_coco", "to_coco", "write_coco"]


@dataclass(frozen=True)
class _Categories:
    names: tuple[str, ...]
    ids: tuple[int, ...]
    index: dict[int | str, int]
    skeleton: Skeleton | None


@dataclass
class _Image:
    path: Path
    image_id: int | str
    size: Size
    rows: list[Row]


def read_coco(source: CocoSource, on_bad: OnBad = "error") -> Dataset:
    """The data set of one COCO file.

    AnnotationError with every fault, its JSON pointer and annotation id; with `on_bad="skip"` bad
    annotations, and images that are missing, are dropped and told in `skipped`.
    """
    path = source.annotations
    labels = read_json(path)
    if not isinstance(labels, dict):
        raise AnnotationError("the file holds no JSON object", code="json.object", path=path)
    parts = [_section(labels, key, path) for key in ("images", "annotations", "categories")]
    checks = Checks(on_bad)
    categories = _categories(parts[2], path)
    names = [row.get("file_name") for row in parts[0]]
    folder = image_folder(source, [name for name in names if isinstance(name, str)])
    listed = _images(parts[0], folder, (checks, path))
    _annotations(parts[1], listed, categories, (checks, path))
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


def _section(labels: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    rows = labels.get(key)
    if not isinstance(rows, list):
        raise AnnotationError(
            f"there is no list {key!r}",
            code="json.missing_key",
            path=path,
            pointer=f"/{key}",
            hint="a COCO file has images, annotations and categories",
        )
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise AnnotationError(
                "no JSON object", code="json.object", path=path, pointer=f"/{key}/{i}"
            )
    return rows


def _is_id(value: object) -> TypeGuard[int | str]:
    """Whether a value is text or a number of 64 bits (true and false are no ids)."""
    if isinstance(value, str):
        return True
    return type(value) is int and -(2**63) <= value < 2**63


def _categories(rows: list[dict[str, Any]], path: Path) -> _Categories:
    """The classes in the order of their ids; any fault here is one of the whole file."""

    def refuse(code: str, message: str, i: int) -> AnnotationError:
        return AnnotationError(message, code=code, path=path, pointer=f"/categories/{i}")

    seen: dict[int | str, str] = {}
    for i, row in enumerate(rows):
        key, name = row.get("id"), row.get("name")
        if not _is_id(key):
            raise refuse("category.id", f"{key!r} is no category id", i)
        if not isinstance(name, str) or not name.strip():
            raise refuse("category.name", f"{name!r} is no class name", i)
        if key in seen:
            raise refuse("category.duplicate_id", f"two categories have the id {key!r}", i)
        if name in seen.values():
            raise refuse("category.duplicate_name", f"two categories are called {name!r}", i)
        seen[key] = name
    if not seen:
        raise AnnotationError("there are no categories", code="category.none", path=path)
    numeric = all(isinstance(key, int) for key in seen)
    if not numeric and any(isinstance(key, int) for key in seen):
        raise refuse("category.id", "category ids are partly numbers and partly text", 0)
    order = sorted(seen, key=lambda key: (key,))
    ids = tuple(order) if numeric else tuple(range(1, len(order) + 1))
    return _Categories(
        names=tuple(seen[key] for key in order),
        ids=ids,  # type: ignore[arg-type]
        index={key: i for i, key in enumerate(order)},
        skeleton=_skeleton(rows, path),
    )


def _skeleton(rows: list[dict[str, Any]], path: Path) -> Skeleton | None:
    """The one skeleton of the file's categories, its limbs counted from 0."""
    found: list[Skeleton] = []
    for i, row in enumerate(rows):
        points, limbs = row.get("keypoints"), row.get("skeleton") or []
        if not points:
            continue
        fine = isinstance(points, list) and all(isinstance(p, str) for p in points)
        fine = fine and isinstance(limbs, list)
        fine = fine and all(
            isinstance(limb, list) and len(limb) == 2 and all(type(end) is int for end in limb)
            for limb in limbs
        )
        pointer = f"/categories/{i}"
        if not fine:
            raise AnnotationError(
                "keypoints are names, a skeleton pairs of numbers",
                code="skeleton.format",
                path=path,
                pointer=pointer,
            )
        try:
            found.append(skeleton(points, [(a - 1, b - 1) for a, b in limbs]))
        except DatasetError as error:
            raise AnnotationError(
                error.message, code=error.code, path=path, pointer=pointer
            ) from error
        if found[-1] != found[0]:
            raise AnnotationError(
                "two categories have different keypoints",
                code="skeleton.many",
                path=path,
                pointer=pointer,
            )
    return found[0] if found else None


def _images(
    rows: list[dict[str, Any]], folder: Path, report: tuple[Checks, Path]
) -> dict[int | str, _Image]:
    """The listed images by id; a faulty one keeps its id with an empty path, to be dropped."""
    checks, source = report
    listed: dict[int | str, _Image] = {}
    names: set[str] = set()
    for i, row in enumerate(rows):
        key = row.get("id")
        pointer = f"/images/{i}"
        if not _is_id(key):
            checks.add("image.id", f"{key!r} is no image id", source, pointer)
            continue
        if key in listed:
            message = f"two images have the id {key!r}"
            checks.add("image.duplicate_id", message, source, pointer)
            continue
        listed[key] = _Image(Path(), key, (0, 0), [])
        try:
            path = contained(folder, row.get("file_name"))
            if row["file_name"] in names:
                raise AnnotationError("two images have one file", code="image.duplicate_file")
            names.add(row["file_name"])
            if not is_file(path):
                raise AnnotationError(
                    f"the image {row['file_name']!r} is not in {folder}",
                    code="image.missing",
                    hint="name the folder with images=… (--images DIR)",
                )
            listed[key].size = image_size(row.get("height"), row.get("width"), path)
            listed[key].path = path
        except AnnotationError as error:
            checks.add_error(error, source, f"{pointer} (id {key})")
    return listed


def _largest_id(rows: list[dict[str, Any]]) -> int:
    """The largest id that is a number: those above it are free."""
    known = [key for row in rows if type(key := row.get("id")) is int and abs(key) < 2**62]
    return max(known, default=0)


def _annotations(
    rows: list[dict[str, Any]],
    listed: dict[int | str, _Image],
    categories: _Categories,
    report: tuple[Checks, Path],
) -> None:
    """Hand every annotation to its image."""
    checks, path = report
    ids: set[int | str] = set()
    free = _largest_id(rows) if checks.fixing else 0
    points = 0 if categories.skeleton is None else len(categories.skeleton.points)
    for i, row in enumerate(rows):
        key = row.get("id", i + 1)
        try:
            if not _is_id(key) or key in ids:
                code = "annotation.duplicate_id" if _is_id(key) else "annotation.id"
                message, hint = f"{key!r} is not an id of its own", "number them anew"
                if not checks.fixing:
                    raise AnnotationError(message, code=code, hint=hint)
                checks.repair(code, f"{message}: numbered anew", path, f"/annotations/{i}")
                free += 1
                key = free
            ids.add(key)
            image_id, category = row.get("image_id"), row.get("category_id")
            if not _is_id(image_id) or image_id not in listed:
                raise AnnotationError(
                    f"there is no image with the id {image_id!r}", code="annotation.image"
                )
            if not _is_id(category) or category not in categories.index:
                raise AnnotationError(
                    f"there is no category with the id {category!r}", code="annotation.category"
                )
            image = listed[image_id]
            if not image.path.parts:
                continue  # its image is a fault already
            number = key if isinstance(key, int) else i + 1
            place = Place(categories.index[category], number, image.size, points, checks.fixing)
            item, excess = parse_row(row, place)
            image.rows.append(item)
            for code, message in item.mends:
                checks.repair(code, message, path, f"/annotations/{i} (id {key})", id=key)
            checks.clipped(excess, path, f"/annotations/{i} (id {key})", key)
        except AnnotationError as error:
            own = key if _is_id(key) else None
            checks.add_error(error, path, f"/annotations/{i} (id {key})", own)
