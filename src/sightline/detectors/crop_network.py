"""The network that sees one warped region at a time, and how it is fine-tuned.

R-CNN (Girshick 2014), sections 2.1 and 2.3. Key of shapes: B images, R regions, S sampled regions,
D features, G numbers of cells, L classes and background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.detectors.losses import normaliser
from sightline.matching import BACKGROUND, IouMatcher, Sampler, objects_of, sampled
from sightline.nets.blocks import ready
from sightline.ops.region_warp import region_warp
from sightline.types import Batch, Regions, Targets

CHUNK = 64
"""So many warped regions go through the network at once."""


@dataclass(frozen=True)
class Warp:
    """A region becomes `size` × `size` pixels, `context` of them around it (appendix A)."""

    size: int = 227
    context: int = 16


class CropNetwork(nn.Module):
    """The network that sees one warped region at a time.

    `pool` makes `bins` × `bins` cells of the backbone's last map (pool5), `layers` features of
    these; None where the cells are the features.
    """

    def __init__(
        self, backbone: nn.Module, pool: nn.Module, layers: nn.Module | None, bins: int, warp: Warp
    ) -> None:
        super().__init__()
        self.backbone, self.pool, self.layers, self.warp = backbone, pool, layers, warp
        channels: tuple[int, ...] = backbone.channels  # type: ignore[assignment]
        self.cells = channels[-1] * bins**2
        self.width: int = self.cells if layers is None else layers.width  # type: ignore[assignment]

    def forward(
        self, pixels: Float[Tensor, "B 3 H W"], boxes: Float[Tensor, "R 4"], image: Int[Tensor, "R"]
    ) -> tuple[Float[Tensor, "R D"], Float[Tensor, "R G"]]:
        """Features and cells of the regions `boxes`, each of its `image`."""
        if len(boxes) == 0:
            return pixels.new_zeros(0, self.width), pixels.new_zeros(0, self.cells)
        crops = region_warp(pixels, boxes, image, self.warp.size, self.warp.context)
        x = self.pool(self.backbone(ready(crops, self.backbone))[-1].float())
        cells = x.flatten(1)
        if self.layers is None:
            return cells, cells
        return self.layers(ready(x, self.layers)).float(), cells

    @torch.no_grad()
    def describe(
        self, batch: Batch, regions: Regions
    ) -> tuple[Float[Tensor, "R D"], Float[Tensor, "R G"]]:
        """`forward` for all regions of a batch, some at a time; no gradient passes.

        Each image by itself, so that its numbers do not depend on its neighbours.
        """
        rows, features, cells = [], [], []
        for index in range(len(batch)):
            own = (regions.image == index).nonzero()[:, 0]
            for start in range(0, len(own), CHUNK):
                some = own[start : start + CHUNK]
                seen = self(batch.pixels, regions.boxes[some], regions.image[some])
                rows.append(some)
                features.append(seen[0])
                cells.append(seen[1])
        if not rows:
            empty = self(batch.pixels, regions.boxes, regions.image)
            return empty[0], empty[1]
        back = torch.cat(rows).argsort()
        return torch.cat(features)[back], torch.cat(cells)[back]


@dataclass(frozen=True)
class FineTuning:
    """Softmax cross-entropy over N + 1 classes of a sample of the regions (section 2.3).

    A mini-batch has `count` regions, up to a share `positive` with an IoU of at least 0.5 with an
    object, the others background. `weights` is what a region counts that answers for an object of
    each class (None: 1).
    """

    matcher: IouMatcher = IouMatcher(0.5, 0.5, best_too=False)
    count: int = 128
    positive: float = 0.25
    weights: tuple[float, ...] | None = None

    def chosen(
        self,
        regions: Regions,
        targets: Sequence[Targets],
        pixels: Float[Tensor, "B 3 H W"],
        classes: int,
        salt: int,
    ) -> tuple[Regions, Int[Tensor, "S"]]:
        """The sampled regions of a batch, and the class of each; background is `classes`."""
        sampler = Sampler(max(1, self.count // len(targets)), self.positive)
        chosen, owner = sampled(regions, targets, pixels, self.matcher, sampler, salt)
        rows = (owner != BACKGROUND).nonzero()[:, 0]
        wanted = torch.full_like(owner, classes)
        _, wanted[rows] = objects_of(targets, chosen.image[rows], owner[rows])
        return chosen, wanted

    def __call__(self, logits: Float[Tensor, "S L"], wanted: Int[Tensor, "S"]) -> dict[str, Tensor]:
        """The mean over the sampled regions."""
        weights = None
        if self.weights is not None:
            weights = torch.tensor([*self.weights, 1.0], device=logits.device)
        entropy = F.cross_entropy(logits, wanted, weights, reduction="sum")
        return {"classification": entropy / normaliser(wanted.new_tensor(len(wanted)))}
