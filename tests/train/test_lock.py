"""One trainer a folder, however the one before ended."""

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sightline import files
from sightline.errors import ResourceError
from sightline.train import lock
from sightline.train.lock import locked

posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")


@posix
def test_a_lock_that_was_never_filled_in_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / lock.NAME).write_bytes(b"")
    with locked(tmp_path):
        assert lock._holder(tmp_path / lock.NAME)["pid"] == os.getpid()
    assert not (tmp_path / lock.NAME).exists()


def test_without_the_systems_lock_the_process_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "fcntl", None)
    path = tmp_path / lock.NAME
    path.write_bytes(b"")
    with pytest.raises(ResourceError), locked(tmp_path):  # its maker may be about to fill it in
        pass
    os.utime(path, (time.time() - 60,) * 2)
    with (
        locked(tmp_path),
        pytest.raises(ResourceError, match=str(os.getpid())) as caught,
        locked(tmp_path),
    ):
        pass
    assert caught.value.code == "resource.locked"
    assert not path.exists()


@posix
def test_a_child_that_outlives_the_trainer_does_not_hold_the_folder(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    trainer = os.fork()
    if trainer == 0:
        with locked(tmp_path):
            worker = os.fork()
            if worker == 0:
                time.sleep(30)
                os._exit(0)
            os.write(writing, str(worker).encode())
            os._exit(9)
    os.waitpid(trainer, 0)
    worker = int(os.read(reading, 20))
    try:
        with locked(tmp_path):
            pass
    finally:
        os.kill(worker, 9)
        os.close(reading)
        os.close(writing)


def _starter(folder: Path, gate: Any, inside: Any, most: Any) -> None:
    gate.wait()
    for _ in range(40):
        try:
            with locked(folder):
                with inside.get_lock():
                    inside.value += 1
                    most.value = max(most.value, inside.value)
                time.sleep(0.001)
                with inside.get_lock():
                    inside.value -= 1
                # as a kill would leave it: somebody's who is gone
                (folder / lock.NAME).write_text("")
        except ResourceError as error:
            assert error.code == "resource.locked"


@posix
def test_of_many_starters_one_gets_in(tmp_path: Path) -> None:
    (tmp_path / lock.NAME).write_text("")
    context = multiprocessing.get_context("fork")
    gate, inside, most = context.Barrier(4), context.Value("i", 0), context.Value("i", 0)
    arguments = (tmp_path, gate, inside, most)
    starters = [context.Process(target=_starter, args=arguments) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert [starter.exitcode for starter in starters] == [0, 0, 0, 0]
    assert most.value == 1


def test_a_run_that_torchrun_began_anew_takes_the_folder_from_its_last_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / lock.NAME
    elsewhere = {"pid": 7, "host": "another", "born": None, "run": "job-3", "attempt": 1}
    monkeypatch.setenv("RANK", "0")
    for run, attempt, taken in (("job-3", 2, True), ("job-3", 1, False), ("job-4", 2, False)):
        path.write_text(json.dumps(elsewhere))
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", run)
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(attempt))
        if taken:
            with locked(tmp_path):
                assert lock._holder(path)["attempt"] == 2
        else:
            with pytest.raises(ResourceError, match="another"), locked(tmp_path):
                pass


def test_runs_without_a_name_are_not_taken_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = {"pid": 7, "host": "another", "born": None, "run": "none", "attempt": 0}
    (tmp_path / lock.NAME).write_text(json.dumps(elsewhere))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with pytest.raises(ResourceError, match="another"), locked(tmp_path):
        pass
