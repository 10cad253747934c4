"""The top-down pose: a person detector, then one crop a person (Convolutional Pose Machines,
section 4.2; the rows "CPM" of OpenPose, Cao 2017, table 3).

    propose       a person detector's own answers are the regions
    classify      a machine looks at a crop of the original pixels for each: belief maps, peaks
    postprocess   poses that are the same person (OKS-NMS)

Any detector that knows the class may be the first: one of the catalogue, or one that finds points
itself, whose people are then posed anew, every point by the machine (OpenPose with refinement).
Without one the whole image is one person, which is the paper's setting. A person's score is the
geometric mean of the detector's and of its points' mean score: in the order of their product, on
the scale of both. Time grows with the number of people.

Key of shapes: B images, R regions, K classes, P points, M maps of the machine, h w cells of a map.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sightline.boxes import clip
from sightline.detectors.bottom_up import BottomUp
from sightline.detectors.losses import normaliser
from sightline.detectors.person_crops import Look, Variation, labelled, look_at
from sightline.errors import UsageError
from sightline.matching import chance
from sightline.ops.crops import crops, from_crops, to_crops
from sightline.ops.heatmaps import best_cells
from sightline.ops.oks import oks_nms
from sightline.pipeline import Detector
from sightline.preparation import Preparation
from sightline.skeletons import Skeleton
from sightline.types import Batch, Detections, Features, Regions, Scored, Targets

CHUNK = 8
"""So many crops go through the machine at once."""


MARGIN = 0.1
"""People known by their points alone are larger than these: in COCO's training images by 6 to 14 %
of the longer side, on each side, where eight points or more are labelled.
"""


@runtime_checkable
class Machine(Protocol):
    """What says where the parts of the one person of a crop are."""

    encoder: nn.Module

    def __call__(self, crops: Float[Tensor, "R 3 H W"]) -> list[Float[Tensor, "R M h w"]]:
        """Maps of every stage: one a part, then perhaps others."""
        ...


@runtime_checkable
class Criterion(Protocol):
    """What the maps should have been."""

    def __call__(
        self, maps: Sequence[Float[Tensor, "R M h w"]], points: Float[Tensor, "R P 3"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Sums over the crops by stage; `points` lie in cells."""
        ...


