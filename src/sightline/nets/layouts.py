"""How others name what we name otherwise: torchvision's state dicts, layer by layer.

A layout is a table: published layer → our layer; the last part of a name (weight, running_mean …)
is the same on both sides. Tables are built from the networks' own figures, so they can be read in
both directions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from sightline.nets.openpose import FRONT
from sightline.nets.resnet import BLOCKS, BOTTLENECK_FROM
from sightline.nets.squeezenet import STAGES as FIRES
from sightline.nets.state import State
from sightline.nets.vgg import WIDTHS


@dataclass(frozen=True)
class Order:
    """How a layer's tensors are turned from the published order to ours, and back."""

    to_ours: Callable[[Tensor], Tensor]
    to_published: Callable[[Tensor], Tensor]


BACKGROUND_LAST = Order(lambda x: x.roll(-1, 0), lambda x: x.roll(1, 0))
"""Published softmaxes have the background's row first."""

NO_BACKGROUND_BOX = Order(lambda x: x[4:], lambda x: torch.cat([torch.zeros_like(x[:4]), x]))
"""Published box regressors have four rows for the background, which nobody reads."""


NO_BACKGROUND_MAP = Order(lambda x: x[1:], lambda x: torch.cat([torch.zeros_like(x[:1]), x]))
"""So have published mask heads a map of it."""


def channels_last(size: tuple[int, int]) -> Order:
    """A layer that reads bins: published ones take (C, h, w) in this order, ours (h, w, C)."""

    def to_ours(x: Tensor) -> Tensor:
        return x if x.ndim == 1 else x.view(len(x), -1, *size).permute(0, 2, 3, 1).flatten(1)

    def to_published(x: Tensor) -> Tensor:
        return x if x.ndim == 1 else x.view(len(x), *size, -1).permute(0, 3, 1, 2).flatten(1)

    return Order(to_ours, to_published)


def background_last(per_cell: int) -> Order:
    """The rows of a softmax's convolution, one block for each of `per_cell` boxes of a cell."""

    def turned(x: Tensor, by: int) -> Tensor:
        return x.view(per_cell, -1, *x.shape[1:]).roll(by, 1).flatten(0, 1)

    return Order(lambda x: turned(x, -1), lambda x: turned(x, 1))


@dataclass(frozen=True)
class Layout:
    """`names`: published layer → ours. `old`: spellings of earlier releases, found in files.

    `orders`: our layers whose rows or columns lie in another order than the published ones.
    """

    names: Mapping[str, str]
    old: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)

    def to_ours(self, state: State) -> dict[str, Tensor]:
        """The same tensors under our names; unknown names stay, so that loading reports them."""
        answer = {}
        for key, value in state.items():
            layer, _, leaf = key.rpartition(".")
            ours = self.names.get(layer) or self.old.get(layer) or layer
            order = self.orders.get(ours)
            answer[f"{ours}.{leaf}" if ours else leaf] = order.to_ours(value) if order else value
        return answer

    def to_published(self, state: State) -> dict[str, Tensor]:
        """The way back: our names to the published ones, in our order."""
        back = {ours: theirs for theirs, ours in self.names.items()}
        answer = {}
        for key, value in state.items():
            layer, _, leaf = key.rpartition(".")
            order = self.orders.get(layer)
            answer[f"{back[layer]}.{leaf}"] = order.to_published(value) if order else value
        return answer


def _resnet(depth: int) -> Iterator[tuple[str, str]]:
    yield "conv1", "stem.conv"
    yield "bn1", "stem.norm"
    convolutions = 3 if depth >= BOTTLENECK_FROM else 2
    for stage, blocks in enumerate(BLOCKS[depth]):
        for block in range(blocks):
            theirs, ours = f"layer{stage + 1}.{block}", f"stages.{stage}.{block}"
            for row in range(convolutions):
                yield f"{theirs}.conv{row + 1}", f"{ours}.path.{row}.conv"
                yield f"{theirs}.bn{row + 1}", f"{ours}.path.{row}.norm"
            if block == 0 and (stage > 0 or depth >= BOTTLENECK_FROM):
                yield f"{theirs}.downsample.0", f"{ours}.shortcut.conv"
                yield f"{theirs}.downsample.1", f"{ours}.shortcut.norm"


