"""The saved state of a run: whatever happens while it is written, the old or the new is there."""

import itertools
import os
import stat
import sys
import time
from pathlib import Path

import pytest
import torch

from crash_points import full_at, killed
from sightline import checkpoint
from sightline.errors import ResourceError, SightlineWarning, UsageError
from sightline.train import setup, state

posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")


def put(folder: Path, value: int) -> None:
    tensors = {"model/w": torch.full((3, 5), float(value)), "random/torch": torch.tensor([value])}
    state.save(folder, tensors, {"step": value})


def value_of(path: Path) -> int:
    tensors, facts = state._read(path)
    assert set(tensors["model/w"].unique().tolist()) == {float(facts["step"])}
    assert tensors["random/torch"].tolist() == [facts["step"]]
    return int(facts["step"])


def loaded(folder: Path) -> int:
    found = state.load(folder)
    assert found is not None
    tensors, facts = found
    assert set(tensors["model/w"].unique().tolist()) == {float(facts["step"])}
    return int(facts["step"])


def damage(path: Path) -> None:
    time.sleep(0.02)  # where the system's clock for files moves in ticks, the next one
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


@posix
def test_killed_at_any_point_the_old_or_the_new_is_there(tmp_path: Path) -> None:
    for point in itertools.count(1):
        folder = tmp_path / str(point)
        folder.mkdir()
        put(folder, 1)
        put(folder, 2)
        finished = killed(lambda folder=folder: put(folder, 3), point)  # type: ignore[misc]
        assert loaded(folder) in ((3,) if finished else (2, 3))
        put(folder, 4)
        assert loaded(folder) == 4
        assert value_of(folder / state.PREVIOUS) in (2, 3)
        assert {p.name for p in folder.iterdir()} == {state.NAME, state.PREVIOUS}
        if finished:
            break
    assert point >= 7  # write, fsync, rename, fsync, rename, fsync: each was the last one once


def test_a_full_disk_leaves_both_older_states(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2)
    with full_at(1), pytest.raises(ResourceError) as caught:
        put(tmp_path, 3)
    assert caught.value.code == "resource.disk_full"
    assert value_of(tmp_path / state.NAME) == 2
    assert value_of(tmp_path / state.PREVIOUS) == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_a_disk_that_fills_at_any_point_is_typed(tmp_path: Path) -> None:
    for point in itertools.count(1):
        folder = tmp_path / str(point)
        folder.mkdir()
        put(folder, 1)
        put(folder, 2)
        with full_at(point) as seen:
            try:
                put(folder, 3)
            except ResourceError as error:
                assert error.code == "resource.disk_full"
        assert loaded(folder) in (2, 3)
        assert {p.name for p in folder.iterdir()} <= {state.NAME, state.PREVIOUS}
        if len(seen) < point:
            break
    assert point >= 4


def test_a_damaged_state_never_replaces_the_sound_one_before_it(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2)
    damage(tmp_path / state.NAME)
    with pytest.warns(SightlineWarning, match="damaged"):
        assert loaded(tmp_path) == 1
    put(tmp_path, 3)
    assert value_of(tmp_path / state.NAME) == 3
    assert value_of(tmp_path / state.PREVIOUS) == 1


def test_an_older_state_is_read_again_only_where_it_may_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, opened = state._read, list[Path]()

    def noted(path: Path) -> object:
        opened.append(path)
        return read(path)

    monkeypatch.setattr(state, "_read", noted)
    put(tmp_path, 1)
    put(tmp_path, 2)
    assert not opened, "this process wrote it"
    os.utime(tmp_path / state.NAME)
    put(tmp_path, 3)
    assert opened == [tmp_path / state.NAME], "somebody touched it"
    state._sound.clear()
    assert loaded(tmp_path) == 3
    del opened[:]
    put(tmp_path, 4)
    assert not opened, "it was read and found sound"
    state._sound.clear()
    put(tmp_path, 5)
    assert opened == [tmp_path / state.NAME], "another process wrote it"


def test_names_are_on_the_disk_after_a_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    real = os.fsync

    def noted(handle: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    put(tmp_path, 1)
    assert synced == [False, True] or os.name == "nt"


def test_a_run_that_claims_its_folder_sweeps_what_was_half_written(tmp_path: Path) -> None:
    put(tmp_path, 1)
    checkpoint.write(tmp_path / "last", {"w": torch.ones(3, 5)}, {})
    names = {path.name for path in tmp_path.iterdir()}
    sums = "0123456789abcdef"
    for name in (f".tmp-{sums}.csv", f".last.json.{sums}.tmp", f".best.safetensors.{sums}.tmp"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / state.WAITING).write_bytes(b"half")
    with pytest.raises(UsageError):
        setup.claim(tmp_path, resume=False)
    assert (tmp_path / state.WAITING).exists()  # the folder was not ours
    setup.claim(tmp_path, resume=True)
    assert {path.name for path in tmp_path.iterdir()} == names
