"""The catalogue's models, small and loud enough to be tested in seconds."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from skimage import data
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import catalogue
from sightline.detectors import yolo_v1
from sightline.nets.blocks import ready
from sightline.nets.openpose import InTurn, triplets
from sightline.nets.pyramids import Stack
from sightline.nets.yolo_v1 import DARKNET, FAST
from sightline.ops.limbs import LineRule
from sightline.ops.roi_align import roi_align
from sightline.preparation import Preparation
from sightline.suppress import Selection, select
from sightline.types import Batch, Detections, Features, Regions, Scored

LIGHT = [
    name
    for name in sorted(catalogue.MODELS)
    if "mobilenet" in name or name in catalogue.WEIGHTLESS or not catalogue.learns_by_steps(name)
]
HEAVY = sorted(catalogue.MODELS.keys() - set(LIGHT))


def marked(names: Sequence[str], slow: Collection[str]) -> list[Any]:
    """Models to be asked in turn, some of them in slow tests."""
    return [pytest.param(n, marks=pytest.mark.slow) if n in slow else n for n in names]


EVERY = marked([*LIGHT, *HEAVY], HEAVY)
"""All models, where a test takes long with those of 30 million weights and more."""

ONCE = marked(sorted(catalogue.MODELS), ("keypoint_rcnn_resnet50_fpn", "mask_rcnn_resnet50_fpn"))
"""All models, where each is run once; of those that are another and a branch, the light ones."""

BRIEF = marked([*LIGHT, *HEAVY], (*HEAVY, "mask_rcnn_mobilenet_v2", "keypoint_rcnn_mobilenet_v2"))
"""All models, where each takes many looks, and a branch on top of another brings little."""

ALIKE = ("fast_rcnn_mobilenet_v2", "keypoint_rcnn_mobilenet_v2", "rcnn_mobilenet_v2")
"""Light networks whose stages another one has too, or (R-CNN) that take seconds a step."""

ONE_OF_A_KIND = marked(
    [name for name in sorted(catalogue.MODELS) if catalogue.learns_by_steps(name)],
    (*HEAVY, *ALIKE),
)
"""All that learn by steps, where one of a kind will do."""

CLASSES = ("cat", "dog", "person")


def photo(height: int, width: int) -> Tensor:
    """A corner of Chelsea the cat."""
    return torch.from_numpy(data.chelsea()[:height, :width].copy()).permute(2, 0, 1).contiguous()


def classes_of(name: str) -> tuple[str, ...]:
    """What a model is asked to find: what it knows by itself, one class of poses, or three."""
    usual = CLASSES[-1:] if catalogue.learns_poses(name) else CLASSES
    return catalogue.WEIGHTLESS.get(name, usual)


ONE_SIZE = {"yolo_v1_darknet": (DARKNET, (64,)), "yolo_v1_fast": (FAST, (64, 64))}
"""Networks for images of one size → their convolutions, and fewer units than they have."""


def side_of(name: str) -> tuple[int, int]:
    """Height and width of small pictures that a network can train on."""
    if name == "ssd300_vgg16":  # its last map is one cell then, and must not be less
        return 300, 300
    return (64, 64) if name in ONE_SIZE else (64, 96)


def of_one_size(name: str, classes: Sequence[str]) -> Any:
    """The same convolutions for images of 64 × 64 pixels, with fewer fully connected units."""
    stages, hidden = ONE_SIZE[name]
    model = yolo_v1.paper(classes, stages, hidden, yolo_v1.Grid(), 64).eval()
    model.selection = replace(model.selection, score=1e-4)
    return model


class Outline(nn.Module):
    """Stands for VGG-16 at 300 pixels, which takes seconds: its two maps by one convolution each.

    The golden outputs are those of the whole network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Conv2d(3, 512, 3, padding=1) for _ in range(2))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """conv4_3 and conv5_3."""
        pooled = [F.avg_pool2d(pixels, stride, ceil_mode=True) for stride in (8, 16)]
        return tuple(F.relu(f(x)) for f, x in zip(self.stages, pooled, strict=True))


class Shallow(nn.Module):
    """Stands for VGG-19's front and F: one convolution. Parity with the published answers is tested
    for the whole network.
    """

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 128, 3, padding=1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """F at stride 8."""
        return (F.relu(self.conv(ready(F.avg_pool2d(pixels, 8), self.conv))),)


