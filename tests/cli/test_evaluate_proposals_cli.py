"""`sightline evaluate proposals`, and the models that need no weights, on the command line."""

import json
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from folders import coco_folder
from sightline import cli


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(stop.value.code or 0), out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos, a dog's box in the first of them."""
    root = coco_folder(tmp_path / "proposals")
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(data.chelsea()[100:140, 100:160]).save(root / "images" / "val" / name)
    return root


def test_a_table_a_line_of_json_and_a_picture(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "curves.png"
    status, out, _ = call(
        capsys, "evaluate", "proposals", folder, "--limit", 3, "--limit", 5, "--out", picture
    )
    assert status == 0 and picture.stat().st_size > 1000
    assert [line.split()[0] for line in out.splitlines()] == [
        "2", "proposals", "3", "5", "all", "curves:"
    ]  # fmt: skip
    figures = []
    for mode in ("fast", "quality"):
        status, out, _ = call(
            capsys, "evaluate", "proposals", folder, "--mode", mode, "--json", "--threads", 1
        )
        assert status == 0 and out.count("\n") == 1
        figures.append(json.loads(out))
    assert [row["limit"] for row in figures[0]["rows"]] == [100, 1000, 2000, None]
    assert figures[0]["objects"] == figures[1]["objects"] == 1  # the crowd is not looked for
    fast, quality = (one["rows"][-1] for one in figures)
    assert 0 < fast["proposals"] < quality["proposals"] and 0 < fast["mabo"] <= quality["mabo"]


def test_the_first_stage_of_another_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from sightline import catalogue, checkpoint

    torch.manual_seed(0)
    model = catalogue.build("faster_rcnn", ["dog", "cat"])
    manifest = {"model": "faster_rcnn_mobilenet_v2", "classes": ["dog", "cat"]}
    checkpoint.write(tmp_path / "two", model.state_dict(), manifest)  # type: ignore[attr-defined]
    status, out, _ = call(
        capsys, "evaluate", "proposals", folder, "--model", tmp_path / "two.safetensors", "--json"
    )
    assert status == 0 and 50 < json.loads(out)["rows"][-1]["proposals"] <= 200


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "usage.no_data"),
        (("here", "--mode", "slow"), "usage.option"),
        (("here", "--model", "retinanet", "--mode", "fast"), "usage.option"),
        (("here", "--model", "nothing_like_it"), "usage.unknown_model"),
        (("nowhere",), "dataset.missing"),
    ],
)
def test_what_makes_no_sense(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: str
) -> None:
    given = [folder if word == "here" else word for word in arguments]
    status, out, err = call(capsys, "evaluate", "proposals", *given)
    assert status in (2, 4) and out == "" and f"[{code}]" in err and err.count("\n") == 1


@pytest.mark.filterwarnings("ignore::sightline.errors.SightlineWarning")  # no cat to find
def test_a_folder_of_that_name_is_still_evaluated(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = folder / "results.json"
    box = {"image_id": 7, "category_id": 90, "bbox": [10, 5, 20, 30], "score": 0.9}
    results.write_text(json.dumps([box]))
    monkeypatch.chdir(folder.parent)
    status, out, _ = call(
        capsys, "evaluate", "./proposals", "--detections", "proposals/results.json", "--json"
    )
    assert status == 0 and json.loads(out)["AP"] == pytest.approx(1.0)


def test_help_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "evaluate", "proposals", "--help")
    assert status == 0 and "sightline evaluate proposals" in out and "--limit" in out
    status, out, _ = call(capsys, "evaluate", "--help")
    assert status == 0 and "evaluate proposals DATA" in out and "--detections" in out


def test_detect_and_models_know_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(
        capsys, "detect", folder / "images", "--model", "selective_search", "--json", "--limit", 4
    )
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and len(rows) == 2
    assert {one["label"] for row in rows for one in row["detections"]} == {"object"}
    assert all(len(row["detections"]) == 4 for row in rows)
    status, out, _ = call(capsys, "models", "--json")
    (mine,) = [row for row in json.loads(out) if row["name"] == "selective_search"]
    assert mine["weights"] == "ready: it needs no weights"
    assert mine["options"] == {"mode": ["fast", "quality"]}
