"""`sightline train` from end to end, on drawn images."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.cli import main


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """A YOLO folder of drawn images: four to train on, two to evaluate on."""
    folder = tmp_path / "data"
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(90, 140, (48, 64, 3)).astype(np.uint8)
            pixels[12:36, 16:48] = (200, 30, 30)
            Image.fromarray(pixels).save(folder / "images" / split / f"{index}.png")
            label = folder / "labels" / split / f"{index}.txt"
            label.write_text("0 0.5 0.5 0.5 0.5\n")
    config = f"path: {folder}\ntrain: images/train\nval: images/val\nnames: [box]\n"
    (folder / "data.yaml").write_text(config)
    return folder


def status_of(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def train(yolo: Path, *more: str | Path) -> int:
    fixed = ("--start", "none", "--batch", "2", "--size", "64", "--threads", "1")
    return status_of("train", yolo, "--model", "retinanet_mobilenet_v2", *fixed, *more)


def test_a_run_and_its_end(yolo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert train(yolo, "--steps", "2", "--out", out, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["checkpoint"] == str(out / "best.safetensors")
    assert answer["figures"]["images"] == 2
    assert answer["figures"]["objects"] == 2
    manifest = json.loads((out / "best.json").read_text())
    assert manifest["model"] == "retinanet_mobilenet_v2"
    assert manifest["classes"] == ["box"]
    assert manifest["training"]["recipe"]["sizes"] == [[1.0, 64]]

    assert train(yolo, "--steps", "2", "--out", out) == 2
    assert "--resume" in capsys.readouterr().err
    assert train(yolo, "--steps", "2", "--out", out, "--resume") == 0
    assert train(yolo, "--steps", "3", "--out", out, "--resume") == 2
    assert "steps: 2 → 3" in capsys.readouterr().err


def test_settings_and_names_that_are_wrong(
    yolo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(yolo, "--out", out, "--set", "lerning_rate=1") == 2
    assert "learning_rate" in capsys.readouterr().err
    assert train(yolo, "--out", out, "--recipe", "retinanet_mobile") == 2
    assert "retinanet_mobilenet_v2" in capsys.readouterr().err
    assert train(yolo, "--out", out, "--steps", "2", "--minutes", "1") == 2
    assert "exactly one" in capsys.readouterr().err
    assert train(yolo / "nothing", "--out", out) == 4
    assert not out.exists()


def test_a_pause_and_no_evaluation(
    yolo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(yolo, "--steps", "3", "--out", out, "--no-validate", "--stop-after", "1e-9") == 0
    assert "go on with --resume" in capsys.readouterr().err
    assert train(yolo, "--steps", "3", "--out", out, "--no-validate", "--resume") == 0
    assert json.loads((out / "best.json").read_text())["training"]["step"] == 3