def _mobilenet_v2() -> Iterator[tuple[str, str]]:
    yield "features.0.0", "stem.conv"
    yield "features.0.1", "stem.norm"
    for block in range(17):
        theirs, ours = f"features.{block + 1}.conv", f"blocks.{block}"
        # the first block does not widen
        pairs = ("depthwise",) if block == 0 else ("widen", "depthwise")
        for row, part in enumerate(pairs):
            yield f"{theirs}.{row}.0", f"{ours}.{part}.conv"
            yield f"{theirs}.{row}.1", f"{ours}.{part}.norm"
        yield f"{theirs}.{len(pairs)}", f"{ours}.narrow.conv"
        yield f"{theirs}.{len(pairs) + 1}", f"{ours}.narrow.norm"


def _vgg(widths: Sequence[tuple[int, int]] = WIDTHS) -> Iterator[tuple[str, str]]:
    row = 0
    for stage, (_, count) in enumerate(widths):
        for conv in range(count):
            yield f"features.{row}", f"stages.{stage}.{2 * conv}"
            row += 2  # a ReLU follows
        row += 1  # the pooling


def _squeezenet() -> Iterator[tuple[str, str]]:
    yield "features.0", "stem"
    row = 3  # after the first convolution, its ReLU and the pooling
    for stage, modules in enumerate(FIRES):
        for module in range(len(modules)):
            for part in ("squeeze", "expand1x1", "expand3x3"):
                yield f"features.{row}.{part}", f"stages.{stage}.{module}.{part}"
            row += 1
        row += 1  # the pooling


_ALEXNET = {f"features.{row}": f"convs.{conv}" for conv, row in enumerate((0, 3, 6, 8, 10))}