class Quarters:
    """Stands for a detector of people before a pose machine: someone in each quarter of the image,
    the more likely the brighter it is.
    """

    classes = CLASSES

    def __init__(self, longer: int) -> None:
        self.prepare = Preparation(shorter=None, longer=longer)

    def encode(self, batch: Batch) -> Features:
        """The image itself, small."""
        return (F.avg_pool2d(batch.pixels, 8),)

    def propose(self, batch: Batch, features: Features) -> Regions:
        """The quarters, in prepared pixels."""
        corners = torch.tensor([[0, 0, 1, 1], [1, 0, 2, 1], [0, 1, 1, 2], [1, 1, 2, 2]]) / 2
        sizes = torch.tensor([f.original[::-1] * 2 for f in batch.frames])
        boxes = [f.to_prepared(corners * s) for f, s in zip(batch.frames, sizes, strict=True)]
        image = torch.arange(len(batch), device=batch.pixels.device).repeat_interleave(4)
        return Regions(torch.cat(boxes).to(image.device), image, torch.zeros_like(image))

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """How bright each is, as a person."""
        means = roi_align(batch.pixels, regions.boxes, regions.image, (1, 1), 1.0, 2, True)
        bright = means.mean(dim=(1, 2, 3)).sigmoid()[:, None]
        return Scored(regions, bright * bright.new_tensor([[0, 0, 1]]), regions.boxes)

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """All of them."""
        return select(scored, batch, Selection(score=0.01, iou=1.0), self.classes)


def loud(model: Any) -> None:
    """Make OpenPose find people in noise: maps and fields of about ±0.5, limbs that hardly agree.

    The published networks keep two stages of a kind.
    """
    if not isinstance(model.encoder, Stack):
        model.encoder = Shallow()
        for kind in ("fields", "maps"):
            setattr(model.stages, kind, getattr(model.stages, kind)[:2])
        if isinstance(model.stages, InTurn):
            model.stages.fields[1] = triplets(128 + 38, 96, 256, 38)
    with torch.no_grad():  # what untrained layers say is very small
        for answers in (model.stages.fields, model.stages.maps):
            last = [layer for layer in answers[-1].modules() if isinstance(layer, nn.Conv2d)][-1]
            last.weight.normal_()
            found = model.answers(torch.randn(1, 3, 96, 128))[answers is model.stages.maps][-1]
            last.weight *= 0.5 / found.std()
    line = LineRule(share=0.3, least=0.0)
    model.decoding = replace(model.decoding, peak=0.4, least_parts=2, score=0.0, line=line)


def small(name: str, longer: int, shorter: int) -> Any:
    """A model with random weights, which finds something everywhere.

    `longer` and `shorter` are the sides it prepares images for: the paper's own size would take
    minutes.
    """
    torch.manual_seed(0)
    if name in ONE_SIZE:
        return of_one_size(name, CLASSES)
    model: Any = catalogue.build(name, classes_of(name))
    model.eval()
    if hasattr(model, "preparation") and not model.preparation.fixed:
        sides = {"longer": longer, **({"shorter": shorter} if model.preparation.shorter else {})}
        model.preparation = replace(model.preparation, **sides)
    if name == "ssd300_vgg16":
        model.encoder.backbone = Outline()
    if name == "hog_svm":  # not by gradients: before `fit` its templates are empty
        for buffer in model.buffers():
            buffer.normal_(std=0.05)
    if name.startswith("rcnn"):  # before `fit` its machines never answer
        model.proposer.limit = 30  # each of them goes through the network by itself
        model.criterion = replace(model.criterion, count=32)
        whole = torch.tensor([[0.0, 0.0, 64.0, 48.0]])
        with torch.no_grad():  # what an untrained network says is very small
            features, _ = model.encoder(torch.randn(1, 3, 48, 64), whole, torch.tensor([0]))
        model.svm_weight.normal_(std=float(1 / features.norm()))
        model.svm_bias.fill_(1.0)
        model.ridge_weight.normal_(std=1e-3)
    if name.startswith("cpm"):  # a crop of its own size takes seconds
        model.look = replace(model.look, size=(64, 48))
        model.follow(Quarters(longer))
    if name.startswith("openpose"):
        loud(model)
    if name.startswith("fast_rcnn"):
        model.proposer.limit = 100  # of VGG-16 every region goes through 120 million weights
    if hasattr(model, "selection"):  # untrained scores all lie at the prior
        model.selection = replace(model.selection, score=1e-4)
        if name == "keypoint_rcnn_resnet50_fpn":  # eight convolutions of 512 channels a person
            model.selection = replace(model.selection, limit=20)
    return model
