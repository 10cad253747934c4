"""The switches of the builders: each does something, and a checkpoint remembers it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sightline import catalogue, checkpoint
from sightline.errors import UsageError, WeightsError
from sightline.predict import load
from sightline.train.recipes import Recipe
from sightline.train.settings import changed, from_json
from sightline.train.start import begin

CLASSES = ("cat", "dog")

JUDGED = ("scores", "boxes")

SWITCHES = [
    (name, key, choice)
    for name in catalogue.MODELS
    for key, choices in catalogue.options_of(name).items()
    for choice in choices[1:]
]


def test_the_models_have_their_switches() -> None:
    assert catalogue.options_of("faster_rcnn_vgg16") == {"pooling": ("pool", "align")}
    assert catalogue.options_of("keypoint_rcnn") == {"pooling": ("align", "pool")}
    assert catalogue.options_of("retinanet_resnet50_fpn") == {}
    light = catalogue.options_of("retinanet")
    assert light["pyramid"] == ("fpn", "image", "single", "hierarchy")
    assert light["loss"][0] == "quality" and {"focal_2", "ohem"} < set(light["loss"])


@pytest.mark.parametrize(
    ("name", "key", "choice"),
    [
        pytest.param(*case, marks=[pytest.mark.slow] if case[0].startswith("rcnn") else [])
        for case in SWITCHES
        if "mobilenet" in case[0] and case[1] != "loss"
    ],
)
def test_a_checkpoint_remembers_its_switches(
    name: str, key: str, choice: str, tmp_path: Path
) -> None:
    """And the network answers otherwise than with the usual choice and the same weights."""
    torch.manual_seed(0)
    classes = CLASSES[:1] if catalogue.learns_poses(name) else CLASSES
    usual: Any = catalogue.build(name, classes)
    manifest = {"model": name, "classes": list(classes)}
    checkpoint.write(tmp_path / "usual", usual.state_dict(), manifest)
    twin: Any = catalogue.build(name, classes, None, {key: choice})
    shapes = {k: v.shape for k, v in twin.state_dict().items()}
    # a switch may change layers: what is left has the usual weights
    left = {k: v for k, v in usual.state_dict().items() if shapes.get(k) == v.shape}
    twin.load_state_dict(left, strict=False)
    other = {**manifest, "options": {key: choice}}
    checkpoint.write(tmp_path / "other", twin.state_dict(), other)
    image = torch.randint(0, 256, (3, 90, 130), dtype=torch.uint8)
    first, second, again = (
        load(tmp_path / one, score=None).trace(image) for one in ("usual", "other", "other")
    )
    if catalogue.learns_poses(name):  # regions are found: an untrained network has none
        changed = [a.shape != b.shape for a, b in zip(first.features, second.features, strict=True)]
        assert any(changed) == (choice != "yes")  # a person has a neck anyway
        assert all(map(torch.equal, again.features, second.features))
        return
    if choice != "single":  # of the one map that has all anchors in each cell
        assert torch.equal(first.regions.boxes, second.regions.boxes)
    same = [torch.equal(getattr(first.scored, x), getattr(second.scored, x)) for x in JUDGED]
    assert not all(same)
    assert all(torch.equal(getattr(again.scored, x), getattr(second.scored, x)) for x in JUDGED)


def test_a_run_has_them_in_its_recipe(tmp_path: Path) -> None:
    recipe = Recipe("mask_rcnn_mobilenet_v2", start=None, steps=1)
    recipe = changed(recipe, ["options={'pooling': 'pool'}"])
    assert recipe.options == (("pooling", "pool"),)
    assert from_json(recipe.to_json()) == recipe
    detector = begin(recipe, CLASSES, lambda line: None)
    assert detector.branch.head.pooling.method == "pool"
    assert detector.head.pooling.method == "pool"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"pooling": "max"}, "pooling of mask_rcnn_mobilenet_v2 cannot be 'max'"),
        ({"pyramid": "single"}, "mask_rcnn_mobilenet_v2 has no option 'pyramid'"),
    ],
)
def test_wrong_switches_are_told(options: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        catalogue.build("mask_rcnn", CLASSES, None, options)
    assert caught.value.code == "usage.option"
    assert caught.value.hint == "pooling: align or pool"


def test_options_of_a_manifest_that_are_none(tmp_path: Path) -> None:
    state = {"weight": torch.zeros(2)}
    wrong = {"model": "retinanet_mobilenet_v2", "classes": ["a"], "options": {"pooling": 3}}
    checkpoint.write(tmp_path / "wrong", state, wrong)
    with pytest.raises(WeightsError) as caught:
        load(tmp_path / "wrong")
    assert caught.value.code == "weights.format"
