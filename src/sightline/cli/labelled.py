"""What the verbs that read labelled images have in common: the words of their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

KNOWN = "coco, voc, yolo, cvat, openimages, csv, labelme or labelstudio"
"""The keys of `sightline.data.sources.SOURCES`, which takes too long to load for a help text."""

SOURCE = "Folder of images and labels, or the label file; the format is recognised by itself."
ANNOTATIONS = "Label file, where it is not in its usual place in DATA."
ON_BAD = "What faulty labels do: error, skip (dropped, counted), or fix (mended, else dropped)."

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        help=f"Format of the labels, where a folder could be two: {KNOWN}.",
        show_default="recognised",
    ),
]

DataOrNone = Annotated[Path | None, typer.Argument(help=SOURCE, show_default=False)]

Judged = Annotated[
    str | None, typer.Option(help="Split of DATA.", show_default="val, where there is one")
]
"""The split that is judged."""

LabelFile = Annotated[Path | None, typer.Option(help=ANNOTATIONS)]

ImageFolder = Annotated[Path | None, typer.Option(help="Folder of the images of these.")]
"""Beside a `LabelFile`."""

MoreLabels = Annotated[
    list[Path] | None,
    typer.Option(
        "--more-labels",
        help="Label file that knows masks or keypoints of the same objects too; may be repeated.",
        show_default=False,
    ),
]
