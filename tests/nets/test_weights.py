"""Published weights: their layouts carry over, and every disagreement is named."""

import contextlib
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sightline import catalogue
from sightline.detectors.faster_rcnn import faster_rcnn_resnet50_fpn
from sightline.detectors.retinanet import retinanet_resnet50_fpn
from sightline.detectors.ssd import ssd300_vgg16
from sightline.errors import UsageError, WeightsError
from sightline.nets import download, layouts, weights
from sightline.nets import state as states
from sightline.nets.alexnet import AlexNet, AlexNetLayers
from sightline.nets.categories import COCO
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.reading import read_state
from sightline.nets.resnet import ResNet, resnet18
from sightline.nets.squeezenet import SqueezeNet
from sightline.nets.vgg import VGG16, VGG16Layers
from sightline.predict import load


def random_state(module: nn.Module) -> dict[str, Tensor]:
    """Numbers of their own for every entry; variances are positive."""
    draw = torch.Generator().manual_seed(11)
    return {
        k: torch.rand(v.shape, generator=draw) + 0.1 if v.is_floating_point() else v
        for k, v in module.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("resnet18", "conv1.weight", "layer4.1.bn2.running_var"),
        ("resnet34", "layer1.2.bn2.bias", "layer4.2.conv2.weight"),
        ("resnet50", "layer1.0.downsample.1.bias", "layer4.2.bn3.running_var"),
        ("resnet101", "layer3.22.conv3.weight", "layer4.2.bn3.running_var"),
        ("mobilenet_v2", "features.1.conv.1.weight", "features.17.conv.3.running_var"),
        ("squeezenet1_1", "features.3.squeeze.weight", "features.12.expand3x3.bias"),
        ("alexnet", "features.0.weight", "features.10.bias"),
        ("alexnet_layers", "classifier.1.weight", "classifier.4.bias"),
        ("vgg16", "features.5.weight", "features.28.bias"),
        ("vgg16_layers", "classifier.0.weight", "classifier.3.bias"),
        ("retinanet_resnet50_fpn", "backbone.fpn.inner_blocks.0.0.weight", "head.regression_head."
         "conv.3.0.bias"),
    ],
)  # fmt: skip
def test_layouts_lead_there_and_back(name: str, first: str, last: str) -> None:
    module = {
        "mobilenet_v2": MobileNetV2,
        "squeezenet1_1": SqueezeNet,
        "alexnet": AlexNet,
        "alexnet_layers": AlexNetLayers,
        "vgg16": VGG16,
        "vgg16_layers": VGG16Layers,
        "retinanet_resnet50_fpn": lambda: retinanet_resnet50_fpn(["thing"]),
    }.get(name, lambda: ResNet(int(name.removeprefix("resnet"))))()
    assert isinstance(module, nn.Module)
    ours = module.state_dict()
    published = layouts.layout(name).to_published(ours)
    assert len(published) == len(ours)
    assert first in published
    assert last in published
    assert list(layouts.layout(name).to_ours(published)) == list(ours)


def test_ssd300_has_the_names_of_the_published_file() -> None:
    with torch.device("meta"):
        ours = ssd300_vgg16(["thing"]).state_dict()
    table = layouts.layout("ssd300_vgg16")
    published = table.to_published(ours)
    assert len(published) == len(ours) == 71
    for name, shape in {
        "backbone.scale_weight": (512,),
        "backbone.features.21.weight": (512, 512, 3, 3),
        "backbone.extra.0.5.bias": (512,),
        "backbone.extra.0.7.1.weight": (1024, 512, 3, 3),
        "backbone.extra.4.2.weight": (256, 128, 3, 3),
        "head.classification_head.module_list.1.weight": (6 * 2, 1024, 3, 3),
        "head.regression_head.module_list.5.bias": (4 * 4,),
    }.items():
        assert published[name].shape == shape, name
    assert list(table.to_ours(published)) == list(ours)


