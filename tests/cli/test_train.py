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
    assert "--resume" in capsys.readouterr().err
    assert train(yolo, "--steps", "3", "--out", out, "--no-validate", "--resume") == 0
    assert json.loads((out / "best.json").read_text())["training"]["step"] == 3


def test_a_dry_run_tells_and_trains_nothing(
    yolo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(yolo, "--steps", "50", "--out", out, "--dry-run") == 0
    told = capsys.readouterr().out
    assert told.startswith("about ")
    assert "for 50 steps" in told and "on the disk" in told and "waits for images" in told
    assert train(yolo, "--steps", "50", "--out", out, "--dry-run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 50 and found["batch"] == 2
    assert found["seconds"] > 50 * found["step_seconds"] > 0, "with evaluations"
    assert found["memory"] > 10**8 and found["disk"] > 10**7 and 0 <= found["waiting"] <= 1
    assert not out.exists()


def test_a_batch_that_fits_is_kept_when_the_run_is_resumed(
    yolo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sightline.train import autobatch

    out = tmp_path / "run"
    auto = ("--batch", "auto", "--out", out, "--no-validate")
    assert train(yolo, *auto, "--steps", "2", "--stop-after", "1e-9") == 0
    assert "batch 4:" in capsys.readouterr().err, "as many as there are images"
    assert json.loads((out / "repro.json").read_text())["recipe"]["batch"] == 4
    monkeypatch.setattr(autobatch, "fitted", lambda *_: pytest.fail("measured again"))
    assert train(yolo, *auto, "--steps", "2", "--resume") == 0
    assert json.loads((out / "best.json").read_text())["training"]["recipe"]["batch"] == 4
    assert train(yolo, "--batch", "some", "--steps", "2", "--out", tmp_path / "other") == 2
    assert "batch cannot be 'some'" in capsys.readouterr().err


def test_class_weights_by_name(
    yolo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    one = ("--steps", "1", "--no-validate", "--out", out)
    assert train(yolo, *one, "--class-weights", "{'bix': 2.0}") == 2
    assert "did you mean box" in capsys.readouterr().err
    assert train(yolo, *one, "--class-weights", "{'box': 2.0}") == 0
    recipe = json.loads((out / "repro.json").read_text())["recipe"]
    assert recipe["class_weights"] == [["box", 2.0]]


def test_a_run_that_diverges_ends_in_7(
    yolo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    wild = ("--set", "learning_rate=1e9", "--set", "bad_steps=2", "--set", "warmup_steps=0")
    assert train(yolo, "--steps", "60", "--out", out, "--no-validate", *wild) == 7
    assert "training.diverged" in capsys.readouterr().err
    record = json.loads((out / "diverged.json").read_text())
    assert len(record["images"]) == 2
    assert record["images"][0]["files"][0].endswith(".png")
    assert (out / "diverged.png").exists()
    assert not (out / "last.safetensors").exists()


def test_lr_find(
    yolo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sightline.train import rate_finder

    out = tmp_path / "sweep"
    fixed = ("--start", "none", "--batch", "2", "--size", "64", "--threads", "1", "--out", out)
    sweep = ("lr-find", yolo, "--model", "retinanet_mobilenet_v2", *fixed, "--steps", "30")
    assert status_of(*sweep, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert 1e-6 <= found["suggestion"] <= 1
    assert found["plot"] == str(out / "lr_find.png")
    assert {path.name for path in out.iterdir()} == {"lr_find.png", "lr_find.csv", "lr_find.json"}
    assert status_of(*sweep, "--from", "1", "--to", "0.1") == 2
    known = rate_finder.Sweep((1e-4, 1e-3, 1e-2), (2.0, 1.0, 3.0), (2.0, 1.0, 3.0), 1e-3, 1e-2)
    monkeypatch.setattr(rate_finder, "find_rate", lambda *_: known)
    assert status_of(*sweep) == 0
    told = capsys.readouterr().out
    assert "fastest at 0.001 and blows up at 0.01" in told
    assert told.splitlines()[-1] == "--set learning_rate=0.001"


def test_a_run_is_trained_again_from_its_record(
    yolo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder, with the data moved, and with the weights that it started from."""
    monkeypatch.chdir(tmp_path)
    (yolo / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [box]\n")
    short = ("--no-validate", "--out")
    assert train(yolo, "--steps", "1", "--seed", "5", *short, "first") == 0
    model, small = ("--model", "retinanet_mobilenet_v2"), ("--batch", "2", "--size", "64")
    start = ("--start", "first/last", "--steps", "1")
    assert status_of("train", yolo, *model, *small, *start, "--no-validate", "--out", "a") == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = ("train", "--repro", "../a/repro.json")
    capsys.readouterr()
    yolo.rename(tmp_path / "moved")
    assert status_of(*again, "--out", "b") == 4
    assert "sightline train DATA --repro" in capsys.readouterr().err
    assert status_of(*again, "../moved", "--out", "b", "--workers", "2", "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["repeated"] == {"best": True, "last": True}
    assert "are those of the recorded run" in told.err
    record = json.loads((tmp_path / "a" / "repro.json").read_text())
    assert record["start"]["path"] == str(tmp_path / "first" / "last.safetensors")

    (tmp_path / "first" / "last.safetensors").write_bytes(
        (tmp_path / "a" / "last.safetensors").read_bytes()
    )
    (tmp_path / "first" / "last.json").write_bytes((tmp_path / "a" / "last.json").read_bytes())
    assert status_of(*again, "../moved", "--out", "c") == 2
    assert "start sha256: " in capsys.readouterr().err


def test_beside_a_record_no_other_run_is_asked_for(
    yolo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", tmp_path / "b")
    again = ("train", yolo, "--repro", tmp_path / "repro.json", *out)
    assert status_of(*again, "--seed", "0", "--set", "batch=2", "--no-validate") == 2
    assert "--seed, --set, --no-validate cannot be given" in capsys.readouterr().err
    assert status_of(*again) == 2
    assert "train.record_missing" in capsys.readouterr().err
    assert status_of("train", *out) == 2
    assert "DATA" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_bare_backbone_learns_at_a_higher_rate(yolo: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train(yolo, "--out", out, "--set", "steps=1") == 0
    recipe = json.loads((out / "repro.json").read_text())["recipe"]
    assert recipe["learning_rate"] == 1e-3  # nothing of it is embedded: --start none
    assert (
        train(yolo, "--out", tmp_path / "own", "--set", "steps=1", "--set", "learning_rate=1e-4")
        == 0
    )
    recipe = json.loads((tmp_path / "own" / "repro.json").read_text())["recipe"]
    assert recipe["learning_rate"] == 1e-4


def test_a_recipe_says_which_model(yolo: Path) -> None:
    """Unless one is named beside it; without either it is the default's."""
    from sightline.cli.task import choose_recipe
    from sightline.data import open_dataset

    data = open_dataset(yolo, "train")
    assert choose_recipe(None, "mask_rcnn_mobilenet_v2", data, []).model == "mask_rcnn_mobilenet_v2"
    other = choose_recipe("faster_rcnn", "mask_rcnn_mobilenet_v2", data, ["batch=3"])
    assert (other.model, other.batch) == ("faster_rcnn_mobilenet_v2", 3)
    assert choose_recipe(None, None, data, []).model == "retinanet_mobilenet_v2"
