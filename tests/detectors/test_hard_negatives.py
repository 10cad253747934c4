"""What machines are trained on: objects as templates see them, bounded stores, hard windows."""

from dataclasses import replace

import numpy as np
import torch

from sightline.detectors.hard_negatives import Learner, Machine, Mining, Scene, cut
from sightline.detectors.sliding_windows import hog_svm
from sightline.fitting import Desk
from sightline.types import Targets


def test_an_object_is_cut_out_with_its_margin() -> None:
    image = torch.zeros(3, 90, 120, dtype=torch.uint8)
    image[:, 20:68, 40:72] = 200
    picture = cut(image, torch.tensor([40.0, 20, 72, 68]), (6, 4), margin=1)
    assert picture.shape == (3, 8 * 10, 8 * 8)
    inside = picture[:, 16:64, 16:48]
    assert (inside == 200).all()
    assert (picture.sum() - inside.sum()).abs() < 1e-3


def test_a_large_object_is_shrunk_without_flicker() -> None:
    """Stripes of one pixel become grey, not stripes of another width."""
    image = torch.zeros(3, 512, 640, dtype=torch.uint8)
    image[:, :, ::2] = 200
    picture = cut(image, torch.tensor([100.0, 50, 612, 450]), (6, 8), margin=0)
    assert (picture - 100).abs().max() < 1


def test_an_object_at_the_border_goes_on_beyond_it() -> None:
    image = torch.full((3, 60, 50), 77, dtype=torch.uint8)
    picture = cut(image, torch.tensor([0.0, 0, 50, 60]), (5, 4), margin=2)
    torch.testing.assert_close(picture, torch.full_like(picture, 77))


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


def test_windows_at_objects_and_in_crowds_are_no_negatives() -> None:
    detector = hog_svm(("cat", "dog"))
    detector.preparation = replace(detector.preparation, longer=200)
    boxes = torch.tensor([[20.0, 20, 76, 76], [120, 20, 200, 100], [20, 90, 60, 110]])
    truth = Targets(boxes, torch.tensor([0, 0, 1]), torch.tensor([False, True, False]))
    image = torch.zeros(3, 120, 200, dtype=torch.uint8)
    scene = Scene.of(detector, image, truth)
    rows = scene.rows(1)
    assert ((scene.level[rows] % 3) == 1).all()
    apart = scene.apart(rows, 0, 0.3)
    centre = (scene.boxes[rows][:, :2] + scene.boxes[rows][:, 2:]) / 2
    finest = scene.level[rows] < 3
    near = finest & ((centre - torch.tensor([48.0, 48])).abs().amax(dim=1) < 6)
    crowd = finest & ((centre - torch.tensor([160.0, 60])).abs().amax(dim=1) < 12)
    assert near.any() and crowd.any() and apart.any()
    assert not apart[near].any() and not apart[crowd].any()
    assert scene.apart(rows, 1, 0.3)[near].all()  # a cat is no dog


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
