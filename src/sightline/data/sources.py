"""Every format that labelled images are read from: how it is known, its splits, its reader.

A new format is one entry of `SOURCES`, and a line in the table of `sightline.data.open`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sightline.data.checks import OnBad
from sightline.data.coco import read_coco
from sightline.data.coco_layout import CocoSource, coco_files
from sightline.data.formats.cvat import FILE as CVAT_FILE
from sightline.data.formats.cvat import cvat_splits, is_cvat, read_cvat
from sightline.data.formats.open_images import BoxFile, box_files, read_open_images
from sightline.data.formats.open_images_rows import is_open_images
from sightline.data.formats.plain_csv import find_csv, read_csv
from sightline.data.json_head import json_head
from sightline.data.label_studio import is_label_studio, read_label_studio, task_files
from sightline.data.labelme import is_labelme, label_folders, read_labelme
from sightline.data.reading import list_folder
from sightline.data.records import Dataset
from sightline.data.together import together
from sightline.data.voc import read_voc, voc_splits
from sightline.data.yolo import read_yolo
from sightline.data.yolo_yaml import find_yaml, yolo_splits


@dataclass(frozen=True)
class Place:
    """Where a data set lies.

    `root` is its folder; `file` the label file, where the user named one, and `images` the folder
    of images, where the user named that. Below `unpack` images that stand inside label files are
    written; where it is None they are faults.
    """

    root: Path
    file: Path | None = None
    images: Path | None = None
    unpack: Path | None = None


@dataclass(frozen=True)
class Source:
    """How one format is read.

    `sign` says to people what a folder is known by. `found` tells whether a folder has it, `owns`
    whether a single label file is of this format; None where no file stands alone. `splits` are the
    names, train first; none where the images are not divided. `read` gets one of them, or None for
    all images. Where a named file holds one split and does not say which, `any_split` lets the user
    say it.
    """

    title: str
    sign: str
    found: Callable[[Path], bool]
    owns: Callable[[Path], bool] | None
    splits: Callable[[Place], tuple[str, ...]]
    read: Callable[[Place, str | None, OnBad], Dataset]
    any_split: bool = False


def _coco_splits(place: Place) -> tuple[str, ...]:
    if place.file is not None:
        return ()
    return tuple(name for name in coco_files(place.root) if name is not None)


def _read_coco(place: Place, split: str | None, on_bad: OnBad) -> Dataset:
    files = {split: place.file} if place.file is not None else coco_files(place.root)
    chosen = files if split is None else {split: files[split]}
    return together(
        [
            read_coco(CocoSource(path, place.images, place.root, name), on_bad)
            for name, path in chosen.items()
        ]
    )


def _owns_coco(file: Path) -> bool:
    if file.suffix.lower() != ".json":
        return False
    head = json_head(file)
    return not head.is_list and bool(head.keys & {"images", "annotations", "categories"})


def _has_voc(root: Path) -> bool:
    return any(path.suffix == ".xml" for path in list_folder(root / "Annotations"))


def _yaml(place: Place) -> Path:
    return place.file or find_yaml(place.root) or place.root / "data.yaml"


def _cvat(place: Place) -> Path:
    return place.file or place.root / CVAT_FILE


def _open_images_splits(place: Place) -> tuple[str, ...]:
    if place.file is not None:
        return ()
    return tuple(dict.fromkeys(file.split for file in box_files(place.root) if file.split))


def _read_open_images(place: Place, split: str | None, on_bad: OnBad) -> Dataset:
    files = [BoxFile.of(place.file)] if place.file is not None else box_files(place.root)
    return read_open_images(files, (place.root, place.images), split, on_bad)


def _has_csv(root: Path) -> bool:
    file = find_csv(root)
    return file is not None and not is_open_images(file)


def _read_labelme(place: Place, split: str | None, on_bad: OnBad) -> Dataset:
    return read_labelme(place.root, place.file or split, place.images, place.unpack, on_bad)


def _named(place: Place, parts: Callable[[Path], Iterable[str | None]]) -> tuple[str, ...]:
    """The names that a folder's parts have; none where one label file is read."""
    if place.file is not None:
        return ()
    return tuple(name for name in parts(place.root) if name is not None)


SOURCES = {
    "coco": Source(
        title="COCO",
        sign="annotations/instances_train.json",
        found=lambda root: bool(coco_files(root)),
        owns=_owns_coco,
        splits=_coco_splits,
        read=_read_coco,
        any_split=True,
    ),
    "voc": Source(
        title="Pascal VOC",
        sign="Annotations/*.xml",
        found=_has_voc,
        owns=None,
        splits=lambda place: voc_splits(place.root),
        read=lambda place, split, on_bad: read_voc(place.root, split, on_bad),
    ),
    "yolo": Source(
        title="YOLO",
        sign="data.yaml",
        found=lambda root: find_yaml(root) is not None,
        owns=lambda file: file.suffix.lower() in (".yaml", ".yml"),
        splits=lambda place: yolo_splits(_yaml(place)),
        read=lambda place, split, on_bad: read_yolo(_yaml(place), split, on_bad),
    ),
    "cvat": Source(
        title="CVAT",
        sign=CVAT_FILE,
        found=lambda root: is_cvat(root / CVAT_FILE),
        owns=is_cvat,
        splits=lambda place: cvat_splits(_cvat(place)),
        read=lambda place, split, on_bad: read_cvat(_cvat(place), split, on_bad, place.images),
    ),
    "openimages": Source(
        title="OpenImages",
        sign="train-annotations-bbox.csv",
        found=lambda root: bool(box_files(root)),
        owns=is_open_images,
        splits=_open_images_splits,
        read=_read_open_images,
    ),
    "csv": Source(
        title="CSV",
        sign="labels.csv",
        found=_has_csv,
        owns=lambda file: file.suffix.lower() == ".csv",
        splits=lambda place: (),
        read=lambda place, split, on_bad: read_csv(
            place.file or find_csv(place.root) or place.root / "labels.csv", on_bad
        ),
    ),
    "labelme": Source(
        title="LabelMe",
        sign="a JSON file with shapes for each image",
        found=lambda root: bool(label_folders(root)),
        owns=is_labelme,
        splits=lambda place: _named(place, label_folders),
        read=_read_labelme,
    ),
    "labelstudio": Source(
        title="Label Studio",
        sign="a JSON file with a list of tasks",
        found=lambda root: bool(task_files(root)),
        owns=is_label_studio,
        splits=lambda place: _named(place, task_files),
        read=lambda place, split, on_bad: read_label_studio(
            place.root, place.file or split, place.images, on_bad
        ),
    ),
}
"""The only list of formats that are read, the first that fits wins: name → how."""
