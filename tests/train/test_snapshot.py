"""Going on from a state that does not fit: what is wrong is said, and nothing is mixed up."""

import dataclasses
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from torch import nn
from training_world import CLASSES, Tiny, brief, draw_dataset

from sightline.data.records import Dataset
from sightline.errors import SightlineError, SightlineWarning, UsageError, WeightsError
from sightline.train import snapshot, state
from sightline.train.loop import Run, train
from sightline.train.recipes import Recipe
from sightline.train.step import Stepper

QUIET = Run(say=lambda message: None)
ACCEPTING = dataclasses.replace(QUIET, accept_changes=True)
SHORT = brief(steps=4, save_seconds=0.0)


class Other(Tiny):
    """One layer more."""

    def __init__(self) -> None:
        super().__init__()
        self.layers.append(nn.Conv2d(2, 2, 1))


class Wide(Tiny):
    """Layers of other widths under the same names."""

    def __init__(self) -> None:
        super().__init__()
        self.layers[3] = nn.Conv2d(8, 24, 3, 2, 1)
        self.layers[5] = nn.Conv2d(24, 2, 3, 2, 1)


def new(kind: type[Tiny] = Tiny) -> Tiny:
    torch.manual_seed(0)
    return kind()


@pytest.fixture
def run(drawn: Dataset, tmp_path: Path) -> Path:
    """A run of four steps, with two states."""
    train(new(), drawn, SHORT, tmp_path / "run", run=QUIET)
    assert (tmp_path / "run" / state.PREVIOUS).exists()
    return tmp_path / "run"


def refused(detector: Tiny, data: Dataset, recipe: Recipe, out: Path, run: Run) -> SightlineError:
    with pytest.raises(SightlineError) as caught:
        train(detector, data, recipe, out, resume=True, run=run)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("kind", [Other, Wide])
def test_another_model(drawn: Dataset, run: Path, kind: type[Tiny]) -> None:
    other = dataclasses.replace(SHORT, model="other")
    assert "model: tiny → other" in refused(new(kind), drawn, other, run, QUIET).message
    error = refused(new(kind), drawn, other, run, ACCEPTING)
    assert error.code == "weights.architecture"
    assert error.path == str(run / state.NAME)
    assert "layers." in error.message


def test_other_classes(drawn: Dataset, run: Path, tmp_path: Path) -> None:
    more = (*CLASSES, "green")
    data = dataclasses.replace(
        draw_dataset(tmp_path / "more"), classes=more, category_ids=(1, 2, 3)
    )
    assert refused(Tiny(more), data, SHORT, run, QUIET).code == "train.changed"
    error = refused(Tiny(more), data, SHORT, run, ACCEPTING)
    assert error.code == "weights.class_count"
    assert "2" in error.message and "3" in error.message


@pytest.mark.parametrize(("first", "second"), [("adamw", "sgd"), ("sgd", "adamw")])
def test_another_optimizer(drawn: Dataset, tmp_path: Path, first: str, second: str) -> None:
    """The moments of one are no moments of the other, not even where that is accepted."""
    out, recipe = tmp_path / "run", dataclasses.replace(SHORT, optimizer=first)
    train(new(), drawn, recipe, out, run=QUIET)
    other = dataclasses.replace(SHORT, optimizer=second)
    assert refused(new(), drawn, other, out, QUIET).code == "train.changed"
    error = refused(new(), drawn, other, out, ACCEPTING)
    assert error.code == "train.optimizer"
    assert isinstance(error, UsageError)


def test_another_device(drawn: Dataset, run: Path) -> None:
    found = state.load(run)
    assert found is not None
    tensors, facts = found
    assert facts["run"]["hardware"] == "cpu"
    facts["run"]["hardware"] = "cuda"
    state.save(run, tensors, facts)
    error = refused(new(), drawn, SHORT, run, QUIET)
    assert error.code == "train.changed"
    assert "hardware: cuda → cpu" in error.message
    assert train(new(), drawn, SHORT, run, resume=True, run=ACCEPTING).exists()


