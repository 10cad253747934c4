"""Several processes that learn together, as torchrun starts them: which one this is, what they say.

Alone, which is what every program is until `together`, each function answers at once with what it
was given. Messages are numbers and bytes: nothing that came from another process is unpickled.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from sightline.errors import ResourceError, SightlineError, UsageError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import Store  # type: ignore[attr-defined]

T = TypeVar("T")

TIMEOUT = 300.0
"""Seconds that a process waits for another; reading all labels or weighing a result takes less."""

_state = {"joined": False}


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise UsageError(
            f"{name} is {text!r}, no number",
            code="usage.processes",
            hint="start several processes with torchrun",
        )
    return int(text)


def world_size() -> int:
    """How many processes torchrun started, on all machines; 1 without it."""
    return max(1, _number("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def rank() -> int:
    """Which of them this one is, from 0; UsageError (`usage.processes`) if there is no such one."""
    if world_size() == 1:
        return 0
    value = _number("RANK", 0)
    if value >= world_size():
        raise UsageError(
            f"RANK is {value} of {world_size()} processes",
            code="usage.processes",
            hint="start several processes with torchrun",
        )
    return value


def is_first() -> bool:
    """Whether this is process 0, which alone writes and speaks; alone, always."""
    return rank() == 0


def local() -> tuple[int, int]:
    """(which process of this machine this is, how many there are on it)."""
    if world_size() == 1:
        return 0, 1
    return _number("LOCAL_RANK", rank()), max(1, _number("LOCAL_WORLD_SIZE", world_size()))


def check_alone(what: str) -> None:
    """UsageError (`usage.processes`) where torchrun started several processes for it."""
    if world_size() > 1:
        raise UsageError(
            f"{what} is for one process, not for {world_size()}",
            code="usage.processes",
            hint="say it without torchrun",
        )


def restarts() -> int:
    """How often torchrun has started all anew because one was lost."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0) if "RANK" in os.environ else 0


def joined() -> bool:
    """Whether this process has met others, and speaks with them."""
    return _state["joined"]


@contextmanager
def together(cuda: bool = False, timeout: float = TIMEOUT) -> Iterator[None]:
    """Meet the other processes of torchrun for this block; alone, or when met already, nothing.

    From then on each waits `timeout` seconds for another at most. Numbers of the network travel by
    NCCL where they are on a GPU (`cuda`), all others by gloo.

    Raises ResourceError (`resource.rendezvous`) where they do not find each other in that time.
    """
    if world_size() == 1 or _state["joined"]:
        yield
        return
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    rank()
    # an error of NCCL then reaches the caller instead of ending the process
    os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    limit = timedelta(seconds=timeout)
    try:
        store, me, number = next(rendezvous("env://", timeout=limit))
        store = dist.PrefixStore(_roll(store, timeout), store)  # type: ignore[attr-defined]
        dist.init_process_group(backend, timeout=limit, world_size=number, rank=me, store=store)
    except (RuntimeError, ValueError) as error:
        raise ResourceError(
            f"the {world_size()} processes did not find each other: {_first_line(error)}",
            code="resource.rendezvous",
            hint="start all of them with torchrun, with the same rendezvous endpoint",
        ) from error
    _state["joined"] = True
    try:
        yield
    finally:
        _state["joined"] = False
        dist.destroy_process_group()


def _roll(store: Store, timeout: float) -> str:
    """A name that the processes now present agree on, for all that they write into the store.

    torchrun keeps the store when it starts all anew, and with it the addresses of those that are
    gone. Each process puts a number of its own there, the first makes a list of them, and it holds
    once every process has found its number in it. RuntimeError after `timeout` seconds.
    """
    me, number, mine = rank(), world_size(), secrets.token_hex(8)
    end, signed = time.monotonic() + timeout, ""
    names = [f"present/{other}" for other in range(number)]
    store.set(names[me], mine)
    while time.monotonic() < end:
        if me == 0 and store.check(names):
            store.set("roll", ",".join(store.get(name).decode() for name in names))
        roll = store.get("roll").decode() if store.check(["roll"]) else ""
        if roll != signed and mine in roll.split(","):
            store.add(roll, 1)
            signed = roll
        if signed and roll == signed and store.add(roll, 0) == number:
            return roll
        time.sleep(0.02)
    raise RuntimeError(f"no list of all in {timeout:g} s")


@contextmanager
def alone() -> Iterator[None]:
    """Speak with nobody in this block: for work that each process does by itself."""
    before, _state["joined"] = _state["joined"], False
    try:
        yield
    finally:
        _state["joined"] = before


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextmanager
def _talking() -> Iterator[None]:
    """Make what a broken or silent connection raises a ResourceError (`resource.worker_lost`)."""
    try:
        yield
    except RuntimeError as error:
        raise ResourceError(
            f"another process is gone or gives no answer: {_first_line(error)}",
            code="resource.worker_lost",
            hint="see its own error; torchrun --max-restarts goes on from the last checkpoint",
        ) from error


def total(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, in a new tensor; alone, the tensor itself."""
    if not _state["joined"]:
        return value
    import torch.distributed as dist

    answer = value.detach().clone()
    with _talking():
        dist.all_reduce(answer)
    return answer


def average(values: Sequence[Tensor]) -> None:
    """Put the mean over all processes into each of the tensors, in one message; alone, nothing."""
    if not _state["joined"] or not values:
        return
    import torch

    parts = total(torch.cat([value.detach().reshape(-1).float() for value in values]))
    parts /= world_size()
    lengths = [value.numel() for value in values]
    for value, part in zip(values, torch.split(parts, lengths), strict=True):
        value.detach().copy_(part.view(value.shape))


def most(values: Sequence[float]) -> list[float]:
    """The largest of what the processes say, place by place: all get the same, and decide alike."""
    if not _state["joined"]:
        return list(values)
    import torch
    import torch.distributed as dist

    answer = torch.tensor(values, dtype=torch.float64)
    with _talking():
        dist.all_reduce(answer, dist.ReduceOp.MAX)
    told: list[float] = answer.tolist()
    return told


def from_first(work: Callable[[], bytes]) -> bytes:
    """What `work` gives in process 0; the others wait for it without doing it.

    Where it raises there, ResourceError (`resource.worker_lost`) in all others.
    """
    if not _state["joined"]:
        return work()
    if not is_first():
        told = gathered(b"")[0]
        if told[:1] == b"1":
            return told[1:]
        raise ResourceError(
            f"process 0 cannot go on: {told[1:].decode()}", code="resource.worker_lost"
        )
    try:
        answer = work()
    except Exception as error:
        what = str(error) if isinstance(error, SightlineError) else _first_line(error)
        gathered(b"0" + what.encode("utf-8", "replace"))
        raise
    gathered(b"1" + answer)
    return answer


def gathered(message: bytes) -> list[bytes]:
    """The messages of all processes, in order of rank, whatever their lengths."""
    if not _state["joined"]:
        return [message]
    import torch
    import torch.distributed as dist

    number, place = world_size(), rank()
    lengths = torch.zeros(number, dtype=torch.int64)
    lengths[place] = len(message)
    answers = []
    with _talking():
        dist.all_reduce(lengths)
        for sender, length in enumerate(lengths.tolist()):
            data = torch.empty(length, dtype=torch.uint8)
            if sender == place and length:
                data = torch.frombuffer(bytearray(message), dtype=torch.uint8)
            if length:
                dist.broadcast(data, sender)
            answers.append(data.numpy().tobytes())
    return answers