def test_the_background_of_every_default_box_moves_to_the_end() -> None:
    """Of a file with 91 outputs a box, for 80 classes: theirs is background, 1, 2, … 90."""
    name = "head.classification_head.module_list.1"
    value = torch.arange(6 * 91.0)
    state = {f"{name}.weight": value[:, None].expand(-1, 3), f"{name}.bias": value}
    entry = weights.PUBLISHED["ssd300_vgg16_coco"]
    assert (name, 1) in entry.class_layers and entry.background
    kept = states.keep_classes(state, name, 91, (0, *COCO))
    ours = layouts.layout("ssd300_vgg16").to_ours(kept)
    found = ours["predictors.class_logits.1.bias"].view(6, 81)
    for box in range(6):
        assert found[box].tolist() == [91 * box + number for number in (*COCO, 0)]
    assert torch.equal(ours["predictors.class_logits.1.weight"][:, 2], found.flatten())
    back = layouts.layout("ssd300_vgg16").to_published(ours)
    assert all(torch.equal(back[key], kept[key]) for key in kept)


def test_mobilenet_loads_its_imagenet_weights(shared: Path) -> None:
    state = read_state(shared / "weights" / "mobilenet_v2_imagenet.safetensors")
    backbone = MobileNetV2()
    weights.load_published(backbone, state, "mobilenet_v2", ignore=("classifier.", "features.18."))
    assert torch.equal(backbone.stem.conv.weight, state["features.0.0.weight"])
    with pytest.raises(WeightsError, match=r"unexpected 8 .*classifier\.1\.") as caught:
        weights.load_published(backbone, state, "mobilenet_v2")
    assert caught.value.code == "weights.architecture"


def test_ignored_layers_are_left_out_and_nothing_else_is() -> None:
    source, target = resnet18(), resnet18()
    state = layouts.layout("resnet18").to_published(random_state(source))
    state["fc.weight"], state["fc.bias"] = torch.ones(1000, 512), torch.ones(1000)
    weights.load_published(target, state, "resnet18", ignore=("fc.",))
    assert torch.equal(target.stages[3][1].path[1].conv.weight, state["layer4.1.conv2.weight"])
    del state["layer4.1.conv2.weight"], state["layer1.0.bn1.bias"]
    with pytest.raises(WeightsError) as caught:
        weights.load_published(target, state, "resnet18", ignore=("fc.",))
    message = str(caught.value)
    assert "missing 2" in message
    assert "stages.3.1.path.1.conv.weight" in message
    assert "unexpected 0" in message


def test_only_ten_of_each_kind_are_listed() -> None:
    with pytest.raises(WeightsError, match=r"missing 100 .*and 90 more") as caught:
        weights.load_published(resnet18(), {}, "resnet18")
    assert caught.value.code == "weights.architecture"


def test_another_depth_is_another_architecture() -> None:
    state = layouts.layout("resnet34").to_published(ResNet(34).state_dict())
    with pytest.raises(WeightsError, match=r"unexpected \d\d .*layer1\.2\.") as caught:
        weights.load_published(resnet18(), state, "resnet18")
    assert caught.value.code == "weights.architecture"


def test_counters_of_frozen_norms_may_be_missing_but_statistics_may_not() -> None:
    state = layouts.layout("resnet18").to_published(random_state(resnet18()))
    bare = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    weights.load_published(resnet18(), bare, "resnet18")
    del bare["bn1.running_mean"]
    with pytest.raises(WeightsError, match="missing 1"):
        weights.load_published(resnet18(), bare, "resnet18")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_bad_number_is_found(value: float) -> None:
    state = layouts.layout("resnet18").to_published(random_state(resnet18()))
    state["layer2.0.conv1.weight"][3, 2, 1, 0] = value
    with pytest.raises(WeightsError) as caught:
        weights.load_published(resnet18(), state, "resnet18")
    assert caught.value.code == "weights.non_finite"


def test_integers_are_no_weights() -> None:
    state = layouts.layout("resnet18").to_published(random_state(resnet18()))
    state["conv1.weight"] = state["conv1.weight"].to(torch.int8)
    with pytest.raises(WeightsError, match=r"integers for \(64, 3, 7, 7\)") as caught:
        weights.load_published(resnet18(), state, "resnet18")
    assert caught.value.code == "weights.architecture"


