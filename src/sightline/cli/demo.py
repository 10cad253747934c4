"""`sightline demo`: real objects in real photos, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("sightline-out"),
) -> None:
    """Try the model of the package on photos that other packages of yours brought along."""
    from sightline.batch.outputs import Outputs
    from sightline.batch.sources import Source
    from sightline.cli.detect import Options, prepare, run

    images = [Source(path.name, path) for path in photos()]
    model = prepare("retinanet", 0.3, bf16=False, threads=None)
    with Outputs(out, ["pictures"], [source.key for source in images]) as outputs:
        tally = run(model, images, outputs, Options())
    tally.close(out / "pictures")
    print("Now with your own: sightline detect PHOTO…, or sightline detect --help")


def photos() -> list[Path]:
    """Grace Hopper of matplotlib, a temple in China and a flower of scikit-learn."""
    from importlib import resources

    places = [
        resources.files("matplotlib") / "mpl-data" / "sample_data" / "grace_hopper.jpg",
        resources.files("sklearn") / "datasets" / "images" / "china.jpg",
        resources.files("sklearn") / "datasets" / "images" / "flower.jpg",
    ]
    return [path for path in (Path(str(place)) for place in places) if path.is_file()]
