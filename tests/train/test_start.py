"""Where a network starts, and what becomes of the classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from training_world import brief

from sightline import catalogue, checkpoint
from sightline.errors import UsageError, WeightsError
from sightline.nets import layouts
from sightline.nets.alexnet import AlexNet, AlexNetLayers
from sightline.skeletons import PERSON, Skeleton, skeleton
from sightline.train import start
from sightline.train.start import begin

MODEL = "retinanet_mobilenet_v2"
KEY = next(iter(AlexNet().state_dict()))


def quiet(message: str) -> None:
    pass


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the light model for two classes."""
    torch.manual_seed(3)
    detector = catalogue.build(MODEL, ["cat", "dog"])
    path = tmp_path_factory.mktemp("weights") / "two"
    manifest = {"model": MODEL, "classes": ["cat", "dog"]}
    checkpoint.write(path, detector.state_dict(), manifest)  # type: ignore[attr-defined]
    return path.with_suffix(".safetensors")


def differing(detector: torch.nn.Module, path: Path) -> list[str]:
    before = checkpoint.read(path).state
    return [k for k, v in detector.state_dict().items() if not torch.equal(v, before[k])]


def test_the_same_classes_keep_everything(saved: Path) -> None:
    detector = begin(brief(model=MODEL, start=str(saved)), ("cat", "dog"), quiet)
    assert differing(detector, saved) == []


@pytest.mark.parametrize("classes", [("dog", "cat"), ("owl", "hen")])
def test_other_classes_reset_the_class_outputs_and_say_so(
    saved: Path, classes: Sequence[str]
) -> None:
    said: list[str] = []
    detector = begin(brief(model=MODEL, start=str(saved)), tuple(classes), said.append)
    assert differing(detector, saved) == ["towers.class_logits.weight"]
    assert "towers.class_logits.weight" in said[-1]
    assert "begin anew" in said[-1]


def test_another_number_of_classes(saved: Path) -> None:
    detector = begin(brief(model=MODEL, start=str(saved)), ("a", "b", "c"), quiet)
    assert detector.towers.class_logits.out_channels == 3
    before = checkpoint.read(saved).state
    kept = [k for k, v in detector.state_dict().items() if "class_logits" not in k]
    assert all(torch.equal(detector.state_dict()[k], before[k]) for k in kept)


MAPS = ["branch.head.maps.weight", "branch.head.maps.bias"]
HAND = skeleton(("wrist", "thumb", "finger"), [(0, 1), (0, 2)])


@pytest.mark.parametrize(
    ("before", "points", "reset"),
    [
        (HAND, HAND.points, []),
        (HAND, ("wrist", "finger", "thumb"), MAPS),
        (HAND, ("wrist", "thumb"), MAPS),
        (PERSON, PERSON.points, []),
        (None, PERSON.points, []),
        (None, HAND.points, MAPS),
    ],
    ids=["same", "another order", "fewer", "a person", "unsaid", "unsaid, others"],
)
def test_other_keypoints_reset_their_maps(
    tmp_path: Path, before: Skeleton | None, points: tuple[str, ...], reset: list[str]
) -> None:
    """A checkpoint that does not say which points it knows knows COCO's person."""
    torch.manual_seed(3)
    model, said = "keypoint_rcnn_mobilenet_v2", list[str]()
    old: Any = catalogue.build(model, ["hand"], before)
    manifest: dict[str, Any] = {"model": model, "classes": ["hand"]}
    manifest |= {} if before is None else {"skeleton": before.to_json()}
    checkpoint.write(tmp_path / "old", old.state_dict(), manifest)
    recipe = brief(model=model, start=str(tmp_path / "old.safetensors"))
    detector = begin(recipe, ("hand",), said.append, skeleton(points, ()))
    assert detector.skeleton.points == points
    now = detector.state_dict()
    changed = [
        key
        for key, value in old.state_dict().items()
        if value.shape != now[key].shape or not torch.equal(value, now[key])
    ]
    assert changed == reset[: len(changed)]
    assert bool(changed) == bool(reset) == ("begin anew" in said[-1])
    assert bool(reset) == (f"keypoints are not these {len(points)}" in said[-1])


def test_a_published_backbone_is_recognised(shared: Path) -> None:
    path = shared / "weights" / "mobilenet_v2_imagenet.safetensors"
    detector = begin(brief(model=MODEL, start=str(path)), ("cat",), quiet)
    published = safetensors.torch.load_file(path)["features.0.0.weight"].float()
    assert torch.equal(detector.encoder.backbone.stem.conv.weight, published)


@pytest.mark.parametrize("same", [True, False], ids=["the same classes", "others"])
def test_a_model_of_the_family_gives_both_stages(tmp_path: Path, same: bool) -> None:
    """From masks to keypoints; the outputs of classes only where these are the same."""
    torch.manual_seed(5)
    old: Any = catalogue.build("mask_rcnn_mobilenet_v2", ["person"])
    manifest = {"model": "mask_rcnn_mobilenet_v2", "classes": ["person"]}
    checkpoint.write(tmp_path / "old", old.state_dict(), manifest)
    recipe = brief(model="keypoint_rcnn_mobilenet_v2", start=str(tmp_path / "old"), seed=6)
    said: list[str] = []
    detector = begin(recipe, ("person",) if same else ("cat",), said.append)
    own, before = detector.state_dict(), old.state_dict()
    equal = {key for key in own if key in before and torch.equal(own[key], before[key])}
    assert {"proposer.head.conv.weight", "head.layers.fc6.weight"} <= equal
    assert ("head.class_logits.weight" in equal) == same
    assert "branch.head.maps.weight" not in equal
    assert "a mask_rcnn_mobilenet_v2" in said[-1]


