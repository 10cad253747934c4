"""`sightline convert`: a data set from one format into another."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from sightline.cli.evaluate import ON_BAD

KNOWN = "coco, voc, yolo, cvat, openimages, csv, labelme or labelstudio"
SOURCE = "Folder of images and labels, or the label file; the format is recognised by itself."
TO = f"Format to write: {KNOWN}."
FROM = f"Format of the source, where a folder could be two: {KNOWN}."
OVERWRITE = "Replace the folder, if all in it was written by an earlier convert."
IMAGES = "What becomes of the images: copy, link (hard links, where possible) or none."


def convert(
    source: Annotated[Path, typer.Argument(help=SOURCE)],
    to: Annotated[str, typer.Option(help=TO)],
    out: Annotated[Path, typer.Option(help="New or empty folder to write into.")],
    source_format: Annotated[
        str | None,
        typer.Option("--from", help=FROM, show_default="recognised"),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Only this split.", show_default="all of them")
    ] = None,
    images: Annotated[str, typer.Option(help=IMAGES)] = "copy",
    on_bad: Annotated[str, typer.Option(help=ON_BAD)] = "error",
    overwrite: Annotated[bool, typer.Option("--overwrite", help=OVERWRITE)] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop where the format cannot hold everything.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON, and nothing else.")
    ] = False,
) -> None:
    """Write a data set in another format, and say what that format cannot hold."""
    from sightline.data import open_dataset, splits
    from sightline.data.checks import mode
    from sightline.data.convert import convert as write
    from sightline.progress import bar

    how = mode(on_bad, "--on-bad")
    names = (split,) if split is not None else (splits(source, source_format) or (None,))
    with TemporaryDirectory(prefix="sightline-") as folder:
        unpack = None if images == "none" else Path(folder)  # for images inside label files
        datasets = [
            open_dataset(source, name, on_bad=how, format=source_format, unpack=unpack)
            for name in names
        ]
        count = len({example.path for dataset in datasets for example in dataset})
        with bar(count, "images") as shown:
            losses = write(datasets, out, to, images, strict, shown.to, overwrite)  # type: ignore[arg-type]
    if as_json:
        answer = {"out": str(out), "format": to, "images": count, "losses": losses.to_json()}
        print(json.dumps(answer, allow_nan=False))
        return
    print(f"{count:,} images in {out}, as {to}")
    if losses:
        print(f"what {to} cannot hold:\n{losses.table()}")
