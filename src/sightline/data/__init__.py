"""Labelled images: reading, checking, augmenting, loading."""

from sightline.data.coco_export import image_ids, to_coco, write_coco
from sightline.data.open import default_split, open_dataset, splits
from sightline.data.records import (
    Dataset,
    Example,
    Fault,
    Objects,
    Polygons,
    Runs,
    Segment,
    Skeleton,
)

__all__ = [
    "Dataset",
    "Example",
    "Fault",
    "Objects",
    "Polygons",
    "Runs",
    "Segment",
    "Skeleton",
    "default_split",
    "image_ids",
    "open_dataset",
    "splits",
    "to_coco",
    "write_coco",
]
