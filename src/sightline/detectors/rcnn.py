"""R-CNN: regions with CNN features (Girshick 2014, "Rich feature hierarchies").

Some two thousand regions are proposed without knowing any class; each is warped to a square and
goes through a network that was trained to classify whole images; a linear machine a class judges
its features, and a regression a class moves its box. Where labelled boxes are few, features learnt
on millions of other images make the difference, and fine-tuning them to warped regions some more.

Learnt in three steps: `loss` fine-tunes the network as a classifier of regions (section 2.3), then
`fit` trains the machines and the regressions on its features, which are computed once.

Departures. Large regions are averaged when they are warped, the paper's are sampled. λ does not
weigh on the bias of the regressions. The light builders warp to 112 pixels, take the network's last
map in 3 × 3 cells for both kinds of features, 16 + 48 regions a mini-batch, and ten times the C.

`classifier` of the builders is a switch: "svm" (margins) or "softmax" (the fine-tuned classifier's
probabilities), and so is `regression`: "ridge", or "none" for boxes as they were proposed.

Key of shapes: B images, R regions, K classes, D features, G numbers of cells, S warped pixels.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sightline import boxes as bx
from sightline.detectors.box_ridge import RidgeTraining, train_ridges
from sightline.detectors.crop_network import CropNetwork, FineTuning, Warp
from sightline.detectors.linear_machine import NEVER
from sightline.detectors.proposal_store import ProposalStore, Proposer, batch_regions
from sightline.detectors.region_features import Book, FeatureStore, Page, digest
from sightline.detectors.region_svms import SvmTraining, train_svms
from sightline.detectors.selective_search import SelectiveSearch
from sightline.fitting import Desk, Samples
from sightline.matching import with_truth
from sightline.nets.alexnet import AlexNet, AlexNetLayers
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.squeezenet import SqueezeNet
from sightline.preparation import Preparation
from sightline.progress import bar
from sightline.suppress import Selection, select
from sightline.types import Batch, Detections, Features, Regions, Scored, Targets

Classifier = Literal["svm", "softmax"]
Regression = Literal["ridge", "none"]

MARGINS = Selection(score=-1.0, iou=0.3, limit=100, per_level=None)
"""What stays of margins: all that the machines do not surely deny; then NMS at 0.3."""

PROBABILITIES = replace(MARGINS, score=0.01)


@dataclass(frozen=True)
class Steps:
    """How regions are judged, and how that is learnt."""

    classifier: Classifier = "svm"
    regression: Regression = "ridge"
    svm: SvmTraining = SvmTraining()
    ridge: RidgeTraining = RidgeTraining()


class RCNN(nn.Module):
    """A detector that looks at each region by itself. Until `fit`, its machines never answer.

    `store` keeps what was searched: give it a folder to search every picture once only. Weights and
    biases of the machines and of the regressions are for features and cells as the
    network gives them.
    """

    searches = True
    svm_weight: Tensor
    svm_bias: Tensor
    ridge_weight: Tensor
    ridge_bias: Tensor
    draws: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        encoder: CropNetwork,
        proposer: Proposer,
        preparation: Preparation,
        steps: Steps,
        criterion: FineTuning,
        selection: Selection,
    ) -> None:
        super().__init__()
        self.classes, self.encoder, self.proposer = tuple(classes), encoder, proposer
        self.preparation, self.steps = preparation, steps
        self.criterion, self.selection = criterion, selection
        self.store = ProposalStore()
        count = len(self.classes)
        self.class_logits = nn.Linear(encoder.width, count + 1)
        nn.init.normal_(self.class_logits.weight, std=0.01)
        nn.init.zeros_(self.class_logits.bias)
        self.register_buffer("svm_weight", torch.zeros(count, encoder.width))
        self.register_buffer("svm_bias", torch.full((count,), NEVER))
        self.register_buffer("ridge_weight", torch.zeros(count, 4, encoder.cells))
        self.register_buffer("ridge_bias", torch.zeros(count, 4))
        self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    @property
    def scores_are_margins(self) -> bool:
        """Those of the machines are, those of the softmax are probabilities."""
        return self.steps.classifier == "svm"

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """Resize and normalise images of one size."""
        return self.preparation(images)

    def encode(self, batch: Batch) -> Features:
        """The pixels: regions are cut out of the image itself."""
        return (batch.pixels,)

    def propose(self, batch: Batch, features: Features) -> Regions:
        """What the search finds in the prepared pixels, or found in them before; best first."""

        def find(image: Tensor) -> Tensor:
            return self.store.boxes(image, self.proposer.search, self.proposer.method)

        return batch_regions(batch, self.preparation, find)

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """The network's answer for each warped region, judged and moved."""
        return self.judge(regions, *self.encoder.describe(batch, regions))

    def judge(
        self, regions: Regions, features: Float[Tensor, "R D"], cells: Float[Tensor, "R G"]
    ) -> Scored:
        """Margins or probabilities from features, and the box of each class from cells."""
        if self.steps.classifier == "svm":
            scores = features @ self.svm_weight.T + self.svm_bias
        else:
            scores = self.class_logits(features).softmax(dim=1)[:, :-1]
        if self.steps.regression == "none":
            return Scored(regions, scores, regions.boxes)
        offsets = (cells @ self.ridge_weight.flatten(0, 1).T).view(len(cells), len(self.classes), 4)
        proposed = regions.boxes[:, None].expand_as(offsets)
        return Scored(regions, scores, bx.decode(offsets + self.ridge_bias, proposed))

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """The threshold, then NMS class by class."""
        return select(scored, batch, self.selection, self.classes)

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Fine-tuning: which class a sample of the proposals and the true boxes are.

        In training every call draws anew, so that an image teaches by other regions each time.
        """
        regions = with_truth(self.propose(batch, ()), targets)
        if self.training:
            self.draws += 1
        chosen, wanted = self.criterion.chosen(
            regions, targets, batch.pixels, len(self.classes), int(self.draws)
        )
        features, _ = self.encoder(batch.pixels, chosen.boxes, chosen.image)
        return self.criterion(self.class_logits(features).float(), wanted)

    def prime(self, samples: Samples, desk: Desk) -> None:
        """Keep what is searched in training on the desk."""
        if desk.folder is not None and self.store.folder is None:
            self.store = ProposalStore(desk.folder / "proposals")

    @torch.no_grad()
    def fit(self, samples: Samples, desk: Desk) -> None:
        """Train machines and regressions on the features of all images, which `desk.folder` keeps.

        Nothing is done for a classifier and a regression that have nothing to learn. Raises
        `Paused` through `desk.pause`, and ResourceError where features cannot be written.
        """
        if self.steps.classifier == "softmax" and self.steps.regression == "none":
            return
        if len(samples) == 0:
            desk.say("no images to learn from, so no answer")
            return
        with ExitStack() as held:
            folder = desk.folder
            if folder is None:
                folder = Path(held.enter_context(TemporaryDirectory(prefix="sightline-")))
            book = self._write_book(samples, desk, folder)
            if self.steps.classifier == "svm":
                weight, bias = train_svms(book, self.classes, desk, self.steps.svm)
                self.svm_weight.copy_(weight)
                self.svm_bias.copy_(bias)
            if self.steps.regression == "ridge":
                weight, bias = train_ridges(book, self.classes, desk, self.steps.ridge)
                self.ridge_weight.copy_(weight)
                self.ridge_bias.copy_(bias)

    def _write_book(self, samples: Samples, desk: Desk, folder: Path) -> Book:
        """The features of all images: those that are on the disk already are not computed again."""
        state = [value for _, value in sorted(self.encoder.state_dict().items())]
        numbers = (self.encoder.warp, self.preparation, self.proposer.method, self.steps.ridge.near)
        store = FeatureStore(folder / "features", digest(repr(numbers), *state))
        paths, truths = [], []
        training, proposals = self.training, self.store
        self.eval()
        self.store = ProposalStore(folder / "proposals")
        try:
            with bar(len(samples), "features") as shown:
                for index in range(len(samples)):
                    desk.pause()
                    path, truth = self._written(store, *samples[index])
                    paths.append(path)
                    truths.append(truth)
                    shown.advance()
        finally:
            self.train(training)
            self.store = proposals
        desk.say(f"features of {len(paths):,} images, {store.computed:,} of them computed now")
        return Book(paths, truths)

    def _written(
        self, store: FeatureStore, image: UInt8[Tensor, "3 H W"], truth: Targets
    ) -> tuple[Path, Targets]:
        """The file of one image's page, and its objects in prepared pixels."""
        batch = self.prepare([image.to(self.svm_bias.device)])
        boxes = batch.frames[0].to_prepared(truth.boxes.float())
        moved = Targets(boxes, truth.labels, truth.crowd)
        name = digest(image, boxes, truth.labels, truth.crowd)
        return store.page(name, moved, lambda: self._page(batch, moved)), moved

    def _page(self, batch: Batch, truth: Targets) -> Page:
        """One image's proposals and true boxes, and what the network says of them."""
        regions = with_truth(self.propose(batch, ()), [truth.to(batch.pixels.device)])
        features, cells = (x.cpu() for x in self.encoder.describe(batch, regions))
        boxes, objects = regions.boxes.cpu(), truth.boxes[~truth.crowd]
        overlap = bx.iou(boxes[: len(boxes) - len(objects)], objects)
        near = (overlap >= self.steps.ridge.near).any(dim=1).nonzero()[:, 0]
        return Page(boxes, features, near, cells[near], truth)


