"""Timing several ways of one job fairly: round by round in turn, the first rounds unmeasured."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from sightline import waiting

Calls = dict[str, Callable[[], Any]]
Clock = Callable[[], Any]
"""Seconds, by one clock or an array of them by several."""


def as_the_command_line() -> None:
    """Begin this program anew with threads that wait as the command line's do: torch, which is
    loaded already, asks once. For the benchmarks of kernels, whose threads are others.
    """
    if not waiting.chosen():
        os.environ.update(waiting.BRIEF)
        os.execv(sys.executable, sys.orig_argv)


def clock(cpu_time: bool) -> Clock:
    """The wall's, or the process's own seconds on all its threads."""
    return time.process_time if cpu_time else time.perf_counter


def turns(calls: Calls, rounds: int, clock: Clock, warm: int = 1) -> Iterator[tuple[str, Any, Any]]:
    """Name, seconds and answer of every measured call, `rounds` of each after `warm` ones."""
    for turn in range(warm + rounds):
        for name, call in calls.items():
            start = clock()
            answer = call()
            took = clock() - start
            if turn >= warm:
                yield name, took, answer


def medians(calls: Calls, rounds: int, clock: Clock, warm: int = 1) -> dict[str, float]:
    """Median milliseconds of each, in the order given."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for name, took, _ in turns(calls, rounds, clock, warm):
        seconds[name].append(took)
    return {name: 1000 * statistics.median(values) for name, values in seconds.items()}
