"""Freed memory stays in the process, so a large block comes back without page faults."""

import resource
import subprocess
import sys

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
