"""`sightline detect --masks`: each form holds the pixels that the model found."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from typer.testing import CliRunner

import sightline
from sightline import catalogue
from sightline import checkpoint as checkpoints
from sightline.cli import app
from sightline.data import masks
from sightline.data.segments import parse_segment
from sightline.errors import UsageError

SIZE = (60, 100)
KEY = "a/photo.png"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light Mask R-CNN that was never trained, and looks at small images only."""
    torch.manual_seed(3)
    detector = catalogue.build("mask_rcnn_mobilenet_v2", ["cat", "dog"])
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    manifest = {
        "model": "mask_rcnn_mobilenet_v2",
        "classes": ["cat", "dog"],
        "preparation": {"longer": 128},
    }
    checkpoints.write(path, detector.state_dict(), manifest)  # type: ignore[attr-defined]
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a").mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    Pillow.fromarray(pixels).save(folder / KEY)
    return folder


@pytest.fixture(scope="module")
def expected(model: Path, photos: Path) -> np.ndarray:
    """What Python gets: five masks, some pixels in each, not everywhere."""
    found = sightline.load(model, score=0.05)(photos / KEY)[:5]
    pixels = found.bitmaps().numpy()
    assert pixels.shape == (5, *SIZE)
    assert 0 < pixels.mean() < 0.9
    return pixels


def detect(model: Path, photos: Path, *more: object) -> str:
    words = ["detect", photos, "--model", model, "--score", 0.05, "--limit", 5, *more]
    answer = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def pixels_of(value: object) -> np.ndarray:
    segment = parse_segment(value, SIZE)
    assert segment is not None
    return masks.rasterise(segment, SIZE)


@pytest.mark.parametrize("form", ["rle", "polygons", None])
def test_lines_and_coco_hold_the_form_that_was_asked_for(
    model: Path, photos: Path, expected: np.ndarray, tmp_path: Path, form: str | None
) -> None:
    asked = [] if form is None else ["--masks", form]
    save = ["--out", tmp_path, "--save", "coco,jsonl"]
    line = json.loads(detect(model, photos, "--json", *save, *asked))
    assert line["file"] == KEY
    told = [one["mask"] for one in line["detections"]]
    assert all(isinstance(one, list if form == "polygons" else dict) for one in told)
    assert json.loads((tmp_path / "detections.jsonl").read_text()) == line
    results = json.loads((tmp_path / "coco_results.json").read_text())
    assert [result["segmentation"] for result in results] == told
    for value, mask in zip(told, expected, strict=True):
        assert (pixels_of(value) == mask).all() if mask.any() else value in ([], told[0])
    assert not (tmp_path / "masks").exists()


def test_bitmaps_are_a_picture_an_object(
    model: Path, photos: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    stale = tmp_path / "masks" / "a" / "photo" / "0006.png"
    own = stale.with_name("notes.txt")
    stale.parent.mkdir(parents=True)
    for path in (stale, own):
        path.write_bytes(b"of an earlier run")
    save = ["--out", tmp_path, "--save", "coco", "--masks", "bitmaps"]
    line = json.loads(detect(model, photos, "--json", *save))
    paths = [one["mask"] for one in line["detections"]]
    assert paths == [f"masks/a/photo/{number:04d}.png" for number in range(1, 6)]
    for path, mask in zip(paths, expected, strict=True):
        picture = Pillow.open(tmp_path / path)
        assert picture.mode == "L"
        assert (np.asarray(picture) == np.where(mask, 255, 0)).all()
    assert not stale.exists() and own.exists() and not list(tmp_path.rglob(".tmp*"))
    results = json.loads((tmp_path / "coco_results.json").read_text())
    assert (pixels_of(results[0]["segmentation"]) == expected[0]).all()


def test_lines_of_yolo_are_outlines(
    model: Path, photos: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    detect(model, photos, "--out", tmp_path, "--save", "yolo", "--masks", "polygons")
    lines = (tmp_path / "labels/a/photo.txt").read_text().splitlines()
    assert len(lines) == 5
    for line, mask in zip(lines, expected, strict=True):
        label, *numbers = line.split()
        assert label in ("0", "1") and 0.05 < float(numbers[-1]) < 1
        ring = np.array(numbers[:-1], np.float64).reshape(-1, 2)
        assert len(ring) >= 3 and ring.min() >= 0 and ring.max() <= 1
        if mask.any():
            assert (masks.fill_ring(ring * (SIZE[1], SIZE[0]), SIZE) == mask).all()


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["--masks", "svg", "--json"], "svg"),
        (["--masks", "polygons"], "nothing that is written"),
        (["--masks", "rle", "--save", "pictures,csv,yolo"], "nothing that is written"),
        (["--masks", "bitmaps", "--json"], "folder"),
    ],
)
def test_a_form_that_would_go_nowhere_is_refused(
    model: Path, photos: Path, words: list[str], about: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    with pytest.raises(UsageError, match=about) as caught:
        detect(model, photos, *words)
    assert caught.value.code == "usage.masks" and caught.value.hint
    assert not (photos.parent / "sightline-out").exists()


def test_a_model_without_masks_says_so(checkpoint: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without masks") as caught:
        detect(checkpoint, photos, "--masks", "bitmaps", "--out", tmp_path / "new")
    assert caught.value.code == "usage.masks"
    assert not (tmp_path / "new").exists()
    assert "mask" not in json.loads(detect(checkpoint, photos, "--json"))


def test_the_weights_of_the_package_find_a_person() -> None:
    """Without a network: the mask lies on Grace Hopper, not on the corners of the photo."""
    from sightline.cli import demo
    from sightline.predict import embedded

    if embedded("mask_rcnn_mobilenet_v2") is None:
        pytest.skip("this source tree has no trained weights yet")
    words = ["detect", str(demo.photos()[0]), "--model", "mask_rcnn", "--json"]
    answer = CliRunner().invoke(app, words, catch_exceptions=False)
    best = json.loads(answer.stdout)["detections"][0]
    assert best["label"] == "person"
    height, width = best["mask"]["size"]
    mask = masks.decode(masks.from_text(best["mask"]["counts"], (height, width)))
    assert mask[200, 250] and mask[500, 250]  # face and uniform
    assert not mask[5, 5] and not mask[5, -5]
