"""A folder that could be two things: every verb that reads labels can be told which it is."""

import json
from pathlib import Path

import pytest

from folders import coco_folder, voc_folder, voc_object, voc_page, yolo_folder
from sightline.cli import main
from sightline.cli.labelled import KNOWN
from sightline.data.formats import FORMATS
from sightline.data.sources import SOURCES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pascal VOC with two cats, and YOLO with a cat and two dogs; unsaid it is read as VOC."""
    root = voc_folder(
        tmp_path / "both",
        a=voc_page(voc_object("cat", (5, 5, 20, 20))),
        b=voc_page(voc_object("cat", (5, 5, 20, 30)), filename="b.jpg"),
    )
    return yolo_folder(
        root, None, a="0 0.5 0.5 0.2 0.4\n1 0.5 0.5 0.4 0.2\n1 0.2 0.2 0.3 0.1\n", b=None
    )


def status_of(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def test_the_formats_in_the_help_are_those_that_there_are() -> None:
    assert KNOWN.replace(" or ", ", ").split(", ") == list(SOURCES)
    assert set(FORMATS) == set(SOURCES)


@pytest.mark.parametrize("verb", ["anchors", "check", "convert", "evaluate", "split", "train"])
def test_the_help_names_all_formats(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(verb, "--help") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "--from" in told
    assert f"could be two: {KNOWN}" in told


@pytest.mark.filterwarnings("always::sightline.errors.SightlineWarning")
def test_unsaid_it_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("check", folder, "--no-duplicates") == 0
    assert "could be voc or yolo: read as voc (say which: --from" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "objects"), [("voc", 2), ("yolo", 3)])
def test_check(folder: Path, name: str, objects: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("check", folder, "--from", name, "--no-duplicates", "--json") == 0
    told = capsys.readouterr()
    (part,) = json.loads(told.out)["splits"].values()
    assert not told.err
    assert part["objects"] == objects
    assert part["classes"] == ({"cat": 2} if name == "voc" else {"cat": 1, "dog": 2})


@pytest.mark.parametrize("verb", ["anchors", "check", "evaluate", "split", "train"])
def test_a_format_that_it_is_not(
    verb: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = () if verb in ("anchors", "check", "evaluate") else ("--out", tmp_path / "out")
    assert status_of(verb, folder, "--from", "coco", *out) == 4
    assert "[dataset.format]" in capsys.readouterr().err
    assert status_of(verb, folder, "--from", "paper", *out) == 2
    assert "[usage.format]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("always::sightline.errors.SightlineWarning")
@pytest.mark.parametrize("name", ["voc", "yolo"])
def test_split(folder: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("--out", tmp_path / "out", "--no-similar", "--json", "--ratios", "train=1/2,val=1/2")
    assert status_of("split", folder, "--from", name, *out) == 0
    said = capsys.readouterr()
    assert "could be" not in said.err
    told = json.loads(said.out)
    assert told["format"] == name
    assert list(told["classes"]) == (["cat"] if name == "voc" else ["cat", "dog"])


def test_evaluate(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.json"
    results.write_text("[]")
    for name, objects in (("voc", 2), ("yolo", 3)):
        arguments = ("--from", name, "--split", "train") if name == "yolo" else ("--from", name)
        assert status_of("evaluate", folder, *arguments, "--detections", results, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["images"], told["objects"]) == (2, objects)


def test_train(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, classes in (("voc", 1), ("yolo", 2)):
        run = ("--out", tmp_path / "run", "--start", tmp_path / "none.safetensors")
        model = ("--model", "retinanet_mobilenet_v2", "--no-validate")
        assert status_of("train", folder, "--from", name, *model, *run) == 5
        assert f"2 images to train on, {classes} classes" in capsys.readouterr().err


def test_a_record_knows_the_format(folder: Path) -> None:
    from sightline.train.repeat import open_data

    for name, classes in (("voc", ("cat",)), ("yolo", ("cat", "dog"))):
        part = {"path": str(folder), "split": None, "on_bad": "error", "from": name}
        assert open_data({"data": part, "validation": None})[0].classes == classes


@pytest.mark.filterwarnings("always::sightline.errors.SightlineWarning")
def test_the_losses_of_every_fold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = coco_folder(tmp_path / "in")
    out = ("--no-similar", "--to", "voc", "--folds", "2")
    assert status_of("split", root, "--out", tmp_path / "a", *out) == 0
    told = capsys.readouterr().out
    assert status_of("split", root, "--out", tmp_path / "b", *out, "--json") == 0
    losses = json.loads(capsys.readouterr().out)["losses"]
    assert list(losses) == ["fold-1", "fold-2"]
    assert losses["fold-1"]["crowd"] == losses["fold-2"]["crowd"] == 1
    assert "voc cannot hold of fold-1:" in told and "voc cannot hold of fold-2:" in told
