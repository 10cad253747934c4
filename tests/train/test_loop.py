"""The training loop: it learns, it stops, it goes on where it stopped."""

import csv
import dataclasses
import errno
import hashlib
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from training_world import Tiny, brief

from sightline import checkpoint
from sightline.data.records import Dataset
from sightline.errors import (
    DatasetError,
    ResourceError,
    SightlineWarning,
    UsageError,
    WeightsError,
)
from sightline.train import loop, setup, signals, state, trainer
from sightline.train.loop import Run, train

QUIET = Run(say=lambda message: None)


def new() -> Tiny:
    torch.manual_seed(0)
    return Tiny()


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows_of(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the evaluations will say, in turn; the last value again and again."""
    values = [0.1, 0.3, 0.2, 0.2]
    turn = itertools.chain(values, itertools.repeat(values[-1]))
    monkeypatch.setattr(trainer, "figures_of", lambda *_: {"AP": next(turn), "AP50": 0.5})
    return values


def test_nothing_is_learnt_from_images_without_objects(drawn: Dataset, tmp_path: Path) -> None:
    empty = tuple(dataclasses.replace(e, objects=e.objects[[]]) for e in drawn)
    nothing = dataclasses.replace(drawn, examples=empty)
    with pytest.raises(DatasetError) as caught:
        train(new(), nothing, brief(), tmp_path / "run", run=QUIET)
    assert caught.value.code == "dataset.no_objects" and caught.value.hint
    assert not (tmp_path / "run").exists()


def test_it_learns(drawn: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    recipe = brief(steps=120, sizes=((1.0, 64),), augmentation=brief().augmentation.none())
    best = train(new(), drawn, recipe, out, run=QUIET)
    losses = [row["loss"] for row in rows_of(out) if "loss" in row]
    assert losses[0] > 0.4
    assert losses[-1] < 0.08
    saved = checkpoint.read(best)
    assert saved.classes == ("red", "blue")
    assert saved.manifest["category_ids"] == [1, 2]
    model = new()
    checkpoint.load_into(model, saved)


@pytest.mark.curves
def test_the_folder_of_a_run(drawn: Dataset, tmp_path: Path, figures: list[float]) -> None:
    out = tmp_path / "run"
    best = train(new(), drawn, brief(), out, drawn, run=Run("sightline train x", say=str))
    assert best == out / "best.safetensors"
    names = {path.name for path in out.iterdir()}
    assert names >= {"best.json", "last.json", "last.safetensors", "repro.json", "curves.png"}
    assert "train.lock" not in names
    record = json.loads((out / "repro.json").read_text())
    assert record["data"]["fingerprint"] == drawn.fingerprint()
    assert record["command"] == "sightline train x"
    assert record["recipe"]["steps"] == 24
    with (out / "log.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["AP"] for row in table if row["AP"]] == ["0.1", "0.3", "0.2", "0.2"]
    assert {"loss", "loss_classification", "learning_rate", "waiting"} <= set(table[0])
    assert checkpoint.read(best).manifest["figures"]["AP"] == 0.3
    assert (out / "curves.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("stop_at", [1, 7, 12, 23])
def test_stopped_and_resumed_is_the_same_to_the_bit(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    recipe = brief(workers=1, size_jitter=0.2)
    train(new(), drawn, recipe, tmp_path / "whole", run=QUIET)

    out = tmp_path / "pieces"
    steps = itertools.count(1)
    original = loop.Trainer._advance
    stop = signals.Stop()
    monkeypatch.setattr(loop, "Stop", lambda limit: stop)

    def advance(self: loop.Trainer, *args: object) -> bool:
        answer = original(self, *args)  # type: ignore[arg-type]
        stop._paused = next(steps) == stop_at
        return answer

    monkeypatch.setattr(loop.Trainer, "_advance", advance)
    train(new(), drawn, recipe, out, run=QUIET)
    assert json_facts(out)["progress"]["step"] == stop_at
    stop._paused = False
    torch.rand(5)
    train(new(), drawn, recipe, out, resume=True, run=QUIET)
    for name in ("last.safetensors", "best.safetensors"):
        assert sum_of(out / name) == sum_of(tmp_path / "whole" / name)
    losses = [[r.get("loss") for r in rows_of(tmp_path / n)] for n in ("whole", "pieces")]
    assert losses[0][-1] == pytest.approx(losses[1][-1], abs=0.2)


def json_facts(out: Path) -> dict[str, dict[str, int]]:
    found = state.load(out)
    assert found is not None
    return found[1]


def test_resuming_a_finished_run_changes_nothing(drawn: Dataset, tmp_path: Path) -> None:
    best = train(new(), drawn, brief(), tmp_path / "run", run=QUIET)
    before = sum_of(best)
    assert train(new(), drawn, brief(), tmp_path / "run", resume=True, run=QUIET) == best
    assert sum_of(best) == before


def test_another_run_is_not_resumed_unless_asked(drawn: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(new(), drawn, brief(), out, run=QUIET)
    other = brief(learning_rate=0.02)
    with pytest.raises(UsageError, match=r"learning_rate: 0.01 → 0.02"):
        train(new(), drawn, other, out, resume=True, run=QUIET)
    said: list[str] = []
    run = dataclasses.replace(QUIET, accept_changes=True, say=said.append)
    train(new(), drawn, other, out, resume=True, run=run)
    assert any("no longer bit-exact" in line for line in said)
    with pytest.raises(UsageError, match="a run is in this folder already"):
        train(new(), drawn, brief(), out, run=QUIET)


def test_early_stopping(drawn: Dataset, tmp_path: Path, figures: list[float]) -> None:
    out = tmp_path / "run"
    recipe = brief(steps=100, evaluate_every=0.05, patience=2)
    best = train(new(), drawn, recipe, out, drawn, run=QUIET)
    facts = json_facts(out)["progress"]
    assert facts["finished"]
    assert facts["step"] == 20
    assert facts["best_step"] == 10
    assert checkpoint.read(best).manifest["training"]["step"] == 10


def test_data_that_cannot_serve(drawn: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no images"):
        train(new(), drawn.subset([]), brief(), tmp_path / "a", run=QUIET)
    other = dataclasses.replace(drawn, classes=("blue", "red"))
    with pytest.raises(DatasetError, match="classes are not those"):
        train(new(), drawn, brief(), tmp_path / "b", other, run=QUIET)
    said: list[str] = []
    train(new(), drawn, brief(), tmp_path / "c", drawn.subset([]), run=Run(say=said.append))
    assert any("no evaluation" in line for line in said)


def test_damaged_states(drawn: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(new(), drawn, brief(save_seconds=0.0), out, run=QUIET)
    newest, older = out / state.NAME, out / state.PREVIOUS
    assert older.exists()
    data = bytearray(newest.read_bytes())
    data[-3] ^= 1
    newest.write_bytes(data)
    with pytest.warns(SightlineWarning, match="damaged"):
        found = state.load(out)
    assert found is not None
    older.write_bytes(b"")
    with pytest.warns(SightlineWarning), pytest.raises(WeightsError, match="no saved state"):
        train(new(), drawn, brief(), out, resume=True, run=QUIET)


def test_no_memory_left(drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(Tiny, "loss", loss)
    with pytest.raises(ResourceError, match=r"batch of 4 images of 32×32.*--batch 2"):
        train(new(), drawn, brief(), tmp_path / "run", run=QUIET)


def test_a_full_disk_leaves_the_older_state(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    train(new(), drawn, brief(), out, run=QUIET)
    found = state.load(out)
    assert found is not None

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(state, "stage", full)
    with pytest.raises(ResourceError, match="disk is full"):
        state.save(out, found[0], {"progress": {}})
    again = state.load(out)
    assert again is not None
    assert again[1] == found[1]
    assert not list(out.glob(".*"))


def test_too_little_room_is_known_before_the_first_step(
    drawn: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    monkeypatch.setattr(Tiny, "loss", lambda *_: pytest.fail("a step was made"))
    with pytest.raises(ResourceError, match="1 MB are free") as caught:
        train(new(), drawn, brief(), tmp_path / "run", run=QUIET)
    assert caught.value.code == "resource.disk_full"


def test_a_folder_that_cannot_be_written(drawn: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        train(new(), drawn, brief(), tmp_path / "file" / "run", run=QUIET)


def test_moments_keep_the_layout_of_their_parameter(drawn: Dataset, tmp_path: Path) -> None:
    """Fused optimizers walk parameter and moments side by side in memory."""
    layer = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    layer(torch.rand(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    packed = state.pack_optimizer(optimizer)
    other = torch.optim.AdamW(layer.parameters(), fused=True)
    state.unpack_optimizer(other, {k: v.contiguous() for k, v in packed.items()})
    moment = other.state[layer.weight]["exp_avg"]
    assert moment.stride() == layer.weight.stride()
    assert torch.equal(moment, optimizer.state[layer.weight]["exp_avg"])
    assert other.state[layer.weight]["step"] == 1


def test_an_unwritable_log_does_not_end_the_run(drawn: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out / "log.csv").mkdir(parents=True)
    with pytest.warns(SightlineWarning, match="log cannot be written") as caught:
        best = train(new(), drawn, brief(), out, run=QUIET)
    assert len([w for w in caught if "log" in str(w.message)]) == 1
    assert best.exists()


def test_minutes_are_a_length_too(drawn: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    recipe = brief(steps=None, minutes=0.02, workers=1)
    train(new(), drawn, recipe, out, run=QUIET)
    facts = json_facts(out)["progress"]
    assert 1.2 <= facts["seconds"] < 2.5
    assert facts["step"] > 5
    assert facts["size"] == 64
