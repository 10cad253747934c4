"""repro.json: what a run began with, what came out, and the same run once more."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_world import Tiny, brief, draw_dataset

from sightline.data.records import Dataset
from sightline.errors import SightlineError, UsageError
from sightline.train import pace, record, repeat, trainer
from sightline.train.course import Progress
from sightline.train.loop import Run, train
from sightline.train.recipes import Recipe
from sightline.types import Batch, Targets

QUIET = Run(say=lambda message: None)


def new(seed: int = 0) -> Tiny:
    torch.manual_seed(seed)
    return Tiny()


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def repeated(before: record.Record, said: list[str] | None = None, **options: Any) -> Run:
    say = QUIET.say if said is None else said.append
    return dataclasses.replace(QUIET, repeats=before, say=say, **options)


def edited(out: Path, change: Callable[[record.Record], object]) -> record.Record:
    """The record of a run, as another machine would have written it."""
    found = record.read(out)
    change(found)
    (out / record.NAME).write_text(json.dumps(found))
    return found


@pytest.fixture(autouse=True)
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations whose figure depends on the weights, so that best is not always last."""

    def said(model: Tiny, *_: object) -> dict[str, float]:
        return {"AP": float(record.weights_sum(model)["sha256"][:4] < "8")}

    monkeypatch.setattr(trainer, "figures_of", said)


@pytest.fixture
def short() -> Recipe:
    return brief(steps=6)


def test_what_a_record_holds(drawn: Dataset, tmp_path: Path, short: Recipe) -> None:
    out = tmp_path / "run"
    notes = {"path": "somewhere", "on_bad": "skip"}
    train(new(), drawn, short, out, drawn, run=Run("sightline train x", say=str, notes=notes))
    found = record.read(out)
    assert found["recipe"] == json.loads(json.dumps(short.to_json()))
    assert found["command"] == "sightline train x"
    data = found["data"]
    assert data == found["validation"]
    assert data["fingerprint"] == drawn.fingerprint()
    assert data["path"] == str(Path("somewhere").absolute())
    assert data["on_bad"] == "skip"
    assert data["bytes"] == sum(e.path.stat().st_size for e in drawn)
    assert found["weights"] == record.weights_sum(new()) != record.weights_sum(new(1))
    assert found["versions"].keys() >= {"sightline", "torch", "numpy", "python"}
    assert found["threads"] == 1
    assert found["device"] == "cpu"
    assert found["results"] == {
        "steps": 6,
        "best": sum_of(out / "best.safetensors"),
        "last": sum_of(out / "last.safetensors"),
    }


