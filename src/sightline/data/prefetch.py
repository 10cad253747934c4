"""Work done ahead by threads, handed out in order."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from sightline.errors import ResourceError

__all__ = ["prefetch"]

Job = TypeVar("Job")
Result = TypeVar("Result")


class _Pool(Generic[Job, Result]):
    """Threads that take jobs in order and leave results, at most `ahead` of them unclaimed."""

    def __init__(self, work: Callable[[Job], Result], jobs: Iterable[Job], ahead: int) -> None:
        self.work, self.jobs, self.ahead = work, enumerate(jobs), ahead
        self.changed = threading.Condition()
        self.running: dict[int, Job] = {}
        self.done: dict[int, Result | BaseException] = {}
        self.claimed = 0
        self.count: int | None = None
        self.closed = False

    def _take(self) -> tuple[int, Job] | None:
        """The next job, once there is room for its result; None when there is none."""
        with self.changed:
            while not self.closed:
                if len(self.running) + len(self.done) < self.ahead:
                    break
                self.changed.wait()
            if self.closed or self.count is not None:
                return None
            try:
                number, job = next(self.jobs)
            except BaseException as error:
                self.count = self.claimed + len(self.running) + len(self.done)
                if not isinstance(error, StopIteration):
                    self.done[self.count] = error
                    self.count += 1
                self.changed.notify_all()
                return None
            self.running[number] = job
            return number, job

    def run(self) -> None:
        """What each thread does."""
        while (taken := self._take()) is not None:
            number, job = taken
            try:
                result: Result | BaseException = self.work(job)
            except BaseException as error:
                result = error
            with self.changed:
                del self.running[number]
                self.done[number] = result
                self.changed.notify_all()

    def close(self) -> None:
        """Let the threads end after what they are at."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()


def prefetch(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    workers: int,
    what: Callable[[Job], str] = str,
    timeout: float = 300.0,
) -> Iterator[Result]:
    """`work(job)` for each of `jobs`, in order, done ahead by `workers` threads.

    At most 2 · workers results wait. An error is raised when its turn comes. A job that takes
    longer than `timeout` seconds ends the whole with ResourceError "loader.timeout", which says by
    `what(job)` which it was; its thread is left behind and does not keep the program alive.
    """
    pool = _Pool(work, jobs, 2 * workers)
    for number in range(workers):
        name = f"sightline-loader-{number}"
        threading.Thread(target=pool.run, name=name, daemon=True).start()
    try:
        while True:
            with pool.changed:
                end = time.monotonic() + timeout
                while pool.claimed not in pool.done and pool.claimed != pool.count:
                    if not pool.changed.wait(end - time.monotonic()):
                        late = pool.running.get(pool.claimed)
                        name = "the list of jobs" if late is None else what(late)
                        raise ResourceError(
                            f"no answer in {timeout:g} s from {name}",
                            code="loader.timeout",
                            hint="is the disk reachable?",
                        )
                if pool.claimed == pool.count:
                    return
                result = pool.done.pop(pool.claimed)
                pool.claimed += 1
                pool.changed.notify_all()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        pool.close()
