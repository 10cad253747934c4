"""Generalized Focal Loss: a score that says how good its box is (Li 2020).

The class target of a positive anchor is no 1, but the IoU that its predicted box reaches: score
and localisation are one number, by which answers are then ranked.

Departures: boxes are learnt by GIoU, not as distributions. With a teacher, its answers on the
student's own cells are a second target.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sightline import boxes as bx
from sightline.detectors.dense import Answers, assign
from sightline.detectors.losses import normaliser
from sightline.errors import UsageError
from sightline.matching import BACKGROUND, AtssMatcher
from sightline.ops.quality_focal import quality_focal
from sightline.types import Scored, Targets


@dataclass(frozen=True)
class QualityCriterion:
    """ATSS, quality focal loss, and GIoU weighted by each box's own IoU.

    With a teacher, its scores are a second target of weight `trust` wherever its regions are the
    student's own cells, and its boxes a second goal in proportion to its scores. `weights` is what
    an anchor counts that answers for an object of each class (None: 1), not in a lesson.
    """

    matcher: AtssMatcher = AtssMatcher()
    box_weight: float = 2.0
    trust: float = 0.7
    weights: tuple[float, ...] | None = None

    def __call__(
        self, answers: Answers, targets: Sequence[Targets], teacher: Scored | None = None
    ) -> dict[str, Tensor]:
        """Sums over the batch by its positive anchors. Raises UsageError (`train.teacher`) where
        the teacher's cells are not the student's.
        """
        logits, anchors = answers.logits, answers.anchors
        assigned = assign(answers, targets, self.matcher)
        matched, image, anchor = assigned.matched, assigned.image, assigned.anchor
        found = bx.decode(answers.offsets[image, anchor], anchors[anchor])
        overlap = bx.giou(found, assigned.goals)
        with torch.no_grad():
            quality = bx.iou_pairs(found, assigned.goals)
            wanted = torch.zeros_like(logits)
            wanted[image, anchor, assigned.labels] = quality
            positives, total = normaliser((matched >= 0).sum()), normaliser(quality.sum())
            ignored = matched < BACKGROUND
            if bool(ignored.any()):  # a target that is the score itself asks for nothing
                wanted[ignored] = logits[ignored].sigmoid()
        weight = assigned.weights(self.weights)
        losses = {
            "classification": quality_focal(logits, wanted, weight) / positives,
            "box": self.box_weight * ((1 - overlap) * quality.clamp(min=0.1)).sum() / total,
        }
        if teacher is None:
            return losses
        lesson = self._lesson(answers, teacher)
        return {
            **{name: (1 - self.trust) * loss for name, loss in losses.items()},
            **{name: self.trust * loss for name, loss in lesson.items()},
        }

    def _lesson(self, answers: Answers, teacher: Scored) -> dict[str, Tensor]:
        """The same two losses against the teacher's answers on the cells that both have."""
        images = len(answers.logits)
        cells = bx.centres(teacher.regions.boxes).view(images, -1, 2)
        shared = cells.shape[1]
        if not torch.equal(cells[0], bx.centres(answers.anchors[:shared])):
            raise UsageError(
                "the teacher's cells are not the first levels of the student's",
                code="train.teacher",
                hint="a student with one anchor a cell of strides 8, 16 and 32 can learn from it",
            )
        wanted = teacher.scores.view(images, shared, -1)
        weight = wanted.amax(dim=2)
        image, anchor = (weight > 0.1).nonzero(as_tuple=True)
        weight = weight[image, anchor]
        found = bx.decode(answers.offsets[image, anchor], answers.anchors[anchor])
        goals = teacher.boxes.view(images, shared, 4)[image, anchor]
        total = normaliser(weight.sum())
        distance = ((1 - bx.giou(found, goals)) * weight).sum()
        return {
            "lesson": quality_focal(answers.logits[:, :shared], wanted) / total,
            "lesson_box": self.box_weight * distance / total,
        }
