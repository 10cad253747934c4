"""`sightline.load`: one model, any kind of image, always the same answer."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from skimage import data

import sightline
from sightline import checkpoint as checkpoint_files
from sightline import predict
from sightline.errors import ImageError, UsageError, WeightsError
from sightline.predict import Model
from sightline.types import Detections
from small_detectors import small


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return sightline.load(checkpoint)


@pytest.fixture(scope="module")
def photos() -> list[torch.Tensor]:
    """Three photos, two of them of one size, none square."""
    cat = torch.from_numpy(data.chelsea()).permute(2, 0, 1)
    woman = torch.from_numpy(data.astronaut()[:300, :451]).permute(2, 0, 1)
    coffee = torch.from_numpy(data.coffee()).permute(2, 0, 1)
    return [cat.contiguous(), coffee.contiguous(), woman.contiguous()]


def same(a: Detections, b: Detections, bound: float = 0.0) -> None:
    assert a.labels.tolist() == b.labels.tolist()
    if bound:
        torch.testing.assert_close(a.scores, b.scores, rtol=0, atol=bound)
        torch.testing.assert_close(a.boxes, b.boxes, rtol=0, atol=100 * bound)
    else:
        assert torch.equal(a.boxes, b.boxes) and torch.equal(a.scores, b.scores)
        assert torch.equal(a.region, b.region)


def test_what_comes_out(model: Model, photos: list[torch.Tensor]) -> None:
    found = model(photos[0])
    assert len(found) > 0
    assert found.size == (300, 451)
    assert found.classes == model.classes == ("cat", "dog", "person")
    assert found.category_ids == (17, 18, 1)
    assert (found.scores > 0.3).all()
    assert (found.scores.diff() <= 0).all()
    assert (found.boxes[:, :2] >= 0).all() and (found.boxes[:, 2] <= 451).all()


def test_any_kind_of_image(model: Model, photos: list[torch.Tensor], tmp_path: Path) -> None:
    array = photos[0].permute(1, 2, 0).numpy()
    path = tmp_path / "cat.png"
    Pillow.fromarray(array).save(path)
    answer = model(photos[0])
    kinds = [
        path,
        str(path),
        path.read_bytes(),
        io.BytesIO(path.read_bytes()),
        Pillow.fromarray(array),
        np.ascontiguousarray(array),
    ]
    for kind in kinds:
        same(model(kind), answer)
    found = model([path, photos[1]])
    assert isinstance(found, list)
    same(found[0], answer)
    assert model([]) == []
    assert len(model((path,))) == 1


def test_alone_or_among_others(model: Model, photos: list[torch.Tensor]) -> None:
    alone = [model(photo) for photo in photos]
    mirrored = photos[0].flip(-1).contiguous()
    for size in (1, 2, 4):
        among = model([photos[0], mirrored, *photos[1:], mirrored], batch_size=size)
        for a, b in zip(alone, [among[0], among[2], among[3]], strict=True):
            same(a, b, bound=0.0 if size == 1 else 1e-5)


def test_one_thread_or_two_and_run_after_run(model: Model, photos: list[torch.Tensor]) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = model(photos[0])
        same(model(photos[0]), one)
        torch.set_num_threads(2)
        two = model(photos[0])
        same(two, one, bound=1e-5)
        for _ in range(3):
            same(model(photos[0]), two)
    finally:
        torch.set_num_threads(before)


def test_made_ready_changes_no_answer(checkpoint: Path, photos: list[torch.Tensor]) -> None:
    """Folded and channels last, against the detector as it was trained."""
    from sightline import catalogue, pipeline
    from sightline import checkpoint as checkpoints

    stored = checkpoints.read(checkpoint)
    plain = catalogue.build("retinanet_mobilenet_v2", stored.classes).eval()
    checkpoints.load_into(plain, stored)
    ready = sightline.load(checkpoint, score=None)
    same(ready(photos[0]), pipeline.run(plain, [photos[0]]).detections[0], bound=1e-4)


def test_bf16_is_close(checkpoint: Path, photos: list[torch.Tensor]) -> None:
    exact = sightline.load(checkpoint)(photos[0])
    short = sightline.load(checkpoint, dtype="bf16")(photos[0])
    best = exact.boxes[:1]
    from sightline.boxes import iou

    overlap, row = iou(best, short.boxes)[0].max(dim=0)
    assert overlap > 0.8
    assert abs(float(exact.scores[0] - short.scores[row])) < 0.05


def test_the_score(checkpoint: Path, photos: list[torch.Tensor]) -> None:
    low = sightline.load(checkpoint, score=0.02)
    assert low.detector.selection.score == 0.02  # the detector's own would be 0.05
    assert len(low(photos[0])) == 100
    half = sightline.load(checkpoint, score=0.5)(photos[0])
    assert len(half) > 0 and (half.scores > 0.5).all()
    own = sightline.load(checkpoint, score=None)(photos[0])
    same(sightline.load(checkpoint, score=0.3)(photos[0]), own.above(0.3))
    for bad in (-0.1, 1.0, 7.0):
        with pytest.raises(UsageError):
            sightline.load(checkpoint, score=bad)


def test_the_trace_ends_in_the_answer(model: Model, photos: list[torch.Tensor]) -> None:
    trace = model.trace(photos[0])
    same(trace.detections[0], model(photos[0]))
    assert trace.regions.boxes.shape[1] == 4
    assert trace.detections[0].region.max() < len(trace.regions)


def test_tiles(model: Model, photos: list[torch.Tensor]) -> None:
    found = model(photos[1], tile=256)
    assert found.size == (400, 600)
    assert found.category_ids == (17, 18, 1)
    assert (found.boxes[:, 2] <= 600).all()
    same(model(photos[1], tile=4000), model(photos[1]))


def test_the_preparation_comes_from_the_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    from sightline import checkpoint as checkpoints

    stored = checkpoints.read(checkpoint)
    small = {"shorter": None, "longer": 192, "mean": [0.5, 0.5, 0.5]}
    checkpoints.write(tmp_path / "small", stored.state, {**stored.manifest, "preparation": small})
    detector = sightline.load(tmp_path / "small").detector
    assert detector.preparation.longer == 192
    assert detector.preparation.mean == (0.5, 0.5, 0.5)
    checkpoints.write(tmp_path / "odd", stored.state, {**stored.manifest, "preparation": {"x": 1}})
    with pytest.raises(WeightsError):
        sightline.load(tmp_path / "odd")


def test_names_and_paths(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="retinanet") as caught:
        sightline.load("retinanett")
    assert "did you mean retinanet?" in str(caught.value)
    with pytest.raises(WeightsError):
        sightline.load(tmp_path / "gone.safetensors")
    with pytest.raises(WeightsError) as without:
        predict.locate("retinanet_resnet50_fpn")
    assert without.value.hint
    with pytest.raises(UsageError):
        sightline.load(checkpoint, device="abacus")
    with pytest.raises(UsageError):
        sightline.load(checkpoint, dtype="fp64")  # type: ignore[arg-type]


def test_a_checkpoint_of_something_else(checkpoint: Path, tmp_path: Path) -> None:
    from sightline import checkpoint as checkpoints

    stored = checkpoints.read(checkpoint)
    for change in ({"model": "telepathy"}, {"classes": []}):
        checkpoints.write(tmp_path / "other", stored.state, {**stored.manifest, **change})
        with pytest.raises(WeightsError):
            sightline.load(tmp_path / "other")


def test_no_image(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        model(tmp_path / "gone.jpg")
    with pytest.raises(ImageError):
        model([b""])


def test_the_weights_of_the_package() -> None:
    path = predict.embedded("retinanet_mobilenet_v2")
    if path is None:
        pytest.skip("this source tree has no trained weights yet")
    found = sightline.load("retinanet")(data.astronaut()[:500])
    assert "person" in found.names


def test_margins_have_any_threshold(tmp_path: Path, photos: list[torch.Tensor]) -> None:
    """Those of support vector machines; probabilities stay between 0 and 1."""
    machine = small("hog_svm", longer=128, shorter=96)
    path = tmp_path / "machine"
    manifest = {"model": "hog_svm", "classes": list(machine.classes)}
    checkpoint_files.write(path, machine.state_dict(), manifest)
    low, high = (sightline.load(path, score=score)(photos[0]) for score in (-0.5, 2.0))
    assert len(low) > len(high)
    assert (low.scores > -0.5).all() and (low.scores < 2).any() and (high.scores > 2).all()
    for score in (float("nan"), float("inf")):
        with pytest.raises(UsageError, match="finite") as caught:
            sightline.load(path, score=score)
        assert caught.value.code == "usage.score"
