"""What judges a region (Girshick 2015, section 2): pooling, layers, and two outputs.

The second stage of Fast R-CNN and of all that came after it: every region is pooled from the maps
to a fixed size and goes through two layers to a class (softmax, with one column for background) and
to a box of each class. Both are learnt together: L = L_cls + [u ≥ 1] L_loc (section 2.3).

Pooling reads one map or, by the rule of the feature pyramid network (Lin 2017, eq. 1), the level
that suits a region's size; it is RoIAlign, or the paper's RoIPool.

Key of shapes: B images, R regions, S sampled ones, K classes, C channels, h w bins, D features.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.detectors.losses import normaliser
from sightline.matching import BACKGROUND, IGNORED, IouMatcher, Sampler, objects_of, sampled
from sightline.ops.roi_align import roi_align
from sightline.ops.roi_pool import roi_pool
from sightline.types import Features, Regions, Size, Targets

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""What offsets are multiplied with, so that they have about unit variance (R-CNN's code)."""

Encode = Callable[[Tensor, Tensor], Tensor]
"""From true boxes (S, 4) and the regions that answer for them (S, 4) to offsets (S, 4)."""

Pooling = Literal["align", "pool"]
"""RoIAlign or RoIPool."""


@dataclass(frozen=True)
class RegionPooling:
    """From maps and regions to `size` bins each, by RoIAlign or RoIPool.

    A region of width w and height h is read from level ⌊4 + log₂(√(wh) / 224)⌋, where level l has a
    stride of 2^l pixels, or from the nearest that there is; `levels` are how many maps are used,
    finest first. `sampling` and `aligned` are RoIAlign's.
    """

    size: tuple[int, int] = (7, 7)
    method: Pooling = "align"
    sampling: int = 2
    aligned: bool = False
    levels: int = 4

    def level(self, boxes: Float[Tensor, "R 4"], finest: int, levels: int) -> Int[Tensor, "R"]:
        """Which of `levels` maps each region is read from; the first one's stride is 2^finest."""
        side = bx.area(boxes).sqrt()
        exact = 4 + torch.log2(side / 224 + 1e-12) + 1e-6  # as the published networks round it
        return (exact.floor() - finest).clamp(0, levels - 1).long()

    def __call__(self, features: Features, regions: Regions, image: Size) -> Tensor:
        """(R, C, h, w), channels last in memory, for a batch whose prepared size is `image`."""
        maps = features[: self.levels]
        scales = [2.0 ** round(math.log2(x.shape[-2] / image[0])) for x in maps]
        if len(maps) == 1:
            return self._read(maps[0], regions.boxes, regions.image, scales[0])
        level = self.level(regions.boxes, round(-math.log2(scales[0])), len(maps))
        rows = [(level == number).nonzero()[:, 0] for number in range(len(maps))]
        parts = [
            self._read(x, regions.boxes[own], regions.image[own], scale)
            for x, own, scale in zip(maps, rows, scales, strict=True)
        ]
        back = torch.cat(rows).argsort()
        return torch.cat([part.permute(0, 2, 3, 1) for part in parts])[back].permute(0, 3, 1, 2)

    def _read(self, maps: Tensor, boxes: Tensor, image: Tensor, scale: float) -> Tensor:
        if self.method == "pool":
            return roi_pool(maps, boxes, image, self.size, scale)
        return roi_align(maps, boxes, image, self.size, scale, self.sampling, self.aligned)


