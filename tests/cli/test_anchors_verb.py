"""`sightline anchors` as a user meets it."""

import json
from pathlib import Path
from typing import Any

import pytest

from folders import coco_folder, coco_labels
from label_faults import CASES, clean_coco, clean_voc, clean_yolo
from sightline.cli import main

BOXES = [[0, 0, 12, 8], [1, 2, 12, 8], [5, 5, 30, 20]]
"""x, y, width, height in images of 60 × 40 pixels."""


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["anchors", *arguments])
    return int(stop.value.code or 0)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(*arguments, "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    answer: dict[str, Any] = json.loads(line)
    return answer


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """Three boxes of two shapes, and a crowd, which does not count."""
    rows = [
        {"id": i, "image_id": 7, "category_id": 3, "bbox": box} for i, box in enumerate(BOXES, 1)
    ]
    rows.append({"id": 9, "image_id": 7, "category_id": 3, "bbox": [0, 0, 60, 40], "iscrowd": 1})
    return coco_folder(tmp_path / "data", coco_labels(annotations=rows))


def test_shapes_as_the_network_sees_them(boxes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """60 × 40 pixels at 120: doubled in a letterbox; stretched to 120 × 120, heights tripled."""
    usual = told(capsys, str(boxes), "--split", "val", "--priors", "2", "--size", "120")
    assert usual["boxes"] == 3 and usual["mean_iou"] == 1
    shapes = [(p["width"], p["height"], p["boxes"]) for p in usual["priors"]]
    assert shapes == [(24, 16, 2), (60, 40, 1)]
    assert list(usual["elbow"]) == ["1", "2"] and usual["elbow"]["2"] == 1
    wide = told(
        capsys, str(boxes), "--split", "val", "--priors", "2", "--size", "120", "--fit", "stretch"
    )
    assert [(p["width"], p["height"]) for p in wide["priors"]] == [(24, 24), (60, 60)]


@pytest.mark.parametrize("make", [clean_coco, clean_voc, clean_yolo])
def test_every_format(make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--split", "val") if make is clean_coco else ()
    found = told(capsys, str(make(tmp_path)), *where, "--priors", "1")
    assert found["boxes"] >= 1 and found["size"] == 416


def test_the_table_and_the_files(
    boxes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ("--split", "val", "--priors", "2", "--size", "120", "--out", str(out))
    assert run(str(boxes), *words) == 0
    text = capsys.readouterr().out
    assert "anchors=24,16,  60,40" in text and "mean IoU with 2 priors 1.000" in text
    assert json.loads((out / "anchors.json").read_text())["mean_iou"] == 1
    assert (out / "elbow.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_refused(boxes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    val = (str(boxes), "--split", "val")
    assert run(*val, "--priors", "3") == 2 and "priors.count" in capsys.readouterr().err
    assert run(*val, "--fit", "crop") == 2 and "priors.fit" in capsys.readouterr().err
    assert run(*val, "--priors", "0") == 2 and run(*val, "--size", "0") == 2
    empty = coco_folder(tmp_path / "empty", coco_labels(annotations=[]))
    assert run(str(empty), "--split", "val") == 4
    assert "dataset.no_objects" in capsys.readouterr().err
    assert run(str(tmp_path / "nowhere")) == 4


@pytest.mark.filterwarnings("always::sightline.errors.SightlineWarning")
def test_faulty_labels_stop_it_unless_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(case for case in CASES if case.code == "box.degenerate")
    root = str(case.make(tmp_path))
    assert run(root, "--split", "val", "--priors", "1") == 4
    assert run(root, "--split", "val", "--priors", "1", "--on-bad", "skip", "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["boxes"] == 2 and "1 labels skipped" in shown.err


def test_the_papers_figures(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of VOC the paper has 61.0 and 67.2 with 5 and 9; 100 of its photos are much like all."""
    data = str(shared / "data" / "voc2012_100")
    for count, paper in ((5, 0.610), (9, 0.672)):
        found = told(capsys, data, "--priors", str(count))
        assert abs(found["mean_iou"] - paper) < 0.03
        assert found["mean_iou"] == pytest.approx(found["elbow"][str(count)])
