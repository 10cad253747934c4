"""The batch that fits: measured, in powers of two, never more than there is room for."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from training_world import Tiny, brief

from sightline import memory
from sightline.data.records import Dataset
from sightline.errors import ResourceError
from sightline.train import autobatch, record
from sightline.train.autobatch import fitted, largest_batch, predicted, recorded
from sightline.train.loop import Run, train
from sightline.types import Batch, Targets

MEGABYTE = 1_000_000


class Hungry(Tiny):
    """40 MB an image."""

    def loss(self, batch: Batch, targets: list[Targets]) -> dict[str, Tensor]:
        ballast = torch.ones(len(targets), 10_000_000)
        return {"ballast": 0 * ballast.sum(), **super().loss(batch, targets)}


def new(kind: type[Tiny] = Tiny) -> Tiny:
    torch.manual_seed(0)
    return kind()


@pytest.mark.parametrize(("room", "batch"), [(130, 2), (250, 4), (10_000, 8)])
def test_it_measures_what_images_take(
    drawn: Dataset, monkeypatch: pytest.MonkeyPatch, room: int, batch: int
) -> None:
    monkeypatch.setattr(memory, "available", lambda: int(room * MEGABYTE / autobatch.SHARE))
    detector = new(Hungry)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    said: list[str] = []
    found = fitted(detector, drawn, brief(batch=3), said.append)
    assert found == brief(batch=batch), "at most as many as there are images, here 8"
    assert f"batch {batch}:" in said[0] and "64×64" in said[0]
    assert all(torch.equal(v, before[k]) for k, v in detector.state_dict().items())


@pytest.mark.slow
def test_memory_that_is_kept_hides_nothing() -> None:
    """What an earlier step has left to the process is neither taken for nothing nor counted twice:
    the process asks the kernel for no more, or leaves holes that are too small for what comes.
    """
    script = f"""
import sys, pytest, torch
from sightline.memory import keep_freed_memory
keep_freed_memory()
ballast = [torch.ones(50_000_000) for _ in range(2)]
del ballast
names = "not_even_one or measures"
sys.exit(pytest.main([{__file__!r}, "-k", names, "-q", "-p", "no:cacheprovider"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


def test_not_even_one(drawn: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 20 * MEGABYTE)
    with pytest.raises(ResourceError, match="smaller --size") as caught:
        fitted(new(Hungry), drawn, brief(), str)
    assert caught.value.code == "resource.out_of_memory"
    monkeypatch.setattr(memory, "available", lambda: None)
    with pytest.raises(ResourceError, match="--batch a number"):
        fitted(new(), drawn, brief(), str)


@given(
    base=st.integers(1, 10**9),
    each=st.integers(1, 10**8),
    room=st.integers(1, 10**11),
    largest=st.sampled_from([1, 2, 8, 64]),
)
def test_the_largest_power_of_two_that_fits(base: int, each: int, room: int, largest: int) -> None:
    costs = {n: base + each * n for n in autobatch.PROBES}
    if predicted(costs, 1) > room:
        with pytest.raises(ResourceError):
            largest_batch(costs, room, largest)
        return
    batch = largest_batch(costs, room, largest)
    assert batch & (batch - 1) == 0 and 1 <= batch <= largest
    assert base + each * batch <= room
    assert predicted(costs, batch) >= costs.get(batch, base + each * batch)
    if 2 * batch <= largest:
        assert predicted(costs, 2 * batch) > room


def test_the_batch_of_a_run_is_found_again(drawn: Dataset, tmp_path: Path) -> None:
    assert recorded(tmp_path) is None
    train(new(), drawn, brief(batch=16, steps=1), tmp_path, run=Run(say=str))
    assert recorded(tmp_path) == 16
    (tmp_path / record.NAME).write_text("{")
    assert recorded(tmp_path) is None
