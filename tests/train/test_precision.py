"""bfloat16 is used where it is wanted, or where the hardware has it."""

import pytest
import torch
from torch import nn

from sightline.train.precision import in_bf16, widen_narrow_maps
from sightline.train.recipes import Recipe
from sightline.train.settings import changed

CPU = torch.device("cpu")


@pytest.mark.parametrize("can", [True, False])
def test_what_is_left_open_follows_the_machine(can: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ops:
        @staticmethod
        def _is_mkldnn_bf16_supported() -> bool:
            return can

    monkeypatch.setattr(torch.ops, "mkldnn", Ops)
    recipe = Recipe("retinanet_mobilenet_v2", steps=1)
    assert recipe.bf16 is None
    assert in_bf16(recipe, CPU) is can
    for wanted in (True, False):
        assert in_bf16(changed(recipe, [f"bf16={wanted}"]), CPU) is wanted


def test_the_question_can_be_asked_here() -> None:
    assert in_bf16(Recipe("retinanet_mobilenet_v2", steps=1), CPU) in (True, False)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [(3, 2, 1, (1, 1)), (3, 2, 1, (2, 1)), (3, 3, 1, (2, 2)), (5, 2, 2, (4, 1)), (3, 2, 1, (3, 2))],
)
@pytest.mark.parametrize("groups", [1, 32])
def test_a_stride_longer_than_the_map_is_learnt(
    kernel: int, stride: int, padding: int, size: tuple[int, int], groups: int
) -> None:
    """In bfloat16 oneDNN leaves a part of such a kernel's gradient unwritten, and what the memory
    held before shows. Answers and gradients are those of float64.
    """
    torch.manual_seed(0)
    conv = nn.Conv2d(32, 32, kernel, stride, padding, groups=groups)
    network = nn.Sequential(conv)
    widen_narrow_maps(network)
    maps = torch.randn(2, 32, *size)
    count = conv.weight.numel()
    junk = [torch.full((n,), float("nan")) for n in (count // 2, count, 1000, 30_000) for _ in "ab"]
    del junk
    with torch.autocast("cpu", torch.bfloat16):
        answer = network(maps)
    wanted = torch.randn(answer.shape)
    answer.float().backward(wanted)
    gradient = conv.weight.grad
    assert gradient is not None
    exact = nn.Conv2d(32, 32, kernel, stride, padding, groups=groups).double()
    exact.load_state_dict(conv.state_dict())
    told = exact(maps.double())
    told.backward(wanted.double())
    assert exact.weight.grad is not None
    torch.testing.assert_close(answer.double(), told, rtol=0.03, atol=0.03)
    torch.testing.assert_close(gradient.double(), exact.weight.grad, rtol=0.03, atol=0.1)
