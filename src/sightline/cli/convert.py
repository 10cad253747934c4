"""`sightline convert`: a data set from one format into another."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.labelled import KNOWN, ON_BAD, SOURCE, From

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sightline.data import Dataset
    from sightline.data.formats import Losses

TO = f"Format to write: {KNOWN}."
OVERWRITE = "Replace the folder, if all in it was written by an earlier convert."
IMAGES = "What becomes of the images: copy, link (hard links, where possible) or none."


def convert(
    source: Annotated[Path, typer.Argument(help=SOURCE)],
    to: Annotated[str, typer.Option(help=TO)],
    out: Annotated[Path, typer.Option(help="New or empty folder to write into.")],
    source_format: From = None,
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
    from sightline.data.kept import kept

    how = mode(on_bad, "--on-bad")
    with TemporaryDirectory(prefix="sightline-") as folder:
        unpack = None if images == "none" else Path(folder)  # for images inside label files
        with kept():
            names = (split,) if split is not None else (splits(source, source_format) or (None,))
            datasets = [
                open_dataset(source, name, on_bad=how, format=source_format, unpack=unpack)
                for name in names
            ]
        count, losses = write(datasets, out, to, images, strict, overwrite)
    if as_json:
        answer = {"out": str(out), "format": to, "images": count, "losses": losses.to_json()}
        print(json.dumps(answer, allow_nan=False))
        return
    print(f"{count:,} images in {out}, as {to}")
    say(losses, to)


def write(
    datasets: Sequence[Dataset],
    out: Path,
    to: str,
    images: str,
    strict: bool = False,
    overwrite: bool = False,
) -> tuple[int, Losses]:
    """Convert data sets with a bar; how many images they have, and what the format cannot hold."""
    from sightline.data.convert import convert as run
    from sightline.progress import bar

    count = len({example.path for dataset in datasets for example in dataset})
    with bar(count, "images") as shown:
        losses = run(datasets, out, to, images, strict, shown.to, overwrite)  # type: ignore[arg-type]
    return count, losses


def say(losses: Losses, to: str, of: str = "") -> None:
    """Print what the format `to` cannot hold, of one of several folders where it has a name."""
    if losses:
        print(f"what {to} cannot hold{f' of {of}' if of else ''}:\n{losses.table()}")
