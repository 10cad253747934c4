"""R-CNN as a whole: it is fitted, finds, goes on where it was stopped, and bears bad input."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline import boxes as bx
from sightline import pipeline
from sightline.detectors.box_ridge import RidgeTraining
from sightline.detectors.crop_network import CropNetwork, FineTuning, Warp
from sightline.detectors.linear_machine import NEVER
from sightline.detectors.rcnn import MARGINS, PROBABILITIES, RCNN, Steps
from sightline.detectors.region_svms import SvmTraining
from sightline.errors import ResourceError
from sightline.fitting import Desk, Paused
from sightline.nets.squeezenet import SqueezeNet
from sightline.preparation import Preparation
from sightline.types import Targets

CLASSES = ("red", "blue", "unseen")


class Grid(nn.Module):
    """A stand-in for the search: squares of two sides all over the image, and how often asked."""

    method = "grid"

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def search(self, image: Tensor) -> Tensor:
        self.asked += 1
        height, width = image.shape[1:]
        boxes = [
            [x, y, min(x + side, width), min(y + side, height)]
            for side, step in ((34, 8), (46, 16))
            for y in range(0, max(1, height - side // 2), step)
            for x in range(0, max(1, width - side // 2), step)
        ]
        return torch.tensor(boxes, dtype=torch.float32)


class Nothing(Grid):
    """A search that proposes nothing."""

    method = "nothing"

    def search(self, image: Tensor) -> Tensor:
        return torch.zeros(0, 4)


def detector(proposer: Any = None, classes: tuple[str, ...] = CLASSES, **options: Any) -> RCNN:
    """Small crops, 120-pixel images; machines that are surer than the paper's, with few objects."""
    torch.manual_seed(0)
    network = CropNetwork(SqueezeNet(), nn.AdaptiveAvgPool2d(1), None, 1, Warp(48, 4))
    return RCNN(
        classes,
        network,
        Grid() if proposer is None else proposer,
        Preparation(shorter=None, longer=120, divisor=1),
        Steps(**options, svm=SvmTraining(cost=0.1)),
        FineTuning(count=16),
        MARGINS if options.get("classifier", "svm") == "svm" else PROBABILITIES,
    ).eval()


