"""Faster R-CNN (Ren 2015): regions proposed by a network that shares the detector's own maps.

The region proposal network (`region_proposals`) is a detector of one class, "object". Its answers
are the regions that Fast R-CNN classifies. Training is joint.

Departures. The two light builders read a feature pyramid (Lin 2017); `fasterrcnn_resnet50_fpn`
follows the published torchvision network to the number. The paper's four-step alternating training
gives way to its approximate joint one (section 3.2): no gradient through the proposals' corners.

`pooling` of the builders is a switch: "align" (RoIAlign) or "pool" (RoIPool).

Key of shapes: S sampled regions.
"""

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Int, UInt8
from torch import Tensor, nn

from sightline.anchors import AnchorGrid
from sightline.detectors.region_head import (
    Pooling,
    RegionCriterion,
    RegionHead,
    RegionPooling,
    TwoLayers,
)
from sightline.detectors.region_proposals import (
    TO_TEST,
    TO_TRAIN,
    ProposalCriterion,
    ProposalHead,
    RegionProposalNetwork,
)
from sightline.matching import Sampler, with_truth
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import FPN, Encoder, OneMap
from sightline.nets.resnet import resnet50
from sightline.nets.vgg import VGG16, VGG16Layers
from sightline.preparation import Preparation
from sightline.suppress import Selection, proposals, select
from sightline.types import Batch, Detections, Features, Regions, Scored, Targets

ANSWERS = Selection(score=0.05, iou=0.5, limit=100, per_level=None, min_size=1e-2)
"""What stays of the second stage."""

SAMPLED = RegionCriterion()


class FasterRCNN(nn.Module):
    """A detector whose regions are another detector's answers."""

    def __init__(
        self,
        classes: Sequence[str],
        proposer: RegionProposalNetwork,
        head: RegionHead,
        criterion: RegionCriterion = SAMPLED,
        selection: Selection = ANSWERS,
        to_train: Selection = TO_TRAIN,
    ) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.proposer, self.head = proposer, head
        self.criterion, self.selection, self.to_train = criterion, selection, to_train

    @property
    def encoder(self) -> nn.Module:
        """Both stages' backbone and pyramid."""
        return self.proposer.encoder

    @property
    def preparation(self) -> Preparation:
        """How images are prepared: by the first stage."""
        return self.proposer.preparation

    @preparation.setter
    def preparation(self, value: Preparation) -> None:
        self.proposer.preparation = value

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """Resize, normalise and pad images of one size."""
        return self.proposer.prepare(images)

    def encode(self, batch: Batch) -> Features:
        """The maps that both stages read."""
        return self.proposer.encode(batch)

    def propose(self, batch: Batch, features: Features) -> Regions:
        """What the first detector finds."""
        anchors = self.proposer.propose(batch, features)
        found = self.proposer.classify(batch, features, anchors)
        return proposals(found, batch, self.proposer.selection)

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """Softmax over classes and background, and a box of each class."""
        logits, offsets = self.head(features, regions, batch.size)
        scores = logits.softmax(dim=1)[:, :-1]
        return Scored(regions, scores, self.head.decode(offsets, regions))

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """The threshold, then NMS class by class."""
        return select(scored, batch, self.selection, self.classes)

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses by part; their sum is to be minimised. Images without objects are welcome."""
        return self.learn(batch, self.encode(batch), targets)[0]

    def learn(
        self, batch: Batch, features: Features, targets: Sequence[Targets]
    ) -> tuple[dict[str, Tensor], Regions, Int[Tensor, "S"]]:
        """Losses of maps that are there already, the regions learnt from, and whose each is."""
        losses, found = self.proposer.learn(batch, features, targets)
        regions = with_truth(proposals(found, batch, self.to_train), targets)
        chosen, owner = self.criterion.chosen(regions, targets, batch.pixels)
        logits, offsets = self.head(features, chosen, batch.size)
        return {**losses, **self.criterion(logits, offsets, chosen, owner, targets)}, chosen, owner


def faster_rcnn_vgg16(classes: Sequence[str], pooling: Pooling = "pool") -> FasterRCNN:
    """The paper's: VGG-16, conv5_3, nine anchors a cell, RoIPool, fc6 and fc7, 600 pixels."""
    backbone = VGG16()
    anchors = AnchorGrid(((128.0, 256.0, 512.0),), strides=(16,))
    return FasterRCNN(
        classes,
        RegionProposalNetwork(
            OneMap(backbone),
            ProposalHead(512, anchors.per_cell),
            anchors,
            Preparation(shorter=600, longer=1000),
            ProposalCriterion(inside=True),
            replace(TO_TEST, limit=300, per_level=6000, min_size=16.0),
        ),
        RegionHead(RegionPooling(method=pooling, levels=1), VGG16Layers(), 4096, len(classes)),
        RegionCriterion(sampler=Sampler(128, 0.25), beta=1.0),
        replace(ANSWERS, iou=0.3),
        replace(TO_TRAIN, per_level=12000, min_size=16.0),
    )


def faster_rcnn_resnet50_fpn(classes: Sequence[str], pooling: Pooling = "align") -> FasterRCNN:
    """The published network: ResNet-50, P2–P6 of 256 channels, RoIAlign, 800 pixels."""
    backbone = resnet50()
    pyramid = FPN(backbone.channels, 256, extra="pool")
    sizes = tuple((32.0 * 2**level,) for level in range(5))
    return FasterRCNN(
        classes,
        RegionProposalNetwork(
            Encoder(backbone, pyramid),
            ProposalHead(256, 3),
            AnchorGrid(sizes, offset=0.0, rounded=True),
            Preparation(shorter=800, longer=1333),
        ),
        RegionHead(RegionPooling(method=pooling), TwoLayers(256), 1024, len(classes)),
    )


def faster_rcnn_mobilenet_v2(classes: Sequence[str], pooling: Pooling = "align") -> FasterRCNN:
    """The light one, for CPUs: MobileNetV2, P3–P6 of 96 channels, 128 units, 416 pixels."""
    backbone = MobileNetV2()
    pyramid = FPN(backbone.channels[1:], 96, extra="pool")
    sizes = tuple((32.0 * 2**level,) for level in range(4))
    return FasterRCNN(
        classes,
        RegionProposalNetwork(
            Encoder(backbone, pyramid),
            ProposalHead(96, 3),
            AnchorGrid(sizes, strides=(8, 16, 32, 64)),
            Preparation(shorter=None, longer=416),
            selection=replace(TO_TEST, limit=200, per_level=400),
        ),
        RegionHead(
            RegionPooling(method=pooling, levels=3),
            TwoLayers(96, hidden=128, thin=32),
            128,
            len(classes),
        ),
        RegionCriterion(sampler=Sampler(128, 0.25)),
        to_train=replace(TO_TRAIN, limit=500, per_level=500),
    )
