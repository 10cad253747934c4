"""A whole run on a device that is not the CPU: it learns, is judged, stops and goes on there."""

import json
from pathlib import Path

import torch
from training_world import Tiny, brief

from far_device import FAR, far_away
from sightline import checkpoint
from sightline.data.records import Dataset
from sightline.train.loop import Run, train


def test_a_run_there_goes_on_where_it_stopped(drawn: Dataset, tmp_path: Path) -> None:
    quiet = Run(say=lambda line: None)
    recipe = brief(device=str(FAR), save_seconds=0.0, steps=14)
    torch.manual_seed(0)
    with far_away():
        train(Tiny(), drawn, recipe, tmp_path / "whole", run=quiet)
    stopped = Run(say=lambda line: None, stop_after=1e-9)
    torch.manual_seed(0)
    with far_away():
        train(Tiny(), drawn, recipe, tmp_path / "parts", run=stopped)
        assert not (tmp_path / "parts" / "best.safetensors").exists()
        train(Tiny(), drawn, recipe, tmp_path / "parts", resume=True, run=quiet)
    paths = [tmp_path / name / "best.safetensors" for name in ("whole", "parts")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert checkpoint.manifest(paths[0])["training"]["recipe"]["device"] == FAR.type
    rows = [json.loads(x) for x in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"]
