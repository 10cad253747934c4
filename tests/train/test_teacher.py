"""A published network as teacher: its cells, its boxes, and what it refuses."""

from pathlib import Path

import pytest
import torch
from training_world import Tiny, brief

from sightline.errors import UsageError, WeightsError
from sightline.nets.categories import COCO
from sightline.train.teacher import OnnxTeacher, cells_of, open_teacher

CLASSES = tuple(COCO.values())


@pytest.fixture(scope="module")
def network(shared: Path) -> Path:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    return shared / "weights" / "yolox_nano_coco_416.onnx"


def test_cells_cover_the_image_level_by_level() -> None:
    cells, level = cells_of(64, 96)
    assert len(cells) == 8 * 12 + 4 * 6 + 2 * 3 and level.bincount().tolist() == [96, 24, 6]
    assert cells[1].tolist() == [8, 0, 16, 8] and cells[96].tolist() == [0, 0, 16, 16]
    for number in range(3):
        sides = cells[level == number]
        area = (sides[:, 2:] - sides[:, :2]).prod(dim=1).sum()
        assert float(area) == 64 * 96


def test_the_teacher_finds_a_real_cat_at_any_size(network: Path) -> None:
    from skimage import data

    teacher = OnnxTeacher(network, CLASSES)
    cat = torch.from_numpy(data.chelsea()).permute(2, 0, 1)
    for height, width in ((288, 448), (256, 320)):
        pixels = torch.stack([cat[:, :height, :width], cat[:, :height, :width].flip(2)])
        if pixels.shape[3] != width:
            pytest.fail("the photo is smaller than expected")
        scored = teacher(pixels)
        rows = len(cells_of(height, width)[0])
        assert scored.scores.shape == (2 * rows, 80) and scored.boxes.shape == (2 * rows, 4)
        assert scored.scores.min() >= 0 and scored.scores.max() <= 1
        for image in (0, 1):
            mine = scored.regions.image == image
            best = scored.scores[mine].amax(dim=1).argmax()
            label = int(scored.scores[mine][best].argmax())
            x1, y1, x2, y2 = scored.boxes[mine][best].tolist()
            assert CLASSES[label] == "cat"
            assert (x2 - x1) * (y2 - y1) > 0.3 * height * width


def test_a_subset_of_classes_picks_their_columns(network: Path) -> None:
    pixels = torch.randint(0, 255, (1, 3, 64, 96), dtype=torch.uint8)
    whole = OnnxTeacher(network, CLASSES)(pixels).scores
    some = OnnxTeacher(network, ("dog", "person"))(pixels).scores
    assert torch.equal(some, whole[:, [CLASSES.index("dog"), 0]])


def test_what_cannot_teach_is_refused(network: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as unknown:
        OnnxTeacher(network, ("raccoon",))
    assert unknown.value.code == "usage.teacher_classes"
    with pytest.raises(WeightsError) as missing:
        OnnxTeacher(tmp_path / "none.onnx", CLASSES)
    assert missing.value.code == "weights.not_found"
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a network")
    with pytest.raises(WeightsError) as broken:
        OnnxTeacher(bad, CLASSES)
    assert broken.value.code == "weights.architecture"


def test_who_learns_from_no_teacher_says_so() -> None:
    recipe = brief(model="tiny", teacher="teacher.onnx")
    with pytest.raises(UsageError, match="tiny has no lesson to take") as caught:
        open_teacher(recipe, Tiny())
    assert caught.value.code == "train.teacher"
    assert open_teacher(brief(), Tiny()) is None
