"""Answers from people in one pass over flat tables: see `sightline.ops.poses`."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from sightline.kernels.cpu.arrays import array
from sightline.kernels.cpu.assembly import group
from sightline.kernels.cpu.blocks import falling
from sightline.kernels.cpu.compile import compiled
from sightline.ops.assembly import require_candidates, require_values
from sightline.ops.checks import require_rows
from sightline.ops.poses import PoseRule, Poses, require_pose_rows, require_pose_shapes
from sightline.ops.poses import greedy_poses as definition
from sightline.types import Frame, Scored

__all__ = ["greedy_poses", "poses"]

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)

Array = np.ndarray[Any, Any]


@compiled
def _best(people: Array, scores: Array, points: Array, image: Array, rule: Any) -> Any:
    """The people who are answers, best first, and the image of each; all images together."""
    (least, score, limit, images), count = rule, 0
    lowest = np.float32(score)
    who, owner = np.empty(scores.size, np.int64), np.empty(scores.size, np.int64)
    for person in falling(scores):
        parts, last = 0, -1
        for point in points:
            row = people[person, point]
            parts += row >= 0
            last = max(last, row)
        if parts >= max(least, 1) and scores[person] >= lowest:
            who[count], owner[count] = person, image[last]
            count += 1
    room, kept = np.full(images, limit), 0
    for i in range(count):
        if room[owner[i]] > 0:
            room[owner[i]] -= 1
            who[kept], owner[kept] = who[i], owner[i]
            kept += 1
    return who[:kept], owner[:kept]


@compiled
def _there(people: Array, points: Array, image: Array, images: int) -> bool:
    """Whether people's rows, the points and the images are there."""
    right = True
    for row in image:
        right &= 0 <= row < images
    for row in people.reshape(-1):
        right &= -1 <= row < image.size
    for point in points:
        right &= 0 <= point < people.shape[1]
    return right


@compiled
def _point(box: Array, way: Array) -> tuple[Any, Any]:
    """The middle of a box of the prepared image, in the original one."""
    x = ((box[0] + box[2]) / TWO - way[2]) / way[0]
    y = ((box[1] + box[3]) / TWO - way[3]) / way[1]
    return min(max(x, ZERO), way[4]), min(max(y, ZERO), way[5])


@compiled
def _poses(people: Array, scores: Array, parts: Any, ways: Array, rule: Any) -> tuple[bool, Any]:
    """Whether all rows are there; where the answers of each image begin; and the answers' boxes,
    scores, rows of strongest parts and points.
    """
    (boxes, values, image, points), images = parts, len(ways)
    right, who, owner = _there(people, points, image, images), image[:0], image[:0]
    if right:
        who, owner = _best(people, scores, points, image, (*rule, images))
    starts, count = np.zeros(images + 1, np.int64), who.size
    around, value = np.empty((count, 4), np.float32), np.empty(count, np.float32)
    strongest, marks = np.empty(count, np.int64), np.zeros((count, points.size, 3), np.float32)
    for index in owner:
        starts[index + 1] += 1
    starts = np.cumsum(starts)
    free = starts.copy()
    for person, index in zip(who, owner):  # noqa: B905 - numba knows no strict
        at, best = free[index], -1
        free[index], value[at], box = at + 1, scores[person], around[at]
        box[:2], box[2:] = np.inf, -np.inf
        for point in range(points.size):
            row = people[person, points[point]]
            if row < 0:
                continue
            x, y = _point(boxes[row], ways[index])
            marks[at, point, 0], marks[at, point, 1] = x, y
            marks[at, point, 2] = min(values[row], ONE)
            box[0], box[1] = min(box[0], x), min(box[1], y)
            box[2], box[3] = max(box[2], x), max(box[3], y)
            if best < 0 or values[row] > values[best]:
                best = row
        strongest[at] = best
    return right, (starts, around, value, strongest, marks)


@compiled
def _greedy(candidates: Any, parts: Any, ways: Array, rule: Any, size: Any) -> tuple[bool, Any]:
    """The groups of the candidates, and of these what `_poses` says."""
    (limbs, integrals, part), values = candidates, parts[1]
    right, (people, scores) = group(limbs, integrals, values, part, size)
    there, found = _poses(people, scores, parts, ways, rule)
    return right and there, found


@lru_cache(64)
def _ways(frames: tuple[Frame, ...]) -> Array:
    """Of each frame x and y of the scale and of the offset, then width and height."""
    rows = [(*scale, *offset) for scale, offset in (frame.way for frame in frames)]
    sizes = [frame.original[::-1] for frame in frames]
    return np.array([(*row, *size) for row, size in zip(rows, sizes, strict=True)], np.float32)


def poses(
    people: Tensor,
    scores: Tensor,
    scored: Scored,
    points: Tensor,
    frames: tuple[Frame, ...],
    rule: PoseRule,
) -> Poses:
    """The kernel of `ops.poses.poses`."""
    regions, who, sure = scored.regions, array(people, np.int64), array(scores, np.float32)
    boxes, image = array(regions.boxes, np.float32), array(regions.image, np.int64)
    values, which = array(scored.scores, np.float32), array(points, np.int64)
    require_pose_shapes(who, sure, which, (boxes, values, image))
    parts = boxes, values.reshape(-1), image, which
    right, found = _poses(who, sure, parts, _ways(frames), _numbers(rule))
    if not right:
        require_pose_rows(people, scored, points, len(frames))
    return _told(found)


def greedy_poses(
    points: Tensor,
    scored: Scored,
    size: tuple[int, int],
    frames: tuple[Frame, ...],
    rule: PoseRule,
) -> Poses:
    """The kernel of `ops.poses.greedy_poses`."""
    regions, extras, which = scored.regions, scored.extras, array(points, np.int64)
    limbs, integrals = array(extras["limbs"], np.int64), array(extras["integrals"], np.float32)
    boxes, values = array(regions.boxes, np.float32), array(scored.scores, np.float32)
    image, part = array(regions.image, np.int64), array(regions.level, np.int64)
    count, some = len(boxes), len(limbs)
    if (
        (limbs.shape, integrals.shape, values.shape) == ((some, 3), (some,), (count, 1))
        and (boxes.shape, image.shape, part.shape) == ((count, 4), (count,), (count,))
        and which.size
    ):
        parts, candidates = (boxes, values.reshape(-1), image, which), (limbs, integrals, part)
        right, found = _greedy(candidates, parts, _ways(frames), _numbers(rule), size)
        if right:
            return _told(found)
    require_candidates(limbs, integrals)
    require_values(values.reshape(-1), part)
    require_rows(boxes, image, part)
    return definition.reference(points, scored, size, frames, rule)  # which says what is wrong


def _numbers(rule: PoseRule) -> tuple[Any, ...]:
    """The rule as a kernel's numbers."""
    return rule.least_parts, float(rule.score), rule.limit


def _told(found: tuple[Array, ...]) -> Poses:
    """The answers of each image; those of a single one are the arrays as they are."""
    starts, around, value, strongest, marks = found
    if starts.size == 2:
        return [(from_numpy(around), from_numpy(value), from_numpy(strongest), from_numpy(marks))]
    answers = Poses()
    for begin, end in pairwise(starts.tolist()):
        boxes, scores, rows, points = (from_numpy(column[begin:end]) for column in found[1:])
        answers.append((boxes, scores, rows, points))
    return answers
