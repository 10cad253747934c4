"""Fast R-CNN (Girshick 2015): one look at the image, then all of its regions.

R-CNN runs its network once a region. Here the convolutions run once an image; every region is
pooled from their map to a fixed size, two layers and two outputs judge it (`region_head`), and all
of it is learnt together, end to end. The regions are Selective Search's.

Departures. The light builder reads a feature pyramid (Lin 2017). Mean and variance of the offsets
are those of all classes together, measured on a sample of the images. Images without objects, which
the paper leaves out, are learnt from. An image of which nothing is proposed has no answers.

`pooling` of the builders is a switch: "pool" (the paper's RoIPool) or "align" (RoIAlign), and so is
`layers`: "full", or "svd" for what `compress` makes of a trained network.

Key of shapes: B images, R regions, K classes, N offsets, S sampled regions.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sightline import boxes as bx
from sightline.detectors.proposal_store import ProposalStore, Proposer, batch_regions
from sightline.detectors.region_head import (
    Pooling,
    RegionCriterion,
    RegionHead,
    RegionPooling,
    TwoLayers,
)
from sightline.detectors.selective_search import SelectiveSearch
from sightline.fitting import Desk, Samples
from sightline.matching import Sampler, objects_of, with_truth
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import FPN, Encoder, OneMap
from sightline.nets.vgg import VGG16, VGG16Layers
from sightline.preparation import Preparation
from sightline.progress import bar
from sightline.suppress import Selection, select
from sightline.types import Batch, Detections, Features, Regions, Scored, Targets

ANSWERS = Selection(score=0.05, iou=0.3, limit=100, per_level=None)
"""What stays: NMS at 0.3, as in R-CNN."""

SAMPLED = RegionCriterion(sampler=Sampler(64, 0.25), beta=1.0, near=0.1)
"""Of each image 64 regions, a quarter of them with an IoU of 0.5, the others of 0.1 up to there."""

PROPOSALS = 2000
"""So many an image at most, as in the paper."""

MEASURED_IMAGES = 100
"""So many images tell the mean and the variance of the offsets: some thousands of regions."""

FEWEST_OFFSETS = 50
"""Statistics of fewer regions say nothing."""

Layers = Literal["full", "svd"]
"""fc6 and fc7 as they were learnt, or each as two layers through fewer units."""


class MeasuredHead(RegionHead):
    """A head whose offsets have zero mean and unit variance over the data (section 2.3).

    Until they are measured, the variances are the usual ones (0.1, 0.1, 0.2, 0.2 squared).
    """

    offset_mean: Tensor
    offset_std: Tensor

    def __init__(self, pooling: RegionPooling, layers: nn.Module, width: int, classes: int) -> None:
        super().__init__(pooling, layers, width, classes)
        self.register_buffer("offset_mean", torch.zeros(4))
        self.register_buffer("offset_std", torch.tensor([0.1, 0.1, 0.2, 0.2]))

    def measure(self, offsets: Float[Tensor, "N 4"]) -> None:
        """Take the mean and the deviation of true offsets as the unit."""
        self.offset_mean.copy_(offsets.mean(dim=0))
        self.offset_std.copy_(offsets.std(dim=0).clamp(min=1e-2))

    def encode(self, goals: Float[Tensor, "S 4"], boxes: Float[Tensor, "S 4"]) -> Tensor:
        """What is learnt: the offsets of `goals` from `boxes`, normalised."""
        return (bx.encode(goals, boxes) - self.offset_mean) / self.offset_std

    def decode(self, offsets: Float[Tensor, "R K 4"], regions: Regions) -> Float[Tensor, "R K 4"]:
        """The box that each class would have of each region."""
        plain = offsets * self.offset_std + self.offset_mean
        return bx.decode(plain, regions.boxes[:, None].expand_as(plain))


class FastRCNN(nn.Module):
    """A detector whose regions come from a search of the pixels.

    `store` keeps what was searched: give it a folder to search every picture once only.
    """

    searches = True
    draws: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        encoder: nn.Module,
        head: MeasuredHead,
        preparation: Preparation,
        proposer: Proposer,
        criterion: RegionCriterion = SAMPLED,
        selection: Selection = ANSWERS,
    ) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.encoder, self.head, self.proposer = encoder, head, proposer
        self.preparation, self.criterion, self.selection = preparation, criterion, selection
        self.store = ProposalStore()
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """Resize, normalise and pad images of one size."""
        return self.preparation(images)

    def encode(self, batch: Batch) -> Features:
        """The convolutions, once for all regions."""
        features: Features = self.encoder(batch.pixels)
        return features

    def propose(self, batch: Batch, features: Features) -> Regions:
        """What the search finds in the prepared pixels, or found in them before."""

        def find(image: Tensor) -> Tensor:
            return self.store.boxes(image, self.proposer.search, self.proposer.method)

        return batch_regions(batch, self.preparation, find)

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """Softmax over classes and background, and a box of each class."""
        logits, offsets = self.head(features, regions, batch.size)
        scores = logits.softmax(dim=1)[:, :-1]
        return Scored(regions, scores, self.head.decode(offsets, regions))

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """The threshold, then NMS class by class."""
        return select(scored, batch, self.selection, self.classes)

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """L_cls and L_loc (eq. 1) of a sample of the proposals and the true boxes.

        In training every call draws anew, so that an image teaches by other regions each time.
        """
        features = self.encode(batch)
        regions = with_truth(self.propose(batch, features), targets)
        if self.training:
            self.draws += 1
        salt = int(self.draws)
        chosen, owner = self.criterion.chosen(regions, targets, batch.pixels, salt)
        logits, offsets = self.head(features, chosen, batch.size)
        return self.criterion(logits, offsets, chosen, owner, targets, self.head.encode)

    @torch.no_grad()
    def prime(self, samples: Samples, desk: Desk) -> None:
        """Measure the offsets of the proposals that answer for objects (section 2.3)."""
        if desk.folder is not None and self.store.folder is None:
            self.store = ProposalStore(desk.folder / "proposals")
        draw = torch.Generator().manual_seed(desk.seed)
        rows = torch.randperm(len(samples), generator=draw)[:MEASURED_IMAGES].tolist()
        found = []
        with bar(len(rows), "measure proposals") as shown:
            for row in rows:
                desk.pause()
                found.append(self._offsets(*samples[row]))
                shown.advance()
        offsets = torch.cat(found) if found else torch.zeros(0, 4)
        if len(offsets) < FEWEST_OFFSETS:
            desk.say(
                f"{len(offsets)} proposals in {len(rows)} images overlap an object by half: too "
                "few to measure, so offsets keep their usual units"
            )
            return
        self.head.measure(offsets.to(self.head.offset_mean.device))
        unit = ", ".join(f"{value:.3f}" for value in self.head.offset_std.tolist())
        desk.say(f"offsets of {len(offsets):,} proposals in {len(rows)} images deviate by {unit}")

    def _offsets(self, image: UInt8[Tensor, "3 H W"], truth: Targets) -> Float[Tensor, "N 4"]:
        """Those of one image's proposals from the objects that they answer for."""
        batch = self.prepare([image])
        boxes = batch.frames[0].to_prepared(truth.boxes)
        targets = [replace(truth, boxes=boxes, masks=None, keypoints=None)]
        regions = with_truth(self.propose(batch, ()), targets)
        owner = self.criterion.matcher(regions.boxes, regions.level, targets[0])
        rows = (owner >= 0).nonzero()[:, 0]
        goals, _ = objects_of(targets, regions.image[rows], owner[rows])
        return bx.encode(goals, regions.boxes[rows])


