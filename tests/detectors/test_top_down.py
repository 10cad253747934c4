"""Top-down poses: who is looked at, where the points lie, which poses are one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from dot_machine import LOOK, ONE, STAR, TWO, Dots, middles, model, picture
from sightline import pipeline
from sightline.detectors.cpm import Beliefs
from sightline.detectors.person_crops import Look, Variation
from sightline.detectors.top_down import TopDown
from sightline.errors import UsageError
from sightline.preparation import Preparation
from sightline.types import Batch, Detections, Features, Regions, Scored


@dataclass
class Told:
    """A detector that finds what it was told, in images of their own size."""

    boxes: list[list[float]]
    scores: list[float]
    names: list[str]
    classes: tuple[str, ...] = ("dog", "person")

    def prepare(self, images: Sequence[Tensor]) -> Batch:
        return Preparation(shorter=None, longer=200, divisor=8)(images)

    def encode(self, batch: Batch) -> Features:
        return (batch.pixels[:, :, ::4, ::4],)

    def propose(self, batch: Batch, features: Features) -> Regions:
        boxes = [f.to_prepared(torch.tensor(self.boxes).view(-1, 4)) for f in batch.frames]
        image = torch.arange(len(batch)).repeat_interleave(len(self.boxes))
        return Regions(torch.cat(boxes), image, torch.zeros_like(image))

    def classify(self, batch: Batch, features: Features, regions: Regions) -> Scored:
        scores = torch.zeros(len(regions), 2)
        return Scored(regions, scores, regions.boxes)

    def postprocess(self, batch: Batch, features: Features, scored: Scored) -> list[Detections]:
        count = len(self.boxes)
        return [
            Detections(
                torch.tensor(self.boxes).view(-1, 4),
                torch.tensor(self.scores),
                torch.tensor([self.classes.index(name) for name in self.names]).long(),
                torch.arange(count) + row * count,
                frame.original,
                self.classes,
            )
            for row, frame in enumerate(batch.frames)
        ]


BOXES = [[5.0, 5.0, 50.0, 65.0], [60.0, 15.0, 115.0, 75.0]]


def test_without_a_detector_the_whole_image_is_one_person() -> None:
    (found,) = pipeline.detect(model(), [picture(ONE)])
    assert len(found) == 1 and found.names == ["person"] and found.skeleton == STAR
    assert found.boxes.tolist() == [[0, 0, 120, 90]]
    assert found.keypoints is not None
    torch.testing.assert_close(found.keypoints[0, :, :2], middles(ONE), rtol=0, atol=1.0)


def test_each_person_found_is_posed_in_its_own_crop_of_the_original_pixels() -> None:
    """Two people; the dog between them is not posed. A score is the root of the product of both."""
    detector = model()
    detector.follow(Told([*BOXES, [0, 0, 10, 10]], [0.5, 0.9, 0.8], ["person", "person", "dog"]))
    trace = pipeline.run(detector, [picture(ONE, TWO), picture(ONE, TWO).flip(-1)])
    found = trace.detections[0]
    assert len(trace.regions) == 4 and len(found) == 2
    assert trace.batch.originals is not None and len(trace.batch.originals) == 2
    assert found.keypoints is not None
    torch.testing.assert_close(found.boxes, torch.tensor(BOXES)[[1, 0]], rtol=0, atol=1e-3)
    wanted = torch.stack([middles(TWO), middles(ONE)])
    torch.testing.assert_close(found.keypoints[..., :2], wanted, rtol=0, atol=1.5)
    parts = found.keypoints[..., 2].mean(dim=1)
    torch.testing.assert_close(found.scores, (torch.tensor([0.9, 0.5]) * parts).sqrt())
    assert trace.scored.extras["maps"].shape == (4, 4, 16, 12)
    windows = trace.batch.frames[0].to_original(trace.scored.extras["windows"][:2])
    torch.testing.assert_close(windows, detector.look.windows(torch.tensor(BOXES)))


def test_nobody_found_is_nobody_posed() -> None:
    detector = model()
    detector.follow(Told([], [], []))
    (found,) = pipeline.detect(detector, [picture(ONE)])
    assert len(found) == 0 and found.keypoints is not None and found.keypoints.shape == (0, 3, 3)


def test_the_same_person_twice_is_one_and_only_the_best_are_looked_at() -> None:
    twice = Told([BOXES[0], [6.0, 6.0, 51.0, 66.0]], [0.9, 0.8], ["person"] * 2)
    detector = model()
    detector.follow(twice)
    (found,) = pipeline.detect(detector, [picture(ONE)])
    assert len(found) == 1 and found.region.tolist() == [0]
    detector.look = replace(detector.look, alike=1.0)
    assert len(pipeline.detect(detector, [picture(ONE)])[0]) == 2
    detector.look = replace(detector.look, limit=1)
    detector.machine.seen[0] = 0  # type: ignore[union-attr, index]
    assert len(pipeline.detect(detector, [picture(ONE)])[0]) == 1
    assert detector.machine.seen == [1]


def test_the_mirrored_crop_gives_the_other_side() -> None:
    """With both looks averaged, what the machine takes for left and right disagrees by itself."""
    once, both = model(), model(replace(LOOK, flip=True))
    (first,), (second,) = (pipeline.detect(m, [picture(ONE)]) for m in (once, both))
    assert first.keypoints is not None and second.keypoints is not None
    torch.testing.assert_close(first.keypoints[0, 2], second.keypoints[0, 2], rtol=0, atol=0.01)
    # colours do not change sides in a mirror: either arm is then half believed
    torch.testing.assert_close(second.keypoints[0, :2, 2], first.keypoints[0, :2, 2] / 2)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="classes are dog, cat") as caught:
        model().follow(Told([], [], [], ("dog", "cat")))
    assert caught.value.code == "usage.people"
    black = model().preparation
    with pytest.raises(UsageError, match="one class"):
        TopDown(("a", "b"), STAR, Dots(), Beliefs(), Look(), black, Variation())
    detector = model()
    batch = replace(detector.prepare([picture(ONE)]), originals=None)
    with pytest.raises(UsageError, match="images themselves"):
        detector.classify(batch, (), detector.propose(batch, ()))


def test_the_detector_before_is_no_part_of_the_weights() -> None:
    detector, people = model(), model()
    before = set(detector.state_dict())
    detector.follow(people)
    assert set(detector.state_dict()) == before and detector.people is people
    assert not any(module is people for module in detector.modules())
