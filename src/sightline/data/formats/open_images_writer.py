"""Data sets written as OpenImages' CSV: a file of boxes a split, and the classes' display names.

Labels get ids of their own, `/own/1` and so on: they are no entries of OpenImages' list. What the
record of a data set does not know (occluded, truncated, drawn, seen from inside) is −1, "unknown".
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sightline.data.formats.losses import keep
from sightline.data.formats.names import check_hidden
from sightline.data.formats.open_images import BoxFile
from sightline.data.formats.plain_csv import guarded, to_csv
from sightline.data.formats.plan import Part
from sightline.data.records import Example
from sightline.errors import DatasetError
from sightline.files import write_text

OPEN_IMAGES_HOLDS = frozenset(("crowd", "empty", "splits", "thin"))
HEADER = (
    "ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax",
    "IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside",
)  # fmt: skip


def check_open_images(parts: Sequence[Part]) -> None:
    """DatasetError `convert.name` for splits that a file's name would not tell, and images that
    would not be looked at.
    """
    check_hidden(parts)
    for part in parts:
        if part.split is not None and BoxFile.of(_file(Path(), part.split)).split != part.split:
            raise DatasetError(
                f"a split cannot be called {part.split!r}",
                code="convert.name",
                path=part.dataset.root,
                hint="rename it, or choose another format",
            )


def _file(out: Path, split: str | None) -> Path:
    return out / ("annotations-bbox.csv" if split is None else f"{split}-annotations-bbox.csv")


def write_open_images_folder(parts: Sequence[Part], out: Path) -> None:
    """`{split}-annotations-bbox.csv` and `class-descriptions-boxable.csv`, the images in
    `images/{split}`.
    """
    for part in parts:
        rows = [row for name, example in part.pairs() for row in _rows(name, example)]
        write_text(_file(out, part.split), to_csv([HEADER, *rows]))
    names = [(_label(i), guarded(name)) for i, name in enumerate(parts[0].dataset.classes)]
    write_text(out / "class-descriptions-boxable.csv", to_csv(names))


def _label(index: int) -> str:
    return f"/own/{index + 1}"


def _rows(name: str, example: Example) -> list[tuple[object, ...]]:
    """The objects of an image; shares of the image, ten decimals."""
    objects = keep(example.objects, OPEN_IMAGES_HOLDS)
    sides = np.array([example.size[1], example.size[0]] * 2, np.float64)
    key = guarded(Path(name).stem)
    rows: list[tuple[object, ...]] = []
    shares = (objects.boxes.astype(np.float64) / sides).clip(0, 1)
    for (x1, y1, x2, y2), label, crowd in zip(shares, objects.labels, objects.crowd, strict=True):
        ends = [f"{value:.10f}" for value in (x1, x2, y1, y2)]
        head = (key, "sightline", _label(int(label)), 1)
        rows.append((*head, *ends, -1, -1, int(crowd), -1, -1))
    return rows
