"""Answers from people: the places of their parts in the user's image, and a box around each."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline import boxes as geometry
from sightline.errors import UsageError
from sightline.ops.assembly import group_greedily
from sightline.ops.checks import Numbers, require_rows
from sightline.ops.dispatch import kernel
from sightline.types import Frame, Scored


@dataclass(frozen=True)
class PoseRule:
    """Which people are answers: those with so many parts and such a score at least, and of these
    the best `limit` of an image.
    """

    least_parts: int
    score: float
    limit: int


Poses = list[tuple[Tensor, Tensor, Tensor, Tensor]]
"""Of each image, best first: boxes (N, 4), scores (N,), rows of the strongest parts (N,) and
points (N, P, 3), x, y and value, all 0 where there is no part; in the original image's pixels.
"""


def require_pose_shapes(
    people: Numbers, scores: Numbers, points: Numbers, parts: tuple[Numbers, Numbers, Numbers]
) -> None:
    """Raise UsageError (usage.shape) unless (G, P) people have (G,) scores and at least one point,
    and candidate parts a box, one score and an image each.
    """
    boxes, values, image = parts
    require_rows(boxes, image)
    right = people.ndim == 2 and scores.shape == people.shape[:1] and len(points) > 0
    if not right or values.shape != (len(boxes), 1):
        shapes = ", ".join(str(tuple(one.shape)) for one in (people, scores, points, values))
        raise UsageError(
            f"(G, P) people, (G,) scores, points and (R, 1) values are wanted, not {shapes}",
            code="usage.shape",
        )


def require_pose_rows(people: Tensor, scored: Scored, points: Tensor, images: int) -> None:
    """Raise UsageError (usage.shape) unless people's rows, the points and the images are there."""
    told = {
        "rows": (people, -1, len(scored.regions)),
        "points": (points, 0, people.shape[1]),
        "images": (scored.regions.image, 0, images),
    }
    for name, (rows, least, count) in told.items():
        if rows.numel() and not least <= int(rows.min()) <= int(rows.max()) < count:
            raise UsageError(
                f"{name} {int(rows.min())} … {int(rows.max())} of {count} are asked for",
                code="usage.shape",
            )


@kernel
def poses(
    people: Int[Tensor, "G P"],
    scores: Float[Tensor, "G"],
    scored: Scored,
    points: Int[Tensor, "p"],
    frames: tuple[Frame, ...],
    rule: PoseRule,
) -> Poses:
    """The people who are answers, in the images of these frames.

    `people` has the rows of each one's parts, −1 where there is none; `scored` the parts, in pixels
    of the prepared image, with values above 0; `points` says which parts are the answer's. Its
    places are the middles of the parts' boxes, moved into the image where they are outside, and a
    person's box is the smallest around them. Of equal scores the earlier is first. All on the CPU.
    Raises UsageError (usage.shape).
    """
    regions = scored.regions
    require_pose_shapes(people, scores, points, (regions.boxes, scored.scores, regions.image))
    require_pose_rows(people, scored, points, len(frames))
    boxes, image = regions.boxes.cpu(), regions.image.cpu()
    values, people = scored.scores[:, 0].cpu(), people[:, points]
    found = people >= 0
    least = max(rule.least_parts, 1)  # who has none is in no image
    enough = ((found.sum(1) >= least) & (scores >= rule.score)).nonzero()[:, 0]
    enough = enough[scores[enough].sort(descending=True, stable=True).indices]
    owner, answers = image[people[enough].amax(1)], Poses()
    for index, frame in enumerate(frames):
        best = enough[owner == index][: rule.limit]
        rows, there = people[best], found[best]
        value = values[rows] * there
        height, width = frame.original
        middle = frame.to_original(geometry.centres(boxes[rows])).clamp(min=0)
        middle = torch.minimum(middle, middle.new_tensor([width, height]))
        marks = torch.cat([middle, value.clamp(max=1)[..., None]], 2) * there[..., None]
        lost = ~there[..., None]
        low = middle.masked_fill(lost, torch.inf).amin(1)
        high = middle.masked_fill(lost, -torch.inf).amax(1)
        strongest = rows.gather(1, value.argmax(1, keepdim=True))[:, 0]
        answers.append((torch.cat([low, high], 1), scores[best], strongest, marks))
    return answers


@kernel
def greedy_poses(
    points: Int[Tensor, "p"],
    scored: Scored,
    size: tuple[int, int],
    frames: tuple[Frame, ...],
    rule: PoseRule,
) -> Poses:
    """The `poses` of what `group_greedily` makes of the candidate limbs: little is done, which is
    best done in one go.

    `scored` has the candidates in `extras`, `limbs` and their `integrals`; `size` are the numbers
    of kinds of parts and of limbs. Raises UsageError (usage.shape).
    """
    limbs, integrals = (scored.extras[name].cpu() for name in ("limbs", "integrals"))
    values, part = scored.scores.cpu().flatten(), scored.regions.level.cpu()
    people, scores = group_greedily.reference(limbs, integrals, values, part, size)
    return poses.reference(people, scores, scored, points, frames, rule)
