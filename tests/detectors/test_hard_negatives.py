"""What machines are trained on: the objects worth it, and bounded stores of windows."""

import numpy as np
import torch

from sightline.detectors.hard_negatives import Learner, Machine, Mining
from sightline.detectors.sliding_windows import hog_svm
from sightline.fitting import Desk
from sightline.types import Targets


def test_positives_beyond_the_most_are_a_fair_choice() -> None:
    rng, counts = np.random.default_rng(0), np.zeros(10)
    for _ in range(2000):
        machine = Machine()
        for value in range(10):
            machine.keep(np.array([value]), 3, rng)
        assert len(machine.positives) == 3 and machine.met == 10
        counts[[int(one[0]) for one in machine.positives]] += 1
    assert (np.abs(counts / 2000 - 0.3) < 0.05).all()


def test_the_hardest_negatives_stay() -> None:
    rng = np.random.default_rng(1)
    machine = Machine(positives=[rng.normal(2, 0.3, 5).astype(np.float32) for _ in range(20)])
    for row in range(50):
        away = -4.0 if row % 2 else 0.5
        machine.negatives[0, row] = rng.normal(away, 0.3, 5).astype(np.float32)
    weights, bias = machine.train(1.0, most=25, seed=0)
    assert sorted(machine.negatives) == [(0, row) for row in range(0, 50, 2)]
    assert all(one @ weights + bias > 0 for one in machine.positives)
    assert all(one @ weights + bias < 0 for one in machine.negatives.values())


def test_memory_bounds_what_a_machine_keeps() -> None:
    detector = hog_svm(("cat",))
    few = Learner(detector, Mining(memory=1 << 20), Desk()).most
    many = Learner(detector, Mining(memory=1 << 24), Desk()).most
    numbers = sum(template.numel() for template in detector.templates)
    assert few == max(2, (1 << 20) // (4 * numbers) // 2) < many
    assert Learner(detector, Mining(), Desk()).most == Mining().rows // 2


def test_objects_smaller_than_all_windows_are_not_learnt() -> None:
    detector = hog_svm(("cat",))
    boxes = torch.tensor([[0.0, 0, 20, 20], [10, 10, 90, 95], [30, 30, 30, 80]])
    truth = Targets(boxes, torch.zeros(3, dtype=torch.int64), torch.zeros(3).bool())
    image = torch.zeros(3, 300, 512, dtype=torch.uint8)
    found = list(Learner(detector, Mining(), Desk())._learnt(image, truth))
    assert [(name, box.tolist()) for name, box in found] == [((0, 1), boxes[1].tolist())]
