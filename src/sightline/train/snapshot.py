"""What of a run is saved, and how it goes back: weights, their average, moments, generators."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sightline.train import state
from sightline.train.step import Stepper


def take(stepper: Stepper) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All that changes in a run from step to step, as tensors by name and plain data."""
    generators, rest = state.pack_random()
    tensors = {
        **{f"model/{k}": v for k, v in stepper.detector.state_dict().items()},
        **{f"average/{k}": v for k, v in stepper.average.model.state_dict().items()},
        **state.pack_optimizer(stepper.optimizer),
        **generators,
    }
    facts = {"updates": stepper.average.updates, "first": stepper.first, "random": rest}
    return tensors, facts


def put_back(stepper: Stepper, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Go back to what `take` saw."""
    stepper.detector.load_state_dict(_part(tensors, "model/"))
    stepper.average.model.load_state_dict(_part(tensors, "average/"))
    stepper.average.updates = facts["updates"]
    stepper.first = facts["first"]
    state.unpack_optimizer(stepper.optimizer, tensors)
    state.unpack_random(tensors, facts["random"])


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
