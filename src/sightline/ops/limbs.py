"""Candidate limbs: which two parts belong together, by what lies between them.

A part affinity field holds, for each limb, a unit vector along it at every cell that it covers. Two
candidate parts are ends of one limb if the field agrees with the line between them,

    E = ∫₀¹ F(p(u)) · (d₂ − d₁) / ‖d₂ − d₁‖ du,  p(u) = (1 − u) d₁ + u d₂   (Cao 2017, equation 10).

The weaker answer, which the paper sets against it (figure 5): a map of the limbs' midpoints, asked
half-way between the two. A part's place is the middle of its box; in cells, of which one has
`stride` pixels, the centre of cell i is at i + ½.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline import boxes as geometry
from sightline.errors import UsageError
from sightline.ops.checks import require_limb_shapes, require_limb_values
from sightline.ops.dispatch import carried_kernel


@dataclass(frozen=True)
class LineRule:
    """When two parts can be ends of a limb.

    Of `samples` places along the line, at least the share `share` must agree by more than `least`,
    and the mean of all by more than 0, after it was lowered by how much the line is longer than
    `usual` times the maps' height: min(usual · h / ‖d‖ − 1, 0). No limb is longer than `longest`
    times the maps' longer side. Parts that find no other end so are tried once more among each
    other, with `faint` in the place of `least` where it is less: a weak field is better than none.
    Raises UsageError (usage.out_of_range).
    """

    samples: int = 10
    least: float = 0.05
    share: float = 0.8
    usual: float = 0.5
    longest: float = 1.0
    faint: float = 0.0

    def __post_init__(self) -> None:
        right = self.samples >= 1 and 0 <= self.share <= 1 and self.usual > 0 and self.longest > 0
        if not right or not abs(self.least + self.faint) < float("inf"):
            raise UsageError(f"{self} is out of range", code="usage.out_of_range")

    @property
    def bad(self) -> int:
        """So many samples may disagree."""
        return int(self.samples * (1 - self.share) + 1e-6)


Candidates = tuple[Int[Tensor, "C 3"], Float[Tensor, "C"], Float[Tensor, "C"]]
"""Limb and the rows of its two parts; its score; the share of samples that agree."""


@carried_kernel
def limb_integrals(
    fields: Float[Tensor, "B _ h w"],
    boxes: Float[Tensor, "N 4"],
    image: Int[Tensor, "N"],
    part: Int[Tensor, "N"],
    limbs: Int[Tensor, "L 2"],
    rule: LineRule,
    stride: float = 1.0,
) -> Candidates:
    """All pairs of parts that can be a limb, image by image, limb by limb, by first and second row,
    those of the second try after the others.

    `fields` has x and y of each limb's vector in turn, C = 2 L; `limbs` the two parts of each.
    Between cells' centres it is read bilinearly, and goes on unchanged beyond the outermost. Two
    parts at one place are no limb. Raises UsageError (usage.shape).
    """
    require_limb_shapes(fields, boxes, image, part, limbs, 2)
    require_limb_values(fields, boxes, image, part, limbs)
    places = geometry.centres(boxes) / stride
    height, width = fields.shape[2:]
    u = (torch.arange(rule.samples, device=places.device) + 0.5) / rule.samples
    rows, scores, shares = [limbs.new_zeros(0, 3)], [places.new_zeros(0)], [places.new_zeros(0)]
    for index, limb, pairs in _pairs(len(fields), image, part, limbs):
        start, end = places[pairs[:, 1]], places[pairs[:, 2]]
        line = end - start
        length = line.square().sum(1).sqrt()
        field = fields[index, 2 * limb : 2 * limb + 2].float()
        along = bilinear(field, start[:, None] + u[:, None] * line[:, None])
        agree = (along * (line / length[:, None])[:, None]).sum(2)
        score = agree.mean(1) + (rule.usual * height / length - 1).clamp(max=0)
        near = (length > 0) & (length <= rule.longest * max(height, width)) & (score > 0)
        done = torch.zeros(2, len(places), dtype=torch.bool, device=places.device)
        for least in (rule.least, min(rule.least, rule.faint)):
            good = (agree > least).sum(1)
            free = ~(done[0, pairs[:, 1]] | done[1, pairs[:, 2]])
            hold = near & free & (good >= rule.samples - rule.bad)
            done[0, pairs[hold, 1]] = done[1, pairs[hold, 2]] = True
            rows.append(pairs[hold])
            scores.append(score[hold])
            shares.append(good[hold] / rule.samples)
    return torch.cat(rows), torch.cat(scores), torch.cat(shares)


@carried_kernel
def limb_midpoints(
    maps: Float[Tensor, "B L h w"],
    boxes: Float[Tensor, "N 4"],
    image: Int[Tensor, "N"],
    part: Int[Tensor, "N"],
    limbs: Int[Tensor, "L 2"],
    threshold: float,
    stride: float = 1.0,
) -> Candidates:
    """As `limb_integrals`, by one map a limb: its value half-way between two parts is their score.

    Candidates are those above `threshold`; there is one sample, so all of them agree.
    """
    require_limb_shapes(maps, boxes, image, part, limbs, 1)
    require_limb_values(maps, boxes, image, part, limbs)
    places = geometry.centres(boxes) / stride
    rows, scores = [limbs.new_zeros(0, 3)], [places.new_zeros(0)]
    for index, limb, pairs in _pairs(len(maps), image, part, limbs):
        middle = (places[pairs[:, 1]] + places[pairs[:, 2]]) / 2
        score = bilinear(maps[index, limb : limb + 1].float(), middle)[:, 0]
        rows.append(pairs[score > threshold])
        scores.append(score[score > threshold])
    return torch.cat(rows), torch.cat(scores), torch.ones_like(torch.cat(scores))


def _pairs(
    images: int, image: Tensor, part: Tensor, limbs: Tensor
) -> Iterator[tuple[int, int, Int[Tensor, "K 3"]]]:
    """Image, limb, and all pairs of its parts: the limb, the first's row, the second's."""
    for index in range(images):
        for limb, ends in enumerate(limbs.tolist()):
            rows = [((image == index) & (part == end)).nonzero()[:, 0] for end in ends]
            yield index, limb, torch.cartesian_prod(image.new_tensor([limb]), *rows)


def bilinear(
    maps: Float[Tensor, "C h w"], places: Float[Tensor, "*any 2"]
) -> Float[Tensor, "*any C"]:
    """The maps between their cells' centres; beyond the outermost they go on unchanged."""
    height, width = maps.shape[1:]
    last = places.new_tensor([width - 1, height - 1])
    x, y = torch.minimum((places - 0.5).clamp(min=0), last).unbind(-1)
    left, top = x.long().clamp(max=max(width - 2, 0)), y.long().clamp(max=max(height - 2, 0))
    right, below = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    a, b = x - left, y - top
    upper = (1 - a) * maps[:, top, left] + a * maps[:, top, right]
    lower = (1 - a) * maps[:, below, left] + a * maps[:, below, right]
    return ((1 - b) * upper + b * lower).movedim(0, -1)
