"""One process of a small run: python one_of_several.py IMAGES OUT KEY=VALUE…, started by torchrun
or by `several`.
"""

import ast
import dataclasses
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

VALIDATION = 5
"""Images to evaluate on: they do not divide by two."""


def several(number: int, arguments: list[str], waits_for: int = 99) -> list[tuple[int, str]]:
    """Run this file in `number` processes that know of each other: each one's status and words.

    Only the first `waits_for` of them are waited for.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    started = []
    for rank in range(number):
        ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if number > 1 else {}
        sizes = {"WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number)}
        started.append(
            subprocess.Popen(
                [sys.executable, __file__, *arguments],
                env={**os.environ, **place, **sizes, **ranks},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        ends = [(p.communicate(timeout=300)[0], p.returncode) for p in started[:waits_for]]
        return [(status, words) for words, status in ends]
    finally:
        for process in started:
            process.kill()
            process.wait()


def harm(how: str, rank: int, step: int) -> None:
    """Let process `rank` meet `how` at 0-based `step` of the first attempt: a signal, "nan", or
    "everybody": SIGTERM to torchrun, which hands it on, and to this process too.
    """
    from sightline import processes
    from sightline.train.step import Stepper

    if processes.rank() != rank or processes.restarts():
        return
    before, count = Stepper._losses, [0]

    def losses(self: Any, pixels: Any, targets: Any) -> Any:
        answer = before(self, pixels, targets)
        count[0] += 1
        if count[0] == step + 1:
            if how == "everybody":
                os.kill(os.getppid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGTERM)
            elif how != "nan":
                os.kill(os.getpid(), getattr(signal, how))
            answer["box"] = answer["box"] * (float("nan") if how == "nan" else 1.0)
        return answer

    Stepper._losses = losses  # type: ignore[method-assign]


def main(images: str, out: str, *changes: str) -> None:
    import torch
    from training_world import brief, draw_dataset

    from sightline import catalogue, processes
    from sightline.data.records import Dataset
    from sightline.errors import SightlineError
    from sightline.train.loop import Run, train

    settings = {k: ast.literal_eval(v) for k, _, v in (one.partition("=") for one in changes)}
    resume = settings.pop("resume", False)
    wait = settings.pop("worker_timeout", 60.0)
    to_check = settings.pop("validation", VALIDATION)
    if "harm" in settings:
        harm(*settings.pop("harm"))
    if processes.rank() == settings.pop("other_seed", -1):
        settings["seed"] = 5
    dataset = draw_dataset(Path(images))
    validation: Dataset = dataclasses.replace(dataset, examples=dataset.examples[:to_check])
    recipe = brief(model="retinanet_mobilenet_v2", sizes=((1.0, 64),), **settings)
    torch.manual_seed(0)
    detector: Any = catalogue.build(recipe.model, list(dataset.classes))
    # untrained scores all lie at the prior
    detector.selection = dataclasses.replace(detector.selection, score=1e-4)
    try:
        run = Run(worker_timeout=wait)
        train(detector, dataset, recipe, Path(out), validation, resume=resume, run=run)
    except SightlineError as error:
        print(error, flush=True)
        os._exit(error.exit_status)


if __name__ == "__main__":
    main(*sys.argv[1:])
