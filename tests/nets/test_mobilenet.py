"""MobileNetV2: shapes, size, freezing, and the real ImageNet weights."""

from pathlib import Path

import pytest
import torch

from sightline.errors import WeightsError
from sightline.nets import layouts, weights
from sightline.nets.mobilenet import MobileNetV2


def test_maps_have_the_declared_channels_and_strides() -> None:
    net = MobileNetV2().eval()
    levels = net(torch.zeros(1, 3, 96, 160))
    assert tuple(x.shape[1] for x in levels) == net.channels
    assert [x.shape[-2:] for x in levels] == [(96 // s, 160 // s) for s in net.strides]


def test_size_is_the_papers() -> None:
    """3,504,872 in all, less the classifier (1,281,000) and the last 1×1 block (412,160)."""
    count = sum(p.numel() for p in MobileNetV2().parameters())
    assert count == 3_504_872 - 1_281_000 - 412_160


@pytest.mark.parametrize("stages, blocks", [(0, 0), (1, 1), (2, 3), (3, 6), (5, 17)])
def test_freezing_stops_at_the_stage(stages: int, blocks: int) -> None:
    net = MobileNetV2()
    net.freeze(stages)
    live = [any(p.requires_grad for p in b.parameters()) for b in net.blocks]
    assert live == [False] * blocks + [True] * (17 - blocks)
    assert any(p.requires_grad for p in net.stem.parameters()) is (stages == 0)


def test_a_network_that_ends_early_is_the_beginning_of_the_whole() -> None:
    whole, early = MobileNetV2().eval(), MobileNetV2(maps=3).eval()
    assert early.channels == (24, 32, 96) and early.strides == (4, 8, 16)
    published = layouts.layout("mobilenet_v2").to_published(whole.state_dict())
    weights.load_published(early, published, "mobilenet_v2")
    pixels = torch.randn(1, 3, 32, 64)
    assert len(early(pixels)) == 3
    assert all(torch.equal(a, b) for a, b in zip(early(pixels), whole(pixels), strict=False))
    del published["features.1.conv.1.weight"]
    with pytest.raises(WeightsError, match=r"missing 1 \(blocks\.0\."):
        weights.load_published(early, published, "mobilenet_v2")


def test_imagenet_weights_see_more_than_noise(shared: Path) -> None:
    """With real weights a cat and its mirror image agree; with a coffee cup they do not."""
    from skimage import data

    net = MobileNetV2()
    path = shared / "weights" / "mobilenet_v2_imagenet.safetensors"
    state = weights.read_state(path)
    weights.load_published(net, state, "mobilenet_v2", ignore=("classifier.", "features.18."))
    net.eval()

    def feature(image: object) -> torch.Tensor:
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255  # type: ignore[attr-defined]
        with torch.inference_mode():
            return net((pixels[..., :288, :384] - 0.45) / 0.225)[-1].mean(dim=(2, 3))[0]

    cat, coffee = data.chelsea(), data.coffee()
    mirrored, other = feature(cat[:, ::-1]), feature(coffee)
    same = torch.cosine_similarity(feature(cat), mirrored, dim=0)
    different = torch.cosine_similarity(feature(cat), other, dim=0)
    assert same > 0.9 > different + 0.1
