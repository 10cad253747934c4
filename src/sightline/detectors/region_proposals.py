"""The region proposal network (Ren 2015, section 3.1): where there may be an object, of any class.

A detector of one class, "object": at every cell of a map a few anchors are judged and moved. Its
answers are another detector's regions, and both read the same maps.

Key of shapes: B images, A anchors an image, C channels, H W cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.anchors import AnchorGrid
from sightline.detectors.anchored import Anchored
from sightline.detectors.losses import normaliser
from sightline.matching import IGNORED, IouMatcher, Sampler
from sightline.preparation import Preparation
from sightline.suppress import Selection
from sightline.types import Batch, Features, Regions, Scored, Targets

TO_TRAIN = Selection(score=0.0, iou=0.7, limit=2000, per_level=2000, by_level=True, min_size=1e-3)
"""Which proposals are learnt from."""

TO_TEST = replace(TO_TRAIN, limit=1000, per_level=1000)
"""Which are looked at afterwards, with a pyramid; the paper takes 300."""


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


class RegionProposalNetwork(Anchored):
    """A detector of one class, "object", over the encoder that the second stage reads too."""

    def __init__(
        self,
        encoder: nn.Module,
        head: ProposalHead,
        anchors: AnchorGrid,
        preparation: Preparation,
        criterion: ProposalCriterion = ProposalCriterion(),
        selection: Selection = TO_TEST,
    ) -> None:
        super().__init__(("object",), encoder, anchors, preparation, selection)
        self.head, self.criterion = head, criterion

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """How much each anchor looks like an object, and each moved by its offsets."""
        return self._scored(regions, *self.head(features))

    def _scored(self, regions: Regions, logits: Tensor, offsets: Tensor) -> Scored:
        boxes = bx.decode(offsets.flatten(0, 1), regions.boxes)
        return Scored(regions, logits.flatten()[:, None].sigmoid(), boxes)

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
        return losses, self._scored(regions, logits.detach(), offsets.detach())
