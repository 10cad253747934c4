"""A pose machine of one's own skeleton: trained in two steps, then put behind whoever finds."""

import json
from pathlib import Path

import pytest

from drawn_stars import POINTS, stars
from sightline.cli import main


def status_of(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stars(tmp_path_factory.mktemp("stars"), counts=(2, 2))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    brief = ("--batch", "2", "--size", "64", "--threads", "1", "--workers", "0", "--steps", "2")
    assert status_of("train", data, "--model", "cpm", *brief, "--start", "none", "--out", out) == 0
    return out


def test_it_is_judged_on_the_labelled_boxes_as_it_learns_and_after(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads((run / "best.json").read_text())
    assert manifest["skeleton"]["points"] == list(POINTS)
    before = manifest["figures"]
    assert before["AP50"] == 1 and before["keypoints_PCK"] is not None  # the boxes are the labels'
    capsys.readouterr()
    assert status_of("evaluate", data, "--model", run, "--people", "truth", "--json") == 0
    after = json.loads(capsys.readouterr().out)
    assert after["detections"] == 2 and after["AP50"] == 1
    assert after["keypoints_PCK"] == pytest.approx(before["keypoints_PCK"], abs=0.11)


def test_the_whole_image_or_who_is_found_first(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = data / "images" / "val" / "1.png"
    ask = ("detect", photo, "--model", run, "--score", "0", "--json")
    assert status_of(*ask, "--people", "none") == 0
    (found,) = json.loads(capsys.readouterr().out)["detections"]
    assert found["box"] == [0, 0, 128, 96] and len(found["keypoints"]) == 5
    assert status_of(*ask) == 2  # the embedded detector knows no stars
    assert "finds no star" in capsys.readouterr().err
    assert status_of("detect", photo, "--people", "retinanet") == 2
    assert "before top-down" in capsys.readouterr().err
