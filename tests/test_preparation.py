"""From bytes to a batch: sizes, colours, padding, and the way back (N6, N7, I27)."""

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sightline.ops.resample import resample
from sightline.preparation import IMAGENET_MEAN, IMAGENET_STD, Preparation


def noise(*size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    "size",
    [
        (480, 640),
        (427, 640),
        (612, 612),
        (512, 512),
        (512, 1024),
        (333, 500),
        (1000, 10),
        (801, 1201),
    ],
)
def test_sizes_of_published_networks(size):
    """The scale as torchvision computes it, rounded as PyTorch does."""
    sides = torch.tensor(size, dtype=torch.float32)
    scale = torch.minimum(800 / sides.min(), 1333 / sides.max()).item()
    image = torch.zeros(1, 1, *size)
    wanted = F.interpolate(image, scale_factor=scale, recompute_scale_factor=True).shape[2:]
    assert Preparation().resized(size) == tuple(wanted)


def test_the_commonest_size():
    assert Preparation().resized((480, 640)) == (800, 1066)


@pytest.mark.parametrize("size", [(30_000, 1), (1, 30_000)])
def test_a_thread_of_pixels_keeps_its_width(size):
    height, width = Preparation().resized(size)
    assert min(height, width) == 1 and max(height, width) in (1332, 1333)
    assert torch.isfinite(Preparation()([noise(*size)]).pixels).all()


def test_only_the_longer_side():
    preparation = Preparation(shorter=None, longer=416)
    assert preparation.resized((360, 480)) == (312, 416)
    assert preparation.padded((312, 416)) == (320, 416)
    assert Preparation(divisor=1).padded((312, 417)) == (312, 417)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("size", [(360, 480), (97, 41), (416, 300), (1, 7), (7, 1), (1, 1)])
def test_equals_interpolation_by_torch(size, interleaved):
    image = noise(*size)
    if interleaved:
        image = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    preparation = Preparation(shorter=None, longer=416)
    batch = preparation([image])
    height, width = preparation.resized(size)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    values = F.interpolate(image[None].float(), (height, width), mode="bilinear")[0]
    wanted = (values / 255 - mean) / std
    torch.testing.assert_close(batch.pixels[0, :, :height, :width], wanted, atol=1e-5, rtol=1e-5)
    assert not batch.pixels[0, :, height:].any() and not batch.pixels[0, :, :, width:].any()
    assert batch.size == preparation.padded((height, width))
    assert batch.frames[0].original == size and batch.frames[0].resized == (height, width)


def test_resampling_equals_opencv():
    image = noise(60, 90)
    one, zero = torch.ones(3), torch.zeros(3)
    found = torch.empty(3, 45, 71)
    resample(image, found, (45, 71), one, zero)
    wanted = cv2.resize(image.permute(1, 2, 0).numpy().astype(np.float32), (71, 45))
    np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), wanted, atol=0.01)


@pytest.mark.parametrize("seed", range(20))
def test_kernel_equals_definition(seed):
    generator = np.random.default_rng(seed)
    height, width, h, w = (int(side) for side in generator.integers(1, 200, 4))
    image = noise(height, width, seed=seed)
    if seed % 2:
        image = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    gain, bias = torch.tensor([0.01, 0.02, 0.03]), torch.tensor([-1.0, 0.0, 2.0])
    kernel, definition = torch.full((3, h + 3, w + 5), 9.0), torch.full((3, h + 3, w + 5), 8.0)
    resample(image, kernel, (h, w), gain, bias)
    resample.reference(image, definition, (h, w), gain, bias)
    torch.testing.assert_close(kernel, definition, atol=1e-5, rtol=0)


def test_normalise_is_what_a_batch_holds():
    image = noise(64, 96)
    preparation = Preparation(shorter=64, longer=96)
    batch = preparation([image])
    torch.testing.assert_close(batch.pixels[0], preparation.normalise(image), atol=1e-5, rtol=0)
    grey = torch.tensor([round(255 * m) for m in IMAGENET_MEAN], dtype=torch.uint8)
    assert preparation.normalise(grey.view(3, 1, 1).expand(3, 2, 4)).abs().max() < 0.01


