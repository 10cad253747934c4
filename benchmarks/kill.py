"""A real training run, killed at random moments until it is through: is anything ever lost?

    python benchmarks/kill.py [--kills 50] [--steps 40] [--longest 3]

A small RetinaNet learns from drawn images and saves after every step. A child process trains; after
a random time it is killed (SIGKILL), and all that it left is read: best and last checkpoint, the
state, the record. None of it may be damaged or older than before the kill. The next child resumes.
At the end a last child finishes the run: its weights must have the SHA-256 of a run that nobody
killed, and no temporary file may be left.

Children are forks of this process, so that libraries are loaded once; it computes nothing itself,
as what its threads hold would hang a fork. What a child was at when it died (starting, in a step,
evaluating, in the writing of a file) is counted. With --longest so many seconds that a child makes
a few steps, and --steps more than all of them together make, kills land everywhere.
"""

import argparse
import dataclasses
import importlib
import mmap
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sightline import catalogue, checkpoint
from sightline.data.records import Dataset, Example, Objects
from sightline.train import loop, record, state
from sightline.train.recipes import RECIPES, Recipe

CLASSES = ("red", "blue")
DOING = ("starting", "in a step", "evaluating", "writing a checkpoint", "writing the state", "done")
DONE = len(DOING) - 1
LATE = ("torch._dynamo", "sightline.train.curves", "matplotlib.backends.backend_agg", "hotcoco")
"""What training imports on first use: seconds that every child would spend again."""


def draw(folder: Path, images: int = 4) -> Dataset:
    """Grey images of 48 × 64 pixels, each with a red or a blue box."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    examples = []
    for index in range(images):
        x, y = (int(v) for v in rng.integers(2, 28, 2))
        pixels = rng.integers(100, 140, (48, 64, 3)).astype(np.uint8)
        pixels[y : y + 18, x : x + 24] = ((220, 40, 40), (40, 40, 220))[index % 2]
        path = folder / f"{index}.png"
        Image.fromarray(pixels).save(path)
        objects = Objects.of([[x, y, x + 24, y + 18]], [index % 2])
        examples.append(Example(path, index, (48, 64), objects))
    return Dataset(tuple(examples), CLASSES, (1, 2), None, "drawn", folder, None)


def recipe_of(steps: int) -> Recipe:
    """Mixed images from a thread of their own; saved after every step."""
    return dataclasses.replace(
        RECIPES["retinanet_mobilenet_v2"],
        minutes=None,
        start=None,
        steps=steps,
        batch=2,
        warmup_steps=1,
        sizes=((1.0, 32),),
        workers=1,
        threads=1,
        bf16=False,
        log_steps=4,
        evaluate_every=0.25,
        save_seconds=0.0,
    )


def run(dataset: Dataset, out: Path, steps: int) -> None:
    """Train in `out`, from the beginning or from where it stopped."""
    torch.manual_seed(0)
    detector = catalogue.build("retinanet_mobilenet_v2", list(CLASSES))
    quiet = loop.Run(say=lambda _: None)
    loop.train(detector, dataset, recipe_of(steps), out, dataset, resume=out.exists(), run=quiet)


class Child:
    """A process that trains in `out`, and what it is at: an index of DOING in shared memory."""

    def __init__(self, dataset: Dataset, out: Path, steps: int) -> None:
        self.dataset, self.out, self.steps = dataset, out, steps
        self._doing = mmap.mmap(-1, 1)
        self.process = os.fork()
        if self.process == 0:
            status = 1
            try:
                self._train()
                status = 0
            except BaseException:
                traceback.print_exc(file=sys.__stderr__)
            finally:
                os._exit(status)

    def _train(self) -> None:
        with Path(os.devnull).open("w") as nowhere:
            sys.stderr = nowhere
            self._note()
            run(self.dataset, self.out, self.steps)
        self._doing[0] = DONE

    def _note(self) -> None:
        """Tell from now on what this process is at."""
        loop.Trainer._advance = self._noted(loop.Trainer._advance, 1)  # type: ignore[method-assign]
        loop.figures_of = self._noted(loop.figures_of, 2)
        checkpoint.write = self._noted(checkpoint.write, 3)
        state.save = self._noted(state.save, 4)

    def _noted(self, function: Callable[..., Any], doing: int) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            before, self._doing[0] = self._doing[0], doing
            answer = function(*args, **kwargs)
            self._doing[0] = max(1, before)
            return answer

        return call

    def wait(self) -> None:
        """Until it is through; SystemExit where it fails."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        if status not in (0, -signal.SIGKILL):
            raise SystemExit(f"the run failed with status {status}")

    def kill(self, seconds: float) -> str:
        """Kill it after so many seconds; what it was at."""
        time.sleep(seconds)
        os.kill(self.process, signal.SIGKILL)
        self.wait()
        return DOING[self._doing[0]]


def check(out: Path) -> dict[str, int]:
    """Read all that a killed run left, whatever of it exists; the step of each."""
    found = {}
    for name in ("best", "last"):
        if (out / f"{name}.json").exists():
            found[name] = int(checkpoint.read(out / name).manifest["training"]["step"])
    saved = state.load(out) if out.exists() else None
    if saved is not None:
        found["state"] = int(saved[1]["progress"]["step"])
        record.read(out)
    return found


def trial(folder: Path, kills: int, steps: int, longest: float, seed: int) -> Counter[str]:
    """Kill a run `kills` times, then let it finish; what it was at at each kill.

    AssertionError where a step was lost after it was saved, a file was left over, or the weights
    are not those of the run that was not killed.
    """
    dataset, draws = draw(folder / "images"), random.Random(seed)
    began = time.perf_counter()
    Child(dataset, folder / "whole", steps).wait()
    print(f"uninterrupted: {steps} steps, {time.perf_counter() - began:.1f} s", flush=True)
    out, before, doing = folder / "killed", dict[str, int](), Counter[str]()
    for number in range(1, kills + 1):
        at = Child(dataset, out, steps).kill(draws.uniform(0.02, longest))
        doing[at] += 1
        now = check(out)
        for name, step in before.items():
            assert now.get(name, -1) >= step, f"kill {number}: {name} back from {step} to {now}"
        before = now
        print(f"kill {number}: step {now.get('state', 0)}, {at}", flush=True)
    Child(dataset, out, steps).wait()
    left = [p.name for p in out.iterdir() if p.name.startswith(".") or p.name.endswith(".tmp")]
    assert not left, f"left behind: {left}"
    assert not (out / "train.lock").exists()
    results = [record.read(folder / name)["results"] for name in ("killed", "whole")]
    assert results[0] == results[1], f"the weights differ: {results}"
    for name in ("best.safetensors", "last.safetensors"):
        assert (out / name).read_bytes() == (folder / "whole" / name).read_bytes(), name
    return doing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--longest", type=float, default=3.0, help="seconds to live at most")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in LATE:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as name:
        doing = trial(Path(name), chosen.kills, chosen.steps, chosen.longest, chosen.seed)
    print(", ".join(f"{doing[name]} {name}" for name in DOING))
    print(f"{chosen.kills} kills: nothing lost, the weights are those of no kill")


if __name__ == "__main__":
    main()
