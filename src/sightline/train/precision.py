"""In which numbers a run computes."""

from contextlib import AbstractContextManager, nullcontext

import torch

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
