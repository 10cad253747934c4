"""`sightline evaluate`: how good is a model on labelled images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline import processes
from sightline.cli.labelled import (
    ON_BAD,
    DataOrNone,
    From,
    ImageFolder,
    Judged,
    LabelFile,
    MoreLabels,
)
from sightline.cli.machine import Device, Threads

if TYPE_CHECKING:
    from sightline.data.records import Dataset
    from sightline.types import Detections

PEOPLE = (
    "Before a top-down pose such as cpm: the model that finds the people; truth for the labelled "
    "boxes, none for the whole image as one.  [default: retinanet]"
)
DETECTIONS = "Evaluate this COCO result file instead of a model."


def evaluate(
    data: DataOrNone = None,
    source_format: From = None,
    split: Judged = None,
    annotations: LabelFile = None,
    images: ImageFolder = None,
    more_labels: MoreLabels = None,
    model: Annotated[
        str, typer.Option(help="A name of `sightline models`, or a checkpoint.")
    ] = "retinanet",
    people: Annotated[str | None, typer.Option(help=PEOPLE, show_default=False)] = None,
    detections: Annotated[Path | None, typer.Option(help=DETECTIONS)] = None,
    margins: Annotated[
        bool, typer.Option("--margins", help="Scores of --detections may be any numbers.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for pictures, report and COCO results.")
    ] = None,
    on_bad: Annotated[str, typer.Option(help=ON_BAD)] = "error",
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16.")] = False,
    threads: Threads = None,
    device: Device = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON, and nothing else.")
    ] = False,
) -> None:
    """Measure a model on labelled images: COCO's AP and AR, in all and for each class.

    Processes of torchrun share the images; the first of them tells the figures.
    `sightline evaluate proposals DATA` measures where a model looks instead of what it finds.
    """
    if margins and detections is None:
        from sightline.errors import UsageError

        raise UsageError(
            "--margins tells how to read --detections, and there are none", code="usage.margins"
        )
    place = (annotations, images)
    dataset = opened(data, split, place, on_bad, source_format)
    if more_labels:
        dataset = _completed(dataset, more_labels, on_bad)
    if detections is not None:
        from sightline.data.checks import mode
        from sightline.evaluate import from_results

        checked = mode(on_bad, "--on-bad")
        results = from_results(detections, dataset, checked, margins)
    else:
        results = _predict(dataset, (model, people), bf16, threads, device)
    if not processes.is_first():
        return
    from sightline.evaluate import evaluate as judge

    report = judge(dataset, results)
    if out is not None:
        _write(out, dataset, results, report.to_json())
    if as_json:
        print(json.dumps(report.to_json(), allow_nan=False))
        return
    print(report.summary())
    if out is not None:
        print(f"pictures, report and results: {out}")


def opened(
    data: Path | None,
    split: str | None,
    place: tuple[Path | None, Path | None],
    on_bad: str,
    source_format: str | None,
) -> Dataset:
    """The labelled images; of a folder with splits "val", unless another is named. `place` is the
    label file and its folder of images, where they are named.
    """
    from sightline.data import default_split, open_dataset
    from sightline.data.checks import mode as checked
    from sightline.data.kept import kept
    from sightline.errors import UsageError

    mode = checked(on_bad, "--on-bad")
    annotations, images = place
    if data is None and annotations is None:
        raise UsageError(
            "nothing to evaluate on",
            code="usage.no_data",
            hint="give a folder, or --annotations FILE --images DIR",
        )
    if annotations is not None:
        folder = data or images or annotations.parent
        return open_dataset(folder, split, annotations, images, mode, source_format)
    assert data is not None
    with kept():
        name = split or default_split(data, "val", source_format)
        return open_dataset(data, name, None, images, mode, source_format)


def _completed(dataset: Dataset, more: list[Path], on_bad: str) -> Dataset:
    """The labelled images with what other label files know of the same objects."""
    from sightline.data.checks import mode
    from sightline.data.more_labels import with_more

    (answer,) = with_more([dataset], more, mode(on_bad, "--on-bad"))
    assert answer is not None
    return answer


def _predict(
    dataset: Dataset, named: tuple[str, str | None], bf16: bool, threads: int | None, device: str
) -> list[Detections]:
    """All answers of the model above its own threshold, with a bar; `named` are the model and who
    finds the people for it.
    """
    from sightline.cli.detect import prepare
    from sightline.evaluate.sharded import predict_shared
    from sightline.progress import bar

    model, people = named
    labelled = people == "truth"
    first = "none" if labelled else people
    ready = prepare(model, None, bf16, threads, people=first, device=device)
    with processes.together(), bar(len(dataset), "images") as shown:
        return predict_shared(
            *(ready.detector, dataset),
            device=ready.device,
            progress=lambda done, _: shown.to(done),
            labelled=labelled,
        )


def _write(out: Path, dataset: Dataset, results: list[Detections], figures: dict[str, Any]) -> None:
    """The report, the results in COCO's format, curves, and who is taken for whom."""
    from sightline.evaluate import confusion, curves, write_results
    from sightline.files import make_folder, write_json

    make_folder(out)
    write_json(out / "report.json", figures, indent=1)
    write_results(out / "coco_results.json", dataset, results)
    lines = curves(dataset, results)
    lines.draw_precision_recall(out / "precision_recall.png")
    lines.draw_f1(out / "f1.png")
    confusion(dataset, results).draw(out / "confusion.png")