def _inside(pairs: Iterator[tuple[str, str]], theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    return ((f"{theirs}.{a}", f"{ours}.{b}") for a, b in pairs)


def _encoder(ours: str, levels: int) -> tuple[dict[str, str], dict[str, str]]:
    """ResNet-50 and its pyramid: names, and old names."""
    names = dict(_inside(_resnet(50), "backbone.body", f"{ours}.backbone"))
    old = {}
    for level in range(levels):
        for theirs, part in (("inner", "lateral"), ("layer", "output")):
            conv = f"{ours}.pyramid.{part}.{level}"
            names[f"backbone.fpn.{theirs}_blocks.{level}.0"] = conv
            old[f"backbone.fpn.{theirs}_blocks.{level}"] = conv
    return names, old


def _retinanet() -> Layout:
    names, old = _encoder("encoder", 3)
    for extra in ("p6", "p7"):
        names[f"backbone.fpn.extra_blocks.{extra}"] = f"encoder.pyramid.{extra}"
    for theirs, tower in (("classification_head", "class_tower"), ("regression_head", "box_tower")):
        for row in range(4):
            names[f"head.{theirs}.conv.{row}.0"] = f"towers.{tower}.{2 * row}"
            old[f"head.{theirs}.conv.{2 * row}"] = f"towers.{tower}.{2 * row}"
    names["head.classification_head.cls_logits"] = "towers.class_logits"
    names["head.regression_head.bbox_reg"] = "towers.box_offsets"
    return Layout(names, old)


def _faster_rcnn() -> Layout:
    names, old = _encoder("proposer.encoder", 4)
    names["rpn.head.conv.0.0"] = old["rpn.head.conv"] = "proposer.head.conv"
    names["rpn.head.cls_logits"] = "proposer.head.objectness"
    names["rpn.head.bbox_pred"] = "proposer.head.box_offsets"
    for layer in ("fc6", "fc7"):
        names[f"roi_heads.box_head.{layer}"] = f"head.layers.{layer}"
    names["roi_heads.box_predictor.cls_score"] = "head.class_logits"
    names["roi_heads.box_predictor.bbox_pred"] = "head.box_offsets"
    orders = {
        "head.layers.fc6": channels_last((7, 7)),
        "head.class_logits": BACKGROUND_LAST,
        "head.box_offsets": NO_BACKGROUND_BOX,
    }
    return Layout(names, old, orders)


def _mask_rcnn() -> Layout:
    base = _faster_rcnn()
    names, old = {**base.names}, {**base.old}
    for row in range(4):
        conv = f"branch.head.convs.{2 * row}"
        names[f"roi_heads.mask_head.{row}.0"] = conv
        old[f"roi_heads.mask_head.mask_fcn{row + 1}"] = conv
    names["roi_heads.mask_predictor.conv5_mask"] = "branch.head.upsample"
    names["roi_heads.mask_predictor.mask_fcn_logits"] = "branch.head.logits"
    return Layout(names, old, {**base.orders, "branch.head.logits": NO_BACKGROUND_MAP})


def _keypoint_rcnn() -> Layout:
    base = _faster_rcnn()
    names = {**base.names}
    for row in range(8):
        names[f"roi_heads.keypoint_head.{2 * row}"] = f"branch.head.convs.{2 * row}"
    names["roi_heads.keypoint_predictor.kps_score_lowres"] = "branch.head.maps"
    return Layout(names, base.old, base.orders)


DEFAULT_BOXES = (4, 6, 6, 6, 4, 4)
"""Of a cell of each of SSD300's maps."""


def _ssd300() -> Layout:
    names = {"backbone": "encoder"}  # the scale of conv4_3 belongs to no layer
    for theirs, ours in _vgg():
        place = int(theirs.removeprefix("features.")) - 23  # the rest begins with a pooling
        published = theirs if place < 0 else f"extra.0.{place}"
        names[f"backbone.{published}"] = f"encoder.backbone.{ours}"
    names["backbone.extra.0.7.1"] = "encoder.fc6"
    names["backbone.extra.0.7.3"] = "encoder.fc7"
    for block in range(4):
        for layer in (0, 2):
            names[f"backbone.extra.{block + 1}.{layer}"] = f"encoder.further.{block}.{layer}"
    orders = {}
    for level, count in enumerate(DEFAULT_BOXES):
        logits = f"predictors.class_logits.{level}"
        names[f"head.classification_head.module_list.{level}"] = logits
        names[f"head.regression_head.module_list.{level}"] = f"predictors.box_offsets.{level}"
        orders[logits] = background_last(count)
    return Layout(names, orders=orders)


def _openpose() -> Layout:
    from sightline.nets import openpose_layout

    return openpose_layout.layout()


def _resnet_layout(depth: int) -> Callable[[], Layout]:
    return lambda: Layout(dict(_resnet(depth)))


LAYOUTS: dict[str, Callable[[], Layout]] = {
    "resnet18": _resnet_layout(18),
    "resnet34": _resnet_layout(34),
    "resnet50": _resnet_layout(50),
    "resnet101": _resnet_layout(101),
    "mobilenet_v2": lambda: Layout(dict(_mobilenet_v2())),
    "squeezenet1_1": lambda: Layout(dict(_squeezenet())),
    "alexnet": lambda: Layout(_ALEXNET),
    "alexnet_layers": lambda: Layout({"classifier.1": "fc6", "classifier.4": "fc7"}),
    "vgg16": lambda: Layout(dict(_vgg())),
    "vgg16_layers": lambda: Layout({"classifier.0": "fc6", "classifier.3": "fc7"}),
    "retinanet_resnet50_fpn": _retinanet,
    "fasterrcnn_resnet50_fpn": _faster_rcnn,
    "maskrcnn_resnet50_fpn": _mask_rcnn,
    "keypointrcnn_resnet50_fpn": _keypoint_rcnn,
    "ssd300_vgg16": _ssd300,
    "vgg19": lambda: Layout(dict(_vgg(FRONT))),
    "openpose_2017": _openpose,
}
"""Names of networks → torchvision's layouts, and OpenPose's own."""


@cache
def layout(name: str) -> Layout:
    """The layout of a published network; KeyError for a name that is not in `LAYOUTS`."""
    return LAYOUTS[name]()
