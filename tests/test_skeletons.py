"""What keypoints mean: COCO's person, and skeletons on their way through a manifest."""

import json
from typing import Any

import pytest

from sightline.errors import DatasetError, WeightsError
from sightline.skeletons import (
    COCO_POINTS,
    OPENPOSE_ORDER,
    PERSON,
    Skeleton,
    from_manifest,
    joined,
    skeleton,
    with_neck,
)

HAND = skeleton(("wrist", "left_tip", "right_tip"), [(0, 1), (0, 2)])


@pytest.mark.parametrize("bones", [PERSON, HAND, Skeleton((), (), (), ())])
def test_a_manifest_keeps_a_skeleton(bones: Skeleton) -> None:
    manifest = json.loads(json.dumps({"skeleton": bones.to_json()}))
    assert from_manifest(manifest) == bones
    assert from_manifest({"model": "retinanet_mobilenet_v2"}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"points": None},
        {"points": ["wrist"]},
        {"limbs": [[0, 3]]},
        {"limbs": [[0, 1, 2]]},
        {"flips": [1, 2, 0]},
        {"flips": 3},
        {"sigmas": ["wide", 1, 1]},
        {"sigmas": 0.05},
    ],
)
def test_a_manifest_with_another_thing_is_refused(changes: dict[str, Any]) -> None:
    plain = HAND.to_json() | changes
    with pytest.raises(WeightsError, match="skeleton is not understood") as caught:
        from_manifest({"skeleton": plain})
    assert caught.value.code == "weights.format"
    with pytest.raises(WeightsError):
        from_manifest({"skeleton": [plain]})


def test_cocos_person() -> None:
    assert len(PERSON.points) == 17 and len(PERSON.limbs) == 19
    named = {(COCO_POINTS[a], COCO_POINTS[b]) for a, b in PERSON.limbs}
    mirrored = {tuple(sorted((PERSON.flips[a], PERSON.flips[b]))) for a, b in PERSON.limbs}
    assert mirrored == {tuple(sorted(limb)) for limb in PERSON.limbs}
    assert {("left_ankle", "left_knee"), ("nose", "right_eye")} <= named
    assert len(set(PERSON.limbs)) == 19


def test_the_neck_of_a_person() -> None:
    """18 parts, 19 limbs in OpenPose's order; every one leads to all others."""
    parts = with_neck(PERSON)
    assert parts.points == (*COCO_POINTS, "neck") and len(parts.limbs) == 19
    assert set(parts.points) == set(OPENPOSE_ORDER)
    assert parts.limbs[0] == (17, COCO_POINTS.index("right_shoulder"))
    assert parts.limbs[12] == (17, 0)
    assert parts.flips[17] == 17 and parts.sigmas[17] == pytest.approx(0.079)
    assert joined(parts) == parts and joined(PERSON) == PERSON


def test_the_neck_of_others() -> None:
    bust = skeleton(("nose", "right_shoulder", "left_shoulder"), [(0, 1), (0, 2)])
    assert with_neck(bust).limbs == ((0, 1), (0, 2), (3, 2), (3, 1))
    with pytest.raises(DatasetError, match="no left_shoulder and no right_shoulder"):
        with_neck(HAND)
    with pytest.raises(DatasetError, match="a neck of its own"):
        with_neck(with_neck(bust))


def test_limbs_that_join_all() -> None:
    """Two parts and a lone point: both are joined to the first point."""
    bones = skeleton(("a", "b", "c", "d", "e"), [(0, 1), (3, 2)])
    assert joined(bones).limbs == ((0, 1), (3, 2), (0, 2), (0, 4))
    assert joined(skeleton(("a", "b", "c"), [])).limbs == ((0, 1), (0, 2))
    assert joined(Skeleton((), (), (), ())).limbs == ()
