"""Formats that data sets are written in, and what each can hold.

Reading is `sightline.data.open_dataset`, whatever the format.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.formats import cvat_writer, names, open_images_writer, writers
from sightline.data.formats.label_studio import (
    LABEL_STUDIO_HOLDS,
    write_label_studio_folder,
)
from sightline.data.formats.labelme import LABELME_HOLDS, write_labelme_folder
from sightline.data.formats.losses import KINDS, Losses, count
from sightline.data.formats.plan import Part
from sightline.data.records import Dataset

__all__ = ["FORMATS", "KINDS", "Format", "Losses", "count"]


@dataclass(frozen=True)
class Format:
    """How one format is written.

    `holds` are the kinds of `KINDS` that come back when it is read; `images` is the folder of the
    images, where {split} stands for the split's name. `check` raises DatasetError where something
    cannot be written at all; it is called before anything is. `lacks` are the kinds among `holds`
    that the format cannot hold of certain data sets.
    """

    write: Callable[[Sequence[Part], Path], None]
    holds: frozenset[str]
    images: str
    check: Callable[[Sequence[Part]], None] = lambda parts: None
    lacks: Callable[[Sequence[Dataset]], frozenset[str]] = lambda datasets: frozenset()


FORMATS = {
    "coco": Format(writers.write_coco_folder, writers.COCO_HOLDS, "images/{split}"),
    "voc": Format(writers.write_voc_folder, writers.VOC_HOLDS, "JPEGImages", check=names.check_voc),
    "yolo": Format(
        writers.write_yolo_folder,
        writers.YOLO_HOLDS,
        "images/{split}",
        check=names.check_yolo,
        lacks=writers.yolo_lacks,
    ),
    "cvat": Format(
        cvat_writer.write_cvat_folder,
        cvat_writer.CVAT_HOLDS,
        "images/{split}",
        check=cvat_writer.check_cvat,
    ),
    "openimages": Format(
        open_images_writer.write_open_images_folder,
        open_images_writer.OPEN_IMAGES_HOLDS,
        "images/{split}",
        check=open_images_writer.check_open_images,
    ),
    "csv": Format(writers.write_csv_folder, writers.CSV_HOLDS, "images"),
    "labelstudio": Format(
        write_label_studio_folder,
        LABEL_STUDIO_HOLDS,
        "images/{split}",
        check=names.check_hidden,
    ),
    "labelme": Format(write_labelme_folder, LABELME_HOLDS, "{split}", check=names.check_hidden),
}
"""The only list of formats that are written: name → how."""
