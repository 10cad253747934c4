"""Who finds the people that a loaded top-down model poses."""

from pathlib import Path

import pytest
from skimage import data

import sightline
from sightline import catalogue, checkpoint
from sightline.detectors.retinanet import RetinaNet
from sightline.detectors.top_down import TopDown
from sightline.errors import UsageError
from sightline.predict import embedded, load
from sightline.skeletons import skeleton

STAR = skeleton(("left_arm", "right_arm", "top"), ())


def written(folder: Path, name: str) -> Path:
    """The checkpoint of an untrained machine that poses the class `name`."""
    machine = catalogue.build("cpm", (name,), STAR)
    about = {"model": "cpm_mobilenet_v2", "classes": [name], "skeleton": STAR.to_json()}
    checkpoint.write(folder / name, machine.state_dict(), about)  # type: ignore[attr-defined]
    return folder / f"{name}.safetensors"


def test_the_embedded_detector_or_any_other_or_none(tmp_path: Path) -> None:
    path = written(tmp_path, "person")
    usual, other, whole = (load(path, people=name) for name in (None, path, "none"))
    for model in (usual, other, whole):
        assert isinstance(model.detector, TopDown)
        assert model.detector.skeleton == STAR
    assert isinstance(usual.detector.people, RetinaNet)  # type: ignore[attr-defined]
    assert usual.detector.people.selection.score == pytest.approx(0.09)  # type: ignore[attr-defined]
    assert isinstance(other.detector.people, TopDown)  # type: ignore[attr-defined]
    assert whole.detector.people is None  # type: ignore[attr-defined]
    assert not any("people" in key for key in usual.detector.state_dict())  # type: ignore[attr-defined]


def test_a_detector_that_does_not_know_the_class_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "star")
    with pytest.raises(UsageError, match="finds no star: its classes are person") as caught:
        load(path)
    assert caught.value.code == "usage.people" and "none" in str(caught.value)
    assert load(path, people="none").classes == ("star",)


def test_only_top_down_models_have_one_before_them() -> None:
    with pytest.raises(UsageError, match="finds its objects itself") as caught:
        load("retinanet", people="retinanet")
    assert caught.value.code == "usage.people"


@pytest.mark.parametrize("people", [None, "openpose"])
def test_the_weights_of_the_package(people: str | None) -> None:
    """They know a face: her left eye is on our right, above the nose, where a person was found."""
    if embedded("cpm_mobilenet_v2") is None:
        pytest.skip("this source tree has no trained weights yet")
    model = sightline.load("cpm", people=people)
    found = model(data.astronaut())
    assert found.names[0] == "person" and found.keypoints is not None
    points = dict(zip(model.manifest["skeleton"]["points"], found.keypoints[0], strict=True))
    (left, high, _), (right, _, _) = points["left_eye"], points["right_eye"]
    nose = points["nose"]
    assert right < nose[0] < left and high < nose[1]
    assert abs(nose[0] - 225) < 15 and abs(nose[1] - 122) < 15
