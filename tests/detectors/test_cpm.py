"""Convolutional Pose Machines: their networks, and what these learn."""

import math
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from sightline import catalogue
from sightline.detectors.cpm import Beliefs, PoseMachine, Trunks, first_stage, later_stage
from sightline.detectors.person_crops import Look, Variation, labelled
from sightline.errors import UsageError
from sightline.ops.heatmaps import best_cells
from sightline.skeletons import skeleton
from sightline.types import Targets


def test_the_papers_network() -> None:
    """Figure 2: six stages, 46 × 46 cells of 15 maps for 14 parts, and its 30 million weights."""
    with torch.device("meta"):
        star = skeleton([f"part {i}" for i in range(14)], ())
        model = catalogue.build("cpm_368", ("person",), star)
        stages = model.machine(torch.zeros(1, 3, 368, 368))  # type: ignore[attr-defined]
    assert [tuple(one.shape) for one in stages] == [(1, 15, 46, 46)] * 6
    weights = sum(p.numel() for p in model.parameters())  # type: ignore[attr-defined]
    assert 30e6 < weights < 33e6


def field(layers: Iterable[nn.Module], seen: int = 1, step: int = 1) -> tuple[int, int]:
    """How many pixels a cell sees after these layers, and how far apart cells are."""
    for layer in layers:
        side = getattr(layer, "kernel_size", 1)
        seen += ((side[0] if isinstance(side, tuple) else side) - 1) * step
        step *= 2 if isinstance(layer, nn.MaxPool2d) else 1
    return seen, step


def test_what_a_stage_sees_grows() -> None:
    """160 pixels in the first stage, 400 in the second (section 3.1, 3.2)."""
    with torch.device("meta"):
        trunk, first, later = Trunks().trunks[0], first_stage(32, 15), later_stage(48, 15)
    assert isinstance(trunk, nn.Sequential)
    seen, step = field([*trunk, *first])
    assert (seen, step) == (160, 8)
    assert field(later, seen, step)[0] == 400


class Eighth(nn.Module):
    """Features without a network: means of 8 × 8 pixels."""

    stride = 8

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        return (nn.functional.avg_pool2d(crops, 8),)


def test_every_stage_is_taught_and_sees_the_stage_before_and_the_middle() -> None:
    torch.manual_seed(0)
    machine = PoseMachine(Eighth(), [nn.Sequential(nn.Conv2d(c, 3, 1)) for c in (3, 7)], 16.0)
    maps = machine(torch.rand(2, 3, 48, 32))
    assert [tuple(one.shape) for one in maps] == [(2, 3, 6, 4)] * 2
    middle = machine.centre(maps[0])
    assert middle.shape == (2, 1, 6, 4)
    assert middle[0, 0, 2, 1].item() == pytest.approx(math.exp(-(2 * 4.0**2) / (2 * 16**2)))
    torch.testing.assert_close(middle, middle.flip(-1, -2))
    points = torch.tensor([[[1.0, 2.0, 2.0], [3.0, 4.0, 1.0]]]).repeat(2, 1, 1)
    losses = Beliefs()(maps, points)
    assert list(losses) == ["stage1", "stage2"]
    losses["stage2"].backward()
    for stage, number in zip(machine.stages, (3, 7), strict=True):
        grad = stage[0].weight.grad  # type: ignore[index]
        assert isinstance(grad, Tensor) and grad.shape[1] == number and (grad != 0).any()


def test_the_goals_are_gaussians_and_what_has_no_label_teaches_nothing() -> None:
    points = torch.tensor([[[1.5, 2.5, 2.0], [3.0, 1.5, 0.0]]])
    lesson = Beliefs(sigma=1.2)
    goals = lesson.goals(points, (6, 4))
    assert goals[0, 0, 2, 1] == 1 and not goals[0, 1].any()
    assert goals[0, 0, 2, 2].item() == pytest.approx(math.exp(-1 / 1.44))
    torch.testing.assert_close(goals[0, 2], 1 - goals[0, 0])
    wrong = goals.clone()
    wrong[:, 1] = 5.0
    assert lesson([wrong], points)["stage1"] == 0
    wrong[:, 0, 0, 3] += 2
    assert lesson([goals, wrong], points)["stage2"].item() == pytest.approx(4)


def test_the_best_cell_is_found_finer_than_a_cell() -> None:
    """Of a drawn Gaussian the exact place, within the map."""
    points = torch.rand(20, 3, 2, generator=torch.Generator().manual_seed(0)) * 8 + 2
    drawn = torch.cat([points, torch.full((20, 3, 1), 2.0)], dim=2)
    places, values = best_cells(Beliefs(sigma=1.5).goals(drawn, (14, 12))[:, :3])
    torch.testing.assert_close(places, points, rtol=0, atol=1e-3)
    assert (values > 0.75).all() and (values <= 1).all()


def test_windows_hold_their_boxes_and_have_the_crops_shape() -> None:
    look = Look((64, 48), share=0.8)
    boxes = torch.tensor([[10.0, 20.0, 26.0, 100.0], [0.0, 0.0, 90.0, 20.0], [5.0, 5.0, 5.0, 5.0]])
    windows = look.windows(boxes)
    sides = windows[:, 2:] - windows[:, :2]
    torch.testing.assert_close(sides[:, 0] / sides[:, 1], torch.full((3,), 0.75))
    assert sides[0, 1].item() == pytest.approx(100) and sides[1, 0].item() == pytest.approx(112.5)
    torch.testing.assert_close(windows[:, :2] + windows[:, 2:], boxes[:, :2] + boxes[:, 2:])
    for wrong in ({"share": 0.0}, {"limit": 0}, {"alike": 2.0}, {"size": (0, 8)}):
        with pytest.raises(UsageError):
            Look(**wrong)  # type: ignore[arg-type]


def test_who_is_learnt_from_and_how_they_are_shown() -> None:
    """No crowds, nobody without a labelled point, at most so many; the same for the same images."""
    points = torch.rand(5, 2, 3, generator=torch.Generator().manual_seed(1))
    points[..., 2] = torch.tensor([2.0, 0.0])
    points[1, :, 2] = 0
    crowd = torch.tensor([False, False, True, False, False])
    boxes = torch.arange(20.0).view(5, 4)
    people = Targets(boxes, torch.zeros(5).long(), crowd, keypoints=points)
    nobody = Targets(boxes[:1], torch.zeros(1).long(), crowd[:1])
    pixels = torch.rand(2, 3, 32, 48)
    found = labelled([nobody, people], pixels, 2, 10)
    assert sorted(found.boxes[:, 0].tolist()) == [0.0, 12.0, 16.0]
    assert found.image.tolist() == [1, 1, 1]
    assert len(labelled([nobody, people], pixels, 2, 2)) == 2
    assert len(labelled([nobody], pixels, 2, 2)) == 0
    windows = torch.tensor([[0.0, 0.0, 30.0, 40.0]]).repeat(200, 1)
    shown, angles = Variation()(windows, torch.Generator().manual_seed(0))
    sides = shown[:, 2:] - shown[:, :2]
    torch.testing.assert_close(sides[:, 0] / sides[:, 1], torch.full((200,), 0.75))
    assert 30 / 1.36 < sides[:, 0].min() < 25 and 36 < sides[:, 0].max() < 30 * 1.36
    assert 0.3 < angles.abs().max() <= math.radians(30)
    again, _ = Variation()(windows, torch.Generator().manual_seed(0))
    assert torch.equal(shown, again)