class TopDown(nn.Module):
    """A machine that poses one person, and before it perhaps a detector that finds people.

    Raises UsageError (usage.class_count) for more than one class.
    """

    classes: tuple[str, ...]
    learns_poses = learns_from_crops = True

    def __init__(
        self,
        classes: Sequence[str],
        skeleton: Skeleton,
        machine: nn.Module,
        criterion: Criterion,
        look: Look,
        preparation: Preparation,
        variation: Variation,
    ) -> None:
        super().__init__()
        if len(classes) != 1:
            raise UsageError(
                f"one skeleton is of one class, not of {len(classes)}", code="usage.class_count"
            )
        self.classes, self.skeleton = tuple(classes), skeleton
        self.machine, self.criterion, self.look = machine, criterion, look
        self.preparation, self.variation = preparation, variation
        self._people: tuple[Detector, ...] = ()  # no part of this module's weights

    @property
    def encoder(self) -> nn.Module:
        """Where the machine's features come from."""
        return cast(Machine, self.machine).encoder

    @property
    def people(self) -> Detector | None:
        """The detector whose answers are posed; None: the whole image is one person."""
        return self._people[0] if self._people else None

    def follow(self, detector: Detector | None) -> None:
        """Pose what `detector` finds of this class; None: the whole image.

        Raises UsageError (usage.people) where it does not know the class.
        """
        name = self.classes[0]
        if detector is not None and name not in detector.classes:
            known = ", ".join(detector.classes[:10]) + (", …" if len(detector.classes) > 10 else "")
            raise UsageError(
                f"the detector before the poses finds no {name}: its classes are {known}",
                code="usage.people",
                hint="choose one that does, or pose the whole image: none",
            )
        self._people = () if detector is None else (detector,)

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """As the person detector prepares images; the images themselves stay at hand."""
        prepare = self.preparation if self.people is None else self.people.prepare
        return replace(prepare(images), originals=tuple(images))

    def encode(self, batch: Batch) -> Features:
        """What the person detector sees; the machine sees nothing before there are regions."""
        return () if self.people is None else self.people.encode(batch)

    def propose(self, batch: Batch, features: Features) -> Regions:
        """The person detector's answers that `look` asks for; without a detector each image."""
        if self.people is None:
            whole = [torch.tensor([[0.0, 0.0, f.original[1], f.original[0]]]) for f in batch.frames]
            return regions_of(whole, [torch.ones(1)] * len(batch), batch)
        look, regions = self.look, self.people.propose(batch, features)
        scored = self.people.classify(batch, features, regions)
        found = self.people.postprocess(batch, features, scored)
        label = self.people.classes.index(self.classes[0])
        best = [one[one.labels == label].above(look.score)[: look.limit] for one in found]
        more = MARGIN if isinstance(self.people, BottomUp) else 0.0
        boxes = [one.boxes + more * _outward(one.boxes) for one in best]
        return regions_of(boxes, [one.scores for one in best], batch)

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """The pose of each region: a score, and in `extras` its points (R, P, 3; x and y in the
        prepared image), the last stage's maps (R, M, h, w) and the window they cover (R, 4).

        Raises UsageError (`usage.originals`) for a batch without its images.
        """
        if batch.originals is None:
            raise UsageError("poses need the images themselves", code="usage.originals")
        points, maps, windows = [], [], []
        for index, (image, frame) in enumerate(zip(batch.originals, batch.frames, strict=True)):
            own = regions.boxes[regions.image == index]
            around = self.look.windows(clip(frame.to_original(own), frame.original))
            seen = self._seen(image, around)
            place, value = best_cells(seen[:, : len(self.skeleton.points)])
            size = (seen.shape[2], seen.shape[3])
            place = from_crops(place, around, around.new_zeros(len(around)), size)
            believed = value.clamp(0, 1)[..., None]
            points.append(torch.cat([frame.to_prepared(place), believed], dim=2))
            maps.append(seen)
            windows.append(frame.to_prepared(around))
        order = torch.cat([(regions.image == i).nonzero()[:, 0] for i in range(len(batch))])
        back = order.argsort()
        found = torch.cat(points)[back]
        first = 1.0 if regions.scores is None else regions.scores.clamp(0, 1)
        scores = (first * found[..., 2].mean(dim=1)).sqrt()[:, None]
        extras = {
            "points": found,
            "maps": torch.cat(maps)[back],
            "windows": torch.cat(windows)[back],
        }
        return Scored(regions, scores, regions.boxes, extras)

    def _seen(
        self, image: UInt8[Tensor, "3 H W"], windows: Float[Tensor, "R 4"]
    ) -> Float[Tensor, "R M h w"]:
        """The last stage's maps of each window of an image."""
        size = self.look.size
        pictures = [look_at(image, one, size, self.preparation) for one in windows]
        answers = []
        for start in range(0, max(1, len(pictures)), CHUNK):
            chunk = pictures[start : start + CHUNK]
            x = torch.cat(chunk) if chunk else torch.zeros(0, 3, *size, device=image.device)
            maps = self.machine(x)[-1]
            if self.look.flip:
                mirrored = self.machine(x.flip(-1))[-1].flip(-1)
                more = range(len(self.skeleton.points), maps.shape[1])
                maps = (maps + mirrored[:, [*self.skeleton.flips, *more]]) / 2
            answers.append(maps)
        return torch.cat(answers)

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """Poses best first, those that are the same person as a better one left out (OKS-NMS)."""
        answers = []
        best = scored.scores[:, 0]
        sigmas = torch.tensor(self.skeleton.sigmas, device=best.device)
        for index, frame in enumerate(batch.frames):
            rows = (scored.regions.image == index).nonzero()[:, 0]
            points = scored.extras["points"][rows]
            xy = frame.to_original(points[..., :2])
            boxes = clip(frame.to_original(scored.boxes[rows]), frame.original)
            areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
            kept = oks_nms(xy, areas, best[rows], sigmas, self.look.alike)
            answers.append(
                Detections(
                    boxes=boxes[kept],
                    scores=best[rows][kept],
                    labels=torch.zeros_like(kept),
                    region=rows[kept],
                    size=frame.original,
                    classes=self.classes,
                    keypoints=torch.cat([xy, points[..., 2:]], dim=2)[kept],
                    skeleton=self.skeleton,
                )
            )
        return answers

    def loss(self, batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Losses by stage, over the labelled points of the batch's people; no detector takes part.

        Images without people are welcome.
        """
        parts, pixels = len(self.skeleton.points), batch.pixels.float()
        people = labelled(targets, pixels, parts, self.variation.limit)
        total = normaliser((people.points[..., 2] > 0).sum() + len(people))
        if not len(people):
            idle = sum(p.sum() for p in self.parameters() if p.requires_grad) * 0
            return {"stage1": cast(Tensor, idle)}
        around = self.look.windows(people.boxes)
        windows, angles = self.variation(around, chance(pixels, salt=1))
        maps = self.machine(crops(pixels, windows, angles, people.image, self.look.size))
        cells = (maps[0].shape[2], maps[0].shape[3])
        places = to_crops(people.points[..., :2], windows, angles, cells)
        goals = torch.cat([places, people.points[..., 2:]], dim=2)
        return {name: loss / total for name, loss in self.criterion(maps, goals).items()}


def _outward(boxes: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """What makes boxes larger by their longer side, on every side."""
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True)
    return longer * longer.new_tensor([-1.0, -1.0, 1.0, 1.0])


def regions_of(
    boxes: Sequence[Float[Tensor, "_ 4"]], scores: Sequence[Float[Tensor, "_"]], batch: Batch
) -> Regions:
    """Boxes of each image, in its original pixels, as the regions of a batch."""
    device = batch.pixels.device
    inside = [f.to_prepared(one.to(device)) for f, one in zip(batch.frames, boxes, strict=True)]
    counts = torch.tensor([len(one) for one in boxes], device=device)
    image = torch.arange(len(boxes), device=device).repeat_interleave(counts)
    every = torch.cat([one.to(device) for one in scores])
    return Regions(torch.cat(inside), image, torch.zeros_like(image), every)
