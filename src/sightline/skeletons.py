"""Skeletons of keypoints: COCO's person, and the rules for any other."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sightline.errors import DatasetError, WeightsError


@dataclass(frozen=True)
class Skeleton:
    """What the keypoints mean.

    `limbs` are pairs of 0-based points; `flips[i]` is the point that point i becomes in the
    mirrored image, its own index where it stays; `sigmas` are OKS's fall-offs, one a point.
    """

    points: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    flips: tuple[int, ...]
    sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        count = len(self.points)
        if len(self.flips) != count or len(self.sigmas) != count:
            raise DatasetError(
                f"{count} keypoints, but {len(self.flips)} flips and {len(self.sigmas)} sigmas",
                code="skeleton.length",
            )
        if any(not 0 <= j < count or self.flips[j] != i for i, j in enumerate(self.flips)):
            raise DatasetError(
                "mirroring twice does not lead every keypoint back to itself",
                code="skeleton.flips",
                hint="flips[flips[i]] must be i for every point",
            )
        if any(not 0 <= end < count for limb in self.limbs for end in limb):
            raise DatasetError("a limb ends at a keypoint that is not there", code="skeleton.limbs")

    def to_json(self) -> dict[str, Any]:
        """Plain data, as checkpoints hold it."""
        return {key: list(value) for key, value in asdict(self).items()}


def from_manifest(manifest: Mapping[str, Any], path: Path | None = None) -> Skeleton | None:
    """The `skeleton` of a checkpoint's manifest, as `to_json` gave it; None without one.

    Raises WeightsError (`weights.format`) for what is no skeleton.
    """
    value = manifest.get("skeleton")
    if value is None:
        return None
    try:
        return Skeleton(
            tuple(str(name) for name in value["points"]),
            tuple((int(a), int(b)) for a, b in value["limbs"]),
            tuple(int(point) for point in value["flips"]),
            tuple(float(sigma) for sigma in value["sigmas"]),
        )
    except (KeyError, TypeError, ValueError, DatasetError) as error:
        raise WeightsError(
            "the manifest's skeleton is not understood: it is points, limbs, flips and sigmas",
            code="weights.format",
            path=path,
        ) from error


COCO_SIGMAS = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
"""OKS's published fall-offs of COCO's person, by the point's name without its side."""

COCO_POINTS = (
    "nose",
    *(f"{side}_{part}" for part in list(COCO_SIGMAS)[1:] for side in ("left", "right")),
)
"""COCO's 17 points in their order."""

COCO_LIMBS = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8)),
    *((7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)
"""COCO's 19 limbs, as its label files give them."""

DEFAULT_SIGMA = 0.05
"""For points that nobody measured: between an eye's 0.025 and a shoulder's 0.079."""

SIDES = (("left", "right"), ("l_", "r_"), ("_l", "_r"))


def flips(points: Sequence[str]) -> tuple[int, ...]:
    """The point that each becomes in a mirrored image: left for right, where the names say so.

    A point called with "left" ("left_eye", "LeftEye", "eye_left") goes to the one of the same
    name with "right"; "l_"/"r_" in front and "_l"/"_r" at the end count too. All others stay.
    """
    index = {name.lower(): i for i, name in enumerate(points)}
    return tuple(index.get(_mirrored(name.lower(), index), i) for i, name in enumerate(points))


def _mirrored(name: str, known: dict[str, int]) -> str:
    for left, right in SIDES:
        for here, there in ((left, right), (right, left)):
            if here in ("l_", "r_"):
                other = there + name[2:] if name.startswith(here) else name
            elif here in ("_l", "_r"):
                other = name[:-2] + there if name.endswith(here) else name
            else:
                other = name.replace(here, there)
            if other != name and other in known:
                return other
    return name


def skeleton(points: Sequence[str], limbs: Sequence[tuple[int, int]]) -> Skeleton:
    """The skeleton of named points, its flips from the names.

    The sigmas are the published ones where the names are COCO's 17, and its limbs are COCO's if
    there are none; else the sigmas are `DEFAULT_SIGMA`.
    """
    if tuple(points) == COCO_POINTS:
        sigmas = tuple(COCO_SIGMAS[name.split("_")[-1]] for name in points)
        limbs = limbs or COCO_LIMBS
    else:
        sigmas = (DEFAULT_SIGMA,) * len(points)
    return Skeleton(tuple(points), tuple(limbs), flips(points), sigmas)


PERSON = skeleton(COCO_POINTS, COCO_LIMBS)
"""COCO's person."""

NECK = "neck"
"""The point that nobody labels: the middle of both shoulders (Cao 2017, section 3.2)."""

SHOULDERS = ("left_shoulder", "right_shoulder")

_OPENPOSE_LIMBS = (
    *(("neck", "right_shoulder"), ("neck", "left_shoulder"), ("right_shoulder", "right_elbow")),
    *(("right_elbow", "right_wrist"), ("left_shoulder", "left_elbow")),
    *(("left_elbow", "left_wrist"), ("neck", "right_hip"), ("right_hip", "right_knee")),
    *(("right_knee", "right_ankle"), ("neck", "left_hip"), ("left_hip", "left_knee")),
    *(("left_knee", "left_ankle"), ("neck", "nose"), ("nose", "right_eye")),
    *(("right_eye", "right_ear"), ("nose", "left_eye"), ("left_eye", "left_ear")),
    *(("right_shoulder", "right_ear"), ("left_shoulder", "left_ear")),
)

OPENPOSE_ORDER = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder"),
    *("left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip"),
    *("left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear"),
)
"""The 18 parts as OpenPose's published COCO networks count them."""


def with_neck(bones: Skeleton) -> Skeleton:
    """The same skeleton with the neck as one more point, the last.

    COCO's person gets OpenPose's 19 limbs, in their published order and direction; another skeleton
    keeps its limbs and gets two more, from the neck to the shoulders. Raises DatasetError
    (`skeleton.no_shoulders`) where there are none.
    """
    missing = [name for name in SHOULDERS if name not in bones.points]
    if missing or NECK in bones.points:
        why = f"has no {' and no '.join(missing)}" if missing else "has a neck of its own"
        raise DatasetError(
            f"this skeleton {why}: none can be put between its shoulders",
            code="skeleton.no_shoulders",
            hint="the neck is the middle of left_shoulder and right_shoulder",
        )
    points = (*bones.points, NECK)
    place = {name: row for row, name in enumerate(points)}
    if set(bones.points) == set(COCO_POINTS):
        limbs = tuple((place[a], place[b]) for a, b in _OPENPOSE_LIMBS)
    else:
        limbs = (*bones.limbs, *((place[NECK], place[name]) for name in SHOULDERS))
    sigma = sum(bones.sigmas[place[name]] for name in SHOULDERS) / 2
    return Skeleton(points, limbs, (*bones.flips, len(bones.points)), (*bones.sigmas, sigma))


def joined(bones: Skeleton) -> Skeleton:
    """The same skeleton with limbs that join all of its points, so that one leads to all others.

    Where the data set's own limbs do not, each part that they leave aside is joined by its first
    point to the first point of all.
    """
    group = list(range(len(bones.points)))
    for a, b in bones.limbs:
        old, new = group[a], group[b]
        group = [new if one == old else one for one in group]
    more = []
    for point in range(len(group)):
        if group[point] != group[0]:
            more.append((0, point))
            group = [group[0] if one == group[point] else one for one in group]
    return bones if not more else replace(bones, limbs=(*bones.limbs, *more))
