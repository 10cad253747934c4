"""Numbers that go wrong: what is noticed, how soon, what is said of it, and what is left alone."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from training_world import Tiny, brief

from sightline import checkpoint
from sightline.data.augment import Augmentation
from sightline.data.records import Dataset
from sightline.errors import TrainingDiverged
from sightline.train import guard, state
from sightline.train.course import Progress
from sightline.train.loop import Run, train
from sightline.train.step import Stepper
from sightline.types import Batch, Targets

QUIET = Run(say=lambda message: None)
PLAIN = brief().augmentation.none()


def new(kind: type[Tiny] = Tiny) -> Tiny:
    torch.manual_seed(0)
    return kind()


class Poisoned(Tiny):
    """Its loss is NaN in some steps."""

    bad: range = range(5, 7)
    count = 0

    def loss(self, batch: Batch, targets: list[Targets]) -> dict[str, Tensor]:
        losses = super().loss(batch, targets)
        Poisoned.count += len(targets) == 4
        if Poisoned.count - 1 in self.bad:
            losses["classification"] = losses["classification"] * float("nan")
        return losses


class _Infinite(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient * float("inf")


class Allergic(Tiny):
    """Cannot bear one image: its loss, or only its gradient, is not finite."""

    how = "loss"

    def loss(self, batch: Batch, targets: list[Targets]) -> dict[str, Tensor]:
        losses = super().loss(batch, targets)
        if any((target.labels == 1).any() for target in targets):
            part = losses["classification"]
            spoilt = part * float("nan") if self.how == "loss" else _Infinite.apply(part)
            losses["classification"] = spoilt
        return losses


def test_a_few_bad_steps_are_skipped(drawn: Dataset, tmp_path: Path) -> None:
    Poisoned.count, Poisoned.bad = 0, range(5, 7)
    said: list[str] = []
    best = train(Poisoned(), drawn, brief(), tmp_path / "run", run=Run(say=said.append))
    skipped = [line for line in said if "skipped" in line]
    assert len(skipped) == 2
    assert "step 5" in skipped[0]
    assert "(classification)" in skipped[0]
    assert ".png" in skipped[0]
    assert all(v.isfinite().all() for v in checkpoint.read(best).state.values())


def test_many_bad_steps_end_the_run(drawn: Dataset, tmp_path: Path) -> None:
    Poisoned.count, Poisoned.bad = 0, range(8, 1000)
    out = tmp_path / "run"
    with pytest.raises(TrainingDiverged, match=r"\.png") as caught:
        train(Poisoned(), drawn, brief(bad_steps=3, save_seconds=0.0), out, run=QUIET)
    assert caught.value.step == 11
    assert caught.value.last_good == str(out / "last.safetensors")
    assert checkpoint.read(out / "last").manifest["training"]["step"] == 8
    assert caught.value.exit_status == 7


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_the_guilty_image_is_named_and_shown(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """One image of eight (T2); every batch of all eight meets it."""
    monkeypatch.setattr(Allergic, "how", how)
    labels = [0, 0, 0, 1, 0, 0, 0, 0]
    for example, label in zip(drawn, labels, strict=True):
        example.objects.labels[:] = label
    said: list[str] = []
    recipe = brief(batch=8, bad_steps=1, augmentation=PLAIN, sizes=((1.0, 64),))
    out = tmp_path / "run"
    with pytest.raises(TrainingDiverged, match=r"003\.png alone") as caught:
        train(new(Allergic), drawn, recipe, out, run=Run(say=said.append))
    assert sum("003.png alone" in line for line in said) == 2
    record = json.loads((out / "diverged.json").read_text())
    assert record == json.loads(json.dumps(caught.value.record))
    assert record["reason"] == how
    assert ("layers.5" in record["layers"]) == (how == "gradient")
    (guilty,) = [image for image in record["images"] if image["guilty"]]
    assert guilty["files"] == [str(drawn[3].path)]
    assert guilty["labels"] == ["blue"]
    np.testing.assert_allclose(guilty["boxes"][0], drawn[3].objects.boxes[0], atol=1e-3)
    assert guilty["loss"] == "nan" if how == "loss" else isinstance(guilty["loss"], float)
    assert len(record["images"]) == 8
    sheet = np.asarray(Image.open(out / "diverged.png"))
    assert sheet.shape == (640, 1280, 3)
    assert tuple(sheet[4, 160]) == (255, 0, 0), "the guilty image comes first, in a red frame"
    assert tuple(sheet[4, 480]) != (255, 0, 0)
    assert not (out / "last.safetensors").exists()
    assert caught.value.last_good is None


def test_degenerate_boxes_are_pointed_out(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Tiny.loss

    def loss(self: Tiny, batch: Batch, targets: list[Targets]) -> dict[str, Tensor]:
        losses = original(self, batch, targets)
        for target in targets:
            if (target.boxes[:, 2] - target.boxes[:, 0] < 0.5).any():
                losses["size"] = losses["size"] / torch.zeros(())
        return losses

    monkeypatch.setattr(Tiny, "loss", loss)
    drawn[5].objects.boxes[0, 2] = drawn[5].objects.boxes[0, 0] + 0.25
    keeping = dataclasses.replace(PLAIN, min_size=0.0, min_visible=0.0)
    recipe = brief(batch=8, bad_steps=0, sizes=((1.0, 64),), augmentation=keeping)
    with pytest.raises(TrainingDiverged, match=r"005\.png.*degenerate boxes") as caught:
        train(new(), drawn, recipe, tmp_path / "run", run=QUIET)
    assert [image["degenerate"] for image in caught.value.images if image["guilty"]] == [[0]]


def test_images_mixed_in_are_named(drawn: Dataset, tmp_path: Path) -> None:
    Poisoned.count, Poisoned.bad = 0, range(1000)
    mixed = Augmentation(mosaic=1.0, mixup=1.0)
    with pytest.raises(TrainingDiverged) as caught:
        recipe = brief(bad_steps=0, augmentation=mixed)
        train(Poisoned(), drawn, recipe, tmp_path / "run", run=QUIET)
    counts = [len(image["files"]) for image in caught.value.images]
    assert len(counts) == 4
    assert max(counts) > 2 and min(counts) >= 2


def test_a_learning_rate_far_too_high_is_noticed_within_60_steps(
    drawn: Dataset, tmp_path: Path
) -> None:
    for name in ("sgd", "adamw"):
        recipe = brief(steps=400, learning_rate=1e6, optimizer=name, clip_norm=0.0)
        out = tmp_path / name
        with pytest.raises(TrainingDiverged, match="learning_rate=1e\\+05") as caught:
            train(new(), drawn, recipe, out, run=QUIET)
        assert caught.value.step < 60
        assert not (out / state.NAME).exists()


def test_a_climb_ends_the_run_and_keeps_what_was_good(drawn: Dataset, tmp_path: Path) -> None:
    """A healthy run whose loss turns and grows by a tenth a step, all finite."""

    class Climbing(Tiny):
        count = 0

        def loss(self, batch: Batch, targets: list[Targets]) -> dict[str, Tensor]:
            losses = super().loss(batch, targets)
            Climbing.count += 1
            growth = min(60.0, 1.1 ** max(0, Climbing.count - 80))
            return {name: value * growth for name, value in losses.items()}

    out = tmp_path / "run"
    with pytest.raises(TrainingDiverged, match="the lowest was") as caught:
        recipe = brief(steps=400, save_seconds=0.0, learning_rate=1e-3)
        train(new(Climbing), drawn, recipe, out, run=QUIET)
    assert 80 < caught.value.step < 80 + 2 * guard.WINDOW
    assert caught.value.record["reason"] == "climb"
    saved = checkpoint.read(out / "last").manifest["training"]["step"]
    assert saved < 110, "what climbed was not written over what was good"
    assert caught.value.record["since"] >= 70


def test_weights_that_overflowed_are_never_saved(drawn: Dataset, tmp_path: Path) -> None:
    """The first step throws them far away; the run is over before ten others were skipped."""
    recipe = brief(steps=9, warmup_steps=0, learning_rate=1e18, bad_steps=50, weight_decay=1.0)
    with pytest.raises(TrainingDiverged, match="weights are of no use any more"):
        train(new(), drawn, recipe, tmp_path / "run", run=QUIET)
    assert not list((tmp_path / "run").glob("*.safetensors"))


def test_running_statistics_survive_a_step_that_is_not_taken() -> None:
    tiny = new()
    stepper = Stepper(tiny, brief())
    pixels = torch.randint(0, 256, (4, 3, 32, 64), dtype=torch.uint8)
    none = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0).bool())
    assert stepper.step(pixels, [none] * 4, 0.01)[0]
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    with torch.no_grad():
        tiny.layers[0].bias[0] = float("inf")
    taken, loss = stepper.step(pixels, [none] * 4, 0.01)
    assert not taken and not math.isfinite(loss)
    with torch.no_grad():
        tiny.layers[0].bias[0] = before["layers.0.bias"][0]
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())


CURVES = st.builds(
    lambda start, end, pace, noise, jump, seed: (start, end, pace, noise, jump, seed),
    start=st.floats(0.3, 10),
    end=st.floats(0.01, 0.9),
    pace=st.floats(20, 400),
    noise=st.floats(0, 1.2),
    jump=st.floats(0.5, 2.0),
    seed=st.integers(0, 2**31),
)


@settings(max_examples=60, deadline=None)
@given(curve=CURVES)
def test_a_healthy_noisy_run_is_never_stopped(
    curve: tuple[float, float, float, float, float, int],
) -> None:
    """Losses that fall from `start` to a share `end` of it, with log-normal noise as wild as a
    batch of one image has, and a jump by `jump` where the images change their size.
    """
    start, end, pace, noise, jump, seed = curve
    rng = np.random.default_rng(seed)
    steps = np.arange(1000)
    losses = start * (end + (1 - end) * np.exp(-steps / pace))
    losses *= np.where(steps > 600, jump, 1) * rng.lognormal(0, noise, len(steps))
    losses[rng.random(len(steps)) < 0.002] *= 100
    at = Progress()
    for loss in losses.tolist():
        assert not guard.climbs(at, loss, losses[0])


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_images_without_objects_are_no_climb(share: float) -> None:
    """Batches of one image: nearly nothing to lose, or, for some share of them, a lot."""
    rng = np.random.default_rng(0)
    at = Progress()
    for full in rng.random(4000) < share:
        assert not guard.climbs(at, float(0.001 + full), 0.001)


@settings(max_examples=30, deadline=None)
@given(
    noise=st.floats(0, 0.5),
    factor=st.floats(12, 1000),
    turn=st.integers(60, 300),
    seed=st.integers(0, 2**31),
)
def test_a_loss_that_rises_far_above_its_best_is_noticed(
    noise: float, factor: float, turn: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    at = Progress()
    for step in range(turn + 2 * guard.WINDOW):
        level = 0.3 if step < turn else 0.3 * factor
        if guard.climbs(at, level * float(rng.lognormal(0, noise)), 0.5):
            at.step = step
            break
    assert turn < at.step <= turn + guard.WINDOW + 5
    assert abs(guard.began(at) - turn) <= 12
    assert guard.is_suspect(at, 0.5)
