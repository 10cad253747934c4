"""What machines are trained on: the objects worth it, and bounded stores of windows."""

import numpy as np
import pytest
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


class OneBox:
    """One picture of noise with an object in it."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Targets]:
        image = torch.randint(0, 256, (3, 150, 200), dtype=torch.uint8)
        box = torch.tensor([[30.0, 30, 120, 120]])
        return image, Targets(box, torch.zeros(1, dtype=torch.int64), torch.zeros(1).bool())


@pytest.mark.parametrize(
    ("alarms", "looks"),
    [
        ([9.0, 5.0, 4.9, 1.0], 3),
        ([9.0, 5.0, 6.0, 1.0], 3),
        ([9.0, 5.0, 2.0, 1.0, 0.5], 5),
        ([9.0, 0.0, 0.0, 1.0], 3),
    ],
)
def test_looks_end_when_false_alarms_get_no_fewer(
    alarms: list[float], looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, said = iter(alarms), list[str]()
    monkeypatch.setattr(Learner, "_look", lambda self, samples: (7, next(left)))
    detector, mining = hog_svm(("cat",)), Mining(looks=5, random=20)
    Learner(detector, mining, Desk(say=said.append)).learn(OneBox())
    assert len(said) == looks and f"{alarms[looks - 1]:.1f} false alarms an image" in said[-1]


def test_a_look_spreads_what_it_adds_over_its_images() -> None:
    """And counts as false alarms what has a margin above 0, apart from the object."""
    torch.manual_seed(0)
    detector = hog_svm(("cat",))
    learner = Learner(detector, Mining(random=20, hard=6), Desk())
    learner._gather_objects(OneBox())
    learner.order = [0]
    (name,) = learner.machines
    detector.bias[name[1], name[0]] = 1.0  # everything is an alarm
    fresh, alarms = learner._look(OneBox())
    assert fresh == len(learner.machines[name].negatives) == 6
    assert alarms > 100
    detector.bias[name[1], name[0]] = -0.5  # within the margin, but no alarm
    assert learner._look(OneBox())[1] == 0
