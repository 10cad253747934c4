"""`sightline split` as a user meets it."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from folders import draw, yolo_folder
from sightline.cli import main
from sightline.data import open_dataset, splits


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["split", *arguments])
    return int(stop.value.code or 0)


def pictures(root: Path, count: int = 10, **more: str | None) -> Path:
    """A YOLO folder of cats, and a dog in every second image."""
    line = "{} 0.5 0.5 0.2 0.4\n"
    labels = {
        f"v{i // 2}_{i % 2}": line.format(0) + (line.format(1) if i % 2 else "")
        for i in range(count)
    }
    return yolo_folder(root, None, **labels, **more)


def test_a_folder_of_its_own_and_how_to_do_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = pictures(tmp_path / "in"), tmp_path / "out"
    before = sorted(path.name for path in source.rglob("*"))
    assert run(str(source), "--out", str(out), "--seed", "3", "--no-similar") == 0
    told = capsys.readouterr().out
    assert "its splits (train) were taken together" in told
    assert "train: 8 images, 80.0%" in told and "val: 2 images, 20.0%" in told
    assert "farthest from its ratio: " in told and "10 images in" in told
    assert splits(out) == ("train", "val")
    record = json.loads((out / "split.json").read_text())
    for name, files in record["files"].items():
        part = open_dataset(out, name)
        assert sorted(e.path.name for e in part) == sorted(Path(file).name for file in files)
        assert all((source / file).is_file() for file in files)
        originals = {Path(file).stem: (source / file).read_bytes() for file in files}
        assert {e.path.stem: e.path.read_bytes() for e in part} == originals
    assert record["seed"] == 3 and record["ratios"] == {"train": 0.8, "val": 0.2}
    assert record["source"]["fingerprint"] == open_dataset(source).fingerprint()
    assert record["classes"]["dog"] == {"images": [4, 1], "objects": [4, 1]}
    assert sorted(path.name for path in source.rglob("*")) == before
    again = tmp_path / "again"
    assert run(str(source), "--out", str(again), "--seed", "3", "--no-similar") == 0
    assert (again / "split.json").read_bytes() == (out / "split.json").read_bytes()


def test_json_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = [str(pictures(tmp_path / "in")), "--out", str(out), "--to", "coco", "--json"]
    assert run(*arguments, "--ratios", "a=1/2, b=0.5", "--images", "link", "--no-similar") == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["images"] == {"a": 5, "b": 5} and told["format"] == "coco"
    assert told["losses"] == {} and told["groups"] == 0
    assert sorted(splits(out)) == ["a", "b"]


def test_groups_by_name_and_by_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = pictures(tmp_path / "in"), tmp_path / "out"
    chance = np.random.default_rng(0)
    for path in sorted((source / "images" / "train").iterdir()):
        coarse = chance.integers(0, 255, (5, 7, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((60, 40), Image.Resampling.BICUBIC).save(path)
    twins = [source / "images/train" / name for name in ("v0_0.jpg", "v4_1.jpg")]
    twins[1].write_bytes(twins[0].read_bytes())
    common = [str(source), "--ratios", "train=0.6,val=0.2,test=0.2", "--json"]
    assert run(*common, "--out", str(out), "--group-by", r"(v\d+)_") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["groups"], told["grouped_images"]) == (4, 10)
    files = json.loads((out / "split.json").read_text())["files"]
    videos = {name: {Path(f).name.split("_")[0] for f in listed} for name, listed in files.items()}
    assert sum(map(len, videos.values())) == 5
    assert any({"v0", "v4"} <= found for found in videos.values())
    assert run(*common, "--out", str(tmp_path / "b"), "--no-similar") == 0
    assert json.loads(capsys.readouterr().out)["groups"] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--ratios", "train=0.8,val=0.3"], 2, "[split.ratio]"),
        (["--ratios", "train=0.8,val=-0.2,test=0.4"], 2, "[split.ratio]"),
        (["--ratios", "train=1"], 2, "[split.ratio]"),
        (["--ratios", "train=0.8,val"], 2, "[split.ratio]"),
        (["--ratios", "train=1/0,val=1"], 2, "[split.ratio]"),
        (["--ratios", "train=nan,val=1"], 2, "[split.ratio]"),
        (["--ratios", "train=0.5,Train=0.5"], 2, "[split.name]"),
        (["--ratios", "train=0.5,other=0.5"], 2, "[split.name]"),
        (["--ratios", "train=0.5,../up=0.5", "--to", "coco"], 2, "[split.name]"),
        (["--ratios", "=0.5,b=0.5", "--to", "coco"], 2, "[split.name]"),
        (["--to", "csv"], 2, "[split.format]"),
        (["--to", "paper"], 2, "[split.format]"),
        (["--images", "move"], 2, "[usage.images]"),
        (["--on-bad", "cry"], 2, "--on-bad"),
        (["--group-by", "("], 2, "[split.pattern]"),
        (["--group-by", "^images"], 4, "[split.too_few]"),
    ],
)
def test_calls_that_make_no_sense(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    told: str,
) -> None:
    source, out = pictures(tmp_path / "in", 4), tmp_path / "out"
    assert run(str(source), "--out", str(out), "--no-similar", *arguments) == status
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_nothing_is_overwritten_and_csv_asks_for_a_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = pictures(tmp_path / "in", 4), tmp_path / "out"
    draw(out / "mine.png")
    assert run(str(source), "--out", str(out)) == 4
    assert "[convert.not_empty]" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["mine.png"]
    draw(tmp_path / "csv" / "images" / "a.jpg")
    (tmp_path / "csv" / "labels.csv").write_text("file,label,x1,y1,x2,y2\na.jpg,cat,1,1,9,9\n")
    assert run(str(tmp_path / "csv"), "--out", str(tmp_path / "new")) == 2
    assert "csv holds no splits" in capsys.readouterr().err


def test_a_class_of_too_few_images_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = pictures(tmp_path / "in", 2, c="0 0.5 0.5 0.2 0.4\n", d=None)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run(str(source), "--out", str(tmp_path / "out"), "--no-similar") == 0
    told = capsys.readouterr()
    assert "warning: too few images to be in every split: dog;" in told.err
    assert "(no objects)" in told.out


def test_folds_are_data_sets_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = pictures(tmp_path / "in"), tmp_path / "out"
    assert run(str(source), "--out", str(out), "--folds", "5", "--no-similar") == 0
    assert "5 folds" in capsys.readouterr().out
    every = {path.name for path in (source / "images" / "train").iterdir()}
    tried: list[str] = []
    for name in (f"fold-{i}" for i in range(1, 6)):
        assert splits(out / name) == ("train", "val")
        train, val = (open_dataset(out / name, part) for part in ("train", "val"))
        assert len(val) == 2
        seen = {example.path.name for example in val}
        assert {example.path.name for example in train} == every - seen
        assert sum(len(example.objects) for example in val) == 3
        tried += seen
    assert sorted(tried) == sorted(every)
    record = json.loads((out / "split.json").read_text())
    assert sorted(record["files"]) == [f"fold-{i}" for i in range(1, 6)]
    both = ["--folds", "3", "--ratios", "train=0.5,val=0.5"]
    assert run(str(source), "--out", str(tmp_path / "b"), *both) == 2
    assert "[split.folds]" in capsys.readouterr().err
    assert run(str(source), "--out", str(tmp_path / "b"), "--folds", "1") == 2


def test_a_test_set_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, first, out = pictures(tmp_path / "in"), tmp_path / "first", tmp_path / "out"
    thirds = ["--ratios", "train=0.4,val=0.3,test=0.3", "--no-similar"]
    assert run(str(source), "--out", str(first), "--to", "coco", *thirds) == 0
    test = {example.path.name for example in open_dataset(first, "test")}
    again = ["--keep", "test", "--seed", "9", "--ratios", "train=0.6,val=0.4", "--no-similar"]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run(str(first), "--out", str(out), *again, "--group-by", r"(v\d+)_") == 0
    told = capsys.readouterr()
    assert "test: 3 images, as it was" in told.out and "its splits (train, val)" in told.out
    parts = {name: {e.path.name for e in open_dataset(out, name)} for name in splits(out)}
    assert parts["test"] == test and not test & (parts["train"] | parts["val"])
    assert sum(map(len, parts.values())) == 10
    record = json.loads((out / "split.json").read_text())
    assert {Path(file).name for file in record["files"]["test"]} == test
    videos = {name.split("_")[0] for name in test}
    torn = {name for name in parts["train"] | parts["val"] if name.split("_")[0] in videos}
    assert torn and {Path(file).name for file in record["torn"]} == torn
    assert f"warning: {len(torn)} images belong together" in told.err
    assert run(str(first), "--out", str(tmp_path / "c"), "--keep", "train") == 2
    assert "[split.name]" in capsys.readouterr().err
    assert run(str(first), "--out", str(tmp_path / "c"), "--keep", "exam") == 4
    assert "[dataset.split]" in capsys.readouterr().err
    folds = ["--folds", "2", "--keep", "test", "--no-similar"]
    assert run(str(first), "--out", str(tmp_path / "d"), *folds) == 0
    assert splits(tmp_path / "d" / "fold-2") == ("train", "val", "test")