def test_neighbours_in_a_batch_change_nothing():
    images = [noise(50, 70, seed=seed) for seed in range(5)]
    preparation = Preparation(shorter=None, longer=100)
    together = preparation(images)
    for row, image in enumerate(images):
        assert torch.equal(together.pixels[row], preparation([image]).pixels[0])


@pytest.mark.parametrize(
    "images",
    [
        [],
        [noise(50, 70), noise(70, 50)],
        [noise(5, 7).float()],
        [noise(5, 7)[:1]],
        [noise(5, 7)[0]],
        [noise(0, 7)],
    ],
)
def test_what_is_no_batch(images):
    with pytest.raises(ValueError, match=r"batch|image"):
        Preparation()(images)


@pytest.mark.parametrize("mean_std", [(IMAGENET_MEAN, IMAGENET_STD), ((0.0,) * 3, (1 / 255,) * 3)])
def test_bytes_come_back_exactly(mean_std):
    preparation = Preparation(mean=mean_std[0], std=mean_std[1])
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 1, 256).expand(2, 3, 2, 256)
    assert torch.equal(preparation.restore(preparation.normalise(every)), every)


def test_resampled_pixels_come_back_as_the_nearest_bytes():
    preparation = Preparation(shorter=None, longer=64)
    batch = preparation([noise(24, 100)])
    height, width = batch.frames[0].resized
    back = preparation.restore(batch.pixels)[0]
    plain = F.interpolate(noise(24, 100)[None].float(), (height, width), mode="bilinear")[0]
    assert ((back[:, :height, :width].float() - plain).abs() <= 0.5 + 1e-3).all()
    assert (back[:, height:] == torch.tensor(preparation.padding).view(3, 1, 1)).all()
    assert preparation.padding == (124, 116, 104)


@pytest.mark.parametrize("size", [(40, 100), (100, 40), (64, 64), (1, 300), (33, 65)])
def test_a_letterbox_holds_the_image_in_its_middle(size):
    image = noise(*size)
    preparation = Preparation(None, 64, mean=(0, 0, 0), std=(1, 1, 1), fit="letterbox", fill=0.5)
    batch = preparation([image])
    (frame,) = batch.frames
    (top, left), (height, width) = frame.offset, frame.resized
    assert batch.size == (64, 64) and max(height, width) == 64
    assert abs(64 - height - 2 * top) <= 1 and abs(64 - width - 2 * left) <= 1
    inside = batch.pixels[0, :, top : top + height, left : left + width]
    wanted = F.interpolate(image[None].float(), (height, width), mode="bilinear")[0] / 255
    torch.testing.assert_close(inside, wanted, atol=1e-5, rtol=1e-5)
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[top : top + height, left : left + width] = False
    assert (batch.pixels[0][:, outside] == 0.5).all()
    whole = torch.tensor([[0.0, 0.0, size[1], size[0]]])
    wanted = torch.tensor([[left, top, left + width, top + height]]).float()
    torch.testing.assert_close(frame.to_prepared(whole), wanted)
    torch.testing.assert_close(frame.to_original(wanted), whole)


def test_stretched_images_fill_their_square():
    image = noise(40, 100)
    batch = Preparation(shorter=None, longer=60, fit="stretch", fixed=True)([image])
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    wanted = F.interpolate(image[None].float(), (60, 60), mode="bilinear")[0] / 255
    torch.testing.assert_close(batch.pixels[0], (wanted - mean) / std, atol=1e-5, rtol=1e-5)
    box = batch.frames[0].to_original(torch.tensor([[0.0, 0.0, 30.0, 30.0]]))
    torch.testing.assert_close(box, torch.tensor([[0.0, 0.0, 50.0, 20.0]]))


def test_the_colour_of_padding():
    assert Preparation().padding == (124, 116, 104)
    grey = Preparation(None, 64, mean=(0, 0, 0), std=(1, 1, 1), fit="letterbox", fill=0.4)
    assert grey.padding == (102, 102, 102)
    batch = grey([noise(20, 64)])
    assert (grey.restore(batch.pixels)[0, :, 0] == 102).all()


@pytest.mark.parametrize("wrong", [{"fit": "stretch"}, {"fixed": True, "shorter": None}])
def test_preparations_that_contradict_themselves(wrong):
    with pytest.raises(ValueError, match=r"square|fixed"):
        Preparation(**wrong)
