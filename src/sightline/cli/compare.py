"""`sightline compare`: every generation on the same images, under one budget."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.cli.labelled import ON_BAD, SOURCE, From

if TYPE_CHECKING:
    from sightline.compare.run import Comparison
    from sightline.data.records import Dataset

FAILED = 3

MODELS = (
    "Models, separated by commas: names of the catalogue, checkpoints, folders of runs; without it "
    "the light model of every generation."
)
BUDGET = (
    "What each may spend on learning: 20m, 90s, 1.5h, or 300steps; without it nothing is trained."
)
START = (
    "Weights that all begin with, such as a backbone's file; MODEL=FILE for one; may be repeated. "
    "Without any, all begin at random."
)


def compare(
    data: Annotated[Path, typer.Argument(help=SOURCE)],
    source_format: From = None,
    models: Annotated[str | None, typer.Option(help=MODELS, show_default=False)] = None,
    budget: Annotated[str | None, typer.Option(help=BUDGET, show_default=False)] = None,
    start: Annotated[list[str] | None, typer.Option(help=START, show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Folder of the comparison.")] = Path(
        "sightline-compare"
    ),
    split: Annotated[str | None, typer.Option(help="Split to train on.")] = None,
    test_split: Annotated[
        str | None, typer.Option(help="Split to judge on.", show_default="val")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of training and of resampling.")] = 0,
    device: Annotated[str, typer.Option(help="To train on: cpu, cuda, or auto.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Threads to train with; 0 for all.")] = 0,
    pictures: Annotated[int, typer.Option(min=0, max=100, help="Images in the report.")] = 12,
    resamples: Annotated[int, typer.Option(min=1, help="Resamples of the test images.")] = 1000,
    looks: Annotated[int, typer.Option(min=1, help="Images that tell the latency.")] = 20,
    on_bad: Annotated[str, typer.Option(help=ON_BAD)] = "error",
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Train and judge every model alike; write OUT/report.html and OUT/table.json, .csv, .md.

    An interrupted comparison, begun again with the same command, goes on where it was. The same
    seed writes the same OUT/figures.json, in which nothing is a time, under a budget of steps.
    Ends with 3 if a model failed, with 0 otherwise.
    """
    from sightline.compare import plan, tables
    from sightline.compare.advice import advice
    from sightline.compare.look import Wish
    from sightline.compare.page import content
    from sightline.compare.run import Unfinished
    from sightline.compare.run import compare as carry_out
    from sightline.memory import keep_freed_memory
    from sightline.report.page import write as write_page
    from sightline.report.photos import chosen

    keep_freed_memory()
    limit = None if budget is None else plan.Budget.of(budget)
    terms = plan.Terms(limit, plan.starts_of(start or ()), seed, threads, device)
    learn, test = _open(data, (split, test_split), on_bad, source_format, limit is not None)
    names = plan.LINEAGE if models is None else [x.strip() for x in models.split(",") if x.strip()]
    contenders = plan.plan(names, learn, terms)
    views = chosen(test, pictures)
    wish = Wish(resamples, seed, views, plan.candidates(len(contenders), len(views)))
    try:
        found = carry_out(contenders, (learn, test), out, wish, looks, _say)
    except KeyboardInterrupt:
        _say("stopped: the same command goes on")
        raise SystemExit(130) from None
    except Unfinished:
        _say("paused: the same command goes on")
        return
    advised = advice(found.rows, found.times, len(test))
    about = _about(learn, test, limit, seed)
    tables.write(out, found, about, advised)
    page = write_page(out / "report.html", content(found, test, wish, advised, about))
    _tell(found, out, page, advised, as_json)
    if any(row.failed for row in found.rows):
        raise typer.Exit(FAILED)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _open(
    data: Path,
    names: tuple[str | None, str | None],
    on_bad: str,
    source_format: str | None,
    trains: bool,
) -> tuple[Dataset, Dataset]:
    """The images to learn from and those to judge on; without training they may be the same."""
    from sightline.data import default_split, open_dataset
    from sightline.data.checks import mode as checked
    from sightline.data.kept import kept
    from sightline.errors import UsageError

    mode = checked(on_bad, "--on-bad")
    with kept():
        judged = names[1] or default_split(data, "val", source_format)
        learnt = names[0] or (default_split(data, "train", source_format) if trains else judged)
        if trains and learnt == judged:
            raise UsageError(
                f"the images to learn from and to judge on are the same ({judged or 'all'})",
                code="usage.split",
                path=data,
                hint="sightline split divides them; or name another --test-split",
            )
        test = open_dataset(data, judged, on_bad=mode, format=source_format)
        if learnt == judged:
            return test, test
        return open_dataset(data, learnt, on_bad=mode, format=source_format), test


def _about(learn: Dataset, test: Dataset, budget: object | None, seed: int) -> dict[str, Any]:
    return {
        "data": test.name,
        "train_images": len(learn) if budget is not None else None,
        "test_images": len(test),
        "test_split": test.split,
        "budget": None if budget is None else str(budget),
        "seed": seed,
    }


def _tell(found: Comparison, out: Path, page: Path, advised: list[str], as_json: bool) -> None:
    from sightline.compare import tables

    if as_json:
        rows = tables.records(found)
        told = {"rows": rows, "advice": advised, "report": str(page)}
        print(json.dumps(told, allow_nan=False))
        return
    print(tables.as_markdown(found))
    for line in advised:
        print(f"- {line}")
    print(f"\ntables: {out / 'table.md'}, .csv, .json\nreport: {page}")
