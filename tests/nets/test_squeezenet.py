"""SqueezeNet 1.1: shapes, size, freezing, and the real ImageNet weights."""

from pathlib import Path

import pytest
import torch

from sightline.nets import weights
from sightline.nets.squeezenet import SqueezeNet


def test_maps_have_the_declared_channels_and_are_a_cell_smaller_than_by_stride() -> None:
    net = SqueezeNet().eval()
    levels = net(torch.zeros(1, 3, 256, 160))
    assert tuple(x.shape[1] for x in levels) == net.channels
    assert [tuple(x.shape[-2:]) for x in levels] == [(63, 39), (31, 19), (15, 9)]
    assert [(256 // s - 1, 160 // s - 1) for s in net.strides] == [(63, 39), (31, 19), (15, 9)]


def test_size_is_the_published_one() -> None:
    """1,235,496 in all, less the classifier's 1×1 convolution (513,000)."""
    assert sum(p.numel() for p in SqueezeNet().parameters()) == 1_235_496 - 513_000


@pytest.mark.parametrize("stages", [0, 1, 2, 4])
def test_freezing_stops_at_the_stage(stages: int) -> None:
    net = SqueezeNet()
    net.freeze(stages)
    parts = [net.stem, *net.stages]
    live = [[p.requires_grad for p in part.parameters()] for part in parts]
    assert [any(row) for row in live] == [False] * stages + [True] * (4 - stages)
    assert all(all(row) or not any(row) for row in live)


def test_imagenet_weights_see_more_than_noise(shared: Path) -> None:
    """With real weights a cat and its mirror image agree; with a coffee cup they do not."""
    from skimage import data

    net = SqueezeNet()
    path = shared / "weights" / "squeezenet1_1_features.safetensors"
    if not path.exists():
        pytest.skip("no weights of SqueezeNet beside the project")
    state = weights.read_state(path)
    weights.load_published(net, state, "squeezenet1_1")
    assert torch.equal(net.stages[2][3].expand3x3.bias, state["features.12.expand3x3.bias"].float())  # type: ignore[index,union-attr]
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
