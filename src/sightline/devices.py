"""Where a network computes, by the name that people give it."""

import torch

from sightline import processes
from sightline.errors import UsageError


def device(name: str) -> torch.device:
    """The device called `name`, made sure of: "auto" is a GPU where there is one, else the CPU.

    Several processes on one machine have a GPU each. Raises UsageError (`usage.device`) where it
    is not to be had.
    """
    chosen = name
    if chosen == "auto":
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    place, here = processes.local()
    if chosen == "cuda" and here > 1:
        chosen = f"cuda:{place}"
    try:
        found = torch.device(chosen)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device {name!r} cannot be used: {str(error).splitlines()[0]}",
            code="usage.device",
            hint="cpu always works",
        ) from error
    return found
