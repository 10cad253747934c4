"""Sliding windows with a convolutional network: every window of a few shapes is classified.

Before there were proposals a detector looked through a window, said what is in it, and moved the
window by a few pixels (Dalal 2005; with a network Vaillant 1994, Sermanet 2014): 5 sizes × 3 ratios
at every eighth pixel are 184,320 windows of a 1024 × 768 image. The claim: convolutions do not mind
how large their image is, so one pass over the image computes at once what so many passes over crops
would, and the scores are the same.

A window is cut out with the margin that the network sees around it, the network makes a map of the
crop, the window's cells are averaged in 3 × 3 bins, and a linear classifier of the window's shape
gives a softmax over the classes and background. That is the definition, `classify_windows`. At
once (`classify`): the network makes one map of the image, the classifiers score every cell as if it
were a part of every bin, and the scores are averaged over the bins of every window.

Departures. The network is one trained for ImageNet, fine-tuned with the classifiers. Every shape
has a classifier of its own. The window is the answer: no regression of boxes. Hard negatives are
mined in every step, among all windows of the batch, not between trainings.

Key of shapes: B images, A windows an image, R some of them, L classes and background.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.anchors import every_region
from sightline.detectors.anchored import OnePass
from sightline.detectors.losses import normaliser
from sightline.detectors.windows import WindowGrid, WindowHead
from sightline.errors import UsageError
from sightline.matching import BACKGROUND, IGNORED, IouMatcher, Sampler
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import Stack
from sightline.nets.reach import reach
from sightline.ops.candidates import best_of_each
from sightline.preparation import Preparation
from sightline.suppress import Selection
from sightline.types import Batch, Features, Regions, Scored, Size, Targets


@dataclass(frozen=True)
class WindowCriterion:
    """Softmax cross-entropy over a sample of the windows, hard negatives among them.

    A window's class is that of the object it overlaps most, from an IoU of 0.5 on, else background;
    windows are cut at the border before they are compared. Of every image three kinds are learnt
    from. Of each object's windows the `best` that overlap it most: all others would teach that half
    an object is as good as a whole. Of background the `hard` that look least like it now: the false
    positives. `sampler` draws the rest. `weights` is what a window counts that answers for an
    object of each class (None: 1).
    """

    matcher: IouMatcher = IouMatcher(0.5, 0.5, best_too=False)
    sampler: Sampler = Sampler(96, 0.5)
    best: int = 16
    hard: int = 32
    weights: tuple[float, ...] | None = None

    def _rows(
        self,
        logits: Float[Tensor, "A L"],
        matched: Int[Tensor, "A"],
        overlap: Float[Tensor, "P"],
        pixels: Float[Tensor, "3 H W"],
    ) -> Int[Tensor, "M"]:
        """The windows of one image to learn from; `overlap` is that of each with its object."""
        rest = matched.clone()
        positive = (matched >= 0).nonzero()[:, 0]
        best = best_of_each(overlap, matched[positive], self.best)
        rest[positive[~best]] = IGNORED
        doubt = -logits.detach().log_softmax(dim=1)[:, -1]
        doubt = doubt.masked_fill(matched != BACKGROUND, -1.0)
        mined = doubt.topk(min(self.hard, len(doubt))).indices
        mined = mined[matched[mined] == BACKGROUND]
        rest[mined] = IGNORED
        return torch.cat([self.sampler(rest, pixels), mined])

    def __call__(
        self,
        logits: Float[Tensor, "B A L"],
        windows: Float[Tensor, "A 4"],
        level: Int[Tensor, "A"],
        batch: Batch,
        targets: Sequence[Targets],
    ) -> dict[str, Tensor]:
        """The sum over the batch by the number of sampled windows."""
        loss, count = logits.sum() * 0, 0
        for index, truth in enumerate(targets):
            cut = bx.clip(windows, batch.frames[index].resized)
            matched = self.matcher(cut, level, truth)
            found = matched >= 0
            overlap = bx.iou_pairs(cut[found], truth.boxes[matched[found]])
            rows = self._rows(logits[index], matched, overlap, batch.pixels[index])
            owner = matched[rows]
            wanted = torch.full_like(owner, logits.shape[2] - 1)  # background
            own = (owner >= 0).nonzero()[:, 0]
            wanted[own] = truth.labels[owner[own]]
            entropy = F.cross_entropy(logits[index, rows], wanted, reduction="none")
            if self.weights is not None:
                each = torch.ones_like(entropy)
                each[own] = torch.tensor(self.weights, device=each.device)[wanted[own]]
                entropy = entropy * each
            loss, count = loss + entropy.sum(), count + len(rows)
        return {"classification": loss / normaliser(logits.new_tensor(float(count)))}


class WindowCNN(OnePass):
    """Every window is a region; its shape is its level, its box the answer."""

    encoder: Stack

    def __init__(
        self,
        classes: Sequence[str],
        encoder: Stack,
        windows: WindowGrid,
        head: WindowHead,
        preparation: Preparation,
        criterion: WindowCriterion,
        selection: Selection,
    ) -> None:
        super().__init__(classes, encoder, preparation, selection)
        self.windows, self.head, self.criterion = windows, head, criterion

    def propose(self, batch: Batch, features: Features) -> Regions:
        """Every window of every shape."""
        boxes, level = self.windows.boxes((features[0].shape[2], features[0].shape[3]))
        return every_region(boxes, level, len(batch)).to(batch.pixels.device)

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """All windows in one fully convolutional pass; `regions` are those of `propose`."""
        logits = self.head(features[0]).flatten(0, 1)
        return Scored(regions, logits.softmax(dim=1)[:, :-1], regions.boxes)

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """What is to be minimised. Images without objects are welcome."""
        cells = self.encode(batch)[0]
        windows, level = self.windows.boxes((cells.shape[2], cells.shape[3]))
        device = cells.device
        logits = self.head(cells)
        return self.criterion(logits, windows.to(device), level.to(device), batch, targets)

    @torch.no_grad()
    def classify_windows(self, batch: Batch, regions: Regions, at_once: int = 1) -> Scored:
        """The definition of `classify`: cut out every window, run the network on the crop alone.

        Crops reach as far around their window as the network sees, begin and end at multiples of
        its coarsest stride, and end where the image does. Those of one shape have one size, so that
        `at_once` of them can share a batch. Rows are those of `regions`, any of `propose`'s. Raises
        UsageError (usage.out_of_range) unless `at_once` is 1 or more.
        """
        if at_once < 1:
            raise UsageError(f"at_once is {at_once}, not 1 or more", code="usage.out_of_range")
        logits = batch.pixels.new_zeros(len(regions), len(self.classes) + 1)
        corner, stride = regions.boxes[:, :2].round().long(), self.windows.stride
        for number in range(len(self.windows.shapes)):
            rows = (regions.level == number).nonzero()[:, 0]
            for start in range(0, len(rows), at_once):
                some = rows[start : start + at_once]
                starts, size = self._crops(corner[some], number, batch.size)
                crops = [
                    batch.pixels[image, :, y : y + size[0], x : x + size[1]]
                    for image, (x, y) in zip(
                        regions.image[some].tolist(), starts.tolist(), strict=True
                    )
                ]
                cells = self.encoder(torch.stack(crops))[0]
                for row, one, (x, y) in zip(
                    some,
                    cells,
                    (corner[some] - starts).div(stride, rounding_mode="floor"),
                    strict=True,
                ):
                    logits[row] = self.head.of_shape(one[None], number, y[None], x[None]).flatten()
        return Scored(regions, logits.softmax(dim=1)[:, :-1], regions.boxes)

    def _crops(
        self, corners: Int[Tensor, "R 2"], number: int, image: Size
    ) -> tuple[Int[Tensor, "R 2"], Size]:
        """Where the crops of windows of one shape begin (x, y), and their size, all in pixels."""
        align, stride = self.encoder.coarsest, self.windows.stride
        size, starts = [], []
        for axis, side in enumerate(self.windows.shapes[number]):
            seen = side * stride + 2 * self.margin + align - stride
            length = min(-(-seen // align) * align, image[axis])
            first = (corners[:, 1 - axis] - self.margin).div(align, rounding_mode="floor") * align
            starts.append(first.clamp(0, image[axis] - length))
            size.append(length)
        return torch.stack([starts[1], starts[0]], dim=1), (size[0], size[1])

    @functools.cached_property
    def margin(self) -> int:
        """How many pixels around a window can change its score."""
        return reach(self.encoder, self.encoder.stride, self.encoder.coarsest)


def window_cnn(classes: Sequence[str], backbone: nn.Module, strides: Sequence[int]) -> WindowCNN:
    """Windows on the maps of any backbone: 5 sizes × 3 ratios, 320 pixels."""
    windows = WindowGrid()
    encoder = Stack(backbone, strides)
    return WindowCNN(
        classes,
        encoder,
        windows,
        WindowHead(encoder.channels, len(classes), windows.shapes),
        Preparation(shorter=None, longer=320),
        WindowCriterion(),
        Selection(score=0.05, iou=0.3, limit=100, per_level=300),
    )


def window_cnn_mobilenet_v2(classes: Sequence[str]) -> WindowCNN:
    """The light one, for CPUs: MobileNetV2 at strides 8 and 16."""
    return window_cnn(classes, MobileNetV2(), (8, 16))
