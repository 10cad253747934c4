"""OHEM: Training Region-based Object Detectors with Online Hard Example Mining (Shrivastava 2016).

Instead of weighing all examples, learn from the hardest alone: every example is scored by its loss,
of those that overlap the hardest stays, and a mini-batch is made of the hardest that are left.
Easy examples count nothing at all. This is what the focal loss was measured against (Lin 2017,
section 5.1, table 1d: 128, 256 or 512 examples, NMS at 0.5 or 0.7, and a variant with three
negatives for every positive).

Departures: an example is an anchor with all its classes, its place the box that it predicts; the
mini-batch is one of every image, so that images learn the same in any batch; boxes are learnt at
all positive anchors, as with the losses that it is compared to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.detectors.dense import Answers, BoxLoss, assign, box_loss, refuse_teacher
from sightline.detectors.losses import normaliser
from sightline.matching import IGNORED, AtssMatcher, Match
from sightline.ops.nms import nms
from sightline.types import Scored, Targets


@dataclass(frozen=True)
class HardExamples:
    """Cross-entropy of the `count` hardest examples an image, the mean over these.

    Examples that overlap a harder one by more than `iou` are passed over. `negatives`: so many for
    every positive, at most `count` in all; None takes the hardest, whatever they are. `weights` is
    what an anchor counts that answers for an object of each class; None is 1.
    """

    matcher: Match = AtssMatcher()
    count: int = 128
    iou: float = 0.5
    negatives: int | None = None
    box: BoxLoss = "giou"
    weights: tuple[float, ...] | None = None

    def __call__(
        self, answers: Answers, targets: Sequence[Targets], teacher: Scored | None = None
    ) -> dict[str, Tensor]:
        """The mean over the batch's examples, and the boxes' sum by its positive anchors."""
        refuse_teacher(teacher, self)
        assigned = assign(answers, targets, self.matcher)
        matched, logits = assigned.matched, answers.logits
        entropy = F.binary_cross_entropy_with_logits(
            logits, assigned.one_hot(logits), reduction="none"
        )
        loss, places = entropy.detach().sum(dim=2), answers.offsets.detach()
        taken = ~loss.isfinite() & (matched > IGNORED)  # NMS drops these: they must be seen
        for row, found in enumerate(matched):
            boxes = bx.decode(places[row], answers.anchors)
            taken[row, self.hardest(loss[row], boxes, found)] = True
        weight = assigned.weights(self.weights)
        entropy = entropy if weight is None else entropy * weight
        return {
            "classification": entropy[taken].sum() / normaliser(taken.sum()),
            "box": box_loss(answers, assigned, self.box) / normaliser((matched >= 0).sum()),
        }

    def hardest(
        self, loss: Float[Tensor, "A"], boxes: Float[Tensor, "A 4"], matched: Int[Tensor, "A"]
    ) -> Int[Tensor, "S"]:
        """The rows of one image's mini-batch, hardest first, positives before negatives where
        their ratio is given; equal losses go by row.

        Where there is no positive, there are as many negatives as for one.
        """
        rows = (matched > IGNORED).nonzero()[:, 0]
        limit = self.count if self.negatives is None else None
        kept = rows[nms(boxes[rows].cpu(), loss[rows].cpu(), self.iou, limit).to(rows.device)]
        if self.negatives is None:
            return kept
        positive = kept[matched[kept] >= 0][: self.count // (1 + self.negatives)]
        wanted = self.negatives * max(1, len(positive))
        return torch.cat([positive, kept[matched[kept] < 0][:wanted]])
