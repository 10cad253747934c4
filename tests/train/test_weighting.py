"""Class weights: what they are, that they reach the loss, and what rare classes gain."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_world import Tiny, brief

from sightline import catalogue
from sightline.data.records import Dataset
from sightline.detectors.dense import Answers, Criterion
from sightline.detectors.hard_examples import HardExamples
from sightline.detectors.quality import QualityCriterion
from sightline.detectors.retinanet import FocalCriterion
from sightline.errors import UsageError
from sightline.train.loop import Run, Trainer
from sightline.train.settings import changed
from sightline.train.weighting import class_weights, effective_weights, weigh
from sightline.types import Targets


def test_the_papers_numbers() -> None:
    """Effective numbers of 1 and of very many objects: 1 and 1 / (1 − β)."""
    weights = effective_weights(np.array([1, 10**7]), beta=0.99)
    assert weights == pytest.approx((2 * 100 / 101, 2 * 1 / 101))
    assert effective_weights(np.array([5, 5, 5])) == pytest.approx((1, 1, 1))
    assert effective_weights(np.array([0, 7, 0])) == (1.0, 1.0, 1.0)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_rarer_classes_never_weigh_less_and_the_mean_is_one(counts: list[int]) -> None:
    weights = np.array(effective_weights(np.array(counts)))
    present = np.array(counts) > 0
    assert np.isfinite(weights).all() and (weights > 0).all()
    assert (weights[~present] == 1).all()
    if present.any():
        assert weights[present].mean() == pytest.approx(1)
        order = np.argsort(np.array(counts)[present], kind="stable")
        assert (np.diff(weights[present][order]) <= 1e-9).all()


def test_what_a_recipe_says(drawn: Dataset) -> None:
    assert class_weights(brief(), drawn) is None
    assert class_weights(brief(class_weights="auto"), drawn) == pytest.approx((1, 1))
    few = drawn.subset([0, 1, 2, 4, 6])  # one of the five is blue
    red, blue = class_weights(brief(class_weights="auto"), few) or (0, 0)
    assert blue / red == pytest.approx(4, rel=0.01)
    recipe = changed(brief(), ["class_weights={'blue': 3}"])
    assert recipe.class_weights == (("blue", 3),)
    assert class_weights(recipe, drawn) == (1.0, 3.0)
    assert changed(recipe, ["class_weights=auto"]).class_weights == "auto"
    with pytest.raises(UsageError, match="did you mean blue"):
        class_weights(brief(class_weights=(("bleu", 2.0),)), drawn)


@pytest.mark.parametrize(
    "wrong", ["many", (("red", 0.0),), (("red", math.inf),), (("red", math.nan),), ((1, 2.0),)]
)
def test_weights_that_make_no_sense(wrong: object) -> None:
    with pytest.raises(UsageError, match="class_weights must be"):
        brief(class_weights=wrong)


def test_a_detector_that_takes_none_says_so(drawn: Dataset, tmp_path: Path) -> None:
    recipe = brief(class_weights="auto")
    with pytest.raises(UsageError, match="Tiny takes no class weights"):
        Trainer(Tiny(), (drawn, None), recipe, tmp_path, Run(say=str))


@pytest.mark.parametrize("name", sorted(catalogue.MODELS.keys() - catalogue.WEIGHTLESS.keys()))
def test_every_model_with_a_loss_takes_them(name: str) -> None:
    if catalogue.learns_poses(name):
        pytest.skip("poses are of one class")
    detector = catalogue.build(name, ["a", "b"])
    if not hasattr(detector, "loss"):
        pytest.skip("this method is not trained with a loss")
    weigh(detector, (1.0, 2.0))
    assert detector.criterion.weights == (1.0, 2.0)  # type: ignore[attr-defined]
    weigh(detector, None)
    assert detector.criterion.weights is None  # type: ignore[attr-defined]


def test_the_loop_hands_them_to_the_loss(drawn: Dataset, tmp_path: Path) -> None:
    detector = catalogue.build("retinanet_mobilenet_v2", drawn.classes)
    recipe = brief(class_weights=(("blue", 5.0),))
    Trainer(detector, (drawn, None), recipe, tmp_path, Run(say=str))
    assert detector.criterion.weights == (1.0, 5.0)  # type: ignore[attr-defined]


def answers(logits: torch.Tensor, side: int = 6) -> Answers:
    """Anchors of 16 pixels on a grid; offsets are zero."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    corner = torch.stack([x, y], dim=-1).reshape(-1, 2).float() * 16
    boxes = torch.cat([corner, corner + 16], dim=1)
    offsets = torch.zeros(*logits.shape[:2], 4)
    return Answers(logits, offsets, boxes, torch.zeros(len(boxes), dtype=torch.int64))


