"""Variants under one budget: trained once, gone on with, measured alike, told as a table."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from training_world import brief, draw_dataset

from sightline import checkpoint
from sightline.data.records import Dataset
from sightline.errors import UsageError
from sightline.train import compare, setup
from sightline.train.compare import Measured, Variant

MODEL = "retinanet_mobilenet_v2"
SHORT = brief(model=MODEL, steps=1, batch=2, sizes=((1.0, 64),), evaluate_every=1.0)


def variant(name: str, **changes: object) -> Variant:
    return Variant(name, dataclasses.replace(SHORT, options=(("pyramid", name),), **changes))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path, dict[str, Path]]:
    """Two pyramids that have made one step."""
    folder = tmp_path_factory.mktemp("comparison")
    dataset = draw_dataset(folder / "images", 4)
    out = folder / "out"
    names = ("hierarchy", "single")
    paths = {name: compare.trained(variant(name), dataset, out, print) for name in names}
    return dataset, out, paths


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_there_is_not_trained_again(
    world: tuple[Dataset, Path, dict[str, Path]], threads: int
) -> None:
    """However many threads the process that looks has."""
    dataset, out, paths = world
    before = paths["single"].stat().st_mtime_ns
    said: list[str] = []
    usual = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert compare.trained(variant("single"), dataset, out, said.append) == paths["single"]
    finally:
        torch.set_num_threads(usual)
    assert said == ["single: trained already"]
    assert paths["single"].stat().st_mtime_ns == before
    assert checkpoint.manifest(paths["single"])["options"] == {"pyramid": "single"}


def test_another_run_in_the_folder_is_refused(
    world: tuple[Dataset, Path, dict[str, Path]], tmp_path: Path
) -> None:
    dataset, out, _ = world
    other = draw_dataset(tmp_path, 5)
    for run, data in ((variant("single", steps=2), dataset), (variant("single"), other)):
        with pytest.raises(UsageError, match="not the run that was saved") as caught:
            compare.trained(run, data, out, print)
        assert caught.value.code == "train.changed"


def test_settings_that_are_newer_than_a_run_have_not_changed() -> None:
    """One of the augmentation is told apart like any other."""
    now = json.loads(json.dumps(SHORT.to_json()))
    before = json.loads(json.dumps(now))
    del before["seed"], before["augmentation"]["mosaic_scale"]
    assert setup.compare(before, now, False, print) == []
    before["augmentation"]["flip"] = 0.125
    with pytest.raises(UsageError, match=r"augmentation\.flip: 0.125 → 0.5 \[") as caught:
        setup.compare(before, now, False, print)
    assert caught.value.message.count("→") == 1


def test_what_was_stopped_goes_on(
    world: tuple[Dataset, Path, dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause after the first of two steps; the second call makes the other one."""
    dataset, _, _ = world
    run, said = variant("single", steps=2), list[str]()
    usual = compare.Run
    monkeypatch.setattr(compare, "Run", lambda say: usual(say=say, stop_after=1e-9))
    assert compare.trained(run, dataset, tmp_path, said.append).stem == "last"
    assert not (tmp_path / "single" / "best.json").exists()
    monkeypatch.setattr(compare, "Run", usual)
    path = compare.trained(run, dataset, tmp_path, said.append)
    assert any("resuming" in line for line in said)
    assert checkpoint.manifest(path)["training"]["step"] == 2


def test_a_fresh_process_tells_its_peak(world: tuple[Dataset, Path, dict[str, Path]]) -> None:
    dataset, _, paths = world
    peak = compare.peak_memory(paths["single"], dataset[0].path)
    assert peak is None or 100e6 < peak < 4e9


def test_all_are_measured_alike(
    world: tuple[Dataset, Path, dict[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, out, paths = world
    held = {paths["hierarchy"]: 3, paths["single"]: 2}
    monkeypatch.setattr(compare, "peak_memory", lambda path, image: held[path])
    rows = compare.measure(paths, dataset, looks=2)
    assert list(rows) == ["hierarchy", "single"]
    for row in rows.values():
        assert row.milliseconds > 0
        assert 0 <= (row.figures["AP"] or 0) <= 1 and "AP_small" in row.figures
    assert [row.memory for row in rows.values()] == [3, 2]
    # the hierarchy has two lateral convolutions and P6, P7 more, the single map wider outputs
    extra = 96 * (32 + 96 + 2) + 2 * (96 * 96 * 9 + 96)
    wider = 4 * (2 + 4) * (96 * 9 + 1)
    assert rows["hierarchy"].parameters - rows["single"].parameters == extra - wider
    with pytest.raises(UsageError, match="no images"):
        compare.measure(paths, dataset, looks=0)
    text = compare.table(rows, "pyramid", ("AP",))
    compare.write(out, rows, text, {"data": dataset.name})
    told = json.loads((out / "table.json").read_text())
    assert told["data"] == dataset.name
    assert told["rows"]["single"]["parameters"] == rows["single"].parameters
    assert (out / "table.md").read_text() == text


def test_a_table_by_hand() -> None:
    rows = {
        "a": Measured({"AP": 0.1234, "AP_small": None}, 12.34, 2_340_000, 512_000_000),
        "b": Measured({"AP": 0.5, "AP_small": 0.25}, 5.0, 1_000_000, None),
    }
    assert compare.table(rows, "pyramid", ("AP", "AP_small")).splitlines() == [
        "| pyramid | AP | AP_small | ms | parameters (M) | memory (MB) |",
        "|---|---|---|---|---|---|",
        "| a | 0.123 | – | 12.3 | 2.34 | 512 |",
        "| b | 0.500 | 0.250 | 5.0 | 1.00 | – |",
    ]
