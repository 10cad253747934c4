"""Keypoints in YOLO's labels: `kpt_shape` and `flip_idx` of `data.yaml`, and a line's later values.

A line is `class x y w h` and then, for each point, `x y` or `x y v`: shares of the upright image
and the visibility 0 (not labelled), 1 (hidden), 2 (visible). Without visibilities a point at
0, 0 is not labelled, and all others are visible.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from sightline.data.records import Skeleton
from sightline.errors import AnnotationError
from sightline.skeletons import COCO_POINTS, flips, skeleton
from sightline.types import Size

POINT_LIMIT = 1000
SLACK = 1e-3
"""By how much a share may leave 0 … 1: what tools lose in rounding."""


@dataclass(frozen=True)
class Pose:
    """The skeleton of a `data.yaml`, and how many values a line holds for each of its points."""

    skeleton: Skeleton
    values: int

    @property
    def columns(self) -> int:
        """Words in a line: class, box, points."""
        return 5 + self.values * len(self.skeleton.points)

    def keypoints(self, values: Sequence[float], size: Size) -> Float[ndarray, "P 3"]:
        """x, y in pixels and visibility of what follows a line's box; `values` are finite.

        AnnotationError without a place: `keypoints.visibility`, `yolo.range`.
        """
        points = np.array(values, np.float64).reshape(-1, self.values)
        there = np.where((points[:, :2] == 0).all(axis=1), 0.0, 2.0)
        seen = there if self.values == 2 else points[:, 2]
        if not np.isin(seen, (0, 1, 2)).all():
            raise AnnotationError(
                "a keypoint's visibility is not 0, 1 or 2",
                code="keypoints.visibility",
                hint="0: not labelled, 1: hidden, 2: visible",
            )
        shares = points[seen > 0, :2]
        if ((shares < -SLACK) | (shares > 1 + SLACK)).any():
            raise AnnotationError(
                "a labelled keypoint lies outside 0 … 1",
                code="yolo.range",
                hint="divide pixels by the image's size; give points outside the visibility 0",
            )
        answer = np.zeros((len(points), 3), np.float32)
        answer[seen > 0, :2] = shares.clip(0, 1) * [size[1], size[0]]
        answer[:, 2] = seen
        return answer


def looks_like_pose(values: Sequence[float]) -> bool:
    """Whether the values of an outline read rather like a box and four or more keypoints with
    visibilities: each third one after the box is exactly 0, 1 or 2.
    """
    rest = values[4:]
    return len(rest) >= 12 and len(rest) % 3 == 0 and all(v in (0, 1, 2) for v in rest[2::3])


def read_pose(data: dict[str, Any], path: Path) -> Pose | None:
    """The keypoints that a `data.yaml` speaks of; None where it speaks of none.

    AnnotationError: `yolo.kpt_shape`, `yolo.kpt_names`, `yolo.flip_idx` (no permutation, or one
    that mirroring twice does not undo), `skeleton.many` where classes have different points.
    """
    if "kpt_shape" not in data:
        for key in ("flip_idx", "kpt_names"):
            if key in data:
                raise _refusal("yolo.kpt_shape", f"there is {key}, but no kpt_shape", path)
        return None
    shape = data["kpt_shape"]
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or any(type(value) is not int for value in shape)
        or not 1 <= shape[0] <= POINT_LIMIT
        or shape[1] not in (2, 3)
    ):
        raise _refusal(
            "yolo.kpt_shape", f"{str(shape)[:40]} is no number of keypoints and 2 or 3", path
        )
    mirror = _mirror(data.get("flip_idx"), shape[0], path)
    names = _names(data.get("kpt_names"), shape[0], path)
    if names is None:
        known = shape[0] == len(COCO_POINTS) and mirror == flips(COCO_POINTS)
        names = COCO_POINTS if known else tuple(f"point_{i + 1}" for i in range(shape[0]))
    bones = skeleton(names, ())
    return Pose(bones if mirror is None else replace(bones, flips=mirror), shape[1])


def _refusal(code: str, message: str, path: Path) -> AnnotationError:
    hints = {
        "yolo.kpt_shape": "write kpt_shape: [points, 3], or [points, 2] without visibilities",
        "yolo.flip_idx": "for each point the one it becomes in the mirrored image, counted from 0",
        "yolo.kpt_names": "a name for each point, each once",
    }
    return AnnotationError(
        message, code=code, path=path, pointer=code.removeprefix("yolo."), hint=hints[code]
    )


def _mirror(value: object, count: int, path: Path) -> tuple[int, ...] | None:
    if value is None:
        return None
    whole = isinstance(value, list) and all(type(v) is int for v in value)
    if not isinstance(value, list) or not whole or sorted(value) != list(range(count)):
        raise _refusal("yolo.flip_idx", f"it is no order of the points 0 … {count - 1}", path)
    if any(value[j] != i for i, j in enumerate(value)):
        raise _refusal(
            "yolo.flip_idx", "mirroring twice does not lead every point back to itself", path
        )
    return tuple(value)


def _names(value: object, count: int, path: Path) -> tuple[str, ...] | None:
    """The points' names, from one list or from one for each class."""
    if value is None:
        return None
    lists: list[Any] = list(value.values()) if isinstance(value, dict) else [value]
    for names in lists:
        fine = isinstance(names, list) and len(names) == count
        if not fine or not all(isinstance(name, str) and name.strip() for name in names):
            raise _refusal("yolo.kpt_names", f"it names other than {count} points", path)
        if len({name.strip() for name in names}) < count:
            raise _refusal("yolo.kpt_names", "two points have one name", path)
        if names != lists[0]:
            raise AnnotationError(
                "two classes have different keypoints",
                code="skeleton.many",
                path=path,
                pointer="kpt_names",
                hint="a data set has one skeleton: convert the classes apart",
            )
    return tuple(name.strip() for name in lists[0]) if lists else None
