"""OpenPose's networks: shapes and widths as published, and the published names and orders."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.nets import layouts, openpose, weights
from sightline.skeletons import OPENPOSE_ORDER, PERSON, with_neck

LIMBS = (
    *((1, 2, 12), (1, 5, 20), (2, 3, 14), (3, 4, 16), (5, 6, 22), (6, 7, 24), (1, 8, 0)),
    *((8, 9, 2), (9, 10, 4), (1, 11, 6), (11, 12, 8), (12, 13, 10), (1, 0, 28), (0, 14, 30)),
    *((14, 16, 34), (0, 15, 32), (15, 17, 36), (2, 16, 18), (5, 17, 26)),
)
"""Part, part (in OpenPose's order), and the first of the limb's two published channels."""


class Network(torch.nn.Module):
    """F and the stages, by the names that detectors have them under."""

    def __init__(self) -> None:
        super().__init__()
        with torch.device("meta"):
            self.encoder = openpose.Features()
            self.stages = openpose.TwoBranches(128, 38, 19)


def published() -> dict[str, Tensor]:
    """Random weights under Caffe's names, in the published orders and shapes."""
    network, layout = Network(), layouts.layout("openpose_2017")
    back = {ours: theirs for theirs, ours in layout.names.items()}
    draw = torch.Generator().manual_seed(0)
    state = {}
    for key, value in network.state_dict().items():
        layer, _, leaf = key.rpartition(".")
        spread = 1.4 / value[0].numel() ** 0.5 if value.ndim > 1 else 0.1
        # a few drawn numbers, repeated: 52 million would take a second
        some = torch.randn(10_007, generator=draw) * spread
        flat = some.repeat(value.numel() // len(some) + 1)[: value.numel()]
        state[f"{back[layer]}.{leaf}"] = flat.view(value.shape)
    return state


def caffe(state: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """The published network, layer by layer: blue, green, red in; fields and maps out."""

    def conv(name: str, x: Tensor, last: bool = False) -> Tensor:
        weight = state[f"{name}.weight"]
        y = F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[2] // 2)
        return y if last else y.relu()

    for stage, count in enumerate((2, 2, 4, 2), start=1):
        x = F.max_pool2d(x, 2) if stage > 1 else x
        for row in range(count):
            x = conv(f"conv{stage}_{row + 1}", x)
    features = conv("conv4_4_CPM", conv("conv4_3_CPM", x))
    seen = features
    for stage in range(1, 7):
        answers = []
        for branch in ("L1", "L2"):
            y, layers = seen, 5 if stage == 1 else 7
            for row in range(1, layers + 1):
                name = f"Mconv{row}_stage{stage}_{branch}"
                name = f"conv5_{row}_CPM_{branch}" if stage == 1 else name
                y = conv(name, y, last=row == layers)
            answers.append(y)
        seen = torch.cat([*answers, features], dim=1)
    return answers[0], answers[1]


@pytest.mark.parametrize("port", [False, True])
def test_published_weights_give_the_published_answers(port: bool) -> None:
    """Under Caffe's names, and with those of the modules of the PyTorch port before them."""
    state = published()
    given = dict(state)
    if port:
        modules = {v: k for k, v in layouts.layout("openpose_2017").old.items()}
        names = layouts.layout("openpose_2017").names
        given = {
            f"{modules[names[key.rpartition('.')[0]]]}.{key.rpartition('.')[2]}": value
            for key, value in state.items()
        }
        assert "model0.conv1_1.weight" in given and "model6_2.Mconv7_stage6_L2.bias" in given
    network = Network().to_empty(device="cpu")
    weights.load_published(network, given, "openpose_2017")
    pixels = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.inference_mode():
        fields, maps = network.stages(network.encoder(pixels)[0])
        their_fields, their_maps = caffe(state, pixels.flip(1))
    parts = with_neck(PERSON)
    scale = float(their_maps.abs().max())
    for row, name in enumerate(parts.points):
        published_map = their_maps[0, OPENPOSE_ORDER.index(name)]
        assert (maps[-1][0, row] - published_map).abs().max() < 1e-5 * scale
    assert (maps[-1][0, -1] - their_maps[0, -1]).abs().max() < 1e-5 * scale
    scale = float(their_fields.abs().max())
    for row, (first, second, channel) in enumerate(LIMBS):
        ends = [parts.points.index(OPENPOSE_ORDER[end]) for end in (first, second)]
        assert list(parts.limbs[row]) == ends
        ours, theirs = fields[-1][0, 2 * row : 2 * row + 2], their_fields[0, channel : channel + 2]
        assert (ours - theirs).abs().max() < 1e-5 * scale


def test_the_way_back() -> None:
    layout, state = layouts.layout("openpose_2017"), published()
    again = layout.to_published(layout.to_ours(state))
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], value) for key, value in state.items())


def test_every_stage_answers() -> None:
    """Six and six in 2017; four of fields and two of maps in 2019."""
    with torch.device("meta"):
        x = torch.zeros(2, 128, 6, 5)
        for stages, counts in (
            (openpose.TwoBranches(128, 38, 19), (6, 6)),
            (openpose.in_turn(128, 38, 19), (4, 2)),
            (openpose.light(128, 38, 19), (2, 1)),
        ):
            fields, maps = stages(x)
            assert (len(fields), len(maps)) == counts
            assert all(one.shape == (2, 38, 6, 5) for one in fields)
            assert all(one.shape == (2, 19, 6, 5) for one in maps)


def test_first_front_of_vgg19() -> None:
    with torch.device("meta"):
        front = openpose.VGG19()
        assert front(torch.zeros(1, 3, 40, 24))[0].shape == (1, 512, 5, 3)
    front.freeze(2)
    assert [next(stage.parameters()).requires_grad for stage in front.stages] == [
        False, False, True, True
    ]  # fmt: skip
