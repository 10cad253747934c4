"""Class-wise box regression: the closed form, what is learnt from, and what nothing is known of."""

from pathlib import Path

import pytest
import torch

from sightline import boxes as bx
from sightline.detectors.box_ridge import RidgeTraining, ridge, samples, train_ridges
from sightline.detectors.region_features import Book, FeatureStore, Page
from sightline.fitting import Desk
from sightline.types import Targets


@pytest.mark.parametrize("count", [5, 30, 31, 400])
def test_both_forms_are_the_ridge_regression_of_scikit_learn(count: int) -> None:
    from sklearn.linear_model import Ridge

    rng = torch.Generator().manual_seed(count)
    cells = torch.randn(count, 30, generator=rng) + 2
    offsets = torch.randn(count, 4, generator=rng) + torch.tensor([5.0, 0, -3, 0])
    weight, bias = ridge(cells, offsets, 17.0)
    other = Ridge(alpha=17.0).fit(cells.double().numpy(), offsets.double().numpy())
    assert torch.allclose(weight, torch.from_numpy(other.coef_), atol=1e-9)
    assert torch.allclose(bias, torch.from_numpy(other.intercept_), atol=1e-9)


def page(rng: torch.Generator, label: int) -> Page:
    """Proposals around one object, whose cells tell by how much they miss it."""
    truth = Targets(
        torch.tensor([[40.0, 30.0, 100.0, 70.0]]), torch.tensor([label]), torch.tensor([False])
    )
    offsets = torch.randn(50, 4, generator=rng) * torch.tensor([0.1, 0.1, 0.15, 0.15])
    boxes = bx.decode(offsets, truth.boxes.expand(50, 4))
    boxes = torch.cat([boxes, torch.tensor([[200.0, 200.0, 220.0, 240.0]]), truth.boxes])
    near = (bx.iou(boxes[:51], truth.boxes)[:, 0] >= 0.6).nonzero()[:, 0]
    goals = bx.encode(truth.boxes.expand(len(near), 4), boxes[near])
    mix = torch.randn(4, 12, generator=torch.Generator().manual_seed(8))
    cells = goals @ mix + 0.01 * torch.randn(len(near), 12, generator=rng) + 1
    return Page(boxes, torch.zeros(52, 3), near, cells.half(), truth)


def book(folder: Path, images: int, labels: tuple[int, ...] = (0, 1)) -> Book:
    rng = torch.Generator().manual_seed(2)
    store = FeatureStore(folder, "0" * 64)
    pages = [page(rng, labels[i % len(labels)]) for i in range(images)]
    paths = [store.page(f"{i}", p.truth, lambda p=p: p) for i, p in enumerate(pages)]  # type: ignore[misc]
    return Book(paths, [p.truth for p in pages])


def test_boxes_move_onto_their_objects(tmp_path: Path) -> None:
    pages = book(tmp_path, 20)
    weights, biases = train_ridges(pages, ("cat", "dog"), Desk(), RidgeTraining(penalty=10.0))
    for index in range(4):
        one = pages[index]
        label = int(one.truth.labels[0])
        offsets = one.cells.float() @ weights[label].T + biases[label]
        before = bx.iou(one.boxes[one.near], one.truth.boxes)
        after = bx.iou(bx.decode(offsets, one.boxes[one.near]), one.truth.boxes)
        assert before.mean() < 0.8
        assert after.mean() > 0.95


def test_only_near_proposals_of_the_class_are_learnt_from(tmp_path: Path) -> None:
    one = book(tmp_path, 1)[0]
    cells, offsets = samples(one, 0, RidgeTraining(), 1000)
    assert len(cells) == len(offsets) == len(one.near) > 20
    assert torch.allclose(
        bx.decode(offsets, one.boxes[one.near]), one.truth.boxes.expand(len(cells), 4), atol=1e-3
    )
    strict, _ = samples(one, 0, RidgeTraining(near=0.8), 1000)
    assert 0 < len(strict) < len(cells)
    some, _ = samples(one, 0, RidgeTraining(), 7)
    assert len(some) == 7


def test_a_class_without_a_sample_leaves_boxes_alone_and_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    weights, biases = train_ridges(book(tmp_path, 2, (1,)), ("cat", "dog"), Desk(say=said.append))
    assert (weights[0] == 0).all() and (biases[0] == 0).all()
    assert (weights[1] != 0).any()
    assert "no proposal near an object, so boxes stay as proposed: cat" in said
