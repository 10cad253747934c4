"""In which numbers a run computes."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.train.recipes import Recipe


def in_bf16(recipe: Recipe, device: torch.device) -> bool:
    """Whether the recipe's network runs in bfloat16 on `device`.

    Where the recipe leaves it open, wherever the hardware multiplies in it. A CPU that does not is
    several times slower at bfloat16 than at float32: it has to take every number apart.
    """
    if recipe.bf16 is not None:
        return recipe.bf16
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def computing(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """The block in which the recipe's network computes on `device`: in bfloat16, or plainly."""
    if not in_bf16(recipe, device):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def widen_narrow_maps(detector: nn.Module) -> None:
    """Let convolutions whose stride is longer than their map is wide learn from that map.

    oneDNN leaves some of such a kernel's gradient unwritten in bfloat16: those columns of it that
    only meet the padding (seen in torch 2.13 with AVX-512; P7 of a picture of 64 pixels is such a
    map). A map that is filled with zeros to the length of the stride gives the same answer.
    """
    for module in detector.modules():
        if isinstance(module, nn.Conv2d) and _may_be_narrow(module):
            module.register_forward_pre_hook(_widened)


def _may_be_narrow(module: nn.Conv2d) -> bool:
    """Padded on both sides by half its kernel at most, so that zeros do not become new answers."""
    (_, kernel), (_, stride), (_, dilation) = module.kernel_size, module.stride, module.dilation
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        return False
    return stride > 1 and 0 < 2 * module.padding[1] <= dilation * (kernel - 1)


def _widened(module: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    (maps,), stride = inputs, module.stride
    assert isinstance(stride, tuple)
    missing = stride[1] - maps.shape[-1]
    return F.pad(maps, (0, missing)) if missing > 0 else None
