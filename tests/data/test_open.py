"""Recognising what a folder or a file is."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import sightline.data.open as opening
from folders import coco_folder, coco_labels, draw, voc_folder, voc_object, voc_page, yolo_folder
from sightline.cli import app
from sightline.data import open_dataset, splits
from sightline.data.formats import FORMATS
from sightline.data.json_head import HEAD, json_head
from sightline.data.sources import SOURCES
from sightline.errors import AnnotationError, DatasetError, SightlineWarning, UsageError

PAGE = voc_page(voc_object("cat", (5, 5, 20, 20)))


def both(root: Path) -> Path:
    """A folder that is YOLO's and VOC's at once."""
    yolo_folder(root, a="0 0.5 0.5 0.5 0.5\n1 0.4 0.4 0.1 0.1\n")
    return voc_folder(root, a=PAGE)


def test_every_format_is_told_of() -> None:
    table = opening.__doc__ or ""
    for source in SOURCES.values():
        assert f"{source.title} |" in table
    assert set(FORMATS) <= set(SOURCES)


def test_a_folder_that_is_two_things_is_told_and_can_be_forced(tmp_path: Path) -> None:
    root = both(tmp_path)
    with pytest.warns(SightlineWarning, match="voc or yolo: read as voc"):
        assert len(open_dataset(root)[0].objects) == 1
    assert len(open_dataset(root, format="yolo")[0].objects) == 2
    assert len(open_dataset(root, format="voc")[0].objects) == 1
    assert splits(root, "yolo") == ("train",)
    assert splits(root, "voc") == ()


def test_a_broken_file_of_another_format_does_not_count(tmp_path: Path) -> None:
    root = coco_folder(tmp_path)
    (root / "other.yaml").write_bytes(b"\xff\xfe")
    assert len(open_dataset(root)) == 2


def test_what_is_forced_must_be_so(tmp_path: Path) -> None:
    root = both(tmp_path)
    with pytest.raises(UsageError) as usage:
        open_dataset(root, format="paper")
    assert ", ".join(SOURCES) in str(usage.value)
    with pytest.raises(DatasetError) as caught:
        open_dataset(root, format="coco")
    assert caught.value.code == "dataset.format"
    assert "annotations/instances_train.json" in str(caught.value)
    with pytest.raises(DatasetError) as file:
        open_dataset(root / "Annotations/a.xml", format="voc")
    assert file.value.code == "dataset.format"


def test_the_verb_takes_a_format(tmp_path: Path) -> None:
    root, out = both(tmp_path / "both"), tmp_path / "out"
    words = ["convert", str(root), "--to", "csv", "--out", str(out)]
    for extra in (["--from", "yolo"], ["--from", "yolo", "--overwrite"]):
        done = CliRunner().invoke(app, [*words, *extra])
        assert done.exit_code == 0, done.output
    assert len((out / "labels.csv").read_text().splitlines()) == 3
    done = CliRunner().invoke(app, [*words, "--from", "paper"])
    assert isinstance(done.exception, UsageError)


def test_a_named_file_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "coco")
    file = root / "annotations" / "instances_val.json"
    assert splits(file) == ()
    assert open_dataset(file).split is None
    assert open_dataset(file, split="val").split == "val"
    assert open_dataset(root, split="val", annotations=file).split == "val"
    other = root / "other.json"
    other.write_text(json.dumps({"boxes": []}))
    with pytest.raises(DatasetError) as caught:
        open_dataset(root, annotations=other)
    assert caught.value.code == "dataset.unknown"
    other.write_text("{")
    with pytest.raises(AnnotationError) as broken:
        open_dataset(other)
    assert broken.value.code == "json.syntax"
    late = {"info": {"description": "x" * HEAD}, **coco_labels()}
    other.write_text(json.dumps(late))
    with pytest.raises(DatasetError):
        open_dataset(other, images=root / "images/val")
    assert len(open_dataset(other, images=root / "images/val", format="coco")) == 2
    draw(tmp_path / "csv" / "a.jpg")
    (tmp_path / "csv" / "mine.csv").write_text("file,label,x1,y1,x2,y2\na.jpg,cat,1,1,9,9\n")
    assert len(open_dataset(tmp_path / "csv" / "mine.csv")) == 1
    with pytest.raises(DatasetError) as split:
        open_dataset(tmp_path / "csv" / "mine.csv", split="val")
    assert split.value.code == "dataset.split"


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(value=st.dictionaries(st.text(max_size=4), VALUES), many=st.booleans())
def test_the_head_of_json_has_its_keys(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, object], many: bool
) -> None:
    file = tmp_path_factory.mktemp("head") / "a.json"
    file.write_text(json.dumps([value] if many else value))
    plain = {key for key in value if json.dumps(key) == f'"{key}"'}
    head = json_head(file)
    assert head.is_list == many
    assert {key for key in head.keys if "\\" not in key} == plain


@pytest.mark.parametrize("text", ['"' + '\\"' * HEAD, "[" * HEAD, '{"a' + "\\" * HEAD, "\ufeff{"])
def test_the_head_of_hostile_json_is_read_at_once(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    start = time.process_time()
    assert not json_head(tmp_path / "a.json").keys
    assert time.process_time() - start < 1