FEW_OBJECTS = SvmTraining(cost=1e-2)
"""A machine of some hundred objects instead of thousands: the same sum of costs or so."""


def _light(classes: Sequence[str], backbone: nn.Module, steps: Steps) -> RCNN:
    """Without layers of its own: 3 × 3 cells of the backbone's last map are the features."""
    network = CropNetwork(backbone, nn.AdaptiveAvgPool2d(3), None, 3, Warp(112, 8))
    steps = replace(steps, svm=FEW_OBJECTS)
    return _built(classes, network, (500, 400), steps, FineTuning(count=64))


def _built(
    classes: Sequence[str],
    network: CropNetwork,
    sizes: tuple[int, int],
    steps: Steps,
    criterion: FineTuning,
) -> RCNN:
    """R-CNN around a network: sizes[0] proposals an image of sizes[1] pixels at most."""
    limit, longer = sizes
    preparation = Preparation(shorter=None, longer=longer, divisor=1, enlarge=False)
    selection = MARGINS if steps.classifier == "svm" else PROBABILITIES
    proposer = SelectiveSearch(limit=limit)
    return RCNN(classes, network, proposer, preparation, steps, criterion, selection)


def rcnn_alexnet(
    classes: Sequence[str], classifier: Classifier = "svm", regression: Regression = "ridge"
) -> RCNN:
    """The paper's: AlexNet, 227 pixels, pool5 and fc7, 2,000 proposals of 500-pixel images."""
    network = CropNetwork(AlexNet(), nn.MaxPool2d(3, 2), AlexNetLayers(), 6, Warp())
    return _built(classes, network, (2000, 500), Steps(classifier, regression), FineTuning())


def rcnn_squeezenet(
    classes: Sequence[str], classifier: Classifier = "svm", regression: Regression = "ridge"
) -> RCNN:
    """A light one: SqueezeNet 1.1, 112 pixels, 3 × 3 cells, 500 proposals of 400-pixel images."""
    return _light(classes, SqueezeNet(), Steps(classifier, regression))


def rcnn_mobilenet_v2(
    classes: Sequence[str], classifier: Classifier = "svm", regression: Regression = "ridge"
) -> RCNN:
    """A light one: MobileNetV2, 112 pixels, 3 × 3 cells, 500 proposals of 400-pixel images."""
    return _light(classes, MobileNetV2(), Steps(classifier, regression))
