"""Work shared among threads: as many as torch is allowed, kept between calls.

Kernels release the GIL, so Python's own threads run them side by side; they need no runtime that
quarrels with torch's, and whoever calls from several threads at once is served.
"""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

_pools: dict[int, ThreadPoolExecutor] = {}

if hasattr(os, "register_at_fork"):  # threads do not live on in a child
    os.register_at_fork(after_in_child=_pools.clear)


def share(count: int, least: int, work: Callable[[int, int], None]) -> None:
    """Call `work(first, end)` for parts of 0 … `count`, none of them smaller than `least`.

    What `work` writes must not depend on how it is parted.
    """
    parts = max(1, min(torch.get_num_threads(), count // max(least, 1)))
    _run([count * i // parts for i in range(parts + 1)], work)


def share_evenly(load: np.ndarray[Any, Any], work: Callable[[int, int], None]) -> None:
    """Call `work(first, end)` for runs of rows that have about as much of the `load` each."""
    done = np.cumsum(load)
    parts = max(1, min(torch.get_num_threads(), len(load)))
    inner = np.searchsorted(done, done[-1] * np.arange(1, parts) / parts) + 1
    _run([0, *inner.tolist(), len(load)], work)


def _run(edges: list[int], work: Callable[[int, int], None]) -> None:
    """Each part in a thread, the last one in the caller's."""
    parts = [(a, b) for a, b in itertools.pairwise(edges) if a < b]
    if not parts:
        return
    others = []
    if len(parts) > 1:
        if len(parts) not in _pools:
            name = "sightline-kernel"
            _pools[len(parts)] = ThreadPoolExecutor(len(parts) - 1, thread_name_prefix=name)
        others = [_pools[len(parts)].submit(work, a, b) for a, b in parts[:-1]]
    work(*parts[-1])
    for other in others:
        other.result()
