"""What keypoints mean: COCO's person, and skeletons on their way through a manifest."""

import json
from typing import Any

import pytest

from sightline.errors import WeightsError
from sightline.skeletons import COCO_POINTS, PERSON, Skeleton, from_manifest, skeleton

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
