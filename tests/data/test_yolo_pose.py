"""Keypoints in YOLO's labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from folders import draw, yolo_folder
from sightline.data import Dataset, Example, Objects, Polygons, Skeleton, open_dataset
from sightline.data.convert import convert
from sightline.errors import AnnotationError, DatasetError, SightlineWarning
from sightline.skeletons import COCO_POINTS, flips, skeleton

HEAD = "train: images/train\nnames: [cat, dog]\n"
POSE = HEAD + "kpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\nkpt_names: [nose, left_eye, right_eye]\n"
BOX = "0 0.5 0.5 0.5 0.25"
GOOD = f"{BOX} 0.5 0.5 2 0.25 0.5 1 0 0 0"


def test_points_are_pixels_with_visibilities(tmp_path: Path) -> None:
    root = yolo_folder(tmp_path, POSE, a=f"{GOOD}\n1 0.5 0.5 0.2 0.2 {'7 -7 0 ' * 3}", b=None)
    dataset = open_dataset(root)
    bones = dataset.skeleton
    assert bones is not None
    assert (bones.points, bones.flips) == (("nose", "left_eye", "right_eye"), (0, 2, 1))
    points = dataset[0].objects.keypoints
    assert points is not None
    assert points[0].tolist() == [[30, 20, 2], [15, 20, 1], [0, 0, 0]]
    assert not points[1].any()
    np.testing.assert_allclose(dataset[0].objects.boxes[0], [15, 15, 45, 25])
    assert dataset[0].objects.segments is None
    empty = dataset[1].objects.keypoints
    assert empty is not None
    assert empty.shape == (0, 3, 3)


def test_without_visibilities_zeros_are_not_labelled(tmp_path: Path) -> None:
    root = yolo_folder(tmp_path, HEAD + "kpt_shape: [3, 2]\n", a=f"{BOX} 0.5 0.5 0 0 0 0.5")
    dataset = open_dataset(root)
    points = dataset[0].objects.keypoints
    assert points is not None
    assert points[0].tolist() == [[30, 20, 2], [0, 0, 0], [0, 20, 2]]
    bones = dataset.skeleton
    assert bones is not None
    assert (bones.points, bones.flips) == (("point_1", "point_2", "point_3"), (0, 1, 2))


def test_cocos_person_is_known_by_its_mirror(tmp_path: Path) -> None:
    mirror = list(flips(COCO_POINTS))
    root = yolo_folder(tmp_path, HEAD + f"kpt_shape: [17, 3]\nflip_idx: {mirror}\n", a="")
    found = open_dataset(root).skeleton
    assert found is not None
    assert (found.points, found.sigmas[0]) == (COCO_POINTS, 0.026)
    (root / "data.yaml").write_text(HEAD + "kpt_shape: [17, 3]\n")
    other = open_dataset(root).skeleton
    assert other is not None
    assert other.points[0] == "point_1"


LINES = {
    "yolo.columns": [BOX, f"{BOX} 0.5 0.5 2", f"{GOOD} 0.5", "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5"],
    "yolo.number": [GOOD.replace("0.25 0.5 1", "nan 0.5 1"), GOOD.replace("2 ", "inf ")],
    "yolo.range": [
        GOOD.replace("0.5 0.5 2", "1.5 0.5 2"),
        GOOD.replace("0.25 0.5 1", "0.25 -0.5 1"),
        GOOD.replace("0.25 0.5 1", "1e300 0.5 1"),
        "0 0.5 1.2 0.5 0.25 0.5 0.5 2 0.25 0.5 1 0 0 0",
    ],
    "keypoints.visibility": [GOOD.replace(" 2 ", " 3 "), GOOD.replace(" 2 ", " 0.5 ")],
    "yolo.class": [f"5{GOOD[1:]}"],
}


@pytest.mark.parametrize(("code", "line"), [(c, line) for c in LINES for line in LINES[c]])
def test_bad_lines(tmp_path: Path, code: str, line: str) -> None:
    root = yolo_folder(tmp_path, POSE, a=f"{GOOD}\n{line}\n")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert (caught.value.code, caught.value.pointer) == (code, "line 2")
    with pytest.warns(SightlineWarning, match=code):
        objects = open_dataset(root, on_bad="skip")[0].objects
    assert len(objects) == 1
    assert objects.keypoints is not None
    assert len(objects.keypoints) == 1


CONFIGS = [
    ("yolo.kpt_shape", "kpt_shape: 17\n"),
    ("yolo.kpt_shape", "kpt_shape: [3, 4]\n"),
    ("yolo.kpt_shape", "kpt_shape: [0, 3]\n"),
    ("yolo.kpt_shape", "kpt_shape: [3, 1]\n"),
    ("yolo.kpt_shape", "kpt_shape: [3, 3, 3]\n"),
    ("yolo.kpt_shape", "kpt_shape: [3]\n"),
    ("yolo.kpt_shape", "kpt_shape: [1001, 3]\n"),
    ("yolo.kpt_shape", "kpt_shape: [1.0e+30, 3]\n"),
    ("yolo.kpt_shape", "kpt_shape: [1000000000, 3]\n"),
    ("yolo.kpt_shape", "kpt_shape: [true, 3]\n"),
    ("yolo.kpt_shape", "flip_idx: [0]\n"),
    ("yolo.kpt_shape", "kpt_names: [nose]\n"),
    ("yolo.flip_idx", "kpt_shape: [3, 3]\nflip_idx: [0, 1]\n"),
    ("yolo.flip_idx", "kpt_shape: [3, 3]\nflip_idx: [0, 1, 1]\n"),
    ("yolo.flip_idx", "kpt_shape: [3, 3]\nflip_idx: [1, 2, 3]\n"),
    ("yolo.flip_idx", "kpt_shape: [3, 3]\nflip_idx: [a, 1, 2]\n"),
    ("yolo.flip_idx", "kpt_shape: [3, 3]\nflip_idx: [1, 2, 0]\n"),
    ("yolo.flip_idx", "kpt_shape: [3, 3]\nflip_idx: 0\n"),
    ("yolo.kpt_names", "kpt_shape: [2, 3]\nkpt_names: [nose]\n"),
    ("yolo.kpt_names", "kpt_shape: [2, 3]\nkpt_names: [nose, ' ']\n"),
    ("yolo.kpt_names", "kpt_shape: [2, 3]\nkpt_names: [nose, nose]\n"),
    ("yolo.kpt_names", "kpt_shape: [2, 3]\nkpt_names: nose\n"),
    ("skeleton.many", "kpt_shape: [1, 3]\nkpt_names: {0: [nose], 1: [tail]}\n"),
]


@pytest.mark.parametrize(("code", "text"), CONFIGS)
def test_bad_configurations(tmp_path: Path, code: str, text: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        open_dataset(yolo_folder(tmp_path, HEAD + text, a=""))
    assert caught.value.code == code
    assert caught.value.pointer in (code.removeprefix("yolo."), "kpt_names")
    assert caught.value.hint


def test_what_rounding_costs_is_cut_without_a_word(tmp_path: Path) -> None:
    yaml = HEAD + "kpt_shape: [1, 3]\n"
    lines = [f"{BOX} {x} {y} 2" for x, y in ((-0.001, 1.0009), (1.0009, -0.001))]
    root = yolo_folder(tmp_path / "in", yaml, a="\n".join(lines))
    points = open_dataset(root)[0].objects.keypoints
    assert points is not None
    assert points.tolist() == [[[0, 40, 2]], [[60, 0, 2]]]
    for i, (x, y) in enumerate(((-0.0011, 0.5), (1.0011, 0.5), (0.5, -0.0011), (0.5, 1.0011))):
        root = yolo_folder(tmp_path / str(i), yaml, a=f"{BOX} {x} {y} 1")
        with pytest.raises(AnnotationError) as caught:
            open_dataset(root)
        assert caught.value.code == "yolo.range"


def test_as_many_points_as_are_allowed(tmp_path: Path) -> None:
    root = yolo_folder(tmp_path, HEAD + "kpt_shape: [1000, 2]\n", a=f"{BOX} {'0.5 0.5 ' * 1000}")
    points = open_dataset(root)[0].objects.keypoints
    assert points is not None
    assert points.shape == (1, 1000, 3)


def test_names_of_points_may_be_given_for_each_class(tmp_path: Path) -> None:
    text = "kpt_shape: [2, 3]\nkpt_names: {0: [nose, ' tail '], 1: [nose, ' tail ']}\n"
    bones = open_dataset(yolo_folder(tmp_path, HEAD + text, a="")).skeleton
    assert bones is not None
    assert bones.points == ("nose", "tail")


def test_keypoints_without_a_shape_are_told(tmp_path: Path) -> None:
    root = yolo_folder(tmp_path, HEAD, a=f"{BOX} {'0.5 0.5 2 ' * 4}")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == "yolo.range"
    assert "kpt_shape" in str(caught.value.hint)
    (root / "labels/train/a.txt").write_text(f"{BOX} {'0.5 0.5 2 ' * 3}")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == "yolo.columns"
    assert "kpt_shape" in str(caught.value.hint)
    (root / "labels/train/a.txt").write_text(f"{BOX} {'0.4 0.5 1 ' * 4}")
    with pytest.warns(SightlineWarning, match=r"yolo\.kpt_shape"):
        assert open_dataset(root)[0].objects.segments is not None


def posed(root: Path) -> Dataset:
    found = Objects.of([[5, 5, 50, 35], [1, 1, 9, 9]], [0, 1], keypoints=np.zeros((2, 3, 3)))
    assert found.keypoints is not None
    found.keypoints[0] = [[10.1, 12.3, 2], [60, 40, 1], [61, 12, 2]]
    ring = np.array([[5.0, 5], [50, 5], [50, 35]])
    found = replace(found, segments=(Polygons((ring,)), None))
    bones = Skeleton(("nose", "a", "b"), ((0, 1),), (0, 2, 1), (0.05,) * 3)
    example = Example(draw(root / "a.png"), "a", (40, 60), found)
    return Dataset((example,), ("cat", "dog"), (0, 1), bones, "x", root, "train")


def test_a_skeleton_is_written_as_pose_and_comes_back(tmp_path: Path) -> None:
    dataset = posed(tmp_path / "from")
    losses = convert([dataset], tmp_path / "out", "yolo").to_json()
    assert {key: losses[key] for key in ("masks", "outside", "limbs")} == {
        "masks": 1,
        "outside": 1,
        "limbs": 1,
    }
    assert "keypoints" not in losses
    back = open_dataset(tmp_path / "out")
    assert back.skeleton is not None
    assert back.skeleton.points == ("nose", "a", "b")
    assert back.skeleton.flips == (0, 2, 1)
    points = back[0].objects.keypoints
    assert points is not None
    wanted = [[10.1, 12.3, 2], [60, 40, 1], [0, 0, 0]]
    np.testing.assert_allclose(points[0], wanted, atol=1e-5)
    assert not points[1].any()
    np.testing.assert_allclose(back[0].objects.boxes, dataset[0].objects.boxes, atol=1e-5)


def test_without_a_skeleton_nothing_of_keypoints_is_written(tmp_path: Path) -> None:
    dataset = replace(posed(tmp_path / "from"), skeleton=None)
    found = replace(dataset[0].objects, keypoints=None)
    dataset = replace(dataset, examples=(replace(dataset[0], objects=found),))
    assert "masks" not in convert([dataset], tmp_path / "out", "yolo").to_json()
    assert "kpt_shape" not in (tmp_path / "out/data.yaml").read_text()
    assert open_dataset(tmp_path / "out")[0].objects.segments is not None


def test_splits_of_different_keypoints_are_refused(tmp_path: Path) -> None:
    first = posed(tmp_path / "from")
    second = replace(posed(tmp_path / "other"), skeleton=skeleton(("x", "y", "z"), ()), split="val")
    with pytest.raises(DatasetError) as caught:
        convert([first, second], tmp_path / "out", "yolo", images="none")
    assert caught.value.code == "convert.skeleton"


def test_real_people_there_and_back(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data/coco"
    file = folder / "annotations/person_keypoints_val.json"
    data = open_dataset(folder, annotations=file).subset(range(12))
    convert([data], tmp_path / "yolo", "yolo", images="link")
    back = {example.path.name: example.objects for example in open_dataset(tmp_path / "yolo")}
    worst, errors = 0.0, []
    for example in data:
        mine = example.objects[~example.objects.crowd]
        theirs = back[example.path.name]
        assert mine.keypoints is not None
        assert theirs.keypoints is not None
        assert (mine.keypoints[..., 2] == theirs.keypoints[..., 2]).all()
        errors.append(np.abs(mine.keypoints - theirs.keypoints).max(initial=0))
        worst = max(worst, float(np.abs(mine.boxes - theirs.boxes).max(initial=0)))
    print(f"people → yolo: error of a box {worst:g}, of a keypoint {max(errors):g} pixels")
    assert worst <= 2e-4
    assert max(errors) <= 2e-4
