"""Ending a run from outside, in a process of its own; and two runs in one folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sightline.errors import ResourceError
from sightline.train import lock, state
from sightline.train.lock import locked
from sightline.train.signals import Stop, resuming

RUNNER = """
import sys
from pathlib import Path
from training_world import Tiny, brief, draw_dataset
from sightline.train.loop import train
out = Path(sys.argv[1])
recipe = brief(steps=100_000, log_steps=1, workers=1)
train(Tiny(), draw_dataset(out / "images"), recipe, out / "run")
"""


def start(folder: Path) -> "subprocess.Popen[str]":
    """A run in a child process, some steps on its way."""
    source = Path(__file__).resolve().parents[2] / "src"
    path = os.pathsep.join([str(Path(__file__).parent), str(source), *sys.path])
    child = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    log = folder / "run" / "log.jsonl"
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if child.poll() is not None:
            pytest.fail(f"the run ended early: {child.communicate()[1]}")
        if log.exists() and len(log.read_text().splitlines()) > 3:
            return child
        time.sleep(0.05)
    child.kill()
    pytest.fail("the run did not begin in five minutes")


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, -signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, 0, marks=pytest.mark.slow),
    ],
)
def test_a_signal_finishes_the_step_and_saves(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    child = start(tmp_path)
    _is_held(tmp_path / "run", child.pid)
    child.send_signal(number)
    _, errors = child.communicate(timeout=300)
    # Python itself turns a KeyboardInterrupt that nobody catches into the death by SIGINT
    assert child.returncode in (status, 130 if number == signal.SIGINT else status)
    assert "resume=True goes on" in errors
    found = state.load(tmp_path / "run")
    assert found is not None
    assert found[1]["progress"]["step"] >= 3
    assert not (tmp_path / "run" / lock.NAME).exists()


def _is_held(run: Path, pid: int) -> None:
    """A second run in the folder is refused, and told who has it."""
    with pytest.raises(ResourceError, match=f"process {pid} on") as caught, locked(run):
        pass
    assert caught.value.code == "resource.locked"


HOLDER = """
import sys
from pathlib import Path
from sightline.train.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_run_is_nobodys(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == "held\n"
        _is_held(tmp_path, child.pid)
        child.kill()
    assert (tmp_path / lock.NAME).exists()
    with locked(tmp_path):
        pass


def test_a_lock_of_another_machine_or_a_reused_number(tmp_path: Path) -> None:
    path = tmp_path / lock.NAME
    me = {"pid": os.getpid(), "host": socket.gethostname(), "born": "1"}
    path.write_text(json.dumps(me))
    with locked(tmp_path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert not path.exists()
    path.write_text(json.dumps({**me, "host": "elsewhere"}))
    with pytest.raises(ResourceError, match="elsewhere"), locked(tmp_path):
        pass


def test_the_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # torchrun's, of the same moment
        assert stop.asked
        assert not stop.paused
        monkeypatch.setattr(Stop, "ECHO", 0.0)
        with pytest.raises(SystemExit) as caught:
            signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_limit_in_seconds_is_a_pause() -> None:
    stop = Stop(limit=0.0)
    assert stop.asked
    assert stop.paused
    stop.raise_signal()
    assert not Stop(limit=60.0).asked


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("sightline train 'my data' --out a", "sightline train --resume 'my data' --out a"),
        ("sightline --debug train -- a", "sightline --debug train --resume -- a"),
        ("sightline train --out a --resume b", "sightline train --out a --resume b"),
        ("python mine.py", "python mine.py --resume"),
        ("", "resume=True"),
    ],
)
def test_the_command_that_goes_on(command: str, answer: str) -> None:
    assert resuming(command) == answer