def truth(places: list[int], labels: list[int], side: int = 6) -> Targets:
    boxes = answers(torch.zeros(1, side * side, 1), side).anchors[places]
    count = len(places)
    return Targets(boxes, torch.tensor(labels), torch.zeros(count, dtype=torch.bool))


@pytest.mark.parametrize(
    "criterion",
    [FocalCriterion(), QualityCriterion(), HardExamples()],
    ids=["focal", "qfl", "ohem"],
)
def test_only_regions_of_the_class_count_more(criterion: Criterion) -> None:
    """The gradient of every anchor of a class is multiplied, background and boxes are not."""
    target = [truth([3, 20], [0, 1])]

    def gradient(weights: tuple[float, ...] | None) -> tuple[torch.Tensor, float]:
        torch.manual_seed(0)
        logits = torch.randn(1, 36, 2, requires_grad=True)
        weighted = dataclasses.replace(criterion, weights=weights)  # type: ignore[type-var]
        losses = weighted(answers(logits), target, None)
        losses["classification"].backward()
        assert logits.grad is not None
        return logits.grad[0], losses["box"].item()

    plain, box = gradient(None)
    heavy, same = gradient((1.0, 4.0))
    ratio = heavy / plain
    assert torch.equal(gradient((1.0, 1.0))[0], plain)
    assert box == same
    torch.testing.assert_close(ratio[20], torch.full((2,), 4.0))
    torch.testing.assert_close(ratio[3], torch.ones(2))
    rest = torch.tensor([i for i in range(36) if i not in (3, 20)])
    counted = plain[rest].abs() > 0
    torch.testing.assert_close(ratio[rest][counted], torch.ones(int(counted.sum())))


def recall_of_the_rare(weights: tuple[float, ...] | None) -> tuple[float, float]:
    """Learn 1 rare object among 20 common ones, whose looks overlap: (recall, recall)."""
    rng = torch.Generator().manual_seed(3)
    labels = (torch.rand(36, generator=rng) < 0.08).long()
    looks = torch.randn(12, 36, 4, generator=rng) + 1.3 * torch.stack(
        [1.0 - labels, 1.0 * labels, 0.0 * labels, 0.0 * labels], dim=-1
    )
    target = truth(list(range(36)), labels.tolist())
    layer = torch.nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
    criterion = FocalCriterion(alpha=None, weights=weights)
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    for _ in range(60):
        logits = layer(looks)
        loss = criterion(answers(logits), [target] * len(looks))["classification"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = layer(looks).argmax(dim=2)
    hits = best == labels
    return hits[:, labels == 1].float().mean().item(), hits[:, labels == 0].float().mean().item()


def test_the_recall_of_a_rare_class_rises() -> None:
    plain, common = recall_of_the_rare(None)
    weights = effective_weights(np.array([1320, 120]))
    auto, still = recall_of_the_rare(weights)
    print(f"recall: rare class {plain:.2f} → {auto:.2f}, common {common:.2f} → {still:.2f}")
    assert auto > plain + 0.2
    assert still > 0.7
