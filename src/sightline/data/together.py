"""Several label files as one data set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.records import Dataset, Example
from sightline.errors import DatasetError


def together(parts: Sequence[Dataset]) -> Dataset:
    """Several splits as one data set; an image that two of them list is taken once.

    DatasetError `dataset.classes` where their classes differ, `dataset.image_ids` where different
    images have one id.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
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
