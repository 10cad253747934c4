"""The one training loop: any detector that has a `loss`, any data set, any recipe."""

from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline import processes
from sightline.data.records import Dataset
from sightline.fitting import Paused
from sightline.train import ranks, setup, teach
from sightline.train.lock import locked
from sightline.train.recipes import Recipe
from sightline.train.run import Run
from sightline.train.signals import Stop
from sightline.train.trainer import Trainer

__all__ = ["Run", "Trainer", "train"]

PLAIN = Run()
"""A run of which nothing is said."""


def train(
    detector: Any,
    dataset: Dataset,
    recipe: Recipe,
    out: Path,
    validation: Dataset | None = None,
    *,
    resume: bool = False,
    run: Run = PLAIN,
) -> Path:
    """Train `detector` in the folder `out`; the path of the best checkpoint.

    `out` gets best and last checkpoint (averaged weights), the state to resume from, repro.json,
    log.csv, log.jsonl and curves.png. Without `validation` the last checkpoint is the best. A run
    of steps that is stopped and resumed ends, on a CPU with the same threads, in the same bits as
    one that was not. Processes of torchrun learn each batch together, a part each: the first of
    them holds the folder, and what torchrun started anew resumes. SIGINT and SIGTERM finish the
    step and save, then raise KeyboardInterrupt or SystemExit(143).

    Raises DatasetError (empty, classes that disagree), ResourceError (disk, memory, folder held by
    another process), UsageError (a run is there already, or was another one), TrainingDiverged.
    """
    if not processes.is_first():
        run = replace(run, say=lambda line: None)
    resume = resume or processes.restarts() > 0
    teach.check(detector, recipe)
    setup.check_sizes(detector, recipe)
    validation = setup.check_data(detector, dataset, validation, run.say)
    cuda = setup.device_of(recipe).type == "cuda"
    with processes.together(cuda, run.worker_timeout), ExitStack() as held:
        processes.from_first(lambda: _take(held, out, detector, resume))
        stop = held.enter_context(Stop(None if run.stop_after is None else run.stop_after * 60))
        with setup.machine(recipe):
            trainer = Trainer(detector, (dataset, validation), recipe, out, run)
            ranks.check_same(trainer.facts())
            with suppress(Paused):
                trainer.start(stop, resume)
                trainer.run(stop)
        return trainer.conclude(stop)


def _take(held: ExitStack, out: Path, detector: Any, resume: bool) -> bytes:
    """Make the run's folder this process's own, until `held` ends."""
    setup.check_folder(out, detector)
    held.enter_context(locked(out))
    setup.claim(out, resume)
    return b""
