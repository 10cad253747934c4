"""People from the parts up (Cao 2017, section 2): the decoding that bottom-up methods share.

A network gives a map for every part, and maps that tell which parts belong together. All people are
found at once, so that the network's time does not grow with their number.

    encode        part maps, and a field (or a map of midpoints) for every limb
    propose       peaks of the part maps are candidate parts
    classify      every pair of them that may be a limb, scored by the line integral over its field
    postprocess   a matching for each limb; limbs that share a part become people

Departures: peaks are found at the network's own resolution and made finer by the Gaussian through
their neighbours, not on maps enlarged eightfold; limbs are joined best first, as the authors do in
their later version (Cao 2019), not in the order of a tree.

Key of shapes: B images, P parts, L limbs, h w cells, R regions = peaks, C candidate limbs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.ops.assembly import (
    assemble,
    fullness,
    group_greedily,
    match_greedy,
    match_optimal,
    strengths,
)
from sightline.ops.limbs import LineRule, limb_integrals, limb_midpoints
from sightline.ops.peaks import part_boxes
from sightline.ops.poses import PoseRule, greedy_poses, poses
from sightline.preparation import Preparation
from sightline.skeletons import Skeleton
from sightline.types import Batch, Detections, Features, Regions, Scored

Association = Literal["pafs", "midpoints"]
"""How two parts are known to belong together: by a field along the limb, or a map of its middle."""

Matching = Literal["greedy", "optimal"]
"""Best candidate first, or those that are best together."""


@dataclass(frozen=True)
class Decoding:
    """How maps become people.

    Candidate parts are peaks higher than `peak`. Two of them are a candidate limb by `line`, or by
    a midpoint's value above `midpoint`, as `association` says; `matching` chooses among candidates.
    A person needs `least_parts` of the skeleton's points, and a score of at least `score`: the mean
    of its limbs' integrals, 0 for those that it lacks. The best `limit` of an image are the answer.
    `flip` looks at the mirrored image too, and takes the mean of both. Raises
    UsageError (usage.out_of_range).
    """

    peak: float = 0.03
    association: str = "pafs"
    line: LineRule = LineRule()
    midpoint: float = 0.1
    matching: str = "greedy"
    least_parts: int = 3
    score: float = 0.02
    limit: int = 100
    flip: bool = False

    def __post_init__(self) -> None:
        wrong = {
            "peak": not 0 < self.peak < 1,
            "midpoint": not 0 < self.midpoint < 1,
            "association": self.association not in get_args(Association),
            "matching": self.matching not in get_args(Matching),
            "least_parts": self.least_parts < 1,
            "score": not 0 <= self.score < 1,
            "limit": self.limit < 1,
        }
        for name in (name for name, bad in wrong.items() if bad):
            raise UsageError(
                f"{name} is {getattr(self, name)}, out of range", code="usage.out_of_range"
            )

    @cached_property
    def answers(self) -> PoseRule:
        """Which people are answers."""
        return PoseRule(self.least_parts, self.score, self.limit)


def unmirrored(features: Features, parts: Skeleton, association: str) -> Features:
    """The maps of a mirrored image, as the image itself would have them.

    Left parts become right ones, limbs those between the mirrored parts; a field's x changes its
    sign, and both do where the mirrored limb runs the other way. A background map stays. Raises
    UsageError (usage.flip) where a limb's mirror image is no limb.
    """
    part_maps, limb_maps = (maps.flip(-1) for maps in features)
    count = len(parts.points)
    order = [*parts.flips, *range(count, part_maps.shape[1])]
    ends = {limb: (row, 1.0) for row, limb in reversed(list(enumerate(parts.limbs)))}
    ends |= {(b, a): (row, -1.0) for (a, b), (row, _) in list(ends.items()) if (b, a) not in ends}
    rows, signs = [], []
    for a, b in parts.limbs:
        mirror = ends.get((parts.flips[a], parts.flips[b]))
        if mirror is None:
            raise UsageError(
                f"the limb from {parts.points[a]} to {parts.points[b]} has no mirror image",
                code="usage.flip",
                hint="give the skeleton both limbs, or decode without flip",
            )
        row, sign = mirror
        rows += [2 * row, 2 * row + 1] if association == "pafs" else [row]
        signs += [-sign, sign] if association == "pafs" else [1.0]
    factors = limb_maps.new_tensor(signs)[:, None, None]
    return part_maps[:, order], limb_maps[:, rows] * factors


class BottomUp(nn.Module):
    """The verbs after `maps`, which the method has to give.

    `skeleton` names the points of the answer; `parts` those of the network with the limbs that it
    knows: the same, or more (a neck), and matched by their names. Raises UsageError for more
    than one class, for a point that is no part, and for a network without limbs.
    """

    classes: tuple[str, ...]

    def __init__(
        self,
        classes: Sequence[str],
        skeleton: Skeleton,
        parts: Skeleton,
        stride: int,
        preparation: Preparation,
        decoding: Decoding,
    ) -> None:
        super().__init__()
        if len(classes) != 1:
            raise UsageError(
                f"poses from the parts up are of one class, not of {len(classes)}",
                code="usage.class_count",
            )
        missing = [name for name in skeleton.points if name not in parts.points]
        if missing or not parts.limbs:
            raise UsageError(
                f"the network has no part for {', '.join(missing)}"
                if missing
                else "a skeleton without limbs holds no parts together",
                code="usage.skeleton",
            )
        self.classes, self.skeleton, self.parts = tuple(classes), skeleton, parts
        self.stride, self.preparation, self.decoding = stride, preparation, decoding
        self.points = torch.tensor([parts.points.index(name) for name in skeleton.points])
        self.limbs = torch.tensor(parts.limbs)

    def maps(self, pixels: Float[Tensor, "B 3 H W"]) -> Features:
        """Part maps (B, P, h, w), a background's after them if there is one; then the limbs'
        fields (B, 2 L, h, w), x and y of each, or their midpoint maps (B, L, h, w).
        """
        raise NotImplementedError

    def prepare(self, images: Sequence[UInt8[Tensor, "3 _ _"]]) -> Batch:
        """Resize, normalise and pad images of one size."""
        return self.preparation(images)

    def encode(self, batch: Batch) -> Features:
        """The network's maps; with `flip` their mean with those of the mirrored image."""
        found = self.maps(batch.pixels)
        if not self.decoding.flip:
            return found
        mirrored = self.maps(batch.pixels.flip(-1))
        other = unmirrored(mirrored, self.parts, self.decoding.association)
        return tuple((a + b) / 2 for a, b in zip(found, other, strict=True))

    def propose(self, batch: Batch, features: Features) -> Regions:
        """The candidate parts: a cell around each peak, its part as level, its value as score."""
        how = self.decoding.peak, self.stride, len(self.parts.points)
        boxes, values, image, part = part_boxes(features[0], *how)
        return Regions(boxes, image, part, values)

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        """Candidate limbs, in `extras`: `limbs` (C, 3), which one and the rows of its two parts;
        `integrals` (C,), its score; `shares` (C,), the part of its samples that agree.
        """
        limb_maps, rule = features[1], self.decoding
        columns = (limb_maps, regions.boxes, regions.image, regions.level, self.limbs)
        if rule.association == "pafs":
            found = limb_integrals(*columns, rule.line, self.stride)
        else:
            found = limb_midpoints(*columns, rule.midpoint, self.stride)
        extras = dict(zip(("limbs", "integrals", "shares"), found, strict=True))
        scores = regions.boxes.new_zeros(len(regions)) if regions.scores is None else regions.scores
        return Scored(regions, scores.unsqueeze(1), regions.boxes, extras)

    def matched(self, scored: Scored) -> Int[Tensor, "M"]:
        """The rows of the candidate limbs that the matching takes by their strengths, best first,
        on the CPU.
        """
        limbs, integrals = (scored.extras[name].cpu() for name in ("limbs", "integrals"))
        values = scored.scores[:, 0].cpu()
        match = match_greedy if self.decoding.matching == "greedy" else match_optimal
        return match(limbs, strengths(limbs, integrals, values), len(values))

    def people(self, scored: Scored) -> tuple[Int[Tensor, "G P"], Float[Tensor, "G"]]:
        """The row of each person's every part, −1 where there is none, and the person's score: the
        mean of its limbs' integrals, 0 for those that it lacks. All images, on the CPU.
        """
        limbs, integrals = (scored.extras[name].cpu() for name in ("limbs", "integrals"))
        part, size = scored.regions.level.cpu(), (len(self.parts.points), len(self.parts.limbs))
        if self.decoding.matching == "greedy":
            return group_greedily(limbs, integrals, scored.scores.cpu().squeeze(1), part, size)
        kept = self.matched(scored)
        people, total = assemble(limbs[kept], integrals[kept], part, size[0])
        return people, fullness(total, size[1])

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        """Limbs that share a part become people; `region` is a person's strongest part."""
        enough = self.decoding.answers
        if self.decoding.matching == "greedy":
            size = len(self.parts.points), len(self.parts.limbs)
            found = greedy_poses(self.points, scored, size, batch.frames, enough)
        else:
            people, score = self.people(scored)
            found = poses(people, score, scored, self.points, batch.frames, enough)
        return [
            Detections(
                boxes=boxes,
                scores=scores,
                labels=torch.zeros_like(region),
                region=region,
                size=frame.original,
                classes=self.classes,
                keypoints=keypoints,
                skeleton=self.skeleton,
            )
            for frame, (boxes, scores, region, keypoints) in zip(batch.frames, found, strict=True)
        ]