class Truncated(nn.Sequential):
    """A layer through `rank` units: W ≈ U Σ_t Vᵀ (eq. 5), the first Σ_t Vᵀ, the second U.

    R regions take rank · (inputs + outputs) products each instead of inputs · outputs.
    """

    def __init__(self, inputs: int, outputs: int, rank: int) -> None:
        super().__init__(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs))

    @classmethod
    @torch.no_grad()
    def of(cls, layer: nn.Linear, rank: int) -> "Truncated":
        """The nearest to `layer` of that rank. U are the eigenvectors of W Wᵀ, and Σ Vᵀ = Uᵀ W."""
        weight = layer.weight.double()
        basis = torch.linalg.eigh(weight @ weight.T).eigenvectors[:, -rank:]
        answer = cls(layer.in_features, layer.out_features, rank).to(layer.weight)
        answer.load_state_dict(
            {"0.weight": basis.T @ weight, "1.weight": basis, "1.bias": layer.bias}
        )
        return answer


def ranks(hidden: int) -> dict[str, int]:
    """The paper's 1,024 singular values of fc6 and 256 of fc7, each of 4,096; of smaller layers a
    quarter of both: a sixteenth of fc7 would save no time there, and costs much AP.
    """
    quarter = max(1, hidden // 4)
    return {"fc6": quarter, "fc7": min(quarter, 256)}


def compress(detector: FastRCNN) -> FastRCNN:
    """A copy whose fc6 and fc7 are truncated (section 3.1): as fast as `layers="svd"` builds it.

    Its state loads into a detector of that option; a compressed one stays as it is.
    """
    answer = copy.deepcopy(detector)
    layers = answer.head.layers
    for name, rank in ranks(answer.head.class_logits.in_features).items():
        layer = getattr(layers, name)
        if isinstance(layer, nn.Linear):
            setattr(layers, name, Truncated.of(layer, rank))
    return answer


def _laid_out(detector: FastRCNN, layers: Layers) -> FastRCNN:
    """With new layers of the option's shape."""
    if layers == "svd":
        for name, rank in ranks(detector.head.class_logits.in_features).items():
            layer = getattr(detector.head.layers, name)
            new = Truncated(layer.in_features, layer.out_features, rank)
            setattr(detector.head.layers, name, new)
    return detector


def fast_rcnn_vgg16(
    classes: Sequence[str], pooling: Pooling = "pool", layers: Layers = "full"
) -> FastRCNN:
    """The paper's: VGG-16, conv5_3, RoIPool of 7 × 7, fc6 and fc7 of 4,096 units, 600 pixels."""
    head = MeasuredHead(RegionPooling(method=pooling, levels=1), VGG16Layers(), 4096, len(classes))
    preparation = Preparation(shorter=600, longer=1000)
    return _laid_out(
        FastRCNN(classes, OneMap(VGG16()), head, preparation, SelectiveSearch(limit=PROPOSALS)),
        layers,
    )


def fast_rcnn_mobilenet_v2(
    classes: Sequence[str], pooling: Pooling = "pool", layers: Layers = "full"
) -> FastRCNN:
    """The light one, for CPUs: MobileNetV2, P3–P5 of 96 channels, 256 units, 416 pixels."""
    backbone = MobileNetV2()
    encoder = Encoder(backbone, FPN(backbone.channels[1:], 96))
    head = MeasuredHead(
        RegionPooling(method=pooling, levels=3), TwoLayers(96, hidden=256), 256, len(classes)
    )
    preparation = Preparation(shorter=None, longer=416)
    return _laid_out(
        FastRCNN(classes, encoder, head, preparation, SelectiveSearch(limit=PROPOSALS)), layers
    )
