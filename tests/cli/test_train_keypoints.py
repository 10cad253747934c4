"""A skeleton of one's own, from label file to figure, picture and back to training."""

import json
from pathlib import Path
from typing import Any

import pytest

import sightline
from drawn_stars import LIMBS, POINTS, stars
from folders import yolo_folder
from sightline.cli import main
from sightline.data import open_dataset
from sightline.skeletons import DEFAULT_SIGMA


def status_of(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


SHORT = ("--batch", "2", "--size", "64", "--threads", "1", "--workers", "0", "--steps", "2")


def train(data: Path, out: Path, *more: str | Path) -> int:
    start = () if "--start" in more else ("--start", "none")
    return status_of("train", data, "--model", "keypoint_rcnn", *SHORT, *start, "--out", out, *more)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stars(tmp_path_factory.mktemp("stars"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps that was stopped after the first and resumed."""
    out = tmp_path_factory.mktemp("run")
    assert train(data, out, "--stop-after", "1e-9") == 0
    assert train(data, out, "--resume") == 0
    return out


def test_a_checkpoint_finds_the_points_of_the_data(run: Path, data: Path) -> None:
    manifest = json.loads((run / "best.json").read_text())
    assert manifest["model"] == "keypoint_rcnn_mobilenet_v2"
    assert manifest["skeleton"]["points"] == list(POINTS)
    assert manifest["training"]["recipe"]["figure"] == "keypoints_AP"
    assert manifest["figures"]["keypoints_AP"] is not None
    model = sightline.load(run, score=0.001)
    found = model(data / "images" / "val" / "1.png")
    assert len(found) > 0 and found.keypoints is not None
    assert found.keypoints.shape == (len(found), 5, 3)
    assert found.skeleton == open_dataset(data, "val").skeleton
    assert found.skeleton is not None
    assert found.skeleton.limbs == LIMBS
    assert found.skeleton.flips == (0, 2, 1, 4, 3)
    assert found.skeleton.sigmas == (DEFAULT_SIGMA,) * 5


def test_its_pictures_have_limbs_and_its_figures_are_of_keypoints(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    from sightline.explain import draw

    drawn: list[tuple[tuple[int, int], ...]] = []
    monkeypatch.setattr(
        draw, "draw_person", lambda picture, points, limbs, *more: drawn.append(limbs)
    )
    image = data / "images" / "val" / "1.png"
    assert status_of("detect", image, "--model", run, "--score", "0.001", "--out", tmp_path) == 0
    assert (tmp_path / "pictures").is_dir()
    assert set(drawn) == {LIMBS}
    capsys.readouterr()
    assert status_of("evaluate", data, "--model", run, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    for name in ("keypoints_AP", "keypoints_AP50", "keypoints_AR"):
        assert 0 <= figures[name] <= 1


def test_a_run_of_keypoints_is_repeated_to_the_bit(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of("train", "--repro", run, "--out", tmp_path / "again", "--json") == 0
    assert json.loads(capsys.readouterr().out)["repeated"] == {"best": True, "last": True}


def test_other_keypoints_reset_the_maps_of_points(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = stars(tmp_path / "three", POINTS[:3]), tmp_path / "out"
    assert train(other, out, "--start", run, "--no-validate", "--steps", "1") == 0
    told = capsys.readouterr().err
    assert "its 5 keypoints are not these 3" in told
    assert "begin anew: branch.head.maps.weight, branch.head.maps.bias" in told
    assert sightline.load(out).detector.skeleton.points == POINTS[:3]  # type: ignore[attr-defined]
    assert status_of("evaluate", other, "--model", run) == 2
    assert "usage.keypoints" in capsys.readouterr().err


def test_yolo_poses_are_trained_on_too(tmp_path: Path) -> None:
    line = "0 0.5 0.5 0.5 0.5 0.5 0.3 2 0.3 0.5 2 0.7 0.5 1 0.4 0.7 2 0.6 0.7 0\n"
    pose = f"train: images/train\nnames: [star]\nkpt_shape: [5, 3]\nkpt_names: {list(POINTS)}\n"
    folder = yolo_folder(tmp_path / "data", pose, a=line, b=line)
    assert train(folder, tmp_path / "out", "--steps", "1") == 0
    skeleton = sightline.load(tmp_path / "out").detector.skeleton  # type: ignore[attr-defined]
    assert (skeleton.points, skeleton.limbs) == (POINTS, ())


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--batch", "auto")])
def test_images_without_keypoints_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    boxes = stars(tmp_path / "boxes", None)
    assert train(boxes, tmp_path / "out", *more) == 4
    told = capsys.readouterr().err
    assert "dataset.no_keypoints" in told and "another --model" in told
    assert not list(tmp_path.glob("out/*.safetensors"))


def test_a_sweep_needs_keypoints_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boxes = stars(tmp_path / "boxes", None)
    fixed = ("--start", "none", "--batch", "2", "--size", "64", "--threads", "1", "--steps", "20")
    sweep = ("lr-find", boxes, "--model", "keypoint_rcnn", *fixed, "--out", tmp_path / "out")
    assert status_of(*sweep) == 4
    assert "dataset.no_keypoints" in capsys.readouterr().err


def test_validation_of_other_keypoints_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed, three = stars(tmp_path / "five"), stars(tmp_path / "three", POINTS[:3])
    name = "annotations/instances_val.json"
    (mixed / name).write_text((three / name).read_text())
    assert train(mixed, tmp_path / "out") == 4
    told = capsys.readouterr().err
    assert "(3: top, left_hand, right_hand) are not those of the training images (5: top" in told
