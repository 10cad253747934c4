"""Detectors that learn by a method of their own, in the same runs as those that learn by steps."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_world import CLASSES, Tiny, brief, draw_dataset

from sightline import checkpoint
from sightline.data.records import Dataset
from sightline.data.samples import LabelledImages
from sightline.errors import ImageError, UsageError
from sightline.fitting import Desk, Samples, clock, device_of
from sightline.preparation import Preparation
from sightline.train import loop, setup, signals, trainer
from sightline.train.loop import Run, train
from sightline.train.recipes import Recipe
from sightline.train.trial import trial

QUIET = Run(say=lambda line: None)


def own(**changes: object) -> Recipe:
    """A recipe for what has no steps."""
    plain: dict[str, object] = {"model": "means", "start": None, "minutes": 1.0, "threads": 1}
    return Recipe(**{**plain, **changes})  # type: ignore[arg-type]


READ: list[int] = []
"""Which images were read: what is fitted is a copy of the detector that a run is given."""


@pytest.fixture(autouse=True)
def nothing_read() -> None:
    READ.clear()


class Means(nn.Module):
    """Learns the mean colour of each class's boxes: what lies on the desk is not read again."""

    def __init__(self, classes: tuple[str, ...] = CLASSES) -> None:
        super().__init__()
        self.classes = classes
        self.preparation = Preparation(shorter=None, longer=64)
        self.register_buffer("means", torch.zeros(len(classes), 3))

    def fit(self, samples: Samples, desk: Desk) -> None:
        sums = torch.zeros(len(self.classes), 4)
        for index in range(len(samples)):
            desk.pause()
            assert desk.folder is not None
            kept = desk.folder / f"{index}.json"
            if not kept.exists():
                image, truth = samples[index]
                READ.append(index)
                rows = [
                    [label, *image[:, y1:y2, x1:x2].float().mean((1, 2)).tolist()]
                    for label, (x1, y1, x2, y2) in zip(
                        truth.labels.tolist(), truth.boxes.int().tolist(), strict=True
                    )
                ]
                kept.write_text(json.dumps(rows))
            for label, *colour in json.loads(kept.read_text()):
                sums[int(label)] += torch.tensor([*colour, 1.0])
        self.means = sums[:, :3] / sums[:, 3:]


class Both(Tiny):
    """Steps first; then a `fit` that says what it found of them, and of `prime`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))
        self.primes = 0

    def prime(self, samples: Samples, desk: Desk) -> None:
        self.primes += 1
        self.images = torch.tensor(float(len(samples)))

    def fit(self, samples: Samples, desk: Desk) -> None:
        weight = self.layers[0].weight
        assert isinstance(weight, Tensor)
        self.seen = weight.detach().sum()


def both() -> Both:
    torch.manual_seed(0)
    return Both()


def test_what_is_fitted_is_the_checkpoint(drawn: Dataset, tmp_path: Path) -> None:
    best = train(Means(), drawn, own(), tmp_path / "run", run=QUIET)
    state = checkpoint.read(best).state
    assert list(state) == ["means"]
    torch.testing.assert_close(state["means"], torch.tensor([[220.0, 40, 40], [40, 40, 220]]))
    assert checkpoint.manifest(best)["model"] == "means"
    assert not (tmp_path / "run" / "work").exists()
    told = json.loads((tmp_path / "run" / "repro.json").read_text())
    assert told["recipe"]["minutes"] == 1.0 and {"best", "last"} <= set(told["results"])


def test_a_fit_that_is_stopped_goes_on_with_what_it_kept(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals.Stop, "asked", property(lambda self: len(READ) == 3))
    said: list[str] = []
    train(Means(), drawn, own(), tmp_path / "run", run=Run(say=said.append))
    assert any("goes on" in line for line in said)
    assert (tmp_path / "run" / "work").is_dir()
    assert READ == [0, 1, 2]
    monkeypatch.undo()
    READ.clear()
    train(Means(), drawn, own(), tmp_path / "run", resume=True, run=QUIET)
    assert list(range(3, 8)) == READ
    train(Means(), drawn, own(), tmp_path / "whole", run=QUIET)
    one, other = (checkpoint.read(tmp_path / n / "best").state["means"] for n in ("run", "whole"))
    assert torch.equal(one, other)


def test_a_finished_fit_is_not_done_again(drawn: Dataset, tmp_path: Path) -> None:
    train(Means(), drawn, own(), tmp_path / "run", run=QUIET)
    READ.clear()
    train(Means(), drawn, own(), tmp_path / "run", resume=True, run=QUIET)
    assert READ == []
    with pytest.raises(UsageError) as caught:
        train(Means(), drawn, own(), tmp_path / "run", run=QUIET)
    assert caught.value.code == "train.exists"


def test_steps_then_fit(drawn: Dataset, tmp_path: Path) -> None:
    """The fit sees the averaged weights, and its answer is what is evaluated and kept."""
    best = train(both(), drawn, brief(), tmp_path / "run", run=QUIET)
    state = checkpoint.read(best).state
    assert state["images"] == 8
    assert state["seen"] == pytest.approx(state["layers.0.weight"].sum().item()) and state["seen"]
    plain = train(new_tiny(), drawn, brief(), tmp_path / "plain", run=QUIET)
    for key, value in checkpoint.read(plain).state.items():
        assert torch.equal(state[key], value), key


def new_tiny() -> Tiny:
    torch.manual_seed(0)
    return Tiny()


@pytest.mark.parametrize("stop_at", [5, 24])
def test_steps_and_fit_stopped_and_resumed(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    train(both(), drawn, brief(), tmp_path / "whole", run=QUIET)
    stop = signals.Stop()
    monkeypatch.setattr(loop, "Stop", lambda limit: stop)
    original = trainer.Trainer._advance

    def advance(self: trainer.Trainer, *args: object) -> bool:
        answer = original(self, *args)  # type: ignore[arg-type]
        stop._paused = self.progress.step == stop_at
        return answer

    monkeypatch.setattr(trainer.Trainer, "_advance", advance)
    train(both(), drawn, brief(), tmp_path / "run", run=QUIET)
    assert not checkpoint.read(tmp_path / "run" / "last").state["seen"].item()
    stop._paused = False
    second = both()
    train(second, drawn, brief(), tmp_path / "run", resume=True, run=QUIET)
    assert second.primes == 1
    one, other = (checkpoint.read(tmp_path / n / "best").state for n in ("run", "whole"))
    assert all(torch.equal(one[key], other[key]) for key in other)


def test_evaluated_once_it_is_fitted(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures of the steps do not compete with the answer's own."""
    values = iter([0.9, 0.9, 0.9, 0.9, 0.2])
    monkeypatch.setattr(trainer, "figures_of", lambda *_: {"AP": next(values)})
    best = train(both(), drawn, brief(), tmp_path / "run", validation=drawn, run=QUIET)
    assert checkpoint.manifest(best)["figures"] == {"AP": 0.2}
    assert checkpoint.read(best).state["seen"] != 0


