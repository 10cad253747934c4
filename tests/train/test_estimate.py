"""What a run will take: told before it, at its beginning, and true within a factor of two."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_world import Tiny, brief

from sightline.data.records import Dataset
from sightline.train import feed, state
from sightline.train.estimate import Estimate, Measured, estimate, measure, size_text
from sightline.train.loop import Run, train
from sightline.train.step import Stepper
from sightline.types import Batch, Targets

MEGABYTE = 1_000_000


class Slow(Tiny):
    """A step takes 30 ms more than it must: a pace that does not hang on the machine."""

    def loss(self, batch: Batch, targets: list[Targets]) -> dict[str, Tensor]:
        time.sleep(0.03)
        return super().loss(batch, targets)


def new(kind: type[Tiny] = Tiny) -> Tiny:
    torch.manual_seed(0)
    return kind()


@pytest.mark.curves
def test_the_estimate_is_true_within_a_factor_of_two(drawn: Dataset, tmp_path: Path) -> None:
    recipe = brief(steps=30, sizes=((1.0, 64),))
    before = measure(new(Slow), drawn, recipe)
    out, said = tmp_path / "run", list[str]()
    train(new(Slow), drawn, recipe, out, run=Run(say=said.append))
    found = state.load(out)
    assert found is not None
    took = found[1]["progress"]["seconds"]
    on_disk = sum(path.stat().st_size for path in out.iterdir())
    told = json.loads((out / "repro.json").read_text())["estimate"]
    assert before.steps == 30
    assert told["steps"] == 26, "what is left after four steps"
    assert 0.5 < before.seconds / took < 2
    assert 0.5 < told["seconds"] / took < 2
    assert 0.5 < before.disk / on_disk < 3
    assert before.images_per_second == pytest.approx(4 / before.step_seconds)
    (line,) = [line for line in said if "a step" in line]
    assert "for 26 steps" in line and "on the disk" in line


def test_measuring_changes_nothing_to_the_bit(drawn: Dataset, tmp_path: Path) -> None:
    """A run after it ends in the same weights as one without it."""
    weights = []
    for name in ("with", "without"):
        detector, recipe = new(), brief()  # made before: the checker of annotations draws numbers
        generators = state.pack_random()[0]
        if name == "with":
            measure(detector, drawn, recipe, drawn)
            assert all(torch.equal(v, generators[k]) for k, v in state.pack_random()[0].items())
        train(detector, drawn, brief(), tmp_path / name, run=Run(say=str))
        weights.append((tmp_path / name / "last.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_waiting_for_images_is_told(drawn: Dataset, tmp_path: Path) -> None:
    original = feed.Loader.batch

    def late(self: feed.Loader, step: int, size: int) -> object:
        time.sleep(0.2)
        return original(self, step, size)

    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed.Loader, "batch", late)
        found = measure(new(), drawn, brief())
        train(new(), drawn, brief(steps=6), tmp_path / "run", run=Run(say=said.append))
    assert found.waiting > 0.7
    assert any("--workers 1" in line for line in said)


def test_larger_images_later_and_evaluations_are_counted(drawn: Dataset) -> None:
    """A measured step of 0.5 s, 0.1 of them waiting, at 64 pixels."""
    measured = Measured(0.5, 0.1, 64)

    def told(validation: Dataset | None = None, done: int = 0, **changes: object) -> Estimate:
        stepper = Stepper(new(), brief(sizes=((1.0, 64),), **changes))
        return estimate(stepper, (drawn, validation), measured, done)

    assert told().seconds == pytest.approx(24 * 0.5)
    assert told(done=20).seconds == pytest.approx(4 * 0.5)
    assert told().waiting == pytest.approx(0.2)
    halves = Stepper(new(), brief(sizes=((0.5, 32), (0.5, 64))))
    mixed = estimate(halves, (drawn, None), measured)
    assert mixed.step_seconds == pytest.approx(0.1 + 0.4 * (0.5 / 4 + 0.5))
    # four evaluations of eight images, each a third of the tenth of a second that training takes
    assert told(drawn).seconds == pytest.approx(12 + 4 * 8 * 0.1 / 3)
    assert told(drawn, done=12).seconds == pytest.approx(6 + 2 * 8 * 0.1 / 3)
    timed = told(steps=None, minutes=1.0)
    assert (timed.seconds, timed.steps) == (60, 120)


def test_memory_is_that_of_the_process(drawn: Dataset) -> None:
    class Hungry(Tiny):
        def loss(self, batch: Batch, targets: list[Targets]) -> dict[str, Tensor]:
            ballast = torch.ones(100_000_000)
            return {"ballast": 0 * ballast.sum(), **super().loss(batch, targets)}

    found = measure(new(Hungry), drawn, brief())
    assert found.memory is not None
    assert found.memory > 400 * MEGABYTE


def test_texts() -> None:
    told = str(Estimate(1980, 0.35, 700.0, 22.9, 0.04, 1_300_000_000, 160 * MEGABYTE))
    assert told == (
        "about 12 min for 1,980 steps (0.35 s a step, 22.9 images a second), 1.3 GB of memory, "
        "160 MB on the disk; 4% of the time waits for images"
    )
    assert size_text(10) == "1 MB"


SCRIPT = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import torch
from training_world import Tiny, brief
from sightline.errors import ResourceError
from sightline.train.step import Stepper
from sightline.types import Targets

class Hungry(Tiny):
    def loss(self, batch, targets):
        return {"ballast": torch.ones(len(targets), 10**9).sum()}

stepper = Stepper(Hungry(), brief())
none = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0).bool())
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 10**9
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    stepper.step(torch.zeros(4, 3, 32, 64, dtype=torch.uint8), [none] * 4, 0.1)
except ResourceError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is Linux's")
def test_memory_that_truly_runs_out_is_told_with_batch_and_size() -> None:
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, here], capture_output=True, text=True, check=True
    )
    assert "batch of 4 images of 32×64" in done.stdout and "--batch 2" in done.stdout
