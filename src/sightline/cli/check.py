"""`sightline check`: what is wrong with labelled images, before anything is trained on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.cli.labelled import ANNOTATIONS, SOURCE, From

if TYPE_CHECKING:
    from sightline.data.doctor import Diagnosis
    from sightline.pipeline import Detector

FAULTY = 4
PLACES = 3
"""Places shown of every rule; `--json` and `--out` have all of them."""


def check(
    data: Annotated[Path, typer.Argument(help=SOURCE)],
    source_format: From = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    annotations: Annotated[Path | None, typer.Option(help=ANNOTATIONS)] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images of these.")] = None,
    no_duplicates: Annotated[
        bool, typer.Option("--no-duplicates", help="Do not compare the images with each other.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(help="Tell what this model cannot reach, too: a name, or a checkpoint."),
    ] = None,
    sample: Annotated[
        int, typer.Option(min=1, help="Images of a split in which proposals are looked for.")
    ] = 50,
    out: Annotated[Path | None, typer.Option(help="Folder for the report and pictures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Find everything that is wrong with labelled images; nothing of yours is changed.

    With --model also what its anchors, cells or proposals do not meet, and what is too small for
    it. Ends with 4 if anything cannot be used, with 0 otherwise, warnings or not.
    """
    from sightline.data.doctor import check as diagnose
    from sightline.progress import bar

    with bar(1.0, "compare the images") as shown:
        found = diagnose(
            data,
            split,
            annotations,
            images,
            not no_duplicates,
            lambda n, of: shown.to(n / of),
            source_format,
        )
    if model is not None:
        found = _with_model(found, model, sample)
    if out is not None:
        _write(out, found)
    if as_json:
        print(json.dumps(found.to_json(), allow_nan=False))
    else:
        _print(found)
        if out is not None:
            print(f"report and pictures: {out}")
    if not found.sound:
        raise typer.Exit(FAULTY)


def _with_model(found: Diagnosis, model: str, sample: int) -> Diagnosis:
    """The same with what the model cannot reach, before the notes."""
    from dataclasses import replace

    from sightline.data.doctor import SEVERITIES
    from sightline.evaluate.blind_spots import blind_spots
    from sightline.progress import bar

    detector, trained = _detector(model)
    with bar(1.0, "look for what cannot be reached") as shown:
        more = blind_spots(
            detector, found.parts, trained, sample, lambda n, of: shown.to(n / max(1, of))
        )
    whole = sorted((*found.findings, *more), key=lambda fault: SEVERITIES.index(fault.severity))
    return replace(found, findings=tuple(whole))


def _detector(model: str) -> tuple[Detector, bool]:
    """The model, and whether it has learnt anything: the geometry of one that has not is told."""
    from sightline import catalogue, predict

    named = model in catalogue.MODELS or model in catalogue.ALIASES
    if named and catalogue.resolve(model) not in catalogue.WEIGHTLESS:
        name = catalogue.resolve(model)
        if predict.embedded(name) is None:
            detector = catalogue.build(name, ("object",))
            return detector.eval(), False  # type: ignore[attr-defined]
    return predict.load(model, score=None).detector, True


def _print(found: Diagnosis) -> None:
    from sightline.cli import plain

    report = found.to_json()
    for name, part in report["splits"].items():
        named = sum(count > 0 for count in part["classes"].values())
        print(
            f"{name}: {part['images']} images ({part['without_objects']} without objects), "
            f"{part['objects']} objects of {named} classes, "
            + ", ".join(f"{count} {size}" for size, count in part["sizes"].items())
        )
    for (severity, code), faults in found.by_rule().items():
        print(f"\n{severity}  {code}  × {len(faults)}")
        for fault in faults[:PLACES]:
            place = ": ".join(part for part in (fault.path, fault.pointer) if part)
            print(f"  {plain(place)}: {plain(fault.message)}")
        if len(faults) > PLACES:
            print(f"  … and {len(faults) - PLACES} more (--json tells all)")
        hint = next((fault.hint for fault in faults if fault.hint), None)
        if hint:
            print(f"  → {plain(hint)}")
    counts = report["counts"]
    print("\n" + ", ".join(f"{count} {name}s" for name, count in counts.items()))
    if not found.sound:
        print("training and evaluation stop at errors, unless told --on-bad skip or --on-bad fix")


def _write(out: Path, found: Diagnosis) -> None:
    from sightline.evaluate.distribution import draw
    from sightline.files import make_folder, write_json

    make_folder(out)
    write_json(out / "report.json", found.to_json(), indent=1)
    draw(found.parts, out / "distribution.png")
