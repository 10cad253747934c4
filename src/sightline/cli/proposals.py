"""`sightline evaluate proposals`: how well do proposals cover what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from sightline.cli.evaluate import opened
from sightline.cli.labelled import ON_BAD, DataOrNone, From, ImageFolder, Judged, LabelFile
from sightline.cli.machine import Threads

LIMIT = "Judge the best N proposals an image; may be repeated.  [default: 100, 1000, 2000]"
MODEL = "A name of `sightline models`, or a checkpoint; of two stages the first is judged."


def proposals(
    data: DataOrNone = None,
    source_format: From = None,
    split: Judged = None,
    annotations: LabelFile = None,
    images: ImageFolder = None,
    model: Annotated[str, typer.Option(help=MODEL)] = "selective_search",
    mode: Annotated[
        str | None,
        typer.Option(help="fast or quality, of selective_search.", show_default="fast"),
    ] = None,
    limit: Annotated[list[int] | None, typer.Option(min=1, help=LIMIT, show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Draw recall against number and IoU: a PNG.")
    ] = None,
    on_bad: Annotated[str, typer.Option(help=ON_BAD)] = "error",
    threads: Threads = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON, and nothing else.")
    ] = False,
) -> None:
    """Measure proposals: recall, mean average best overlap and average recall by their number.

    An object is found if a proposal overlaps it enough, whatever its class. A folder that is
    called proposals is measured as usual by `sightline evaluate ./proposals`.
    """
    from sightline.evaluate.predict import stream
    from sightline.evaluate.proposals import NUMBERS, evaluate_proposals, proposer
    from sightline.predict import load
    from sightline.progress import bar

    dataset = opened(data, split, (annotations, images), on_bad, source_format)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    ready = load(model, score=None, options={} if mode is None else {"mode": mode})
    with bar(len(dataset), "images") as shown:
        found = stream(proposer(ready.detector), dataset, progress=lambda done, _: shown.to(done))
        report = evaluate_proposals(dataset, found, limit or NUMBERS)
    if out is not None:
        report.draw(out, f"Proposals of {ready.name}{'' if mode is None else f', {mode}'}")
    if as_json:
        print(json.dumps(report.to_json(), allow_nan=False))
        return
    print(report.summary())
    if out is not None:
        print(f"curves: {out}")


class EvaluateCommand(TyperCommand):
    """`sightline evaluate`, whose first word may be proposals: another command then."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """The context of the command that the first word names."""
        if args[:1] != ["proposals"]:
            return super().make_context(info_name, args, parent, **extra)
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command()(proposals)
        other = typer.main.get_command(app)
        return other.make_context(f"{info_name} proposals", args[1:], parent, **extra)
