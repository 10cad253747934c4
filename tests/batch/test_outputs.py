"""Results as files: what each holds, and that none is ever half there."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow

from sightline.batch.mask_forms import FORMS
from sightline.batch.outputs import KINDS, Outputs, error_row, stems
from sightline.batch.rows import cell, line, row
from sightline.errors import ImageError, UsageError
from sightline.types import Detections

SIZE = (60, 100)
IMAGE = torch.zeros(3, *SIZE, dtype=torch.uint8)


def found(count: int = 2, ids: tuple[int, ...] | None = (7, 90)) -> Detections:
    boxes = torch.tensor([[10.0, 20.0, 50.0, 40.0], [0.0, 0.0, 100.0, 60.0]])[:count]
    return Detections(
        boxes,
        torch.tensor([0.987654321, 0.5])[:count],
        torch.tensor([1, 0])[:count],
        torch.arange(count),
        SIZE,
        ("=cat", "dog"),
        ids,
    )


def test_every_kind(tmp_path: Path) -> None:
    keys = ["a/1.jpg", "b/1.jpg", "-odd.png"]
    with Outputs(tmp_path, KINDS, keys) as outputs:
        outputs.add("a/1.jpg", IMAGE, found())
        outputs.add("-odd.png", IMAGE, found(1))
        assert not (tmp_path / "coco_results.json").exists()
    results = json.loads((tmp_path / "coco_results.json").read_text())
    assert results[0] == {
        "image_id": 1,
        "category_id": 90,
        "bbox": [10, 20, 40, 20],
        "score": 0.98765,
    }
    assert [r["image_id"] for r in results] == [1, 1, 3]
    companion = json.loads((tmp_path / "coco_images.json").read_text())
    assert companion["images"][1] == {"id": 3, "file_name": "-odd.png", "width": 100, "height": 60}
    assert companion["categories"] == [{"id": 7, "name": "=cat"}, {"id": 90, "name": "dog"}]
    labels = (tmp_path / "labels/a/1.txt").read_text().splitlines()
    assert labels == [
        "1 0.300000 0.500000 0.400000 0.333333 0.98765",
        "0 0.500000 0.500000 1.000000 1.000000 0.50000",
    ]
    assert (tmp_path / "classes.txt").read_text() == "=cat\ndog\n"
    with (tmp_path / "detections.csv").open(newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["file", "label", "score", "x1", "y1", "x2", "y2", "width", "height"]
    assert table[1] == ["a/1.jpg", "dog", "0.98765", "10.0", "20.0", "50.0", "40.0", "100", "60"]
    assert table[2][:2] == ["a/1.jpg", "'=cat"]
    assert table[3][:2] == ["'-odd.png", "dog"]
    lines = (tmp_path / "detections.jsonl").read_text().splitlines()
    assert [json.loads(text) for text in lines] == [
        row("a/1.jpg", found()),
        row("-odd.png", found(1)),
    ]
    assert Pillow.open(tmp_path / "pictures/a/1.jpg").size == (100, 60)
    assert (tmp_path / "pictures/-odd.jpg").is_file()
    assert not list(tmp_path.rglob(".tmp*"))


def test_the_empty_run_is_valid(tmp_path: Path) -> None:
    with Outputs(tmp_path, KINDS, []):
        pass
    assert json.loads((tmp_path / "coco_results.json").read_text()) == []
    assert (tmp_path / "detections.jsonl").read_text() == ""


def test_coco_reads_the_results(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    with Outputs(tmp_path, ["coco"], ["x.jpg", "y.jpg"]) as outputs:
        outputs.add("y.jpg", IMAGE, found(ids=None))
    truth = coco.COCO(str(tmp_path / "coco_images.json"))
    answer = truth.loadRes(str(tmp_path / "coco_results.json"))
    assert answer.getCatIds() == [1, 2]
    assert len(answer.anns) == 2


def test_an_interrupted_run_leaves_what_was_done(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Outputs(tmp_path, KINDS, ["a", "b"]) as outputs:
        outputs.add("a", IMAGE, found())
        raise KeyboardInterrupt
    assert len(json.loads((tmp_path / "coco_results.json").read_text())) == 2
    assert not list(tmp_path.rglob(".tmp*"))


def test_masks_and_keypoints(tmp_path: Path) -> None:
    from dataclasses import replace

    from sightline.data import masks as codec

    mask = torch.zeros(1, *SIZE, dtype=torch.bool)
    mask[0, 20:40, 10:50] = True
    answer = replace(found(1), masks=mask, keypoints=torch.tensor([[[12.0, 22.0, 0.75]]]))
    with Outputs(tmp_path, ["coco", "jsonl", "pictures"], ["a.png"]) as outputs:
        outputs.add("a.png", IMAGE, answer)
    (result,) = json.loads((tmp_path / "coco_results.json").read_text())
    runs = codec.from_text(result["segmentation"]["counts"], SIZE)
    assert (codec.decode(runs) == mask[0].numpy()).all()
    assert result["keypoints"] == [12, 22, 0.75]
    (plain,) = json.loads((tmp_path / "detections.jsonl").read_text())["detections"]
    assert plain["mask"] == result["segmentation"]


def test_masks_without_pixels_are_written_in_every_form(tmp_path: Path) -> None:
    """A weak detection may have none; it stays a detection."""
    from dataclasses import replace

    mask = torch.zeros(2, *SIZE, dtype=torch.bool)
    mask[1, 20:40, 10:50] = True
    mask[1, 2:4, 70:80] = True
    answer = replace(found(2), masks=mask)
    for form in FORMS:
        with Outputs(tmp_path / form, ["coco", "jsonl", "yolo"], ["b/a.png"], form) as outputs:
            outputs.add("b/a.png", IMAGE, answer)
    (rle, polygons, bitmaps) = (
        [one["mask"] for one in json.loads(text)["detections"]]
        for text in ((tmp_path / form / "detections.jsonl").read_text() for form in FORMS)
    )
    assert rle == answer.run_lengths() and polygons == answer.polygons()
    assert polygons[0] == [] and len(polygons[1]) == 2
    assert bitmaps == ["masks/b/a/0001.png", "masks/b/a/0002.png"]
    assert Pillow.open(tmp_path / "bitmaps" / bitmaps[0]).getextrema() == (0, 0)
    lines = (tmp_path / "rle/labels/b/a.txt").read_text().splitlines()
    assert lines[0] == (
        "1 0.100000 0.333333 0.500000 0.333333 0.500000 0.666667 0.100000 0.666667 0.98765"
    )
    assert len(lines) == 2 and len(lines[1].split()) == 2 + 2 * (4 + 1 + 4 + 1 + 1)
    with Outputs(tmp_path / "bitmaps", [], ["b/a.png"], "bitmaps") as outputs:
        outputs.add("b/a.png", IMAGE, answer[:1])
    assert [path.name for path in (tmp_path / "bitmaps/masks").rglob("*.png")] == ["0001.png"]


def test_an_unknown_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="svg"):
        Outputs(tmp_path / "new", ["coco"], [], "svg")
    assert not (tmp_path / "new").exists()


def test_unknown_kinds_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="xml"):
        Outputs(tmp_path / "new", ["coco", "xml"], [])
    assert not (tmp_path / "new").exists()


def test_names_stay_inside_and_apart() -> None:
    keys = [
        "x.jpg",
        "x.png",
        "sub/x.jpg",
        "/etc/x.jpg",
        "../../x.jpg",
        "X.jpg",
        ".jpg",
        "c:\\d.png",
    ]
    names = stems(keys)
    assert names["x.jpg"] == "x"
    assert names["x.png"] == "x.png"
    assert names["sub/x.jpg"] == "sub/x"
    assert len({name.casefold() for name in names.values()}) == len(keys)
    assert not any(name.startswith("/") or ".." in name.split("/") for name in names.values())


def test_lines_are_strict_ascii() -> None:
    text = line(error_row("é\udcff\n", ImageError("bad", code="image.corrupt", path="x")))
    assert text.isascii() and "\n" not in text
    assert json.loads(text)["error"]["code"] == "image.corrupt"
    with pytest.raises(ValueError, match="JSON"):
        line({"x": float("nan")})
    assert cell("=1+1") == "'=1+1"
    assert cell("cat") == "cat"


def test_people_as_openpose_has_them(tmp_path: Path) -> None:
    from dataclasses import replace

    points = torch.zeros(2, 3, 3)
    points[1] = torch.tensor([[1.5, 2, 0.9], [0, 0, 0], [30.25, 4, 0.5]])
    with Outputs(tmp_path, ["openpose"], ["a/1.jpg", "b.jpg"]) as outputs:
        outputs.add("a/1.jpg", IMAGE, replace(found(), keypoints=points))
        outputs.add("b.jpg", IMAGE, replace(found(0), keypoints=points[:0]))
    people = json.loads((tmp_path / "openpose/a/1_keypoints.json").read_text())
    assert people["version"] == 1.3
    assert people["people"][1]["pose_keypoints_2d"] == [1.5, 2, 0.9, 0, 0, 0, 30.25, 4, 0.5]
    assert people["people"][1]["person_id"] == [-1]
    assert json.loads((tmp_path / "openpose/b_keypoints.json").read_text())["people"] == []
