"""Open a folder of labelled images, whatever format it is in.

| format | recognised by |
|---|---|
| COCO | `annotations/instances_{split}.json`, or Roboflow's `_annotations.coco.json` |
| Pascal VOC | `Annotations/*.xml`, with `ImageSets/Main/{split}.txt` and `JPEGImages/` |
| YOLO | `data.yaml` that names the classes, with `images/` and `labels/` |
| plain CSV | `labels.csv` or `annotations.csv`, with `images/` |

Splits are never guessed: without one, all images are taken; training takes "train", evaluation
"val" (`default_split`). "val", "valid" and "validation" are one split.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.checks import OnBad
from sightline.data.coco import read_coco
from sightline.data.coco_layout import CocoSource, coco_files
from sightline.data.formats.plain_csv import find_csv, read_csv
from sightline.data.reading import list_folder, packed, refuse_file
from sightline.data.records import Dataset, Example
from sightline.data.voc import read_voc, voc_splits
from sightline.data.yolo import read_yolo
from sightline.data.yolo_yaml import find_yaml, yolo_splits
from sightline.errors import AnnotationError, DatasetError

SAME = (("val", "valid", "validation", "val2017"), ("train", "training", "train2017"), ("test",))
"""Names that mean one split."""


def open_dataset(
    folder: Path | str,
    split: str | None = None,
    annotations: Path | str | None = None,
    images: Path | str | None = None,
    on_bad: OnBad = "error",
) -> Dataset:
    """The labelled images of a folder in COCO's, Pascal VOC's or YOLO's format, or CSV.

    `split` is one of `splits(folder)`; without it all of them are taken together. `annotations`
    names a COCO file and `images` its folder of images, where they are not in the usual places;
    `folder` may also be a COCO file or a `data.yaml` itself.

    AnnotationError tells every fault of the labels, or with `on_bad="skip"` what is bad is dropped,
    counted in one warning and kept in `skipped`. DatasetError where the folder cannot be
    recognised, has no such split, or nothing in it. Every image's header is read, none is decoded.
    """
    root, annotations = _entrance(Path(folder), annotations)
    if annotations is not None and Path(annotations).suffix == ".json":
        place = None if images is None else Path(images)
        dataset = read_coco(CocoSource(Path(annotations), place, root, split), on_bad)
    elif annotations is not None:
        dataset = _open_yaml(Path(annotations), split, on_bad)
    else:
        dataset = _open_folder(root, split, images, on_bad)
    if not dataset.examples:
        empty = DatasetError("there are no images in it", code="dataset.empty", path=root)
        empty.faults = dataset.skipped
        raise empty
    return dataset


def splits(folder: Path | str) -> tuple[str, ...]:
    """The names of a folder's splits, train first; none where its images are not divided."""
    root = _entrance(Path(folder), None)[0]
    kind = _recognise(root)
    if kind == "coco":
        return tuple(name for name in coco_files(root) if name is not None)
    if kind == "voc":
        return voc_splits(root)
    yaml = None if kind == "csv" else find_yaml(root)
    return () if yaml is None else yolo_splits(yaml)


def default_split(folder: Path | str, wanted: str) -> str | None:
    """The split to take where the user names none: `wanted` ("train", "val") under the name it has
    in this folder; None, all of it, for a folder without splits.
    """
    known = splits(folder)
    return _existing(wanted, known, Path(folder)) if known else None


def _entrance(path: Path, annotations: Path | str | None) -> tuple[Path, Path | None]:
    """The data set's folder, and the label file where one is named."""
    if annotations is not None:
        file = Path(annotations)
        if not file.is_file() and (path / file).is_file():
            file = path / file
        if not file.is_file():
            raise AnnotationError("there is no such file", code="file.not_found", path=file)
        return path, file
    if path.is_dir():
        return path, None
    if path.is_file() and path.suffix in (".json", ".yaml", ".yml"):
        up = path.parent.name == "annotations"
        return path.parent.parent if up else path.parent, path
    refuse_file(path)
    raise DatasetError(
        "there is no such data set",
        code="dataset.missing",
        path=path,
        hint="name a folder, a COCO file or a data.yaml",
    )


def _recognise(root: Path) -> str:
    if coco_files(root):
        return "coco"
    if any(path.suffix == ".xml" for path in list_folder(root / "Annotations")):
        return "voc"
    if find_yaml(root) is not None:
        return "yolo"
    if find_csv(root) is not None:
        return "csv"
    if packed(root):
        refuse_file(packed(root)[0])
    raise DatasetError(
        "the folder is in none of the formats known",
        code="dataset.unknown",
        path=root,
        hint="COCO: annotations/instances_train.json; Pascal VOC: Annotations/*.xml; "
        "YOLO: data.yaml; CSV: labels.csv. "
        "Or name a COCO file with annotations=… (--annotations FILE)",
    )


def _existing(split: str, known: Sequence[str], folder: Path) -> str:
    """The name that a split has among those known; DatasetError where there is none."""
    same: tuple[str, ...] = next((group for group in SAME if split in group), (split,))
    for name in (split, *same):
        if name in known:
            return name
    raise DatasetError(
        f"there is no split {split!r}",
        code="dataset.split",
        path=folder,
        hint=f"it has {', '.join(known)}" if known else "it has no splits: leave the split away",
    )


def _open_yaml(path: Path, split: str | None, on_bad: OnBad) -> Dataset:
    name = None if split is None else _existing(split, yolo_splits(path), path)
    return read_yolo(path, name, on_bad)


def _open_folder(
    root: Path, split: str | None, images: Path | str | None, on_bad: OnBad
) -> Dataset:
    kind = _recognise(root)
    name = None if split is None else _existing(split, splits(root), root)
    if kind == "voc":
        return read_voc(root, name, on_bad)
    if kind == "csv":
        return read_csv(find_csv(root) or root / "labels.csv", on_bad)
    if kind == "yolo":
        return _open_yaml(find_yaml(root) or root / "data.yaml", split, on_bad)
    place = None if images is None else Path(images)
    files = coco_files(root)
    chosen = files if name is None else {name: files[name]}
    parts = [read_coco(CocoSource(path, place, root, key), on_bad) for key, path in chosen.items()]
    return parts[0] if len(parts) == 1 else _together(parts)


def _together(parts: Sequence[Dataset]) -> Dataset:
    """Several splits as one data set; their classes and skeletons must agree."""
    first = parts[0]
    for part in parts[1:]:
        if (part.classes, part.category_ids) != (first.classes, first.category_ids):
            raise DatasetError(
                f"the splits {first.split} and {part.split} have different classes",
                code="dataset.classes",
                path=first.root,
                hint="name one split, or give both files the same categories",
            )
    paths: dict[Path, Example] = {}
    keys: set[int | str] = set()
    for example in (example for part in parts for example in part):
        if example.path in paths:
            continue
        if example.image_id in keys:
            raise DatasetError(
                f"two splits have different images with the id {example.image_id!r}",
                code="dataset.image_ids",
                path=first.root,
                hint="name one split",
            )
        keys.add(example.image_id)
        paths[example.path] = example
    return replace(
        first,
        examples=tuple(paths.values()),
        split=None,
        skipped=tuple(fault for part in parts for fault in part.skipped),
        repaired=tuple(fault for part in parts for fault in part.repaired),
        notes=tuple(fault for part in parts for fault in part.notes),
    )
