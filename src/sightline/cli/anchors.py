"""`sightline anchors`: the shapes of boxes that a network begins with, from labelled images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.cli.labelled import ANNOTATIONS, ON_BAD, SOURCE, From

if TYPE_CHECKING:
    from sightline.priors import Priors

MOST = 15
"""Of the curve: the paper's figure ends there."""

FIT = "letterbox scales the longer side of an image to --size, stretch both sides."


def anchors(
    data: Annotated[Path, typer.Argument(help=SOURCE)],
    source_format: From = None,
    split: Annotated[
        str | None, typer.Option(help="Split of DATA.", show_default="train, where there is one")
    ] = None,
    annotations: Annotated[Path | None, typer.Option(help=ANNOTATIONS)] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images of these.")] = None,
    priors: Annotated[int, typer.Option(min=1, max=1000, help="How many shapes.")] = 5,
    size: Annotated[int, typer.Option(min=1, max=1 << 16, help="Side of the images.")] = 416,
    fit: Annotated[str, typer.Option(help=FIT)] = "letterbox",
    seed: Annotated[int, typer.Option(help="Another seed starts elsewhere.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for anchors.json and the curve, elbow.png.")
    ] = None,
    on_bad: Annotated[str, typer.Option(help=ON_BAD)] = "error",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON, and nothing else.")
    ] = False,
) -> None:
    """Find the box shapes that YOLO v2 and v3 begin with: k-means with the distance 1 − IoU.

    Shapes are width and height in pixels of images of --size. The curve tells how good more or
    fewer would be.
    """
    import torch

    from sightline.data.shapes import sides as sides_of
    from sightline.evaluate.prior_shapes import draw
    from sightline.files import make_folder, write_json
    from sightline.priors import elbow
    from sightline.priors import fit as fitted

    how = _fit(fit)
    dataset = _opened(data, split, (annotations, images), on_bad, source_format)
    sides = torch.from_numpy(sides_of(dataset, size, how))
    found = fitted(sides, priors, seed)
    curve = elbow(sides, range(1, MOST + 1), seed)
    told = _told(found, curve) | {
        "boxes": len(sides),
        "images": len(dataset),
        "size": size,
        "fit": how,
        "seed": seed,
        "data": {"name": dataset.name, "split": dataset.split},
    }
    if out is not None:
        make_folder(out)
        write_json(out / "anchors.json", told, indent=1)
        draw(curve, found, sides, size, out / "elbow.png")
    if as_json:
        print(json.dumps(told, allow_nan=False))
        return
    _print(found, told)
    if out is not None:
        print(f"\nthe same as data, and the curve: {out}")


def _fit(text: str) -> Any:
    from sightline.errors import UsageError

    if text not in ("letterbox", "stretch"):
        raise UsageError(
            f"--fit is letterbox or stretch, not {text!r}", code="priors.fit", hint=FIT
        )
    return text


def _opened(
    data: Path,
    split: str | None,
    place: tuple[Path | None, Path | None],
    on_bad: str,
    source_format: str | None,
) -> Any:
    """The labelled images; DatasetError where they have no object."""
    from sightline.data import default_split, open_dataset
    from sightline.data.checks import mode
    from sightline.data.kept import kept
    from sightline.errors import DatasetError

    how, (annotations, images) = mode(on_bad, "--on-bad"), place
    with kept():
        name = split
        if name is None and annotations is None:
            name = default_split(data, "train", source_format)
        dataset = open_dataset(data, name, annotations, images, how, source_format)
    if not any((~example.objects.crowd).any() for example in dataset):
        raise DatasetError(
            f"none of the {len(dataset)} images has an object: there is no box to learn from",
            code="dataset.no_objects",
            path=dataset.root,
            hint="are the label files where they belong? `sightline check` tells",
        )
    return dataset


def _told(found: Priors, curve: dict[int, float]) -> dict[str, Any]:
    return {
        "priors": [
            {"width": width, "height": height, "boxes": count, "mean_iou": overlap}
            for (width, height), count, overlap in zip(
                found.sides.tolist(), found.counts.tolist(), found.overlaps.tolist(), strict=True
            )
        ],
        "mean_iou": found.mean_iou,
        "elbow": {str(count): value for count, value in curve.items()},
    }


def _print(found: Priors, told: dict[str, Any]) -> None:
    print(
        f"{told['boxes']:,} boxes of {told['images']:,} images at {told['size']} pixels "
        f"({told['fit']}); mean IoU with {len(found)} priors {found.mean_iou:.3f}\n"
    )
    print("   width  height   boxes  mean IoU")
    for row in told["priors"]:
        share = row["boxes"] / told["boxes"]
        print(f"{row['width']:8.1f}{row['height']:8.1f}{share:8.1%}{row['mean_iou']:10.3f}")
    whole = ",  ".join(f"{row['width']:.0f},{row['height']:.0f}" for row in told["priors"])
    print(f"\nanchors={whole}\n")
    print("priors  mean IoU")
    for count, value in told["elbow"].items():
        print(f"{count:>6}{value:10.3f}")
