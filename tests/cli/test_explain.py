"""`sightline explain` and `sightline lost`, as people call them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from drawn_stars import stars
from sightline import catalogue
from sightline import checkpoint as checkpoints
from sightline.cli import main


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of a cat and a dog that are not there, in YOLO's format."""
    root = tmp_path_factory.mktemp("labelled")
    (root / "images").mkdir()
    (root / "labels").mkdir()
    draw = np.random.default_rng(0)
    for number in (1, 2):
        pixels = draw.integers(0, 255, (9, 12, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((120, 90)).save(root / "images" / f"{number}.png")
        (root / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.9 0.9\n1 0.2 0.2 0.1 0.1\n")
    names = "names: [cat, dog, person]\ntrain: images\nval: images\n"
    (root / "data.yaml").write_text(names)
    return root


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_explain(
    checkpoint: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = labelled / "images" / "1.png"
    common = ("explain", str(image), "--model", str(checkpoint), "--truth", str(labelled))
    assert call(*common, "--out", str(tmp_path / "out")) == 0
    told = capsys.readouterr().out
    assert "what became of every candidate" in told and "How far every object came" in told
    folder = tmp_path / "out" / "1"
    names = {path.name for path in folder.iterdir()}
    assert {"stages.md", "stages.json"} <= names and any(n.endswith(".png") for n in names)
    assert call(*common, "--json", "--score", "0.6") == 0
    row = json.loads(capsys.readouterr().out)
    stages = {stage["stage"]: stage for stage in row["stages"]}
    assert {one["class"] for one in stages["objects"]["table"]} == {"cat", "dog"}
    scores = [one["score"] for one in stages["answers"]["table"]]
    assert scores and min(scores) > 0.6
    assert not Path("sightline-explain").exists()


def test_a_split_of_the_truth(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two splits whose files have the same names and ids: one of them has to be named."""
    data = stars(tmp_path / "stars", counts=(1, 1))
    image = str(data / "images" / "val" / "1.png")
    asked = ("explain", image, "--model", str(checkpoint), "--truth", str(data), "--json")
    assert call(*asked) == 4
    assert "name one split" in capsys.readouterr().err
    assert call(*asked, "--split", "val") == 0
    (told,) = (
        one for one in json.loads(capsys.readouterr().out)["stages"] if one["stage"] == "objects"
    )
    assert [one["class"] for one in told["table"]] == ["star"]


def test_explain_poses_the_whole_image_or_who_was_found(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from sightline import catalogue
    from sightline import checkpoint as checkpoints

    torch.manual_seed(0)
    machine: Any = catalogue.build("cpm", ["person"])
    path = tmp_path / "machine.safetensors"
    checkpoints.write(
        path, machine.state_dict(), {"model": "cpm_mobilenet_v2", "classes": ["person"]}
    )
    image = str(labelled / "images" / "1.png")
    common = ("explain", image, "--model", str(path), "--score", "0", "--json")
    assert call(*common, "--people", "none") == 0
    told = {one["stage"]: one for one in json.loads(capsys.readouterr().out)["stages"]}
    assert told["people"]["numbers"]["detector of people"].startswith("none")
    assert len(told["people"]["table"]) == 1 and "first-stage" not in told
    assert call(*common) == 0
    told = {one["stage"]: one for one in json.loads(capsys.readouterr().out)["stages"]}
    assert told["people"]["numbers"]["detector of people"] == "RetinaNet"
    assert told["first-stage"]["numbers"]["candidates"] > 100
    assert call("explain", image, "--model", "retinanet", "--people", "none") == 2


def test_explain_without_its_truth_and_without_an_image(
    checkpoint: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (60, 40), "red").save(other)
    asked = ("explain", str(other), "--model", str(checkpoint), "--json")
    assert call(*asked, "--truth", str(labelled)) == 2
    assert "no labelled image is called other.png" in capsys.readouterr().err
    other.write_bytes(b"no image")
    assert call(*asked) == 4
    assert "other.png" in capsys.readouterr().err


def test_lost(
    checkpoint: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("lost", str(labelled), "--models", str(checkpoint), "--first", "1")
    assert call(*common, "--out", str(tmp_path / "lost")) == 0
    told, err = capsys.readouterr()
    assert "no region proposed" in told and "perfect suppression" in told
    assert "1 of 1, retinanet_mobilenet_v2: " in err and " % of 2 objects matched, in " in err
    assert {path.name for path in (tmp_path / "lost").iterdir()} == {
        "lost.json", "lost.csv", "lost.md", "lost.png"
    }  # fmt: skip
    assert call(*common, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out).values()
    assert found["images"] == 1 and sum(found["stages"].values()) == found["objects"] == 2
    assert found["ladder"]["AP"]["perfect suppression"] == 1.0
    assert call("lost", str(labelled), "--models", "retinanet,retinanet") == 2
    assert "named twice: retinanet" in capsys.readouterr().err
    assert call("lost", str(labelled), "--models", ",") == 2
    assert call(*common, "--people", "retinanet") == 2
    assert "--people goes before top-down poses" in capsys.readouterr().err


def test_lost_of_people_whom_another_model_finds(
    checkpoint: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two models the top-down one poses what --people finds; without any the whole image."""
    torch.manual_seed(0)
    model = catalogue.build("cpm", ["person"])
    manifest = {"model": "cpm_mobilenet_v2", "classes": ["person"]}
    checkpoints.write(tmp_path / "posed", model.state_dict(), manifest)  # type: ignore[attr-defined]
    posed = tmp_path / "posed.safetensors"
    common = ("lost", str(labelled), "--models", f"{checkpoint},{posed}", "--first", "1", "--json")
    candidates = []
    for people in ("none", str(checkpoint)):
        assert call(*common, "--people", people) == 0
        _, counted = json.loads(capsys.readouterr().out).values()
        candidates.append(counted["candidates"])
    assert candidates[0] == 1 < candidates[1]
