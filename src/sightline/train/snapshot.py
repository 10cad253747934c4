"""What of a run is saved, and how it goes back: weights, their average, moments, generators."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sightline.errors import UsageError, WeightsError
from sightline.nets import state as states
from sightline.train import ranks, state
from sightline.train.course import Progress
from sightline.train.setup import Say
from sightline.train.step import Stepper

MOMENTS = {"AdamW": {"step", "exp_avg", "exp_avg_sq"}, "SGD": {"momentum_buffer"}}
"""What each optimizer keeps of a parameter."""


def take(stepper: Stepper) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All that changes in a run from step to step, as tensors by name and plain data."""
    generators, rest = ranks.pack_random()
    tensors = {
        **{f"model/{k}": v for k, v in stepper.detector.state_dict().items()},
        **{f"average/{k}": v for k, v in stepper.average.model.state_dict().items()},
        **state.pack_optimizer(stepper.optimizer),
        **generators,
    }
    facts = {
        "updates": stepper.average.updates,
        "first": stepper.first,
        "random": rest,
        "parameters": _trained(stepper),
    }
    return tensors, facts


def described(facts: Mapping[str, Any], folder: Path) -> tuple[Progress, dict[str, Any]]:
    """How far a saved run is, and what makes it that run; WeightsError (`weights.format`) where
    another version wrote something else.
    """
    try:
        run, at = dict(facts["run"]), Progress(**facts["progress"])
        sound = {"updates", "first", "random"} <= facts.keys()
    except (KeyError, TypeError, ValueError):
        sound, run, at = False, {}, Progress()
    if not sound:
        raise WeightsError(
            "another version of sightline saved this state",
            code="weights.format",
            path=folder / state.NAME,
            hint="resume with that version, or begin anew from best.safetensors with --start",
        )
    return at, run


def put_back(
    stepper: Stepper, saved: tuple[Mapping[str, Tensor], Mapping[str, Any]], folder: Path, say: Say
) -> None:
    """Go back to what `take` saw; says which moments begin anew where other layers are trained now.

    Raises WeightsError (weights.architecture, weights.class_count) for the state of another model
    or of other classes, UsageError (train.optimizer) for that of another optimizer.
    """
    tensors, facts = saved
    path = folder / state.NAME
    states.load(stepper.detector, _part(tensors, "model/"), path=path)
    states.load(stepper.average.model, _part(tensors, "average/"), path=path)
    stepper.average.updates = facts["updates"]
    stepper.first = facts["first"]
    names = facts.get("parameters", _trained(stepper))  # older states know numbers alone
    fresh = set(_trained(stepper)) - set(names)
    if fresh:
        say(f"trained now and not before, so without moments: {len(fresh)} parameters")
    moments = _placed(stepper, _part(tensors, "optimizer/"), names, path)
    flat = {f"optimizer/{i}/{k}": v for i, found in moments.items() for k, v in found.items()}
    state.unpack_optimizer(stepper.optimizer, flat)
    ranks.unpack_random(tensors, facts["random"])


def _trained(stepper: Stepper) -> list[str]:
    """The names of the parameters, in the optimizer's order."""
    names = {id(p): name for name, p in stepper.detector.named_parameters()}
    return [names[id(p)] for group in stepper.optimizer.param_groups for p in group["params"]]


def _placed(
    stepper: Stepper, found: Mapping[str, Tensor], names: list[str], path: Path
) -> dict[int, dict[str, Tensor]]:
    """The saved moments by the present number of their parameter, which may have moved."""
    now = _trained(stepper)
    kind = type(stepper.optimizer).__name__
    parameters = dict(stepper.detector.named_parameters())
    moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in found.items():
        number, what = key.split("/")
        if what not in MOMENTS[kind]:
            raise UsageError(
                f"the saved state holds {what} of its parameters, which {kind} knows nothing of",
                code="train.optimizer",
                path=path,
                hint="resume with the same optimizer, or begin anew from best.safetensors with "
                "--start",
            )
        name = names[int(number)] if int(number) < len(names) else ""
        if name not in now:
            continue
        if value.ndim and value.shape != parameters[name].shape:
            raise WeightsError(
                f"the moments of {name} have the shape {tuple(value.shape)}, "
                f"it has {tuple(parameters[name].shape)}",
                code="weights.architecture",
                path=path,
                hint="resume with the same layers frozen as before",
            )
        moments[now.index(name)][what] = value
    return moments


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
