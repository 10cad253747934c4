"""One contract that every model of the catalogue keeps, whatever its method.

Three classes (or what a model knows by itself), random weights made loud enough to find something:
the verbs give the records with the shapes they promise, answers are in bounds and in order, and
lead back to their regions.
"""

import json
import math
from itertools import pairwise

import pytest
import torch

from sightline import catalogue, pipeline
from sightline.data.records import Objects
from sightline.detectors.bottom_up import BottomUp
from sightline.errors import UsageError
from sightline.explain import Stage, ladder, lost
from sightline.pipeline import Detector, Trace
from sightline.reasons import Outcome
from sightline.types import Batch, Detections, Regions, Scored, Targets
from small_detectors import CLASSES, EVERY, HEAVY, ONCE, ONE_OF_A_KIND, classes_of, photo, small


@pytest.fixture(scope="module", params=ONCE)
def detector(request: pytest.FixtureRequest) -> Detector:
    model: Detector = small(request.param, longer=224, shorter=128)
    assert model.classes == classes_of(request.param)
    return model


@pytest.fixture(scope="module")
def trace(detector: Detector) -> Trace:
    return pipeline.run(detector, [photo(150, 230), photo(150, 230).flip(-1)])


def test_it_is_a_detector(detector: Detector) -> None:
    assert isinstance(detector, Detector)


def test_the_records(detector: Detector, trace: Trace) -> None:
    classes = len(detector.classes)
    batch, regions, scored = trace.batch, trace.regions, trace.scored
    assert isinstance(batch, Batch) and isinstance(regions, Regions) and isinstance(scored, Scored)
    assert batch.pixels.shape[:2] == (2, 3) and len(batch.frames) == 2
    assert all(frame.original == (150, 230) for frame in batch.frames)
    assert all(len(level) == 2 and level.dim() == 4 for level in trace.features)
    assert [f.shape[2] for f in trace.features] == sorted(
        (f.shape[2] for f in trace.features), reverse=True
    )
    count = len(regions)
    assert regions.boxes.shape == (count, 4)
    assert regions.image.shape == regions.level.shape == (count,)
    assert set(regions.image.unique().tolist()) <= {0, 1}
    assert scored.scores.shape == (len(scored.regions), classes)
    assert scored.boxes.shape in {
        (len(scored.regions), 4), (len(scored.regions), classes, 4)
    }  # fmt: skip
    assert all(torch.isfinite(x).all() for x in (regions.boxes, scored.boxes, scored.scores))
    assert set(trace.seconds) == {"prepare", "encode", "propose", "classify", "postprocess"}


def test_the_answers(detector: Detector, trace: Trace) -> None:
    assert len(trace.detections) == 2
    for image, found in enumerate(trace.detections):
        assert isinstance(found, Detections)
        assert len(found) > 0
        assert found.size == (150, 230) and found.classes == detector.classes
        x1, y1, x2, y2 = found.boxes.unbind(1)
        assert (x1 >= 0).all() and (y1 >= 0).all() and (x1 <= x2).all() and (y1 <= y2).all()
        assert (x2 <= 230).all() and (y2 <= 150).all()
        assert (found.scores.diff() <= 0).all()
        assert found.labels.dtype == torch.int64
        assert ((found.labels >= 0) & (found.labels < len(detector.classes))).all()
        assert (trace.scored.regions.image[found.region] == image).all()


def test_scores_and_boxes_are_those_of_their_regions(detector: Detector, trace: Trace) -> None:
    found, scored = trace.detections[1], trace.scored
    frame = trace.batch.frames[1]
    if isinstance(detector, BottomUp):  # a person is many parts: the strongest leads back
        assert found.keypoints is not None
        values = found.keypoints[..., 2].amax(1)
        torch.testing.assert_close(values, scored.scores[found.region, 0].clamp(0, 1))
        return
    torch.testing.assert_close(found.scores, scored.scores[found.region, found.labels])
    if scored.boxes.dim() == 2:
        from sightline.boxes import clip

        boxes = clip(frame.to_original(scored.boxes[found.region]), (150, 230))
        torch.testing.assert_close(found.boxes, boxes, rtol=0, atol=1e-2)


