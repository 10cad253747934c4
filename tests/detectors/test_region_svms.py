"""The machines of R-CNN: they separate, look for hard negatives, and say what they cannot learn."""

from pathlib import Path

import pytest
import torch

from sightline.detectors.linear_machine import NEVER
from sightline.detectors.region_features import Book, FeatureStore, Page
from sightline.detectors.region_svms import SvmTraining, mean_length, train_svms
from sightline.fitting import Desk, Paused
from sightline.types import Targets

WIDTH = 24
CLASSES = ("cat", "dog", "bird")


def world(
    folder: Path,
    images: int,
    regions: int = 60,
    classes: tuple[int, ...] = (0, 1),
    hard_from: int = 0,
) -> Book:
    """Images of one object each; a class has its own direction, and all have noise. From image
    `hard_from` on, some regions without an object look like half of one.
    """
    rng = torch.Generator().manual_seed(3)
    store, paths, truths = FeatureStore(folder, "0" * 64), [], []
    for index in range(images):
        label = classes[index % len(classes)]
        truth = Targets(
            torch.tensor([[10.0, 10.0, 40.0, 30.0]]), torch.tensor([label]), torch.tensor([False])
        )
        features = torch.randn(regions + 1, WIDTH, generator=rng)
        boxes = torch.tensor([[100.0, 100.0, 140.0, 120.0]]).repeat(regions + 1, 1)
        if index >= hard_from:
            features[: regions // 4, label] += 4
        boxes[regions - 3 :] = truth.boxes
        features[regions - 3 :, label] += 9
        near, cells = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)
        page = Page(boxes, features.half(), near, cells, truth)
        paths.append(store.page(f"{index}", truth, lambda page=page: page))  # type: ignore[misc]
        truths.append(truth)
    return Book(paths, truths)


def margins(book: Book, learnt: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Of the true boxes, and of the regions apart from them, each with its own class's machine."""
    true, apart = [], []
    for index in range(len(book)):
        page = book[index]
        scores = page.features.float() @ learnt[0].T + learnt[1]
        own = scores[:, page.truth.labels[0]]
        true.append(own[page.proposals :])
        apart.append(own[page.overlaps(3)[:, page.truth.labels[0]] < 0.3])
    return torch.cat(true), torch.cat(apart)


def test_machines_tell_objects_from_what_looks_like_half_of_one(tmp_path: Path) -> None:
    book = world(tmp_path, 20)
    true, apart = margins(book, train_svms(book, CLASSES, Desk()))
    assert true.min() > apart.max()
    assert apart.mean() < -0.5
    sure = SvmTraining(cost=0.1)
    true, apart = margins(book, train_svms(book, CLASSES, Desk(), sure))
    assert true.mean() > 0.5 and apart.mean() < -0.9


def test_hard_negatives_of_later_images_are_learnt_from(tmp_path: Path) -> None:
    """The first images, of which all negatives are taken, have none that is hard."""
    book = world(tmp_path, 30, hard_from=20)
    few = SvmTraining(fresh=200)
    said: list[str] = []
    true, apart = margins(book, train_svms(book, CLASSES, Desk(say=said.append), few))
    assert apart.max() < true.min()
    lines = [line for line in said if line.startswith("cat")]
    assert len(lines) == 1
    met = int(lines[0].split(" negatives met")[0].split(", ")[-1].replace(",", ""))
    assert 200 < met < 30 * 57  # not all of them
    blind = train_svms(Book(book.paths[:6], book.truths[:6]), CLASSES, Desk(), few)
    assert margins(book, blind)[1].max() > apart.max() + 0.2


def test_features_need_no_scaling_afterwards(tmp_path: Path) -> None:
    """The same machine whatever the unit of the features."""
    book = world(tmp_path / "a", 12)
    weights, biases = train_svms(book, CLASSES, Desk())
    store, paths = FeatureStore(tmp_path / "b", "0" * 64), []
    for index in range(len(book)):
        page = book[index]
        larger = Page(page.boxes, page.features * 8, page.near, page.cells, page.truth)
        paths.append(store.page(f"{index}", page.truth, lambda one=larger: one))  # type: ignore[misc]
    big = Book(paths, book.truths)
    assert mean_length(big) == pytest.approx(8 * mean_length(book), rel=1e-3)
    other, bias = train_svms(big, CLASSES, Desk())
    assert torch.allclose(other * 8, weights, atol=2e-3)
    assert torch.allclose(bias, biases, atol=2e-2)


def test_a_class_without_a_true_box_never_answers_and_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    weights, biases = train_svms(world(tmp_path, 6), CLASSES, Desk(say=said.append))
    assert (weights[2] == 0).all() and biases[2] == NEVER
    assert (biases[:2] > NEVER).all()
    assert "no true box, so no answer: bird" in said


def test_a_class_without_anything_apart_from_it_never_answers_and_is_said(tmp_path: Path) -> None:
    book = world(tmp_path, 3, regions=3, classes=(0,))  # all proposals are the object
    said: list[str] = []
    weights, biases = train_svms(book, CLASSES[:1], Desk(say=said.append))
    assert (weights == 0).all() and (biases == NEVER).all()
    assert "no region apart from its objects, so no answer: cat" in said


def test_the_same_machine_every_time(tmp_path: Path) -> None:
    book = world(tmp_path, 8)
    first, second = (train_svms(book, CLASSES, Desk(seed=5)) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_it_pauses(tmp_path: Path) -> None:
    def pause() -> None:
        raise Paused

    with pytest.raises(Paused):
        train_svms(world(tmp_path, 3), CLASSES, Desk(pause=pause))
