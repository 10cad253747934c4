"""From maps to people: positions, matchings, associations, mirror images, faults."""

import pytest
import torch
from torch import Tensor

from drawn_poses import limb_fields, midpoint_maps, part_maps
from sightline import pipeline
from sightline.detectors.bottom_up import BottomUp, Decoding
from sightline.preparation import Preparation
from sightline.skeletons import Skeleton, skeleton
from sightline.types import Features

POINTS = ("head", "left_hand", "right_hand", "left_foot", "right_foot")
BODY = skeleton((*POINTS, "neck"), [(5, 0), (5, 1), (5, 2), (5, 3), (5, 4)])
ANSWER = skeleton(POINTS, [(0, 1)])
SIZE = (30, 44)


class Drawn(BottomUp):
    """Answers with the maps that it was given, whatever the image."""

    def __init__(self, people: Tensor, decoding: Decoding, parts: Skeleton = BODY) -> None:
        super().__init__(("person",), ANSWER, parts, 8, Preparation(None, 352, 8), decoding)
        self.drawn: Features = self.draw(people)

    def draw(self, people: Tensor) -> Features:
        limbs = self.parts.limbs
        if self.decoding.association == "midpoints":
            return part_maps(people, SIZE), midpoint_maps(people, limbs, SIZE)
        return part_maps(people, SIZE), limb_fields(people, limbs, SIZE)

    def maps(self, pixels: Tensor) -> Features:
        return tuple(maps.expand(len(pixels), -1, -1, -1) for maps in self.drawn)


def person(x: float, y: float) -> Tensor:
    """Six parts around a neck."""
    arms = torch.tensor([[0.3, -4], [5.2, 1.6], [-5.1, 2.1], [2.4, 9.3], [-2.7, 9.1], [0, 0]])
    return arms + torch.tensor([x, y])


CROWD = torch.stack([person(8.3, 7.1), person(21.7, 12.4), person(35.2, 9.9)])


def image() -> Tensor:
    return torch.zeros(3, 480, 704, dtype=torch.uint8)  # prepared: 240 × 352, half its size


@pytest.mark.parametrize("association", ["pafs", "midpoints"])
@pytest.mark.parametrize("matching", ["greedy", "optimal"])
def test_people_who_stand_apart(association: str, matching: str) -> None:
    model = Drawn(CROWD, Decoding(association=association, matching=matching))
    trace = pipeline.run(model, [image(), image()])
    for index, found in enumerate(trace.detections):
        assert len(found) == 3 and found.skeleton is ANSWER and found.size == (480, 704)
        order = found.keypoints[:, 0, 0].argsort()
        points = found.keypoints[order]
        torch.testing.assert_close(points[..., :2], CROWD[:, :5] * 16, rtol=0, atol=0.05)
        assert (points[..., 2] > 0.5).all() and (found.scores > 0.5).all()
        box = torch.cat([points[..., :2].amin(1), points[..., :2].amax(1)], 1)
        assert torch.equal(found.boxes[order], box)
        assert (found.scores.diff() <= 0).all()
        assert (trace.regions.image[found.region] == index).all()
        strongest = trace.scored.scores[found.region, 0]
        torch.testing.assert_close(strongest, found.keypoints[..., 2].amax(1))