def objects_near(found: Detections) -> Objects:
    """The best answer as it is; something small, everything, and something in the middle."""
    boxes = [[*found.boxes[0].tolist()], [3.0, 4, 9, 9], [0, 0, 230, 150], [60, 30, 130, 120]]
    return Objects.of(boxes, [int(found.labels[0]), *[0] * 3])


@pytest.mark.parametrize("detector", EVERY, indirect=True)
def test_every_candidate_and_every_object_has_one_fate(detector: Detector, trace: Trace) -> None:
    found = trace.detections[1]
    story = lost(trace, detector, objects_near(found), index=1)
    mine = (trace.scored.regions.image == 1).nonzero()[:, 0]
    assert torch.equal(story.candidates.region, mine)
    assert sum(story.reasons().values()) == len(mine) and sum(story.stages().values()) == 4
    assert story.objects[0].stage is Stage.MATCHED
    kept = story.candidates.region[story.candidates.outcome == Outcome.KEPT].tolist()
    named = set(found.region.tolist())
    assert named <= set(kept)
    assert getattr(detector, "learns_poses", False) or set(kept) == named
    json.dumps(story.to_json(limit=9), allow_nan=False)
    for one in (*story.objects, *(() if story.first is None else story.first.objects)):
        assert one.text()


@pytest.mark.parametrize("detector", EVERY, indirect=True)
def test_the_oracle_ladder_climbs_to_one(detector: Detector, trace: Trace) -> None:
    stories = [
        lost(trace, detector, objects_near(found), index=index)
        for index, found in enumerate(trace.detections)
    ]
    rungs = list(ladder(stories).values.values())
    assert None not in rungs and rungs[-1] == 1.0
    assert 0 < rungs[0] < 1  # the best answers are right, and not all that there is was found
    assert all(low <= high for low, high in pairwise(rungs))  # type: ignore[operator]


def close(a: Detections, b: Detections) -> None:
    assert len(a) == len(b)
    torch.testing.assert_close(a.scores, b.scores, rtol=0, atol=1e-5)
    # Scores that differ by rounding alone may change places: compare what both are sure of.
    gaps = torch.cat([a.scores.new_full((1,), 1.0), -a.scores.diff()])
    sure = (gaps > 1e-5) & torch.cat([gaps[1:] > 1e-5, gaps.new_zeros(1).bool()])
    torch.testing.assert_close(a.boxes[sure], b.boxes[sure], rtol=0, atol=1e-2)
    assert torch.equal(a.labels[sure], b.labels[sure])


@pytest.mark.parametrize("detector", EVERY, indirect=True)
def test_alone_or_in_a_batch(detector: Detector, trace: Trace) -> None:
    first, second = photo(150, 230), photo(150, 230).flip(-1)
    mixed = pipeline.detect(detector, [first, photo(100, 170), second], batch_size=2)
    alone = pipeline.detect(detector, [first])[0]
    close(mixed[0], alone)
    close(trace.detections[0], alone)
    close(mixed[2], trace.detections[1])


@pytest.mark.parametrize("detector", EVERY, indirect=True)
def test_run_after_run(detector: Detector) -> None:
    first, again = (pipeline.detect(detector, [photo(150, 230)])[0] for _ in range(2))
    assert torch.equal(first.boxes, again.boxes) and torch.equal(first.scores, again.scores)
    assert torch.equal(first.region, again.region)


@pytest.mark.parametrize("detector", EVERY, indirect=True)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 300), (290, 2)])
def test_images_of_strange_sizes(detector: Detector, size: tuple[int, int]) -> None:
    (found,) = pipeline.detect(detector, [torch.zeros(3, *size, dtype=torch.uint8)])
    assert found.size == size
    assert torch.isfinite(found.boxes).all() and torch.isfinite(found.scores).all()


