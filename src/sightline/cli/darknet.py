"""`sightline darknet`: a trained YOLO as Darknet's .cfg and .weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

MODEL = "A checkpoint of yolo_v2 or yolo_v3 with a network of Darknet's, or Darknet's NAME.cfg."
OUT = "NAME.cfg to write, with NAME.weights and NAME.names beside it; older ones are replaced."


def darknet(
    model: Annotated[str, typer.Argument(help=MODEL)],
    out: Annotated[Path, typer.Option(help=OUT)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Write a YOLO v2 or v3 as Darknet's files, for everything else that reads these.

    A network that was read from Darknet's files and is unchanged comes out as the same bytes.
    """
    from sightline import catalogue, checkpoint
    from sightline.detectors import darknet_files
    from sightline.detectors.yolo_v2 import YoloV2
    from sightline.errors import UsageError
    from sightline.predict import locate
    from sightline.stored import restored

    source = None
    if Path(model).suffix in catalogue.DARKNET:
        found = darknet_files.read(model)
        detector, source = found.detector, found.source
    else:
        stored = checkpoint.read(locate(model))
        made = restored(stored)
        if not isinstance(made, YoloV2):
            raise UsageError(
                f"Darknet knows no {stored.manifest['model']}",
                code="usage.darknet",
                hint="yolo_v2_darknet19, yolo_v2_tiny, yolo_v3_darknet53 and yolo_v3_tiny it does",
            )
        detector = made
    cfg, weights = darknet_files.save(detector, out, source=source)
    if as_json:
        print(json.dumps({"cfg": str(cfg), "weights": str(weights)}))
        return
    print(f"{cfg}\n{weights}")