def test_the_same_device_by_another_name(drawn: Dataset, run: Path) -> None:
    """`auto` is the CPU where there is no GPU: that is no change."""
    if not torch.cuda.is_available():
        cpu = dataclasses.replace(SHORT, device="cpu")
        assert train(new(), drawn, cpu, run, resume=True, run=QUIET).exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_states_cut_short(drawn: Dataset, run: Path, share: float) -> None:
    """The one before is taken, and said; where both are cut nothing begins from zero."""
    newest, older = run / state.NAME, run / state.PREVIOUS
    newest.write_bytes(newest.read_bytes()[: int(share * newest.stat().st_size)])
    with pytest.warns(SightlineWarning, match="damaged"):
        assert state.load(run) is not None
    older.write_bytes(older.read_bytes()[: int(share * older.stat().st_size)])
    with pytest.warns(SightlineWarning):
        error = refused(new(), drawn, SHORT, run, QUIET)
    assert isinstance(error, WeightsError)
    assert error.code == "weights.checksum"


def test_a_newer_format(drawn: Dataset, run: Path) -> None:
    path = run / state.NAME
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    assert header["format"] == str(state.FORMAT)
    header["format"] = str(state.FORMAT + 1)
    safetensors.torch.save_file(safetensors.torch.load_file(path), path, header)
    error = refused(new(), drawn, SHORT, run, QUIET)
    assert error.code == "weights.format"
    assert "newer" in error.message


@pytest.mark.parametrize("key", ["progress", "run", "updates", "first", "random"])
def test_the_facts_of_another_version(drawn: Dataset, run: Path, key: str) -> None:
    found = state.load(run)
    assert found is not None
    tensors, facts = found
    if key == "progress":
        facts[key]["epoch"] = 3
    else:
        del facts[key]
    state.save(run, tensors, facts)
    assert refused(new(), drawn, SHORT, run, ACCEPTING).code == "weights.format"


def stepped(frozen: bool, said: list[str], saved: Path | None = None) -> Stepper:
    """A stepper after a step, or with what was saved; the first layer may be frozen."""
    detector = new()
    detector.layers[0].requires_grad_(not frozen)
    stepper = Stepper(detector, SHORT)
    if saved is not None:
        found = state.load(saved)
        assert found is not None
        snapshot.put_back(stepper, found, saved, said.append)
        return stepper
    for parameter in stepper._parameters:
        parameter.grad = torch.full_like(parameter, float(parameter.numel()))
    stepper.optimizer.step()
    return stepper


@pytest.mark.parametrize("frozen", [True, False])
def test_moments_follow_their_layer(tmp_path: Path, frozen: bool) -> None:
    """Which layers are trained may change: the numbers of the others move, their names do not."""
    said: list[str] = []
    before = stepped(frozen, said)
    state.save(tmp_path, *snapshot.take(before))
    after = stepped(not frozen, said, tmp_path)
    last, other = (s.detector.layers[5].weight for s in (before, after))
    kept, placed = before.optimizer.state[last], after.optimizer.state[other]
    assert torch.equal(kept["exp_avg"], placed["exp_avg"])
    assert kept["exp_avg"].abs().min() > 0
    first = after.detector.layers[0].weight
    assert not after.optimizer.state.get(first)
    assert bool(said) is frozen
    assert not frozen or "without moments: 2 parameters" in said[0]


def test_a_state_without_names_fits_or_is_refused(tmp_path: Path) -> None:
    """As states were before parameters had names in them."""
    before = stepped(True, [])
    tensors, facts = snapshot.take(before)
    del facts["parameters"]
    state.save(tmp_path, tensors, facts)
    again = stepped(True, [], tmp_path)
    weight = again.detector.layers[5].weight
    kept = before.optimizer.state[before.detector.layers[5].weight]
    assert torch.equal(again.optimizer.state[weight]["exp_avg"], kept["exp_avg"])
    with pytest.raises(WeightsError, match="the moments of layers") as caught:
        stepped(False, [], tmp_path)
    assert caught.value.code == "weights.architecture"
