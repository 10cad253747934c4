"""Skeletons of keypoints: COCO's person, and the rules for any other."""

from collections.abc import Sequence

from sightline.data.records import Skeleton

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

    The sigmas are the published ones where the names are COCO's 17, else `DEFAULT_SIGMA`.
    """
    if tuple(points) == COCO_POINTS:
        sigmas = tuple(COCO_SIGMAS[name.split("_")[-1]] for name in points)
    else:
        sigmas = (DEFAULT_SIGMA,) * len(points)
    return Skeleton(tuple(points), tuple(limbs), flips(points), sigmas)