def test_it_is_there_before_the_first_step(
    drawn: Dataset, tmp_path: Path, short: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(*_: object) -> None:
        assert "results" not in record.read(tmp_path / "run")
        raise LookupError("the first step")

    monkeypatch.setattr(Tiny, "loss", seen)
    with pytest.raises(LookupError):
        train(new(), drawn, short, tmp_path / "run", run=QUIET)


@pytest.mark.slow
def test_a_run_by_the_clock_is_repeated_at_the_pace_it_had(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = brief(steps=None, minutes=0.01, workers=1, size_jitter=0.2, calm=0.3)
    train(new(), drawn, recipe, tmp_path / "a", drawn, run=QUIET)
    before = record.read(tmp_path / "a")
    assert before["pace"][-1] == [before["results"]["steps"], 1000]
    loss = Tiny.loss

    def slow(self: Tiny, batch: Batch, targets: list[Targets]) -> dict[str, Tensor]:
        time.sleep(0.03)
        return loss(self, batch, targets)

    monkeypatch.setattr(Tiny, "loss", slow)
    train(new(), drawn, recipe, tmp_path / "b", drawn, run=repeated(before))
    after = record.read(tmp_path / "b")
    assert after["pace"] == before["pace"]
    said: list[str] = []
    assert record.agreement(before, after, said.append) == {"best": True, "last": True}
    assert "are those of the recorded run" in said[0]


def test_a_run_by_the_clock_that_is_not_through_cannot_be_repeated(
    drawn: Dataset, tmp_path: Path
) -> None:
    recipe = brief(steps=None, minutes=1)
    pause = dataclasses.replace(QUIET, stop_after=1e-9)
    train(new(), drawn, recipe, tmp_path / "a", run=pause)
    with pytest.raises(UsageError) as caught:
        train(new(), drawn, recipe, tmp_path / "b", run=repeated(record.read(tmp_path / "a")))
    assert caught.value.code == "train.unfinished"
    assert "--steps" in str(caught.value.hint)


def test_other_data_or_weights_are_refused_unless_wanted(
    drawn: Dataset, tmp_path: Path, short: Recipe
) -> None:
    train(new(), drawn, short, tmp_path / "a", run=QUIET)
    before = record.read(tmp_path / "a")
    fewer = draw_dataset(tmp_path / "other", images=6)
    for number, (detector, data, words) in enumerate(
        ((new(), fewer, "data images: 8 → 6; data bytes"), (new(1), drawn, "weights sha256: "))
    ):
        with pytest.raises(UsageError, match=words) as caught:
            train(detector, data, short, tmp_path / f"b{number}", run=repeated(before))
        assert caught.value.code == "train.changed"
        assert "--accept-changes" in str(caught.value.hint)
    said: list[str] = []
    run = repeated(before, said, accept_changes=True)
    train(new(1), drawn, short, tmp_path / "c", run=run)
    assert any("other weights will come out: weights sha256" in line for line in said)
    same = record.agreement(before, record.read(tmp_path / "c"), said.append)
    assert same == {"best": False, "last": False}
    assert "are not those of the recorded run: best: " in said[-1]


def test_pictures_that_changed_under_the_same_labels_are_noticed(
    drawn: Dataset, tmp_path: Path, short: Recipe
) -> None:
    train(new(), drawn, short, tmp_path / "a", run=QUIET)
    with drawn[0].path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(UsageError, match="data bytes"):
        train(new(), drawn, short, tmp_path / "b", run=repeated(record.read(tmp_path / "a")))


def test_another_machine_or_version_is_said_and_no_more(
    drawn: Dataset, tmp_path: Path, short: Recipe
) -> None:
    train(new(), drawn, short, tmp_path / "a", run=QUIET)

    def elsewhere(found: record.Record) -> None:
        found["versions"]["torch"] = "1.0"
        found["machine"]["instructions"] = "SSE2"
        found["threads"] = 3

    before, said = edited(tmp_path / "a", elsewhere), list[str]()
    train(new(), drawn, short, tmp_path / "b", run=repeated(before, said))
    line = next(line for line in said if "last bits" in line)
    assert "threads: 3 → 1" in line
    assert "machine instructions: SSE2 → " in line
    assert f"versions torch: 1.0 → {torch.__version__}" in line


def test_a_run_that_was_changed_on_its_way_is_no_recipe(
    drawn: Dataset, tmp_path: Path, short: Recipe
) -> None:
    out = tmp_path / "a"
    train(new(), drawn, short, out, run=dataclasses.replace(QUIET, stop_after=1e-9))
    assert "results" not in record.read(out)
    other = dataclasses.replace(short, learning_rate=0.02, start="elsewhere")
    accepting = dataclasses.replace(QUIET, accept_changes=True)
    train(new(1), drawn, other, out, resume=True, run=accepting)
    before = record.read(out)
    assert before["weights"] == record.weights_sum(new())
    assert before["recipe"]["start"] is None, "where it began is as it was"
    assert before["changes"][0]["settings"] == ["learning_rate: 0.01 → 0.02"]
    with pytest.raises(UsageError, match=r"from step \d+ on learning_rate: 0.01 → 0.02"):
        train(new(), drawn, short, tmp_path / "b", run=repeated(before))


def test_resuming_without_changes_is_no_change(
    drawn: Dataset, tmp_path: Path, short: Recipe
) -> None:
    out = tmp_path / "a"
    train(new(), drawn, short, out, run=dataclasses.replace(QUIET, stop_after=1e-9))
    edited(out, lambda found: found["versions"].update(numpy="1.0"))
    train(new(1), drawn, short, out, resume=True, run=QUIET)
    before = record.read(out)
    assert before["versions"]["numpy"] == "1.0", "as it was at the beginning"
    (change,) = before["changes"]
    assert change["settings"] == []
    assert change["machine"][0].startswith("versions numpy: 1.0 → ")
    train(new(), drawn, short, tmp_path / "b", run=repeated(before))
    same = record.agreement(before, record.read(tmp_path / "b"), QUIET.say)
    assert same == {"best": True, "last": True}


def test_a_record_that_was_lost_is_told(drawn: Dataset, tmp_path: Path, short: Recipe) -> None:
    out = tmp_path / "a"
    train(new(), drawn, short, out, run=dataclasses.replace(QUIET, stop_after=1e-9))
    (out / record.NAME).unlink()
    train(new(), drawn, short, out, resume=True, run=QUIET)
    with pytest.raises(UsageError, match="the record of its beginning was lost"):
        train(new(), drawn, short, tmp_path / "b", run=repeated(record.read(out)))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "train.record_missing"),
        (b"\xff{", "train.record"),
        (b"[]", "train.record"),
        (b'{"format": 1}', "train.record"),
        (b'{"format": 1, "recipe": 3}', "train.record"),
        (b'{"format": 2, "recipe": {}}', "train.record_newer"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: bytes | None, code: str) -> None:
    if text is not None:
        (tmp_path / record.NAME).write_bytes(text)
    with pytest.raises(UsageError) as caught:
        record.read(tmp_path)
    assert caught.value.code == code
    assert caught.value.hint


JUNK = (None, True, -1, 1e400, "", "\0", [], [[1]], {}, {"path": 3}, {"step": []})


def test_a_record_changed_by_hand_ends_in_a_typed_error(
    drawn: Dataset, tmp_path: Path, short: Recipe
) -> None:
    """Whatever stands in its place, every entry is read, and either serves or is told."""
    out = tmp_path / "a"
    train(new(), drawn, short, out, run=QUIET)
    whole = record.read(out) | {"changes": [], "pace": [[0, 1000]]}
    now, refused = record.read(out), 0
    places = [(whole, key) for key in whole]
    places += [(whole[part], key) for part in ("data", "recipe") for key in whole[part]]
    places += [(whole["recipe"]["augmentation"], key) for key in ("scale", "flip", "fill")]
    for part, key in places:
        for junk in JUNK:
            kept, part[key] = part[key], junk
            (out / record.NAME).write_text(json.dumps(whole))
            try:
                found = record.read(out)
                repeat.recipe_of(found)
                record.check(found, now, True, QUIET.say)
                pace.repeat(found["pace"], Progress())
                record.agreement(found, now, QUIET.say)
                repeat.open_data(found)
            except SightlineError as error:
                # drawn images alone are a folder of no format
                refused += error.code != "dataset.unknown"
            part[key] = kept
    assert refused > 300


def test_nothing_to_compare_with(drawn: Dataset, tmp_path: Path, short: Recipe) -> None:
    train(new(), drawn, short, tmp_path / "a", run=QUIET)
    whole, said = record.read(tmp_path / "a"), list[str]()
    half = {k: v for k, v in whole.items() if k != "results"}
    assert record.agreement(half, whole, said.append) is None
    assert "no weights to compare with" in said[0]
    assert record.agreement(whole, half, said.append) is None
