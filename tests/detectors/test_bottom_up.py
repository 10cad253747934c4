"""From maps to people: positions, matchings, associations, mirror images, faults."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from drawn_poses import (
    ANSWER,
    BODY,
    CROWD,
    SIZE,
    Drawn,
    part_maps,
)
from sightline import pipeline
from sightline.detectors.bottom_up import BottomUp, Decoding, unmirrored
from sightline.errors import UsageError
from sightline.preparation import Preparation
from sightline.skeletons import Skeleton, skeleton
from sightline.types import Features


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


def test_no_one_and_a_background_map() -> None:
    model = Drawn(CROWD[:1], Decoding())
    model.drawn = (torch.cat([model.drawn[0], torch.ones(1, 1, *SIZE)], 1), model.drawn[1])
    assert len(pipeline.detect(model, [image()])[0]) == 1
    model.drawn = tuple(maps * 0 for maps in model.drawn)
    (found,) = pipeline.detect(model, [image()])
    assert len(found) == 0 and found.keypoints.shape == (0, 5, 3)


def test_parts_that_are_not_there_and_who_is_a_person() -> None:
    people = CROWD.clone()
    people[0, [3, 4]] = torch.nan  # both feet: head and hands are left
    rows = {"least_parts": (3, 4), "score": (0.5, 0.7)}
    for name, (low, high) in rows.items():
        (few,) = pipeline.detect(Drawn(people, Decoding(**{name: high})), [image()])
        (all_,) = pipeline.detect(Drawn(people, Decoding(**{name: low})), [image()])
        assert (len(few), len(all_)) == (2, 3)
    last = all_[-1:]
    assert torch.equal(last.keypoints[0, 3:], torch.zeros(2, 3))
    torch.testing.assert_close(last.boxes[0, 3], last.keypoints[0, :3, 1].amax())
    (one,) = pipeline.detect(Drawn(people, Decoding(limit=1)), [image()])
    assert torch.equal(one.scores, all_.scores[:1])


def test_points_in_the_padding_are_brought_into_the_image() -> None:
    model = Drawn(CROWD[2:], Decoding())
    (found,) = pipeline.detect(model, [image()[:, :, :560]])  # prepared: 302 × 352
    (narrow,) = pipeline.detect(model, [image()[:, :, :300]])
    for one in (found, narrow):
        height, width = one.size
        assert len(one) == 1 and (one.boxes[:, 2:] <= torch.tensor([width, height])).all()
        assert (one.keypoints[0, :, :2] <= torch.tensor([width, height])).all()


ARMS = skeleton(("elbow", "wrist"), [(0, 1)])


def arms(*pairs: tuple[int, int]) -> Tensor:
    """People with an elbow on the left and a wrist on the right, at these of three heights."""
    return torch.tensor([[[8.5, 6.5 + 8 * a], [26.5, 6.5 + 8 * b]] for a, b in pairs])


class Arms(Drawn):
    """Elbows and wrists at all heights that are there, and the limbs of some."""

    def __init__(self, limbs: Tensor, heights: int, decoding: Decoding) -> None:
        BottomUp.__init__(self, ("person",), ARMS, ARMS, 8, Preparation(None, 352, 8), decoding)
        everyone = arms(*((row, row) for row in range(heights)))
        self.drawn = (part_maps(everyone, SIZE), self.draw(limbs)[1])

    def rows(self) -> set[tuple[int, int]]:
        """The heights of elbow and wrist of everyone found."""
        (found,) = pipeline.detect(self, [image()])
        heights = ((found.keypoints[..., 1] / 16 - 6.5) / 8).round().int()
        return {(a, b) for a, b in heights.tolist()}


@pytest.mark.parametrize("matching", ["greedy", "optimal"])
def test_two_crossing_limbs_with_one_midpoint(matching: str) -> None:
    """Do both limbs belong to people, or does one only look so? Their midpoints say the same."""
    worlds = [((0, 1), (1, 0)), ((0, 1),), ((1, 0),)]
    said = {}
    for association in ("pafs", "midpoints"):
        rule = Decoding(association=association, matching=matching, least_parts=2)
        models = [Arms(arms(*world), 2, rule) for world in worlds]
        found = [model.rows() for model in models]
        said[association] = [a == set(b) for a, b in zip(found, worlds, strict=True)]
        same = [torch.equal(model.drawn[1], models[0].drawn[1]) for model in models]
        assert same == [True, association == "midpoints", association == "midpoints"]
    assert said == {"pafs": [True, True, True], "midpoints": [True, False, False]}


@pytest.mark.parametrize("matching", ["greedy", "optimal"])
def test_three_crossing_limbs_whose_midpoints_fit_two_stories(matching: str) -> None:
    one, other = ((0, 1), (1, 2), (2, 0)), ((1, 0), (2, 1), (0, 2))
    said = {}
    for association in ("pafs", "midpoints"):
        rule = Decoding(association=association, matching=matching, least_parts=2)
        models = [Arms(arms(*world), 3, rule) for world in (one, other)]
        said[association] = [models[0].rows() == set(one), models[1].rows() == set(other)]
    assert said["pafs"] == [True, True] and not all(said["midpoints"])


def mirrored(people: Tensor) -> Tensor:
    """People as the mirrored image shows them, in cells."""
    turned = people[:, list(BODY.flips)].clone()
    turned[..., 0] = SIZE[1] - turned[..., 0]
    return turned


@pytest.mark.parametrize("association", ["pafs", "midpoints"])
def test_maps_of_the_mirrored_image(association: str) -> None:
    limbs = [*BODY.limbs, (1, 2), (3, 1), (2, 4)]  # hand to hand; then one there, one back
    parts = replace(BODY, limbs=tuple(limbs))
    model = Drawn(CROWD, Decoding(association=association), parts)
    there = model.draw(mirrored(CROWD))
    for got, want in zip(unmirrored(there, parts, association), model.drawn, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-4)


class Pixels(Drawn):
    """Maps that depend on the image: a convolution of it."""

    def maps(self, pixels: Tensor) -> Features:
        """Six and ten maps of blocks of 8 × 8 pixels."""
        rng = torch.manual_seed(0)
        blocks = torch.nn.functional.avg_pool2d(pixels, 8)
        kernels = (torch.randn(count, 3, 3, 3, generator=rng) for count in (6, 10))
        return tuple(torch.nn.functional.conv2d(blocks, one, padding=1) for one in kernels)


def test_with_flip_an_image_and_its_mirror_image_have_the_same_people() -> None:
    noise = torch.randint(0, 256, (3, 240, 352), dtype=torch.uint8, generator=torch.manual_seed(1))
    model = Pixels(CROWD, Decoding(flip=True))
    here, there = (model.encode(model.prepare([one])) for one in (noise, noise.flip(-1)))
    for got, want in zip(unmirrored(there, BODY, "pafs"), here, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-4)
    plain = Pixels(CROWD, Decoding())
    assert not torch.allclose(plain.encode(plain.prepare([noise]))[0], here[0])


def test_a_limb_without_a_mirror_image() -> None:
    lame = replace(BODY, limbs=((5, 0), (5, 1)))
    with pytest.raises(UsageError, match="neck to left_hand") as caught:
        unmirrored((torch.zeros(1, 6, 3, 4), torch.zeros(1, 4, 3, 4)), lame, "pafs")
    assert caught.value.code == "usage.flip"


@pytest.mark.parametrize(
    ("classes", "parts"),
    [(("a", "b"), BODY), (("a",), replace(BODY, limbs=())), (("a",), ARMS)],
)
def test_detectors_that_cannot_be(classes: tuple[str, ...], parts: Skeleton) -> None:
    with pytest.raises(UsageError):
        BottomUp(classes, ANSWER, parts, 8, Preparation(None, 352, 8), Decoding())


@pytest.mark.parametrize(
    "wrong",
    [{"peak": 0.0}, {"midpoint": 1.0}, {"association": "lines"}, {"matching": "best"},
     {"least_parts": 0}, {"score": -0.1}, {"limit": 0}, {"peak": float("nan")}],
)  # fmt: skip
def test_numbers_out_of_range(wrong: dict[str, float | str]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))) as caught:
        Decoding(**wrong)
    assert caught.value.code == "usage.out_of_range"
