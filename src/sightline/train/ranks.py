"""What a run's processes say to each other: the same weights, the same facts, the same decisions.

Alone, each function is what it would be without others.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from sightline import processes
from sightline.errors import UsageError
from sightline.train import state
from sightline.train.signals import Stop

Saved = tuple[dict[str, Tensor], dict[str, Any]]


def share_weights(model: nn.Module) -> None:
    """Give all processes the weights of process 0."""
    if not processes.joined():
        return

    def own() -> bytes:
        values = model.state_dict().items()
        return safetensors.torch.save({k: v.cpu().contiguous() for k, v in values})

    model.load_state_dict(safetensors.torch.load(processes.from_first(own)))


def load_state(folder: Path) -> Saved | None:
    """The state of the run in `folder`, which process 0 reads for all."""
    if not processes.joined():
        return state.load(folder)
    found: list[Saved | None] = []

    def facts() -> bytes:
        found.append(state.load(folder))
        return json.dumps(None if found[0] is None else found[0][1]).encode()

    told = json.loads(processes.from_first(facts))
    if told is None:
        return None
    data = processes.from_first(
        lambda: safetensors.torch.save({} if found[0] is None else found[0][0])
    )
    return safetensors.torch.load(data), told


def check_same(facts: Mapping[str, Any]) -> None:
    """Raise UsageError (`train.processes_differ`) where another process has another run."""
    first, *others = (json.loads(m) for m in processes.gathered(json.dumps(facts).encode()))
    for number, other in enumerate(others, start=1):
        # a machine with more cores may help one with fewer
        keys = [k for k in first if k != "threads" and first[k] != other.get(k)]
        if keys:
            changes = "; ".join(f"{key}: {first[key]} and {other.get(key)}" for key in keys)
            raise UsageError(
                f"process 0 and process {number} are not in the same run: {changes}",
                code="train.processes_differ",
                hint="give all of them the same command, the same data and machines of one kind",
            )


def ended(stop: Stop) -> bool:
    """Whether any process was asked to stop; all then stop for its reason."""
    if not processes.joined():
        return stop.asked
    number, paused = processes.most([stop.signal or 0, stop.paused])
    stop.adopt(int(number) or None, bool(paused))
    return bool(number or paused)


def pack_random() -> Saved:
    """The random generators of all processes, as tensors and plain data."""
    tensors, facts = state.pack_random()
    if not processes.joined():
        return tensors, facts
    own = {"facts": facts, "tensors": {k: v.tolist() for k, v in tensors.items()}}
    others = [json.loads(m) for m in processes.gathered(json.dumps(own).encode())]
    for number, other in enumerate(others[1:], start=1):
        for name, values in other["tensors"].items():
            tensors[_name(name, number)] = torch.tensor(values, dtype=tensors[name].dtype)
    return tensors, {**facts, "others": [other["facts"] for other in others[1:]]}


def unpack_random(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Set this process's generators to what `pack_random` saw; as they are where it saw none."""
    number = processes.rank() if processes.joined() else 0
    if number == 0:
        state.unpack_random(tensors, facts)
        return
    others = facts.get("others", [])
    if number <= len(others):
        own = {name: tensors[_name(name, number)] for name in tensors if name.startswith("random/")}
        state.unpack_random(own, others[number - 1])


def _name(name: str, number: int) -> str:
    return name.replace("random/", f"random of {number}/", 1)