def targets(*boxes: list[float], crowd: bool = False) -> Targets:
    """Objects with 17 points, from corner to corner of their boxes."""
    count, corners = len(boxes), torch.tensor(boxes, dtype=torch.float32).view(-1, 2, 2)
    along = torch.linspace(0, 1, 17)[:, None]
    points = corners[:, :1] + along * (corners[:, 1:] - corners[:, :1])
    return Targets(
        corners.flatten(1),
        torch.arange(count) % len(CLASSES),
        torch.full((count,), crowd),
        keypoints=torch.cat([points, torch.full((count, 17, 1), 2.0)], dim=2),
    )


TRUTHS = {
    "objects": (targets([20, 20, 90, 100], [60, 30, 120, 110]), targets([10, 50, 40, 60])),
    "one empty": (targets([20, 20, 90, 100]), targets()),
    "all empty": (targets(), targets()),
    "a crowd": (targets([20, 20, 90, 100], crowd=True), targets()),
    "tiny, large and thin": (targets([0, 0, 1, 1], [0, 0, 223, 120], [5, 5, 5.5, 90]), targets()),
}


@pytest.mark.parametrize(
    ("detector", "truth"),
    [
        pytest.param(
            name,
            truth,
            id=f"{name}-{kind}",
            marks=[pytest.mark.slow] if name in HEAVY else [],
        )
        for name in sorted(catalogue.MODELS)
        for kind, truth in TRUTHS.items()
    ],
    indirect=["detector"],
)
def test_the_loss_is_finite(detector: Detector, truth: tuple[Targets, Targets]) -> None:
    loss = getattr(detector, "loss", None)
    if loss is None:
        pytest.skip("this method is not trained with a loss")
    batch = detector.prepare([photo(150, 230), photo(150, 230).flip(-1)])
    parts = loss(batch, list(truth))
    assert parts and all(
        isinstance(name, str) and value.dim() == 0 for name, value in parts.items()
    )
    total = sum(parts.values())
    assert math.isfinite(total.item()) and total.item() >= 0
    total.backward()
    gradients = [p.grad for p in detector.parameters() if p.grad is not None]  # type: ignore[attr-defined]
    assert gradients and all(torch.isfinite(g).all() for g in gradients)
    detector.zero_grad(set_to_none=True)  # type: ignore[attr-defined]


RATES = {"ssd300_vgg16": 1e-4, "openpose_2017_vgg19": 1e-4, "openpose_2019_vgg19": 1e-7}
"""Of deep networks without norms whose weights are made loud: a usual step leaves the valley."""


@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_training_lowers_the_loss(name: str) -> None:
    """A few steps on two images: the gradient points the right way."""
    student = small(name, longer=128, shorter=96)
    student.train()
    truth = [targets([10, 10, 50, 55], [35, 15, 65, 60]), targets([20, 10, 85, 60])]
    batch = student.prepare([photo(84, 128), photo(84, 128).flip(-1)])
    optimizer = torch.optim.AdamW(student.parameters(), lr=RATES.get(name, 1e-3))
    losses = []
    for _ in range(8):
        total = sum(student.loss(batch, truth).values())
        losses.append(total.item())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert min(losses[-3:]) < 0.9 * losses[0], losses


def test_the_catalogue() -> None:
    for name in catalogue.MODELS:
        assert catalogue.resolve(name) == name
        assert catalogue.builder(name).__doc__
    assert set(catalogue.ALIASES.values()) | set(catalogue.PUBLISHED.values()) <= set(
        catalogue.MODELS
    )
    for classes, code in (([], "usage.no_classes"), (["a", "a"], "usage.duplicate_class")):
        with pytest.raises(UsageError) as caught:
            catalogue.build("retinanet", classes)
        assert caught.value.code == code
    with pytest.raises(UsageError, match="retinanet_resnet50_fpn"):
        catalogue.build("retinanet_resnet50", CLASSES)