class TwoLayers(nn.Module):
    """fc6 and fc7 of `hidden` units each (Lin 2017, section 4.2), on bins with channels last.

    With `thin`, a 1×1 convolution first leaves so many channels: most weights are those of fc6
    (Light-Head R-CNN, Li 2017).
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int] = (7, 7),
        hidden: int = 1024,
        thin: int | None = None,
    ) -> None:
        super().__init__()
        self.width = hidden
        self.thin = nn.Identity() if thin is None else nn.Conv2d(channels, thin, 1)
        self.fc6 = nn.Linear((thin or channels) * size[0] * size[1], hidden)
        self.fc7 = nn.Linear(hidden, hidden)

    def forward(self, x: Float[Tensor, "R C h w"]) -> Float[Tensor, "R D"]:
        """Features of each region."""
        x = F.relu(self.fc6(self.thin(x).permute(0, 2, 3, 1).flatten(1)))
        y: Tensor = F.relu(self.fc7(x))
        return y


class RegionHead(nn.Module):
    """Pooling, layers, and the two outputs: K + 1 class logits (background last), K boxes."""

    def __init__(self, pooling: RegionPooling, layers: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.pooling, self.layers = pooling, layers
        self.class_logits = nn.Linear(width, classes + 1)
        self.box_offsets = nn.Linear(width, classes * 4)
        for layer, spread in ((self.class_logits, 0.01), (self.box_offsets, 0.001)):
            nn.init.normal_(layer.weight, std=spread)
            nn.init.zeros_(layer.bias)

    def forward(
        self, features: Features, regions: Regions, image: Size
    ) -> tuple[Float[Tensor, "R L"], Float[Tensor, "R K 4"]]:
        """Logits and offsets of every region of a batch of prepared size `image`."""
        x = self.layers(self.pooling(features, regions, image).to(features[0].dtype))
        offsets: Tensor = self.box_offsets(x).float()
        return self.class_logits(x).float(), offsets.view(len(offsets), offsets.shape[1] // 4, 4)

    def decode(self, offsets: Float[Tensor, "R K 4"], regions: Regions) -> Float[Tensor, "R K 4"]:
        """The box that each class would have of each region."""
        return bx.decode(offsets, regions.boxes[:, None].expand_as(offsets), WEIGHTS)


def usual_offsets(goals: Float[Tensor, "S 4"], boxes: Float[Tensor, "S 4"]) -> Tensor:
    """R-CNN's offsets of `goals` from `boxes`, times `WEIGHTS`."""
    return bx.encode(goals, boxes, WEIGHTS)


@dataclass(frozen=True)
class RegionCriterion:
    """Softmax cross-entropy, and smooth L1 on the true class's box, over a sample of the regions.

    Both are sums over the batch by the number of sampled regions. `beta` is where smooth L1 turns
    into L1. `weights` is what a region counts in the first that answers for an object of each class
    (None: 1). Where an image has objects, background overlaps one of them by an IoU of `near` or
    more: easy background is not learnt from (Girshick 2015, section 2.3, "mini-batch sampling").
    """

    matcher: IouMatcher = IouMatcher(0.5, 0.5, best_too=False)
    sampler: Sampler = Sampler(512, 0.25)
    beta: float = 1 / 9
    weights: tuple[float, ...] | None = None
    near: float = 0.0

    def chosen(
        self,
        regions: Regions,
        targets: Sequence[Targets],
        pixels: Float[Tensor, "B 3 H W"],
        salt: int = 1,
    ) -> tuple[Regions, Int[Tensor, "S"]]:
        """The sampled regions of a batch, and which object of its image each answers for.

        The draw depends on an image's pixels and on `salt`.
        """
        return sampled(regions, targets, pixels, self._matched, self.sampler, salt)

    def _matched(self, boxes: Tensor, level: Tensor, truth: Targets) -> Int[Tensor, "R"]:
        """The object of each region of one image; far background is ignored."""
        matched = self.matcher(boxes, level, truth)
        objects = truth.boxes[~truth.crowd]
        if self.near > 0 and len(objects) and len(boxes):
            far = bx.iou(boxes, objects).amax(dim=1) < self.near
            matched = torch.where(far & (matched == BACKGROUND), IGNORED, matched)
        return matched

    def __call__(
        self,
        logits: Float[Tensor, "S L"],
        offsets: Float[Tensor, "S K 4"],
        regions: Regions,
        owner: Int[Tensor, "S"],
        targets: Sequence[Targets],
        encode: Encode = usual_offsets,
    ) -> dict[str, Tensor]:
        """Losses of a batch's sampled regions; `encode` is what offsets are learnt."""
        rows = (owner != BACKGROUND).nonzero()[:, 0]
        goals, labels = objects_of(targets, regions.image[rows], owner[rows])
        wanted = torch.full_like(owner, offsets.shape[1])  # background
        wanted[rows] = labels
        entropy = F.cross_entropy(logits, wanted, reduction="none")
        if self.weights is not None:
            entropy[rows] = entropy[rows] * torch.tensor(self.weights, device=owner.device)[labels]
        true = encode(goals, regions.boxes[rows])
        distance = F.smooth_l1_loss(offsets[rows, labels], true, beta=self.beta, reduction="sum")
        total = normaliser(owner.new_tensor(len(owner)))
        return {"classification": entropy.sum() / total, "box": distance / total}
