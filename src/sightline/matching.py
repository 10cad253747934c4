"""Who answers for which object: from regions and true boxes to what each region shall learn.

Every matcher gives one number a region: the row of its object, BACKGROUND, or IGNORED. Where there
is too much background a sampler takes some of it.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline import boxes as bx
from sightline.ops import iou_match
from sightline.types import Regions, Targets

BACKGROUND, IGNORED = iou_match.BACKGROUND, iou_match.IGNORED


def _ignore_crowds(
    matched: Tensor, regions: Tensor, targets: Targets, rows: Tensor
) -> Int[Tensor, "R"]:
    """Translate rows of the plain objects to rows of all, and set aside what crowds cover."""
    if len(rows) == len(targets):
        return matched
    if len(rows):
        matched = torch.where(matched >= 0, rows[matched.clamp(min=0)], matched)
    inside = iou_match.covered(regions, targets.boxes[targets.crowd], 0.5)
    return torch.where((matched < 0) & inside, IGNORED, matched)


Match = Callable[[Tensor, Tensor, Targets], Tensor]
"""Boxes (R, 4), levels (R,) and objects of one image to the object of each (R,)."""


@dataclass(frozen=True)
class IouMatcher:
    """By IoU alone: at least `positive` → the best object, below `negative` → background.

    With `best_too`, the anchors that overlap an object most answer for it however little they
    do. Example: IoUs [[0.6, 0.1], [0.45, 0.3], [0.2, 0.35]] with 0.5 / 0.4 give [0, −2, 1] with
    `best_too` (the third region is the second object's best) and [0, −2, −1] without.
    """

    positive: float = 0.5
    negative: float = 0.4
    best_too: bool = True

    def __call__(
        self, regions: Float[Tensor, "R 4"], level: Int[Tensor, "R"], targets: Targets
    ) -> Int[Tensor, "R"]:
        """The object of each region of one image."""
        rows = (~targets.crowd).nonzero()[:, 0]
        objects = targets.boxes[rows]
        matched = iou_match.match_by_iou(
            regions, objects, self.positive, self.negative, self.best_too
        )
        return _ignore_crowds(matched, regions, targets, rows)


@dataclass(frozen=True)
class AtssMatcher:
    """Adaptive training sample selection (Zhang 2020): an IoU threshold of each object's own.

    Of every level the `nearest` anchors to the object's centre are candidates; those whose IoU
    reaches the candidates' mean + standard deviation, and whose centre lies in the object, answer
    for it. An object that nobody answers for (smaller than a cell) gets its best candidate. Where a
    cell has several anchors (`per_cell`), the candidates are all those of the `nearest` cells.
    """

    nearest: int = 9
    per_cell: int = 1

    def _candidates(self, distance: Tensor, level: Tensor) -> Tensor:
        """(k, N) rows of the anchors nearest to each object, of every level."""
        parts, start = [], 0
        for count in torch.bincount(level).tolist():
            cells = distance[start : start + count : self.per_cell]
            near = cells.topk(min(self.nearest, len(cells)), 0, largest=False).indices
            first = near * self.per_cell + start
            parts += [first + row for row in range(self.per_cell)]
            start += count
        return torch.cat(parts)

    def __call__(
        self, regions: Float[Tensor, "R 4"], level: Int[Tensor, "R"], targets: Targets
    ) -> Int[Tensor, "R"]:
        """The object of each region of one image; regions are ordered by level."""
        rows = (~targets.crowd).nonzero()[:, 0]
        matched = torch.full((len(regions),), BACKGROUND, device=regions.device)
        if len(rows) == 0:
            return _ignore_crowds(matched, regions, targets, rows)
        objects = targets.boxes[rows]
        points, goals = bx.centres(regions), bx.centres(objects)
        candidates = self._candidates(torch.cdist(points, goals), level)
        columns = torch.arange(len(rows), device=regions.device).expand_as(candidates)
        overlap = bx.iou(regions, objects)
        near = overlap[candidates, columns]
        centre = points[candidates]
        within = ((centre > objects[:, :2]) & (centre < objects[:, 2:])).all(dim=2)
        chosen = (near >= near.mean(dim=0) + near.std(dim=0)) & within
        orphan = ~chosen.any(dim=0)
        first = torch.where(within, near, near - 1).argmax(dim=0)
        chosen[first[orphan], orphan.nonzero()[:, 0]] = True
        claim = torch.full_like(overlap, -1.0)
        claim[candidates[chosen], columns[chosen]] = near[chosen]
        best, owner = claim.max(dim=1)
        return _ignore_crowds(torch.where(best >= 0, owner, matched), regions, targets, rows)


@dataclass(frozen=True)
class MultiBoxMatcher:
    """By IoU, and every object has a region of its own (MultiBox, Erhan 2014; SSD, section 2.2).

    Of all pairs the one that overlaps most is taken, then the best of what is left, until every
    object has a region: of equal pairs the first object's, then the first region. Every other
    region with an IoU above `positive` answers for the object that it overlaps most. Example: IoUs
    [[0.6, 0.7], [0.2, 0.1], [0.4, 0.0]] with 0.5 give [1, −1, 0]: the first region is the best of
    both objects, but the second object's by right, and the first object takes its next best one.
    """

    positive: float = 0.5

    def __call__(
        self, regions: Float[Tensor, "R 4"], level: Int[Tensor, "R"], targets: Targets
    ) -> Int[Tensor, "R"]:
        """The object of each region of one image."""
        rows = (~targets.crowd).nonzero()[:, 0]
        matched = torch.full((len(regions),), BACKGROUND, device=regions.device)
        if len(rows) and len(regions):
            overlap = bx.iou(regions, targets.boxes[rows])
            best, owner = overlap.max(dim=1)
            matched = torch.where(best > self.positive, owner, matched)
            own = _own_regions(overlap)
            found = own >= 0
            matched[own[found]] = found.nonzero()[:, 0]
        return _ignore_crowds(matched, regions, targets, rows)


def _own_regions(overlap: Float[Tensor, "R N"]) -> Int[Tensor, "N"]:
    """The region of each object, no region twice, best pairs first; −1 where none is left."""
    best, region = overlap.max(dim=0)
    free = torch.ones(len(overlap), dtype=torch.bool, device=overlap.device)
    answer = torch.full_like(region, -1)
    for _ in range(min(overlap.shape)):
        number = int(best.argmax())
        if best[number] <= 0:
            break
        taken = region[number]
        answer[number], best[number], free[taken] = taken, -1.0, False
        again = ((region == taken) & (best > 0)).nonzero()[:, 0]
        if len(again):
            left = torch.where(free[:, None], overlap[:, again], -1.0)
            best[again], region[again] = left.max(dim=0)
    return answer


def chance(pixels: Float[Tensor, "*B 3 H W"], salt: int = 0) -> torch.Generator:
    """Chance that images decide: the same ones give the same numbers, in any run or process."""
    seen = pixels[..., ::16, ::16].detach().float().cpu().contiguous().numpy().tobytes()
    return torch.Generator().manual_seed(zlib.crc32(seen, salt))


@dataclass(frozen=True)
class Sampler:
    """`count` regions of an image, up to a share of `positive` ones (Faster R-CNN, 3.1.3).

    Where there are fewer positives, background takes their place. Which ones is drawn from the
    image's own pixels: the same image gives the same answer in any batch and in any process.
    """

    count: int = 256
    positive: float = 0.5

    def __call__(
        self, matched: Int[Tensor, "R"], pixels: Float[Tensor, "3 H W"], salt: int = 0
    ) -> Int[Tensor, "S"]:
        """Rows of the regions to learn from, ascending; `salt` tells one draw from another."""
        draw = chance(pixels, salt)

        def some(rows: Tensor, count: int) -> Tensor:
            if len(rows) <= count:
                return rows
            return rows[torch.randperm(len(rows), generator=draw)[:count].to(rows.device)]

        positive = some((matched >= 0).nonzero()[:, 0], int(self.count * self.positive))
        negative = (matched == BACKGROUND).nonzero()[:, 0]
        return torch.cat([positive, some(negative, self.count - len(positive))]).sort().values


def sampled(
    regions: Regions,
    targets: Sequence[Targets],
    pixels: Float[Tensor, "B 3 H W"],
    match: Match,
    sampler: Sampler,
    salt: int,
) -> tuple[Regions, Int[Tensor, "S"]]:
    """The regions of a batch to learn from, and which object of its image each answers for.

    `match` tells that of all regions of one image. The draw depends on its pixels and on `salt`.
    """
    chosen, owner = [], []
    for index, truth in enumerate(targets):
        own = (regions.image == index).nonzero()[:, 0]
        matched = match(regions.boxes[own], regions.level[own], truth)
        rows = sampler(matched, pixels[index], salt)
        chosen.append(own[rows])
        owner.append(matched[rows])
    return regions[torch.cat(chosen)], torch.cat(owner)


def with_truth(regions: Regions, targets: Sequence[Targets]) -> Regions:
    """The regions, and the true boxes that are no crowds: nobody has to be found to be learnt."""
    true = [t.boxes[~t.crowd] for t in targets]
    device = regions.boxes.device
    counts = torch.tensor([len(boxes) for boxes in true], device=device)
    image = torch.arange(len(true), device=device).repeat_interleave(counts)
    return Regions(
        boxes=torch.cat([regions.boxes, *true]),
        image=torch.cat([regions.image, image]),
        level=torch.cat([regions.level, torch.zeros_like(image)]),
    )


def objects_of(
    targets: Sequence[Targets], image: Int[Tensor, "R"], owner: Int[Tensor, "R"]
) -> tuple[Float[Tensor, "R 4"], Int[Tensor, "R"]]:
    """Box and label of the object that each region answers for: row `owner` of its image's."""
    counts = torch.tensor([0, *(len(truth) for truth in targets)], device=owner.device).cumsum(0)
    row = owner + counts[image]
    boxes = torch.cat([truth.boxes for truth in targets])[row]
    return boxes, torch.cat([truth.labels for truth in targets])[row]
