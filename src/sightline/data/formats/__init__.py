"""Formats that data sets are written in, and what each can hold.

Reading is `sightline.data.open_dataset`, whatever the format.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.data.formats import writers
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
    "voc": Format(
        writers.write_voc_folder, writers.VOC_HOLDS, "JPEGImages", check=writers.check_voc
    ),
    "yolo": Format(
        writers.write_yolo_folder,
        writers.YOLO_HOLDS,
        "images/{split}",
        check=writers.check_yolo,
        lacks=writers.yolo_lacks,
    ),
    "csv": Format(writers.write_csv_folder, writers.CSV_HOLDS, "images"),
}
"""The only list of formats that are written: name → how."""
