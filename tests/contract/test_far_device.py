"""Every model works on a device that is not the CPU: nothing of it stays behind."""

import pytest
import torch

from far_device import FAR, far_away
from sightline.predict import Model
from sightline.train.recipes import Recipe
from sightline.train.step import Stepper
from sightline.types import Detections, Targets
from small_detectors import EVERY, ONE_OF_A_KIND, photo, side_of, small

ATOL = {"hog_svm": 1e-2}
"""Where more may differ: edges between two orientations, of which the last bit of a pixel decides.
"""


def answers(name: str, device: torch.device) -> Detections:
    detector = small(name, longer=224, shorter=128)
    if isinstance(detector, torch.nn.Module):
        detector.to(device)
    return Model(detector, name, None, str(device)).find([photo(150, 230)])[0]


@pytest.mark.parametrize("name", EVERY)
def test_it_answers_there_as_here(name: str) -> None:
    here = answers(name, torch.device("cpu"))
    with far_away():
        there = answers(name, FAR)
    assert there.boxes.device.type == "cpu" and len(there) == len(here)
    assert torch.allclose(there.scores, here.scores, atol=ATOL.get(name, 1e-4))


def truth() -> list[Targets]:
    boxes = torch.tensor([[5.0, 5.0, 40.0, 50.0], [30.0, 10.0, 60.0, 60.0]])
    return [Targets(boxes, torch.zeros(2).long(), torch.zeros(2).bool())] * 2


@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_it_learns_there(name: str) -> None:
    pixels = torch.randint(0, 256, (2, 3, *side_of(name)), dtype=torch.uint8)
    with far_away():
        detector = small(name, longer=96, shorter=64).to(FAR)
        student = Stepper(detector, Recipe(model=name, steps=1, bf16=False, threads=1))
        taken, loss = student.step(pixels, truth(), 1e-4)
    assert taken and loss >= 0
