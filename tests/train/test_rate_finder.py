"""The learning rate finder: what it reads from a curve, and that its answer teaches best."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_world import Tiny, brief

from sightline.data.records import Dataset
from sightline.errors import UsageError
from sightline.train import state
from sightline.train.loop import Run, train
from sightline.train.rate_finder import find_rate, judge, smooth, write

RECIPE = brief(sizes=((1.0, 64),), augmentation=brief().augmentation.none())


def new() -> Tiny:
    torch.manual_seed(0)
    return Tiny()


def test_a_curve_of_known_shape_is_read() -> None:
    """Flat, down fastest at 1e-3, up for good from 1e-1."""
    rates = np.geomspace(1e-6, 1, 100)
    losses = np.exp(-2 / (1 + (1e-3 / rates) ** 3)) + np.where(rates > 0.1, rates * 3, 0)
    sweep = judge(rates.tolist(), losses.tolist(), ended=False)
    assert 4e-4 < sweep.steepest < 2.5e-3
    assert sweep.blow_up is not None and 0.05 < sweep.blow_up < 0.2
    assert sweep.suggestion == pytest.approx(sweep.steepest, rel=0.05)


def test_a_blow_up_close_to_the_fall_keeps_its_distance() -> None:
    rates = np.geomspace(1e-6, 1, 100)
    losses = (
        1 - 0.8 / (1 + np.exp(-3 * np.log(rates / 1e-2))) + np.where(rates > 0.03, rates * 9, 0)
    )
    sweep = judge(rates.tolist(), losses.tolist(), ended=True)
    assert sweep.blow_up is not None
    assert sweep.suggestion == pytest.approx(sweep.blow_up / 10, rel=0.05)
    assert sweep.suggestion < sweep.steepest


def test_smoothing_is_not_late() -> None:
    line = np.linspace(5, 1, 80)
    assert np.abs(smooth(line.tolist()) - line)[15:-15].max() < 0.1


@pytest.mark.parametrize("losses", [[1.0] * 40, np.linspace(1, 3, 40).tolist(), [1.0, 2.0]])
def test_nothing_to_be_seen_is_an_error(losses: list[float]) -> None:
    rates = np.geomspace(1e-6, 1, len(losses)).tolist()
    with pytest.raises(UsageError) as caught:
        judge(rates, losses, ended=False)
    assert caught.value.code == "train.no_rate"


@pytest.mark.parametrize("wrong", [(0.0, 1.0), (1.0, 1e-3), (1e-6, float("inf"))])
def test_ranges_that_make_no_sense(drawn: Dataset, wrong: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="cannot be made"):
        find_rate(new(), drawn, RECIPE, wrong)


def test_a_sweep_leaves_no_trace_but_its_files(drawn: Dataset, tmp_path: Path) -> None:
    tiny = new()
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    generators, threads = state.pack_random()[0], torch.get_num_threads()
    done: list[int] = []
    sweep = find_rate(tiny, drawn, RECIPE, (1e-5, 1e4), 60, done.append)
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert all(torch.equal(v, generators[k]) for k, v in state.pack_random()[0].items())
    assert torch.get_num_threads() == threads
    assert done == list(range(1, len(done) + 1))
    assert len(sweep.rates) < 60, "such rates end the sweep early"
    assert sweep.blow_up is not None
    assert find_rate(tiny, drawn, RECIPE, (1e-5, 1e4), 60) == sweep

    picture = write(sweep, tmp_path / "out")
    assert Image.open(picture).size == (800, 450)
    with (tmp_path / "out" / "lr_find.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == list(sweep.losses)
    assert json.loads((tmp_path / "out" / "lr_find.json").read_text()) == sweep.to_json()


def test_the_suggestion_beats_rates_30_times_larger_and_smaller(
    drawn: Dataset, tmp_path: Path
) -> None:
    sweep = find_rate(new(), drawn, RECIPE, (1e-5, 10.0), 80)

    def loss_after(rate: float) -> float:
        out = tmp_path / f"{rate:g}"
        recipe = brief(
            steps=40,
            learning_rate=rate,
            sizes=((1.0, 64),),
            augmentation=RECIPE.augmentation,
            log_steps=10,
        )
        train(new(), drawn, recipe, out, run=Run(say=str))
        rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        return float(rows[-1]["loss"])

    best = sweep.suggestion
    losses = {factor: loss_after(best * factor) for factor in (1 / 30, 1, 30)}
    print(f"suggestion {best:g}: loss after 40 steps by factor {losses}")
    assert losses[1] < 0.8 * losses[1 / 30]
    assert losses[1] < 0.8 * losses[30]
