"""Variants trained under one budget and measured alike: accuracy, speed, size, memory.

What lies in the folder of the comparison is not trained again, and what was stopped goes on. All
variants are judged by the one evaluator. Times are taken in turn, image by image, so that whatever
else the machine does meets all of them; memory is that of a process that does nothing else.
"""

import multiprocessing
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sightline import checkpoint, images, memory, pipeline, predict
from sightline.data.records import Dataset
from sightline.errors import UsageError
from sightline.evaluate import evaluate
from sightline.evaluate import predict as answers_of
from sightline.files import write_json, write_text
from sightline.train import setup, state
from sightline.train.loop import train
from sightline.train.recipes import Recipe
from sightline.train.run import Run
from sightline.train.setup import Say
from sightline.train.start import begin

WARMUP = 1
"""So many images are answered before the clock runs: the first pays for what is made once."""


@dataclass(frozen=True)
class Variant:
    """One row of a comparison: `name` is its folder too."""

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Measured:
    """What a variant reached on the test images, and what it takes to answer one of them.

    `figures` are COCO's, of boxes; `milliseconds` the median CPU time of an image on one thread;
    `parameters` those of the network as it detects, its norms folded; `memory` the peak of a fresh
    process in bytes, None where the system does not tell.
    """

    figures: Mapping[str, float | None]
    milliseconds: float
    parameters: int
    memory: int | None


def trained(variant: Variant, dataset: Dataset, out: Path, say: Say) -> Path:
    """The checkpoint of `variant` in `out`/NAME: trained now, gone on with, or there already.

    There is no validation on the way: which step is the best is not chosen by the test images.
    Raises UsageError (`train.changed`) where another run is in the folder, and what `train` raises.
    """
    folder, recipe = out / variant.name, variant.recipe
    done = folder / "best.safetensors"
    if done.exists():
        _check_same(checkpoint.manifest(done), recipe, dataset, say)
        say(f"{variant.name}: trained already")
        return done
    stopped = any((folder / name).exists() for name in (state.NAME, state.PREVIOUS))
    detector = begin(recipe, dataset.classes, say, dataset.skeleton)
    run = Run(say=lambda line: say(f"{variant.name}: {line}"))
    return train(detector, dataset, recipe, folder, resume=stopped, run=run)


def _check_same(manifest: Mapping[str, Any], recipe: Recipe, dataset: Dataset, say: Say) -> None:
    """Refuse a checkpoint that was trained in another way or on other data."""
    training = manifest.get("training") or {}
    before = {**training.get("recipe", {}), "data": training.get("fingerprint")}
    # the threads that were asked for: as many as this process has are no part of what was trained
    facts = {**setup.facts(recipe, dataset, None), "threads": recipe.threads}
    now = {key: facts[key] for key in before if key in facts}
    setup.compare(before, now, False, say)


def measure(paths: Mapping[str, Path], test: Dataset, looks: int = 20) -> dict[str, Measured]:
    """Every checkpoint on the same images; `looks` of them tell the time.

    Raises UsageError (`usage.empty`) without test images.
    """
    if len(test) == 0 or looks < 1:
        raise UsageError("there are no images to measure on", code="usage.empty")
    models = {name: predict.load(path, score=None) for name, path in paths.items()}
    with one_thread():
        times = _speeds(models, test, looks)
        answer = {}
        for name, model in models.items():
            report = evaluate(test, answers_of(model.detector, test))
            answer[name] = Measured(
                figures=dict(report.boxes.values),
                milliseconds=1000 * times[name],
                parameters=sum(p.numel() for p in model.detector.parameters()),  # type: ignore[attr-defined]
                memory=peak_memory(paths[name], test[0].path),
            )
    return answer


def _speeds(models: Mapping[str, predict.Model], test: Dataset, looks: int) -> dict[str, float]:
    """Median CPU seconds an image, the models in turn on every image."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for row in range(looks + WARMUP):
        pixels = images.read(test[row % len(test)].path)
        for name, model in models.items():
            began = time.process_time()
            pipeline.run(model.detector, [pixels])
            seconds[name].append(time.process_time() - began)
    return {name: statistics.median(spent[WARMUP:]) for name, spent in seconds.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as long as the block lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_memory(path: Path, image: Path) -> int | None:
    """The most bytes that a fresh process holds that loads a checkpoint and answers one image."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(_peak, path, image).result()


def _peak(path: Path, image: Path) -> int | None:
    torch.set_num_threads(1)
    predict.load(path, score=None)(image)
    return memory.peak()


def table(rows: Mapping[str, Measured], title: str, figures: Sequence[str]) -> str:
    """The rows as Markdown: `title` heads their names, `figures` are those to show."""
    heads = (title, *figures, "ms", "parameters (M)", "memory (MB)")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, row in rows.items():
        shown = [row.figures.get(key) for key in figures]
        cells = [
            *("–" if value is None else f"{value:.3f}" for value in shown),
            f"{row.milliseconds:.1f}",
            f"{row.parameters / 1e6:.2f}",
            "–" if row.memory is None else f"{row.memory / 1e6:.0f}",
        ]
        lines.append(f"| {' | '.join((name, *cells))} |")
    return "\n".join(lines) + "\n"


def write(out: Path, rows: Mapping[str, Measured], text: str, about: Mapping[str, Any]) -> None:
    """table.md and table.json in `out`; `about` says how the rows came to be."""
    write_text(out / "table.md", text)
    plain = {name: asdict(row) for name, row in rows.items()}
    write_json(out / "table.json", {**about, "rows": plain}, indent=1)
