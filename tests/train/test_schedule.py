"""What changes during a run, in numbers worked out by hand."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from training_world import brief

from sightline.train.ema import Average
from sightline.train.schedule import Budget, ema_decay, is_calm, rate, size_at


def test_budget_in_epochs_steps_and_minutes() -> None:
    epochs = Budget.of(brief(steps=None, epochs=2.5), images=10)
    assert epochs == Budget(steps=7, seconds=None)
    assert epochs.fraction(7, 0.0) == 1.0
    assert Budget.of(brief(steps=8), 10).fraction(2, 1e9) == 0.25
    minutes = Budget.of(brief(steps=None, minutes=2), 10)
    assert minutes.fraction(10**9, 30.0) == 0.25
    assert minutes.fraction(0, 500.0) == 1.0


def test_learning_rate_warms_up_and_falls_by_a_cosine() -> None:
    recipe = brief(warmup_steps=4, final=0.1)
    assert rate(recipe, 0, 0.0) == pytest.approx(0.2)
    assert rate(recipe, 3, 0.0) == pytest.approx(0.8)
    assert rate(recipe, 4, 0.0) == pytest.approx(1.0)
    assert rate(recipe, 9, 0.5) == pytest.approx(0.55)
    assert rate(recipe, 9, 1.0) == pytest.approx(0.1)
    quarter = 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2
    assert rate(recipe, 9, 0.25) == pytest.approx(quarter)
    assert rate(recipe, 0, 0.0, steps=20) == pytest.approx(1 / 3)


def test_sizes_follow_their_shares() -> None:
    recipe = brief(sizes=((0.35, 256), (0.4, 320), (0.25, 384)))
    shares = (0.0, 0.349, 0.35, 0.7499, 0.75, 0.999)
    assert [size_at(recipe, 0, x) for x in shares] == [256, 256, 320, 320, 384, 384]


def test_size_jitter_is_a_function_of_seed_and_step() -> None:
    recipe = brief(sizes=((1.0, 320),), size_jitter=0.25)
    drawn = [size_at(recipe, step, 0.5) for step in range(200)]
    assert drawn == [size_at(recipe, step, 0.1) for step in range(200)]
    assert set(drawn) == {256, 288, 320, 352, 384} | ({240, 400} & set(drawn))
    assert all(side % 32 == 0 for side in drawn)
    other = dataclasses.replace(recipe, seed=1)
    assert drawn != [size_at(other, step, 0.5) for step in range(200)]


def test_calm_is_the_last_part() -> None:
    assert [is_calm(brief(calm=0.25), x) for x in (0.0, 0.74, 0.75, 1.0)] == [
        False, False, True, True,
    ]  # fmt: skip
    assert not is_calm(brief(calm=0.0), 1.0)


def test_average_follows_the_definition() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = Average(model, 0.9)
    expected = model[0].weight.detach().clone()
    for update in range(300):
        with torch.no_grad():
            model[0].weight.normal_()
            model[1].running_mean.fill_(5.0)
            model[1].num_batches_tracked.fill_(update)
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * model[0].weight
        average.update()
    assert torch.allclose(average.model[0].weight, expected, atol=1e-6)
    assert average.model[1].running_mean.tolist() == pytest.approx([5.0] * 3)
    assert average.model[1].num_batches_tracked == 299
    assert not average.model.training
    assert not any(p.requires_grad for p in average.model.parameters())


def test_average_without_decay_is_the_model_itself() -> None:
    model = nn.Linear(2, 2)
    average = Average(model, 0.0)
    with torch.no_grad():
        model.weight.fill_(3.0)
    average.update()
    assert torch.equal(average.model.weight, model.weight)


def test_decay_warms_up() -> None:
    assert ema_decay(0.998, 0) == pytest.approx(0.1)
    assert ema_decay(0.998, 10**6) == 0.998
