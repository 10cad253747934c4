"""Files appear whole or not at all."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from sightline.errors import ResourceError
from sightline.files import atomic_write, make_folder, tidy, write_bytes, write_json, write_text


def test_appears_whole_with_parents_and_the_umasks_mode(tmp_path: Path) -> None:
    goal = tmp_path / "a" / "b.txt"
    old = os.umask(0o027)
    try:
        write_text(goal, "line\nline é\n")
    finally:
        os.umask(old)
    assert goal.read_bytes() == "line\nline é\n".encode()
    assert stat.S_IMODE(goal.stat().st_mode) == 0o640
    assert [p.name for p in goal.parent.iterdir()] == ["b.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    goal = write_bytes(tmp_path / "x.bin", b"old")
    with pytest.raises(KeyError), atomic_write(goal) as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    assert goal.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "resource.disk_full"),
        (errno.EACCES, "resource.permission"),
        (errno.EIO, "resource.unwritable"),
    ],
)
def test_the_disks_faults_are_typed(tmp_path: Path, number: int, code: str) -> None:
    with pytest.raises(ResourceError) as caught, atomic_write(tmp_path / "x"):
        raise OSError(number, "fault")
    assert caught.value.code == code
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_typed(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(ResourceError):
        make_folder(tmp_path / "file" / "below")


def test_json_is_strict(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"é": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"é": [1, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


def test_only_our_own_temporary_files_are_swept(tmp_path: Path) -> None:
    ours = [".tmp-0123456789abcdef", ".tmp-0123456789abcdef.json"]
    theirs = [".tmp-0123456789abcde", ".tmp-0123456789ABCDEF", "x.tmp-0123456789abcdef", ".tmp-x"]
    for name in ours + theirs:
        write_bytes(tmp_path / name, b"x")
    (tmp_path / ".tmp-fedcba9876543210").mkdir()
    tidy(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*theirs, ".tmp-fedcba9876543210"}
