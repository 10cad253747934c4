"""Two processes agree; a lost one ends the other with a typed error, in a bounded time."""

import os
import socket
import subprocess
import sys

import pytest
import torch

from sightline import processes
from sightline.detectors.losses import normaliser
from sightline.errors import UsageError

TALK = """
import os, signal, sys, torch
from sightline import processes
from sightline.detectors.losses import normaliser
from sightline.errors import SightlineError, UsageError

def one():
    raise UsageError("no", code="usage.test")

with processes.together(timeout=5.0):
    me = processes.rank()
    print(processes.total(torch.tensor([me + 1.0])).item(), processes.most([me, -me]), flush=True)
    print(normaliser(torch.tensor(3 * me)).item(), flush=True)
    print([len(m) for m in processes.gathered(bytes(7 * me))], flush=True)
    print(processes.from_first(lambda: b"%d" % me), flush=True)
    values = [torch.tensor([[1.0, 2.0]]) * me, torch.tensor(4.0)]
    processes.average(values)
    print([value.tolist() for value in values], flush=True)
    with processes.alone():
        print(processes.most([me]), flush=True)
    try:
        processes.from_first(one)
    except SightlineError as error:
        print(error.code, flush=True)
    if len(sys.argv) > 1 and me == 1:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    try:
        processes.most([0.0])
    except SightlineError as error:
        print(error.code, flush=True)
        os._exit(error.exit_status)
"""

SAID = """3.0 [1.0, 0.0]
1.5
[0, 7]
b'0'
[[[0.5, 1.0]], 4.0]
[0]
usage.test
"""


def talk(*arguments: str) -> tuple[str, int]:
    """What process 0 of two printed, and its exit status."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", TALK, *arguments],
            env=os.environ | place | {"RANK": str(number)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    try:
        out, _ = both[0].communicate(timeout=120)
        return out, both[0].returncode
    finally:
        for process in both:
            process.kill()
            process.wait()


def test_two_processes_agree() -> None:
    assert talk() == (SAID, 0)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_a_lost_or_silent_process_is_a_typed_error(how: str) -> None:
    out, status = talk(how)
    assert out == SAID + "resource.worker_lost\n"
    assert status == 6


def test_alone_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    value = torch.tensor([2.0])
    assert processes.total(value) is value
    assert processes.most([0.5]) == [0.5]
    assert processes.gathered(b"1") == [b"1"]
    assert processes.from_first(lambda: b"2") == b"2"
    assert (processes.rank(), processes.world_size(), processes.local()) == (0, 1, (0, 1))
    assert normaliser(torch.tensor(0)) == 1
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="RANK is 2 of 2"):
        processes.rank()