def test_machines_yet_to_be_fitted_are_not_evaluated(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def told(*_: object) -> dict[str, float]:
        calls.append(1)
        return {"AP": 0.5}

    monkeypatch.setattr(trainer, "figures_of", told)
    model: Any = both()
    model.scores_are_margins = True
    train(model, drawn, brief(), tmp_path / "run", validation=drawn, run=QUIET)
    assert calls == [1]


def test_settings_that_would_do_nothing(drawn: Dataset, tmp_path: Path) -> None:
    for change in ({"learning_rate": 0.1}, {"batch": 4}, {"steps": 5, "minutes": None}):
        with pytest.raises(UsageError, match=next(iter(change))) as caught:
            train(Means(), drawn, own(**change), tmp_path / "run", run=QUIET)
        assert caught.value.code == "train.recipe"
    with pytest.raises(UsageError) as caught, trial(Means(), drawn, own()):
        pass
    assert caught.value.code == "train.no_steps"


def test_nothing_to_learn(drawn: Dataset, tmp_path: Path) -> None:
    class Fixed(nn.Module):
        classes = CLASSES

    with pytest.raises(UsageError) as caught:
        train(Fixed(), drawn, own(), tmp_path / "run", run=QUIET)
    assert caught.value.code == "train.nothing"


def test_one_process_alone_fits(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UsageError) as caught:
        train(Means(), drawn, own(), tmp_path / "run", run=QUIET)
    assert caught.value.code == "usage.processes"


def test_the_clock_of_a_desk() -> None:
    now = [0.0]
    assert clock(None, lambda: 99.0)() == 0
    spent = clock(10.0, lambda: now[0])
    assert spent() == 0
    now[0] = 4.0
    assert spent() == pytest.approx(0.4)
    now[0] = 99.0
    assert spent() == 1
    assert device_of(nn.Module()).type == "cpu"


def test_samples_are_the_images_as_they_are(drawn: Dataset) -> None:
    samples = LabelledImages(drawn)
    assert len(samples) == 8
    image, truth = samples[3]
    assert image.shape == (3, 48, 64) and image.dtype == torch.uint8
    assert truth.boxes.tolist() == drawn[3].objects.boxes.tolist() and truth.labels.tolist() == [1]
    x1, y1, x2, y2 = truth.boxes[0].int().tolist()
    assert (image[:, y1:y2, x1:x2].flatten(1) == torch.tensor([[40], [40], [220]])).all()
    truth.boxes.add_(1)  # a copy: the data set keeps its own
    assert samples[3][1].boxes.tolist() == drawn[3].objects.boxes.tolist()
    assert len(list(iter(samples))) == 8  # type: ignore[call-overload]
    with pytest.raises(IndexError):
        samples[8]


def test_samples_that_cannot_be_read(tmp_path: Path) -> None:
    drawn = draw_dataset(tmp_path)
    drawn[2].path.write_bytes(b"no image")
    with pytest.raises(ImageError):
        LabelledImages(drawn)[2]
    image, _ = LabelledImages(drawn, skip_bad=0.2)[2]
    assert torch.equal(image, LabelledImages(drawn)[3][0])


def test_facts_hold_the_recipe(drawn: Dataset) -> None:
    assert setup.facts(own(), drawn, None)["minutes"] == 1.0
