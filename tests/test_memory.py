"""Freed memory stays in the process, so a large block comes back without page faults."""

import mmap
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sightline import memory

SCRIPT = """
import resource, sys
import numpy as np
if sys.argv[1] == "keep":
    from sightline.memory import keep_freed_memory
    assert keep_freed_memory() == sys.platform.startswith("linux")
def touch():
    block = np.empty(64 << 20, np.uint8)
    block[::4096] = 1
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    out = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], check=True, capture_output=True, text=True
    )
    return int(out.stdout)


def test_freed_memory_comes_back_without_page_faults() -> None:
    assert resource.getpagesize() >= 4096
    plain, kept = faults("plain"), faults("keep")
    assert kept <= max(100, plain // 10)


def test_what_is_left_is_the_least_of_machine_groups_and_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = memory.available()
    assert found is not None and 0 < found < 1 << 50
    monkeypatch.setattr(memory, "_machine", lambda: [500])
    monkeypatch.setattr(memory, "_limit", lambda: [])
    for groups, least in (([], 500), ([700, 300], 300), ([-5], 0)):
        monkeypatch.setattr(memory, "_groups", lambda groups=groups: groups)
        assert memory.available() == least


def test_control_groups_of_both_versions(tmp_path: Path) -> None:
    """The limit of a group above counts as well; cached files are given back; "max" is none."""
    own, root = tmp_path / "own", tmp_path / "groups"
    inner = root / "box" / "job"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (inner / "memory.current").write_text("300\n")
    (root / "box" / "memory.max").write_text("1000\n")
    (root / "box" / "memory.current").write_text("400\n")
    (root / "box" / "memory.stat").write_text("anon 1\ninactive_file 50\n")
    own.write_text("0::/box/job\n")
    assert memory._groups(root, own) == [650]

    old = root / "memory" / "task"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("900\n")
    (old / "memory.usage_in_bytes").write_text("100\n")
    own.write_text("4:cpu,memory:/task\n2:cpuset:/\n")
    assert memory._groups(root, own) == [800]


def test_the_peak_is_counted_from_when_it_is_asked_to() -> None:
    if memory.used() is None or not memory.reset_peak():
        pytest.skip("this system does not tell")
    before = memory.peak() or 0
    block = mmap.mmap(-1, 200_000_000)  # new pages: freed ones, kept by now, would not count
    for place in range(0, len(block), 4096):
        block[place] = 1
    assert (memory.peak() or 0) > before + 150_000_000
    block.close()
    assert memory.reset_peak()
    assert (memory.peak() or 0) < before + 150_000_000