def test_class_counts_are_named() -> None:
    theirs = retinanet_resnet50_fpn([f"c{i}" for i in range(91)])
    state = layouts.layout("retinanet_resnet50_fpn").to_published(theirs.state_dict())
    with pytest.raises(WeightsError, match=r"for 91 classes, the model has 3") as caught:
        weights.load_published(
            retinanet_resnet50_fpn(["a", "b", "c"]), state, "retinanet_resnet50_fpn"
        )
    assert caught.value.code == "weights.class_count"


def test_the_spelling_of_the_published_file_is_understood() -> None:
    """The file of 2020 names its layers as torchvision did then."""
    ours = retinanet_resnet50_fpn(["thing"]).state_dict()
    table = layouts.layout("retinanet_resnet50_fpn")
    now = table.to_published(ours)
    old = {}
    for key, value in now.items():
        parts = key.split(".")
        if "conv" in parts and parts[0] == "head":  # conv.2.0.weight was conv.4.weight
            parts[3:5] = [str(2 * int(parts[3]))]
        elif "_blocks." in key and "extra" not in key:  # inner_blocks.1.0.bias: inner_blocks.1.bias
            del parts[4]
        old[".".join(parts)] = value
    assert "head.classification_head.conv.6.weight" in old
    assert "backbone.fpn.layer_blocks.2.bias" in old
    assert table.to_ours(old).keys() == ours.keys()


def test_norms_that_add_no_epsilon_give_the_same_numbers() -> None:
    draw = torch.Generator().manual_seed(2)
    variance = 10 ** (torch.rand(64, generator=draw) * 8 - 7)  # 1e-7 to 10
    state = {
        "bn.weight": torch.rand(64, generator=draw) + 0.5,
        "bn.bias": torch.randn(64, generator=draw),
        "bn.running_mean": torch.randn(64, generator=draw),
        "bn.running_var": variance,
    }
    x = torch.randn(2, 64, 3, 5, generator=draw)
    shift, mean, scale = (
        state[f"bn.{k}"].view(1, -1, 1, 1) for k in ("bias", "running_mean", "weight")
    )
    expected = (x - mean) * scale * variance.view(1, -1, 1, 1).rsqrt() + shift
    norm = nn.BatchNorm2d(64).eval()
    changed = states.with_eps(state, published=0.0, ours=norm.eps)
    norm.load_state_dict({k[3:]: v for k, v in changed.items()}, strict=False)
    torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-4)
    assert states.with_eps(state, published=norm.eps)["bn.weight"].equal(state["bn.weight"])


def test_classes_are_picked_for_every_anchor() -> None:
    value = torch.arange(2 * 5 * 3.0).view(10, 3)  # two anchors of five classes
    state = {"head.weight": value, "head.bias": value[:, 0]}
    kept = states.keep_classes(state, "head", 5, (1, 4))
    assert kept["head.bias"].tolist() == [3.0, 12.0, 18.0, 27.0]
    assert torch.equal(kept["head.weight"], value[[1, 4, 6, 9]])


def test_boxes_of_classes_are_picked_four_by_four() -> None:
    value = torch.arange(5 * 4.0)[:, None]
    kept = states.keep_classes({"box.weight": value, "box.bias": value[:, 0]}, "box", 5, (0, 3), 4)
    assert kept["box.bias"].tolist() == [0, 1, 2, 3, 12, 13, 14, 15]


def test_coco_has_eighty_categories_among_ninety_ids() -> None:
    assert len(COCO) == len(set(COCO.values())) == 80
    assert (COCO[1], COCO[90], COCO[64]) == ("person", "toothbrush", "potted plant")
    assert list(COCO) == sorted(COCO)


class _Answer(io.BytesIO):
    status = 200
    headers: Mapping[str, str] = {}


def _serve(data: bytes) -> download.Opener:
    @contextlib.contextmanager
    def opener(url: str, headers: Mapping[str, str]) -> Iterator[download.Response]:
        yield _Answer(data)

    return opener


def _renamed(data: bytes, name: str) -> str:
    return f"{name}-{hashlib.sha256(data).hexdigest()[:8]}.pth"


