"""Strange data that every model with a loss can train on: few, many, one, none."""

from typing import Any

import pytest
import torch

from sightline import catalogue
from sightline.train.recipes import Recipe
from sightline.train.step import Stepper
from sightline.types import Targets
from small_detectors import EVERY, ONE_SIZE, of_one_size, side_of


def stepper(name: str, classes: int) -> Stepper:
    if not catalogue.learns_by_steps(name):
        pytest.skip("this method is not trained with a loss")
    if catalogue.learns_poses(name) and classes > 1:
        pytest.skip("poses are of one class")
    torch.manual_seed(0)
    names = [f"class {i}" for i in range(classes)]
    model: Any = of_one_size(name, names) if name in ONE_SIZE else catalogue.build(name, names)
    return Stepper(model, Recipe(model=name, steps=1, bf16=False, threads=1))


def pixels(count: int, name: str) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, *side_of(name)), dtype=torch.uint8, generator=rng)


def objects(count: int, classes: int) -> Targets:
    rng = torch.Generator().manual_seed(2)
    corners = torch.rand(count, 2, generator=rng) * torch.tensor([80.0, 50.0])
    sides = 2 + torch.rand(count, 2, generator=rng) * 12
    labels = torch.arange(count) % classes
    return Targets(torch.cat([corners, corners + sides], 1), labels, torch.zeros(count).bool())


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("images", "count", "classes"),
    [(1, 3, 3), (1, 0, 1), (2, 1, 1), (1, 3, 1000), (1, 5000, 2)],
    ids=["one image", "no object", "one class", "1,000 classes", "5,000 objects"],
)
def test_a_step_is_taken(name: str, images: int, count: int, classes: int) -> None:
    student = stepper(name, classes)
    taken, loss = student.step(pixels(images, name), [objects(count, classes)] * images, 1e-4)
    assert taken and loss >= 0
    assert all(value.isfinite().all() for value in student.detector.state_dict().values())