def test_another_model_gives_what_both_have(saved: Path) -> None:
    """The backbone whole, and the part of the pyramid that both have."""
    said: list[str] = []
    recipe = brief(model="faster_rcnn_mobilenet_v2", start=str(saved))
    detector = begin(recipe, ("a", "b", "c"), said.append)
    before = checkpoint.read(saved).state
    own = detector.encoder.state_dict()
    assert all(torch.equal(before[f"encoder.{key}"], value) for key, value in own.items())
    assert "a retinanet_mobilenet_v2" in said[-1] and "the rest is random" in said[-1]
    fresh = begin(brief(model="faster_rcnn_mobilenet_v2", start=None), ("a", "b", "c"), quiet)
    assert torch.equal(detector.head.layers.fc6.weight, fresh.head.layers.fc6.weight)


@pytest.mark.parametrize("pyramid", ["image", "single"])
def test_another_pyramid_keeps_the_backbone(saved: Path, pyramid: str) -> None:
    """And what else has its place in both: the towers, where a cell has as many anchors."""
    said: list[str] = []
    recipe = brief(model=MODEL, start=str(saved), options=(("pyramid", pyramid),))
    detector = begin(recipe, ("cat", "dog"), said.append)
    before, own = checkpoint.read(saved).state, detector.state_dict()
    equal = {key for key in own if key in before and torch.equal(own[key], before[key])}
    assert {key for key in own if key.startswith("encoder.backbone.")} <= equal
    assert {"towers.class_tower.0.weight", "towers.box_tower.2.weight"} <= equal
    assert ("towers.class_logits.weight" in equal) == (pyramid == "image")
    assert "here they are {'pyramid'" in said[0] and "the rest is random" in said[1]


def test_a_models_name_stands_for_its_embedded_weights() -> None:
    path = start.embedded(MODEL)
    if path is None:
        pytest.skip("no embedded weights in this checkout")
    model = "faster_rcnn_mobilenet_v2"
    detector = begin(brief(model=model, start="retinanet"), ("a",), quiet)
    weights = checkpoint.read(path).state
    assert torch.equal(
        detector.encoder.backbone.stem.conv.weight, weights["encoder.backbone.stem.conv.weight"]
    )
    with pytest.raises(UsageError, match=f"no weights of {model} come"):
        begin(brief(model=model, start="embedded"), ("a",), quiet)


def test_starts_that_are_none(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError) as caught:
        begin(brief(model=MODEL, start=str(tmp_path / "no.safetensors")), ("a",), quiet)
    assert caught.value.code == "weights.not_found"
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="no published layout"):
        begin(brief(model=MODEL, start=str(tmp_path / "odd.safetensors")), ("a",), quiet)
    with pytest.raises(WeightsError, match="not of retinanet_resnet50_fpn, and its backbone is an"):
        begin(brief(model="retinanet_resnet50_fpn", start=str(saved)), ("a",), quiet)
    monkeypatch.setattr(start, "embedded", lambda name: None)
    with pytest.raises(UsageError, match="come with the package"):
        begin(brief(model=MODEL, start="embedded"), ("a",), quiet)


def test_a_start_from_nothing_depends_on_the_seed_alone() -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.rand(3)
        detector = begin(brief(model=MODEL, start=None, seed=seed), ("a",), quiet)
        weights.append(detector.towers.class_logits.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_alexnet_comes_with_its_layers(tmp_path: Path) -> None:
    """A file of the whole classifier gives R-CNN fc6 and fc7 too."""
    torch.manual_seed(1)
    net, layers = AlexNet(), AlexNetLayers()
    state = {
        **layouts.layout("alexnet").to_published(net.state_dict()),
        **layouts.layout("alexnet_layers").to_published(layers.state_dict()),
        "classifier.6.weight": torch.zeros(1000, 4096),
        "classifier.6.bias": torch.zeros(1000),
    }
    whole, part = tmp_path / "whole.safetensors", tmp_path / "features.safetensors"
    safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, whole)
    features = {k: v.contiguous() for k, v in state.items() if k.startswith("features.")}
    safetensors.torch.save_file(features, part)
    for path, given in ((whole, True), (part, False)):
        said: list[str] = []
        detector = begin(brief(model="rcnn_alexnet", start=str(path)), ("cat",), said.append)
        assert torch.equal(detector.encoder.backbone.state_dict()[KEY], net.state_dict()[KEY])
        assert torch.equal(detector.encoder.layers.fc7.weight, layers.fc7.weight) is given
        assert ("fc6 and fc7" in said[-1]) is given


def test_no_backbone_no_start(shared: Path) -> None:
    path = shared / "weights" / "mobilenet_v2_imagenet.safetensors"
    with pytest.raises(UsageError) as caught:
        begin(brief(model="hog_svm", start=str(path)), ("cat",), quiet)
    assert caught.value.code == "train.start" and caught.value.hint
