"""Faster R-CNN (Ren 2015): regions proposed by a network that shares the detector's own maps.

A region proposal network is a detector of one class, "object": at every cell of a map it judges a
few anchors. Its answers are the regions that Fast R-CNN classifies. Training is joint.

Departures. The two light builders read a feature pyramid (Lin 2017); `fasterrcnn_resnet50_fpn`
follows the published torchvision network to the number. The paper's four-step alternating training
gives way to its approximate joint one (section 3.2): no gradient through the proposals' corners.

Key of shapes: B images, A anchors an image, R regions, K classes, C channels, H W cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.anchors import AnchorGrid
from sightline.detectors.fast_rcnn import RegionCriterion, RegionHead, RegionPooling, TwoLayers
from sightline.detectors.losses import normaliser
from sightline.matching import IGNORED, IouMatcher, Sampler, with_truth
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import FPN, Encoder, OneMap
from sightline.nets.resnet import resnet50
from sightline.nets.vgg import VGG16, VGG16Layers
from sightline.preparation import Preparation
from sightline.suppress import Selection, proposals, select
from sightline.types import Batch, Detections, Features, Regions, Scored, Targets

TO_TRAIN = Selection(score=0.0, iou=0.7, limit=2000, per_level=2000, by_level=True, min_size=1e-3)
"""Which proposals are learnt from."""

TO_TEST = replace(TO_TRAIN, limit=1000, per_level=1000)
"""Which are looked at afterwards, with a pyramid; the paper takes 300."""

ANSWERS = Selection(score=0.05, iou=0.5, limit=100, per_level=None, min_size=1e-2)
"""What stays of the second stage."""

SAMPLED = RegionCriterion()


class ProposalHead(nn.Module):
    """A 3×3 convolution shared by all levels, then objectness and offsets of `anchors` a cell."""

    def __init__(self, channels: int, anchors: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = channels if hidden is None else hidden
        self.conv = nn.Conv2d(channels, hidden, 3, 1, 1)
        self.objectness = nn.Conv2d(hidden, anchors, 1)
        self.box_offsets = nn.Conv2d(hidden, anchors * 4, 1)
        for layer in (self.conv, self.objectness, self.box_offsets):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Features) -> tuple[Float[Tensor, "B A"], Float[Tensor, "B A 4"]]:
        """Logits and offsets of all anchors, level by level, row by row."""

        def rows(maps: Tensor, width: int) -> Tensor:
            return maps.permute(0, 2, 3, 1).reshape(len(maps), -1, width)

        hidden = [F.relu(self.conv(x), inplace=True) for x in features]
        logits = [rows(self.objectness(x), 1) for x in hidden]
        offsets = [rows(self.box_offsets(x), 4) for x in hidden]
        return torch.cat(logits, dim=1)[..., 0].float(), torch.cat(offsets, dim=1).float()


@dataclass(frozen=True)
class ProposalCriterion:
    """Cross-entropy of objectness and smooth L1 of offsets over a sample of the anchors (eq. 1).

    `inside` leaves out anchors that cross the image's border, as the paper does.
    """

    matcher: IouMatcher = IouMatcher(0.7, 0.3)
    sampler: Sampler = Sampler(256, 0.5)
    beta: float = 1 / 9
    inside: bool = False

    def __call__(
        self,
        logits: Float[Tensor, "B A"],
        offsets: Float[Tensor, "B A 4"],
        anchors: Float[Tensor, "A 4"],
        level: Int[Tensor, "A"],
        batch: Batch,
        targets: Sequence[Targets],
    ) -> dict[str, Tensor]:
        """Sums over the batch by the number of sampled anchors."""
        entropy, distance, count = logits.sum() * 0, offsets.sum() * 0, 0
        for index, truth in enumerate(targets):
            matched = self.matcher(anchors, level, truth)
            if self.inside:
                height, width = batch.frames[index].resized
                border = anchors.new_tensor([width, height])
                within = ((anchors[:, :2] >= 0) & (anchors[:, 2:] <= border)).all(dim=1)
                matched = torch.where(within, matched, IGNORED)
            rows = self.sampler(matched, batch.pixels[index])
            count += len(rows)
            wanted = (matched[rows] >= 0).float()
            entropy = entropy + F.binary_cross_entropy_with_logits(
                logits[index, rows], wanted, reduction="sum"
            )
            rows = rows[matched[rows] >= 0]
            goals = bx.encode(truth.boxes[matched[rows]], anchors[rows])
            distance = distance + F.smooth_l1_loss(
                offsets[index, rows], goals, beta=self.beta, reduction="sum"
            )
        total = normaliser(logits.new_tensor(float(count)))
        return {"objectness": entropy / total, "proposal_box": distance / total}


class RegionProposalNetwork(nn.Module):
    """A detector of one class, "object", over the encoder that the second stage reads too."""

    classes = ("object",)

    def __init__(
        self,
        encoder: nn.Module,
        head: ProposalHead,
        anchors: AnchorGrid,
        preparation: Preparation,
        criterion: ProposalCriterion = ProposalCriterion(),
        selection: Selection = TO_TEST,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.anchors = encoder, head, anchors
        self.preparation, self.criterion, self.selection = preparation, criterion, selection

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """Resize, normalise and pad images of one size."""
        return self.preparation(images)

    def encode(self, batch: Batch) -> Features:
        """The maps that both stages read."""
        features: Features = self.encoder(batch.pixels)
        return features

    def propose(self, batch: Batch, features: Features) -> Regions:
        """Every anchor of every cell of every level."""
        grids = [(x.shape[-2], x.shape[-1]) for x in features]
        return self.anchors.regions(grids, batch.size, len(batch)).to(batch.pixels.device)

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """How much each anchor looks like an object, and each moved by its offsets."""
        logits, offsets = self.head(features)
        boxes = bx.decode(offsets.flatten(0, 1), regions.boxes)
        return Scored(regions, logits.flatten()[:, None].sigmoid(), boxes)

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """The best of each level, after suppression level by level."""
        return select(scored, batch, self.selection, self.classes)

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """The first stage alone: what objects are, of whatever class."""
        return self.learn(batch, self.encode(batch), targets)[0]

    def learn(
        self, batch: Batch, features: Features, targets: Sequence[Targets]
    ) -> tuple[dict[str, Tensor], Scored]:
        """Losses of maps that are there already, and what the network thinks of its anchors."""
        regions = self.propose(batch, features)
        count = len(regions) // len(batch)
        logits, offsets = self.head(features)
        boxes, level = regions.boxes[:count], regions.level[:count]
        losses = self.criterion(logits, offsets, boxes, level, batch, targets)
        found = bx.decode(offsets.detach().flatten(0, 1), regions.boxes)
        return losses, Scored(regions, logits.detach().flatten()[:, None].sigmoid(), found)


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


def faster_rcnn_vgg16(classes: Sequence[str]) -> FasterRCNN:
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
        RegionHead(RegionPooling(method="pool", levels=1), VGG16Layers(), 4096, len(classes)),
        RegionCriterion(sampler=Sampler(128, 0.25), beta=1.0),
        replace(ANSWERS, iou=0.3),
        replace(TO_TRAIN, per_level=12000, min_size=16.0),
    )


def faster_rcnn_resnet50_fpn(classes: Sequence[str]) -> FasterRCNN:
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
        RegionHead(RegionPooling(), TwoLayers(256), 1024, len(classes)),
    )


def faster_rcnn_mobilenet_v2(classes: Sequence[str]) -> FasterRCNN:
    """The light one, for CPUs: MobileNetV2, P3–P6 of 96 channels, 256 units, 416 pixels."""
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
        RegionHead(RegionPooling(levels=3), TwoLayers(96, hidden=256), 256, len(classes)),
        RegionCriterion(sampler=Sampler(128, 0.25)),
        to_train=replace(TO_TRAIN, limit=500, per_level=500),
    )
