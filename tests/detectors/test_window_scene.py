"""What templates see of a labelled image: objects in their size, windows far from them."""

from dataclasses import replace

import torch

from sightline.detectors.sliding_windows import hog_svm
from sightline.detectors.window_scene import Scene, cut
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