def picture(seed: int, height: int = 80, width: int = 120) -> tuple[Tensor, Targets]:
    """Noise, with a red square (class 0) and a blue one (class 1) at random places."""
    draw = torch.Generator().manual_seed(seed)
    image = torch.randint(90, 150, (3, height, width), generator=draw).byte()
    boxes = []
    for label, left in ((0, 0), (1, width // 2)):
        x = left + int(torch.randint(0, width // 2 - 34, (), generator=draw))
        y = int(torch.randint(0, height - 34, (), generator=draw))
        image[:, y : y + 34, x : x + 34] = 20
        image[2 * label, y : y + 34, x : x + 34] = 230
        boxes.append([x, y, x + 34, y + 34])
    return image, Targets(
        torch.tensor(boxes, dtype=torch.float32), torch.tensor([0, 1]), torch.zeros(2).bool()
    )


SAMPLES = [picture(seed) for seed in range(6)]


def test_until_it_is_fitted_it_never_answers() -> None:
    (found,) = pipeline.detect(detector(), [SAMPLES[0][0]])
    assert len(found) == 0


def test_it_is_fitted_and_finds(tmp_path: Path) -> None:
    """On a new picture the best answer of each class is the object."""
    model, said = detector(), list[str]()
    model.fit(SAMPLES, Desk(tmp_path, say=said.append))
    image, truth = picture(77)
    trace = pipeline.run(model, [image])
    (found,) = trace.detections
    for label in (0, 1):
        first = found[found.labels == label][:1]
        assert bx.iou(first.boxes, truth.boxes)[0, label] > 0.5
        assert first.scores > 0
    assert not (found.labels == 2).any()
    assert (model.svm_bias[2], model.svm_bias[:2].min() > NEVER) == (NEVER, True)
    assert "no true box, so no answer: unseen" in said
    assert any("boxes stay as proposed: unseen" in line for line in said)
    assert trace.scored.boxes.shape == (len(trace.regions), 3, 4)
    assert torch.equal(trace.scored.boxes[:, 2], trace.regions.boxes)


def test_proposals_move_towards_the_objects_that_they_were_learnt_from() -> None:
    model, gain = detector(), []
    model.steps = replace(model.steps, ridge=RidgeTraining(penalty=1.0))
    model.fit(SAMPLES, Desk())
    for image, truth in SAMPLES:
        scored = pipeline.run(model, [image]).scored
        before = bx.iou(scored.regions.boxes, truth.boxes)
        after = torch.stack([bx.iou(scored.boxes[:, k], truth.boxes)[:, k] for k in (0, 1)], dim=1)
        gain.append((after - before)[before > 0.6])
    assert torch.cat(gain).mean() > 0.05


def test_a_fit_that_is_stopped_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole = detector()
    whole.fit(SAMPLES, Desk(tmp_path / "whole"))
    assert whole.proposer.asked == len(SAMPLES)  # type: ignore[union-attr]

    calls = 0

    def pause() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise Paused

    with pytest.raises(Paused):
        detector().fit(SAMPLES, Desk(tmp_path / "parts", pause=pause))
    again, said = detector(), list[str]()
    again.fit(SAMPLES, Desk(tmp_path / "parts", say=said.append))
    assert "features of 6 images, 2 of them computed now" in said
    assert again.proposer.asked == 2  # type: ignore[union-attr]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    for name in ("svm_weight", "svm_bias", "ridge_weight", "ridge_bias"):
        assert (getattr(whole, name) != getattr(detector(), name)).any(), name


def test_features_of_other_weights_or_labels_are_not_taken(tmp_path: Path) -> None:
    said: list[str] = []
    desk = Desk(tmp_path, say=said.append)
    detector().fit(SAMPLES[:2], desk)
    image, truth = SAMPLES[0]
    moved = (image, replace(truth, boxes=truth.boxes + 1))
    detector().fit([moved, SAMPLES[1]], desk)
    assert "features of 2 images, 1 of them computed now" in said
    other = detector()
    with torch.no_grad():
        other.encoder.backbone.stem.bias += 0.1  # type: ignore[operator,union-attr]
    other.fit(SAMPLES[:2], desk)
    assert [line for line in said if line.startswith("features")][-1].endswith(
        "2 of them computed now"
    )


def test_without_a_folder_nothing_is_kept() -> None:
    model = detector()
    model.fit(SAMPLES[:3], Desk())
    assert (model.svm_bias[:2] > NEVER).all()
    assert model.store.folder is None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file")
    with pytest.raises(ResourceError):
        detector().fit(SAMPLES[:2], Desk(tmp_path))


def test_training_mode_and_gradients_stay_as_they_were(tmp_path: Path) -> None:
    model = detector().train()
    model.fit(SAMPLES[:1], Desk(tmp_path))
    assert model.training and model.encoder.backbone.training
    assert all(p.requires_grad for p in model.parameters())
    assert not model.svm_weight.requires_grad


def test_a_network_that_looked_at_nothing_new_finds_the_same() -> None:
    """A detector in training mode is fitted on what it will see: the network without dropout."""
    first, second = detector(), detector().train()
    first.fit(SAMPLES[:2], Desk())
    second.fit(SAMPLES[:2], Desk())
    assert torch.equal(first.svm_weight, second.svm_weight)


@pytest.mark.parametrize("options", [{"classifier": "softmax"}, {"regression": "none"}])
def test_a_switch_trains_only_what_it_needs(options: dict[str, str]) -> None:
    usual, other = detector(), detector(None, CLASSES, **options)
    usual.fit(SAMPLES[:3], Desk())
    other.fit(SAMPLES[:3], Desk())
    svm, boxes = options.get("classifier") is None, options.get("regression") is None
    assert torch.equal(other.svm_bias, usual.svm_bias if svm else detector().svm_bias)
    assert torch.equal(other.ridge_bias, usual.ridge_bias if boxes else detector().ridge_bias)
    other.load_state_dict(usual.state_dict())
    scored = pipeline.run(other, [SAMPLES[0][0]]).scored
    assert (scored.boxes.ndim == 3) == boxes
    assert (scored.scores.min() < 0) == svm
    if not svm:
        assert scored.scores.sum(dim=1).max() < 1  # background has the rest
        nothing = detector(None, CLASSES, classifier="softmax", regression="none")
        asked = nothing.proposer
        nothing.fit(SAMPLES[:3], Desk())
        assert asked.asked == 0  # type: ignore[union-attr]


def bad(kind: str) -> tuple[Tensor, Targets]:
    """Images as nobody wants them, each with one object."""
    image = {
        "one colour": torch.full((3, 60, 90), 77),
        "a row": torch.randint(0, 256, (3, 1, 90)),
        "a column": torch.randint(0, 256, (3, 70, 1)),
        "a pixel": torch.zeros(3, 1, 1),
    }[kind].byte()
    height, width = image.shape[1:]
    box = torch.tensor([[0.0, 0.0, float(width), float(height)]])
    return image, Targets(box, torch.tensor([0]), torch.tensor([False]))


@pytest.mark.parametrize("proposer", [Grid, Nothing, None], ids=["grid", "nothing", "search"])
@pytest.mark.parametrize("kind", ["one colour", "a row", "a column", "a pixel"])
def test_bad_images_are_borne(kind: str, proposer: type[Grid] | None) -> None:
    from sightline.detectors.selective_search import SelectiveSearch

    model = detector(SelectiveSearch(limit=20) if proposer is None else proposer())
    image, truth = bad(kind)
    before = pipeline.run(model, [image])
    assert len(before.detections[0]) == 0
    model.fit([bad(kind), SAMPLES[0], bad(kind)], Desk())
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    (found,) = pipeline.detect(model, [image])
    assert torch.isfinite(found.scores).all() and torch.isfinite(found.boxes).all()
    batch = model.prepare([image])
    moved = replace(truth, boxes=batch.frames[0].to_prepared(truth.boxes))
    (loss,) = model.train().loss(batch, [moved]).values()
    loss.backward()
    assert torch.isfinite(loss)


def test_no_proposal_at_all_and_no_object_at_all() -> None:
    empty = Targets(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).bool())
    for model, samples in (
        (detector(Nothing()), [(SAMPLES[0][0], empty)]),
        (detector(), [(SAMPLES[0][0], empty)]),
        (detector(Nothing()), SAMPLES[:2]),
        (detector(), []),
    ):
        said: list[str] = []
        model.fit(samples, Desk(say=said.append))
        assert any("no answer" in line for line in said)
        pipeline.detect(model, [SAMPLES[1][0]])
        batch = model.prepare([SAMPLES[0][0]])
        (loss,) = model.train().loss(batch, [empty]).values()
        loss.backward()
        assert torch.isfinite(loss)


def test_one_class_alone() -> None:
    image, truth = SAMPLES[0]
    model = detector(None, ("red",))
    samples = [(i, Targets(t.boxes[:1], t.labels[:1], t.crowd[:1])) for i, t in SAMPLES]
    model.fit(samples, Desk())
    (found,) = pipeline.detect(model, [image])
    assert bx.iou(found.boxes[:1], truth.boxes[:1]) > 0.5


def test_difficult_objects_are_neither_learnt_nor_negatives() -> None:
    """The red squares are marked difficult in all images but two."""
    model, other = detector(), detector()
    hard = [
        (image, replace(truth, crowd=torch.tensor([row > 1, False])))
        for row, (image, truth) in enumerate(SAMPLES)
    ]
    said: list[str] = []
    model.fit(hard, Desk(say=said.append))
    assert any(line.startswith("red: 2 true boxes") for line in said)
    (found,) = pipeline.detect(model, [picture(77)[0]])
    first = found[found.labels == 0][:1]
    assert bx.iou(first.boxes, picture(77)[1].boxes[:1]) > 0.5
    wrong = [
        (image, truth if row < 2 else Targets(truth.boxes[1:], truth.labels[1:], truth.crowd[1:]))
        for row, (image, truth) in enumerate(SAMPLES)
    ]
    other.fit(wrong, Desk())  # not labelled at all: negatives
    (less,) = pipeline.detect(other, [picture(77)[0]])
    assert (less[less.labels == 0].scores < first.scores).all()
