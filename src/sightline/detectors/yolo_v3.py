"""YOLO v3: YOLOv3: An Incremental Improvement (Redmon & Farhadi 2018).

Three scales, nine priors shared out among them, and a logistic regression for each class by itself,
so that a woman may be a person too.

Departures. As in the paper's own code, the loss is binary cross-entropy on σ(t_x), σ(t_y),
objectness and classes, squares on t_w and t_h, weighted by 2 − w·h. Its sum over an image is
divided by the images of the batch. t_w and t_h are bounded before exp. Objectness begins at 0.01.
`yolo_v3_mobilenet_v2` has another backbone and a narrower top-down path.

Key of shapes: B images, A priors of an image, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.detectors.prior_cells import Answers
from sightline.detectors.yolo_v2 import DARKNET, SELECTION, YoloV2
from sightline.matching import BACKGROUND
from sightline.nets.darknet import Darknet53, TinyDarknet
from sightline.nets.darknet_necks import DarknetEncoder, TopDown
from sightline.nets.darknet_plan import Plan
from sightline.nets.mobilenet import MobileNetV2
from sightline.ops.prior_answers import independent_answers
from sightline.preparation import Preparation
from sightline.types import Regions, Scored, Targets

COCO = (
    ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)),
    ((30.0, 61.0), (62.0, 45.0), (59.0, 119.0)),
    ((116.0, 90.0), (156.0, 198.0), (373.0, 326.0)),
)
TINY_COCO = (
    ((10.0, 14.0), (23.0, 27.0), (37.0, 58.0)),
    ((81.0, 82.0), (135.0, 169.0), (344.0, 319.0)),
)
"""The published priors for COCO at 416 pixels, by level, finest first."""


@dataclass(frozen=True)
class YoloCriterion:
    """Darknet's yolo layer (section 2.1, 2.2).

    Of all priors of all scales the one nearest in shape answers for an object; others whose box
    reaches the IoU `ignore` with an object are ignored, the rest is background. `weights` is what
    an object of each class counts among the classes (None: 1).
    """

    ignore: float = 0.5
    weights: tuple[float, ...] | None = None

    def __call__(self, answers: Answers, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Sums over the images; squares are halved, so that gradients are Darknet's."""
        raw, images = answers.raw, len(answers.raw)
        owner = answers.owners(targets, self.ignore)
        rows, objects, labels = answers.goals(targets, owner)
        centre, side, weight = answers.place(rows, objects)
        own, empty = raw[rows], raw[..., 4][owner == BACKGROUND]
        near = F.binary_cross_entropy_with_logits(own[:, :2], centre, weight, reduction="sum")
        apart = (weight * (own[:, 2:4] - side).square()).sum() / 2
        wanted = F.one_hot(labels, own.shape[1] - 5).to(own.dtype)
        count = None if self.weights is None else raw.new_tensor(self.weights)[labels, None]
        losses = {
            "object": F.softplus(-own[:, 4]).sum(),
            "background": F.softplus(empty).sum(),
            "box": near + apart,
            "classification": F.binary_cross_entropy_with_logits(
                own[:, 5:], wanted, count, reduction="sum"
            ),
        }
        return {name: loss / images for name, loss in losses.items()}


class YoloV3(YoloV2):
    """As version 2, with a head a scale, and classes that do not exclude each other."""

    start = 0.01
    clusters = False  # shared out by scale: data of one size would leave no scale its own

    def answer(self, raw: Float[Tensor, "B A C"], regions: Regions) -> Scored:
        """What the heads' numbers say of the regions: each class by itself."""
        found = independent_answers(raw.flatten(0, 1), regions.boxes, self.stride(regions))
        return Scored(regions, *found)

    def tell(self, plan: Plan, level: int) -> None:
        """Add the layer that makes detections of a level's numbers."""
        assert isinstance(self.priors, Tensor)
        count = self.priors.shape[1]
        plan.add(
            "yolo",
            mask=tuple(range(level * count, (level + 1) * count)),
            anchors=tuple(self.priors.flatten().tolist()),
            classes=len(self.classes),
            num=self.priors.shape[0] * count,
        )


def yolo_v3_darknet53(classes: Sequence[str]) -> YoloV3:
    """The paper's: Darknet-53, three scales, nine priors (COCO's), 416 pixels."""
    backbone = Darknet53()
    neck = TopDown(backbone.channels, (128, 256, 512), (5, 5, 5))
    encoder = DarknetEncoder(backbone, neck)
    return YoloV3(classes, encoder, COCO, YoloCriterion(), DARKNET, SELECTION)


def yolo_v3_tiny(classes: Sequence[str]) -> YoloV3:
    """Tiny YOLO v3: thirteen convolutions, two scales, six priors (COCO's), 416 pixels."""
    backbone = TinyDarknet()
    neck = TopDown(backbone.channels, (128, 256), (0, 1))
    encoder = DarknetEncoder(backbone, neck)
    return YoloV3(classes, encoder, TINY_COCO, YoloCriterion(), DARKNET, SELECTION)


def yolo_v3_mobilenet_v2(classes: Sequence[str]) -> YoloV3:
    """The light one, for CPUs: MobileNetV2, a top-down path of 64 to 128 channels, 416 pixels."""
    backbone = MobileNetV2()
    encoder = DarknetEncoder(backbone, TopDown(backbone.channels, (64, 96, 128), (1, 1, 1)))
    return YoloV3(
        classes,
        encoder,
        COCO,
        YoloCriterion(),
        Preparation(shorter=None, longer=416),
        SELECTION,
    )
