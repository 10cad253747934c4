"""The network of warped regions: one at a time, whoever its neighbours are; and how it learns."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sightline.detectors.crop_network import CHUNK, CropNetwork, FineTuning, Warp
from sightline.nets.alexnet import AlexNet, AlexNetLayers
from sightline.nets.squeezenet import SqueezeNet
from sightline.types import Batch, Frame, Regions, Targets


def network() -> CropNetwork:
    torch.manual_seed(0)
    return CropNetwork(SqueezeNet(), nn.AdaptiveAvgPool2d(2), None, 2, Warp(48, 4)).eval()


def batch(count: int = 2) -> Batch:
    rng = torch.Generator().manual_seed(1)
    frame = Frame((60, 90), (60, 90))
    return Batch(torch.randn(count, 3, 60, 90, generator=rng), (frame,) * count)


def regions(count: int) -> Regions:
    """As many in each of two images, those of the first one first."""
    rng = torch.Generator().manual_seed(2)
    corner = torch.rand(2 * count, 2, generator=rng) * 40
    boxes = torch.cat([corner, corner + 8 + torch.rand(2 * count, 2, generator=rng) * 40], dim=1)
    image = torch.arange(2).repeat_interleave(count)
    return Regions(boxes, image, torch.zeros_like(image))


def test_the_papers_features_are_fc7_and_pool5() -> None:
    net = CropNetwork(AlexNet(), nn.MaxPool2d(3, 2), AlexNetLayers(), 6, Warp()).eval()
    assert (net.width, net.cells) == (4096, 9216)
    with torch.inference_mode():
        features, cells = net(batch().pixels, regions(1).boxes, regions(1).image)
    assert (features.shape, cells.shape) == ((2, 4096), (2, 9216))


def test_without_layers_the_cells_are_the_features() -> None:
    net = network()
    with torch.inference_mode():
        features, cells = net(batch().pixels, regions(2).boxes, regions(2).image)
    assert features is cells and features.shape == (4, net.width) == (4, 512 * 4)
    assert features.std(dim=0).max() > 0  # regions differ


def test_the_numbers_of_an_image_do_not_depend_on_its_neighbours() -> None:
    net, both, every = network(), batch(), regions(CHUNK + 3)
    together, _ = net.describe(both, every)
    for index in range(2):
        own = every.image == index
        alone = Batch(both.pixels[index : index + 1], both.frames[:1])
        mine = Regions(every.boxes[own], torch.zeros_like(every.image[own]), every.level[own])
        assert torch.equal(net.describe(alone, mine)[0], together[own])


def test_rows_stay_where_they_were() -> None:
    net, every = network(), regions(5)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    mixed = net.describe(batch(), every[order])[0]
    assert torch.allclose(mixed, net.describe(batch(), every)[0][order], atol=1e-5)


def test_no_region_has_no_features() -> None:
    features, cells = network().describe(batch(), regions(0))
    assert (features.shape, cells.shape) == ((0, 2048), (0, 2048))


def truth(*boxes: list[float], crowd: bool = False) -> Targets:
    count = len(boxes)
    return Targets(
        torch.tensor(boxes).view(-1, 4), torch.arange(count), torch.full((count,), crowd)
    )


def scene(near: int, far: int) -> Regions:
    """Of one image: regions that overlap [10, 10, 50, 50] by more than half, and far ones."""
    shift = torch.linspace(0, 4, near)[:, None]
    close = torch.tensor([[10.0, 10.0, 50.0, 50.0]]) + shift
    away = torch.tensor([[100.0, 100.0, 130.0, 120.0]]) + torch.arange(far)[:, None]
    image = torch.zeros(near + far, dtype=torch.int64)
    return Regions(torch.cat([close, away]), image, image)


@pytest.mark.parametrize(
    ("near", "far", "positive", "background"),
    [(100, 400, 32, 96), (10, 400, 10, 118), (100, 5, 32, 5), (0, 0, 0, 0)],
)
def test_a_mini_batch_has_32_regions_of_objects_and_96_of_background(
    near: int, far: int, positive: int, background: int
) -> None:
    given = scene(near, far)
    targets = [truth([10.0, 10.0, 50.0, 50.0])]
    chosen, wanted = FineTuning().chosen(given, targets, torch.zeros(1, 3, 9, 14), 7, 1)
    assert int((wanted == 0).sum()) == positive
    assert int((wanted == 7).sum()) == background
    assert len(chosen) == positive + background
    assert ((chosen.boxes[:, 0] < 60) == (wanted == 0)).all()


def test_several_images_share_a_mini_batch_and_every_call_may_draw_anew() -> None:
    given = scene(100, 400)
    twice = Regions(
        given.boxes.repeat(2, 1), torch.arange(2).repeat_interleave(500), given.level.repeat(2)
    )
    targets = [truth([10.0, 10.0, 50.0, 50.0]), truth()]
    pixels = torch.zeros(2, 3, 9, 14)
    first, wanted = FineTuning().chosen(twice, targets, pixels, 2, 1)
    assert torch.bincount(first.image).tolist() == [64, 64]
    assert int((wanted < 2).sum()) == 16
    again, _ = FineTuning().chosen(twice, targets, pixels, 2, 1)
    other, _ = FineTuning().chosen(twice, targets, pixels, 2, 2)
    assert torch.equal(first.boxes, again.boxes) and not torch.equal(first.boxes, other.boxes)


def test_a_crowd_teaches_nothing() -> None:
    targets = [truth([10.0, 10.0, 50.0, 50.0], crowd=True)]
    _, wanted = FineTuning().chosen(scene(9, 3), targets, torch.zeros(1, 3, 9, 14), 1, 1)
    assert wanted.tolist() == [1, 1, 1]


def test_the_loss_is_the_mean_and_weights_count() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 3.0]])
    wanted = torch.tensor([0, 2])
    each = -logits.log_softmax(dim=1)[torch.arange(2), wanted]
    (loss,) = FineTuning()(logits, wanted).values()
    assert torch.isclose(loss, each.mean())
    (loss,) = replace(FineTuning(), weights=(3.0, 1.0))(logits, wanted).values()
    assert torch.isclose(loss, (3 * each[0] + each[1]) / 2)
    (none,) = FineTuning()(logits[:0], wanted[:0]).values()
    assert none == 0