def test_load_named_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = layouts.layout("resnet18").to_published(random_state(resnet18()))
    state["fc.weight"] = torch.ones(1000, 512)
    torch.save(state, tmp_path / "file")
    data = (tmp_path / "file").read_bytes()
    entry = replace(weights.PUBLISHED["resnet18"], file=_renamed(data, "resnet18"))
    monkeypatch.setitem(weights.PUBLISHED, "resnet18", entry)
    module = resnet18()
    path = weights.load_named(module, "resnet18", tmp_path / "cache", _serve(data))
    assert path == tmp_path / "cache" / entry.file
    assert torch.equal(module.stem.conv.weight, state["conv1.weight"])


def _published(
    name: str, theirs: nn.Module, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> bytes:
    """A file as it would be published, of a network with all ids; it is then known by its name."""
    entry = weights.PUBLISHED[name]
    state = layouts.layout(entry.layout).to_published(theirs.state_dict())
    save_file({k: v.contiguous() for k, v in state.items()}, folder / "file")
    data = (folder / "file").read_bytes()
    monkeypatch.setitem(weights.PUBLISHED, name, replace(entry, file=_renamed(data, name)))
    return data


def test_a_named_detector_gets_the_outputs_of_its_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "retinanet_resnet50_fpn_coco"
    theirs = retinanet_resnet50_fpn([str(number) for number in range(91)])
    nn.init.normal_(theirs.towers.class_logits.bias)  # type: ignore[arg-type]
    data = _published(name, theirs, tmp_path, monkeypatch)
    ours = retinanet_resnet50_fpn(tuple(COCO.values()))
    weights.load_named(ours, name, tmp_path / "cache", _serve(data))
    logits = theirs.towers.class_logits.bias.view(9, 91)
    assert torch.equal(ours.towers.class_logits.bias.view(9, 80)[:, 0], logits[:, 1])
    assert torch.equal(ours.towers.class_logits.bias.view(9, 80)[:, 79], logits[:, 90])


def test_so_does_one_with_a_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "fasterrcnn_resnet50_fpn_coco"
    theirs = faster_rcnn_resnet50_fpn([str(number) for number in range(1, 91)])
    nn.init.normal_(theirs.head.class_logits.bias)
    nn.init.normal_(theirs.head.box_offsets.bias)
    data = _published(name, theirs, tmp_path, monkeypatch)
    ours = faster_rcnn_resnet50_fpn(tuple(COCO.values()))
    weights.load_named(ours, name, tmp_path / "cache", _serve(data))
    assert torch.equal(ours.head.layers.fc6.weight, theirs.head.layers.fc6.weight)  # type: ignore[union-attr]
    rows = [*(number - 1 for number in COCO), 90]
    assert torch.equal(ours.head.class_logits.bias, theirs.head.class_logits.bias[rows])
    boxes = theirs.head.box_offsets.bias.view(90, 4)[rows[:-1]]
    assert torch.equal(ours.head.box_offsets.bias.view(80, 4), boxes)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="did you mean resnet50"):
        weights.load_named(resnet18(), "resnet-50")


def test_published_names_carry_their_sums() -> None:
    for entry in weights.PUBLISHED.values():
        assert entry.layout in layouts.LAYOUTS
        if entry.fetched:
            assert len(entry.file.rpartition("-")[2]) == len("01234567.pth")


def test_weights_that_are_not_fetched_are_given(tmp_path: Path) -> None:
    """OpenPose's: without their file a word on the licence, and no look at the network."""
    with pytest.raises(WeightsError, match="licence") as caught:
        load("openpose_2017_coco")
    assert caught.value.code == "weights.not_found"
    assert "body_pose_model.pth" in str(caught.value.hint)
    source: Any = catalogue.build("openpose_2017_vgg19", ["person"])
    ours = source.state_dict()
    file = tmp_path / "mine.pth"
    torch.save(layouts.layout("openpose_2017").to_published(ours), file)
    model: Any = load("openpose_2017_coco", weights=file)
    assert model.name == "openpose_2017_vgg19" and model.classes == ("person",)
    given, last = model.detector.state_dict(), "stages.maps.5.12.weight"
    assert torch.equal(given[last], ours[last])
