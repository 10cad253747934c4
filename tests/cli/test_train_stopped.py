"""`sightline train` as a process: stopped, killed, with other threads, and still the same bytes."""

import dataclasses
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from folders import yolo_folder
from sightline.train import state

STEPS = 11
FEW = 4
"""So many steps are seen before a run is stopped; an epoch has three."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A folder of drawn images, and the runs beside it."""

    root: Path

    def command(self, out: str, *more: str) -> list[str]:
        """Mixed images, an evaluation, and a state after every step."""
        settings = {
            "augmentation.mosaic": 0.6,
            "augmentation.mixup": 0.3,
            "size_jitter": 0.3,
            "balance": 0.5,
            "log_steps": 1,
            "save_seconds": 0,
            "evaluate_every": 0.5,
            "warmup_steps": 2,
        }
        options = f"--steps {STEPS} --batch 2 --size 64 --threads 1 --start none --seed 3".split()
        pairs = [word for k, v in settings.items() for word in ("--set", f"{k}={v}")]
        verb = ("train", str(self.root / "data"), "--model", "retinanet_mobilenet_v2")
        return [*verb, "--out", str(self.root / out), *options, *pairs, *more]

    def whole(self, out: str, *more: str) -> Path:
        """A run from its beginning to its end."""
        finish(self.command(out, *more))
        return self.root / out

    def stopped(self, out: str, number: signal.Signals) -> str:
        """Begin a run and send it a signal after a few steps; what it said."""
        process = start(self.command(out))
        wait_until(lambda: steps_in(self.root / out) >= FEW, process)
        process.send_signal(number)
        said = process.communicate(timeout=600)[1]
        assert process.returncode == (143 if number == signal.SIGTERM else -number), said
        assert steps_in(self.root / out) < STEPS, "it was too fast to be stopped"
        return said


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sightline", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(arguments: list[str]) -> str:
    process = start(arguments)
    said = process.communicate(timeout=1200)[1]
    assert process.returncode == 0, said
    return said


def wait_until(seen: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + 600
    while not seen():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < ends
        time.sleep(0.005)


def steps_in(out: Path) -> int:
    """The steps that the log of a run tells of, and whose state is saved."""
    if not (out / state.NAME).exists():
        return 0
    lines = (out / "log.jsonl").read_text().splitlines(keepends=True)
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return max((int(row["step"]) for row in rows), default=0)


def assert_same(one: Path, other: Path) -> None:
    """Weights, their average, moments, random states, and where the run is."""
    for name in ("best.safetensors", "last.safetensors"):
        first, second = (hashlib.sha256((p / name).read_bytes()).hexdigest() for p in (one, other))
        assert first == second, f"{name} of {other.name}"
    saved = [state.load(path) for path in (one, other)]
    assert saved[0] is not None and saved[1] is not None
    tensors, facts = zip(*saved, strict=True)
    assert tensors[0].keys() == tensors[1].keys()
    kinds = {name.split("/")[0] for name in tensors[0]}
    assert kinds == {"model", "average", "optimizer", "random"}
    for name in tensors[0]:
        assert torch.equal(tensors[0][name], tensors[1][name]), name
    for fact in facts:
        del fact["progress"]["seconds"]
    assert facts[0] == facts[1]
    results = [json.loads((path / "repro.json").read_text())["results"] for path in (one, other)]
    assert results[0] == results[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("runs")
    text = "train: images/train\nval: images/train\nnames: [cat, dog]\n"
    lines = {f"i{n}": f"{n % 2} 0.5 0.{4 + n % 3} 0.4 0.{3 + n % 4}\n" for n in range(5)}
    yolo_folder(root / "data", text, **lines, empty=None)
    return Place(root)


@pytest.fixture(scope="module")
def whole(place: Place) -> Path:
    return place.whole("whole")


@pytest.mark.slow
def test_stopped_by_a_signal_and_resumed_as_it_said(place: Place, whole: Path) -> None:
    said = place.stopped("stopped", signal.SIGTERM)
    (line,) = [line for line in said.splitlines() if line.startswith("stopped at step ")]
    step, command = line.removeprefix("stopped at step ").split(": ", 1)
    assert FEW <= int(step) < STEPS
    words = shlex.split(command.removesuffix(" goes on"))
    assert words[:3] == ["sightline", "train", "--resume"]
    assert f"at step {step}" in finish(words[1:])
    assert_same(whole, place.root / "stopped")


@pytest.mark.slow
def test_killed_and_resumed(place: Place, whole: Path) -> None:
    place.stopped("killed", signal.SIGKILL)
    assert "resuming" in finish(place.command("killed", "--resume"))
    assert_same(whole, place.root / "killed")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "1", "3"])
def test_with_any_number_of_threads_for_images(place: Place, whole: Path, workers: str) -> None:
    assert_same(whole, place.whole(f"workers{workers}", "--workers", workers))


@pytest.mark.slow
def test_from_its_record(place: Place, whole: Path) -> None:
    again = place.root / "again"
    said = finish(["train", "--repro", str(whole), "--out", str(again)])
    assert "are those of the recorded run" in said
    assert_same(whole, again)
