"""`sightline compare` on the command line: with weights that are there, and from the first step."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from folders import coco_folder
from sightline.cli import main
from sightline.compare import times


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(stop.value.code or 0), out, err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photos, a dog in the first; no process is begun to tell its memory."""
    monkeypatch.setattr(times, "peak_memory", lambda path, image: 123_000_000)
    root = coco_folder(tmp_path / "data")
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(data.chelsea()[100:140, 100:160]).save(root / "images" / "val" / name)
    return root


def test_one_checkpoint_is_told_without_training(
    folder: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = ("compare", folder, "--models", checkpoint, "--out", out, "--resamples", 20)
    status, text, err = call(capsys, *asked, "--looks", 1, "--json")
    assert status == 0 and "untrained: AP" in err
    told = json.loads(text)
    (row,) = told["rows"]
    assert row["model"] == "untrained" and 0 <= row["AP"] <= 1 and row["memory_MB"] == 123
    assert row["ms"] > 0 and row["encode_ms"] > 0 and row["AP_low"] <= row["AP_high"]
    page = Path(told["report"]).read_text()
    assert 10_000 < len(page) < 1_000_000 and "untrained on " in page
    measured = json.loads((out / "untrained" / "measured.json").read_text())
    assert sum(measured["row"]["lost"].values()) == 1  # every object but the crowd
    first = (out / "figures.json").read_bytes()
    (out / "figures.json").unlink()
    status, text, err = call(capsys, *asked, "--looks", 1)
    assert status == 0 and "judged already" in err and "measured already" in err
    assert "| untrained | " in text and "report: " in text
    assert (out / "figures.json").read_bytes() == first


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--budget", "soon"), "is no budget"),
        (("--models", "ssd"), "no weights of ssd_mobilenet_v2 come with the package"),
        (("--budget", "1steps", "--split", "val"), "are the same (val)"),
    ],
)
def test_calls_that_make_no_sense(
    folder: Path, capsys: pytest.CaptureFixture[str], more: Sequence[str], code: str
) -> None:
    status, _, err = call(capsys, "compare", folder, *more)
    assert status == 2 and code in err


def two_splits(folder: Path) -> Path:
    """Six drawn images to learn from, four to be judged on."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 4)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(90, 140, (48, 64, 3)).astype(np.uint8)
            pixels[12:36, 16:48] = (200, 30, 30)
            Image.fromarray(pixels).save(folder / "images" / split / f"{index}.png")
            (folder / "labels" / split / f"{index}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    config = f"path: {folder}\ntrain: images/train\nval: images/val\nnames: [box]\n"
    (folder / "data.yaml").write_text(config)
    return folder


@pytest.mark.slow
def test_interrupted_and_gone_on_with_it_is_the_same_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sightline.train.step import Stepper

    monkeypatch.setattr(times, "peak_memory", lambda path, image: None)
    source = two_splits(tmp_path / "data")
    fixed = ("--models", "retinanet,yolo_v1", "--budget", "2steps", "--threads", 1, "--looks", 1)
    fixed = (*fixed, "--pictures", 1, "--resamples", 10)
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    assert call(capsys, "compare", source, *fixed, "--out", whole)[0] == 0
    step, steps = Stepper.step, [0]

    def interrupted(self: Stepper, *given: Any) -> Any:
        steps[0] += 1
        if steps[0] == 3:  # the first of the second model
            signal.raise_signal(signal.SIGINT)
        return step(self, *given)

    monkeypatch.setattr(Stepper, "step", interrupted)
    status, _, err = call(capsys, "compare", source, *fixed, "--out", halved)
    assert status == 130 and "the same command goes on" in err
    assert not (halved / "figures.json").exists()
    status, _, err = call(capsys, "compare", source, *fixed, "--out", halved)
    assert status == 0 and "retinanet_mobilenet_v2: judged already" in err and "resuming" in err
    assert steps[0] == 4
    figures = [(out / "figures.json").read_bytes() for out in (whole, halved)]
    assert figures[0] == figures[1]
