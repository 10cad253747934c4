"""What dense detectors ask of their answers: a criterion, and what several criteria share.

Key of shapes: B images, A anchors an image, M positive ones of all images, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline import boxes as bx
from sightline.detectors.losses import row_weights
from sightline.errors import UsageError
from sightline.matching import Match, objects_of
from sightline.types import Scored, Targets


@dataclass(frozen=True)
class Answers:
    """What a head said of a batch, with the anchors it said it of."""

    logits: Float[Tensor, "B A K"]
    offsets: Float[Tensor, "B A 4"]
    anchors: Float[Tensor, "A 4"]
    level: Int[Tensor, "A"]


@runtime_checkable
class Criterion(Protocol):
    """What a head should have said: losses by part."""

    def __call__(
        self, answers: Answers, targets: Sequence[Targets], teacher: Scored | None
    ) -> dict[str, Tensor]:
        """Losses of a batch, each normalised."""
        ...


@dataclass(frozen=True)
class Assigned:
    """Who answers for what: the object of every anchor as matchers tell it, and the positives'
    image, anchor, true box and label.
    """

    matched: Int[Tensor, "B A"]
    image: Int[Tensor, "M"]
    anchor: Int[Tensor, "M"]
    goals: Float[Tensor, "M 4"]
    labels: Int[Tensor, "M"]

    def one_hot(self, logits: Float[Tensor, "B A K"]) -> Float[Tensor, "B A K"]:
        """1 where a positive anchor's class stands, 0 elsewhere."""
        wanted = torch.zeros_like(logits)
        wanted[self.image, self.anchor, self.labels] = 1.0
        return wanted

    def weights(self, by_class: Sequence[float] | None) -> Float[Tensor, "B A 1"] | None:
        """What each anchor counts in its classification loss; None where all count once."""
        shape = tuple(self.matched.shape)
        return row_weights(by_class, self.labels, (self.image, self.anchor), shape)


def assign(answers: Answers, targets: Sequence[Targets], matcher: Match) -> Assigned:
    """Match every image's anchors to its objects."""
    matched = torch.stack([matcher(answers.anchors, answers.level, t) for t in targets])
    image, anchor = (matched >= 0).nonzero(as_tuple=True)
    return Assigned(matched, image, anchor, *objects_of(targets, image, matched[image, anchor]))


BoxLoss = Literal["l1", "giou"]
"""RetinaNet's L1 on the offsets, or 2 · (1 − GIoU) on the boxes (Rezatofighi 2019)."""


def box_loss(answers: Answers, assigned: Assigned, kind: BoxLoss) -> Float[Tensor, ""]:
    """The sum over the positives."""
    offsets = answers.offsets[assigned.image, assigned.anchor]
    anchors = answers.anchors[assigned.anchor]
    if kind == "l1":
        return F.l1_loss(offsets, bx.encode(assigned.goals, anchors), reduction="sum")
    return 2 * (1 - bx.giou(bx.decode(offsets, anchors), assigned.goals)).sum()


def refuse_teacher(teacher: Scored | None, criterion: object) -> None:
    """UsageError (`train.teacher`) where a criterion without a lesson is given a teacher."""
    if teacher is not None:
        raise UsageError(
            f"{type(criterion).__name__} has no lesson to take from a teacher",
            code="train.teacher",
            hint="leave the teacher out, or train the light RetinaNet with loss 'quality'",
        )
