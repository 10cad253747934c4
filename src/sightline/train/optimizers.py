"""The optimizer of a recipe: who is trained, at which rate, with how much weight decay."""

import torch
from torch import nn

from sightline.train.recipes import Recipe


def build(detector: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum over the parameters that want a gradient.

    The backbone (`detector.encoder.backbone`, where there is one) learns at `backbone_factor`;
    vectors (norms, biases) have no weight decay. Each group carries its `scale`.
    """
    encoder = getattr(detector, "encoder", None)
    backbone = getattr(encoder, "backbone", None)
    slow = set(map(id, backbone.parameters())) if isinstance(backbone, nn.Module) else set()
    members: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in detector.parameters():
        if parameter.requires_grad:
            key = (id(parameter) in slow, parameter.ndim > 1)
            members.setdefault(key, []).append(parameter)
    groups = [
        {
            "params": parameters,
            "weight_decay": recipe.weight_decay if decayed else 0.0,
            "scale": recipe.backbone_factor if is_slow else 1.0,
        }
        for (is_slow, decayed), parameters in sorted(members.items())
    ]
    if not groups:  # nothing learns by steps: an optimizer with nothing to do
        groups = [{"params": [], "scale": 1.0}]
    if recipe.optimizer == "sgd":
        momentum = recipe.momentum
        return torch.optim.SGD(
            groups, recipe.learning_rate, momentum, nesterov=momentum > 0, fused=True
        )
    return torch.optim.AdamW(groups, recipe.learning_rate, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group `rate` times its own scale."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
