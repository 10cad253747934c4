"""Stopping a run from outside: finish the step, save, end; at the second signal end now."""

from __future__ import annotations

import shlex
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any


def resuming(command: str) -> str:
    """The command line that goes on with a run that `command` began; what to say without one."""
    words = shlex.split(command)
    if not words:
        return "resume=True"
    if "--resume" not in words:
        verb = words.index("train") + 1 if "train" in words else len(words)
        words.insert(verb, "--resume")
    return shlex.join(words)


class Stop:
    """Asks whether the run should end, and why: `with Stop(limit) as stop: … stop.asked`.

    SIGINT and SIGTERM ask for a stop; a second one, more than `ECHO` seconds later, raises at once.
    SIGUSR1, or `limit` seconds on the monotonic clock, ask for a pause: a good end, to be resumed.
    Outside the main thread, where Python delivers no signals, only the limit works.
    """

    ECHO = 2.0
    """A terminal and Slurm signal every process, and torchrun hands on to each what it got itself:
    whoever asks once is heard twice.
    """

    def __init__(self, limit: float | None = None) -> None:
        self._deadline = None if limit is None else time.monotonic() + limit
        self._before: dict[int, Any] = {}
        self.signal: int | None = None
        self._since = 0.0
        self._paused = False

    @property
    def asked(self) -> bool:
        """Whether the run should end after this step."""
        return self.signal is not None or self.paused

    @property
    def paused(self) -> bool:
        """Whether that end is a pause that was planned."""
        late = self._deadline is not None and time.monotonic() >= self._deadline
        return self.signal is None and (self._paused or late)

    def adopt(self, number: int | None, paused: bool) -> None:
        """Take over what another process of the run was asked."""
        self.signal, self._paused = number, paused

    def raise_signal(self) -> None:
        """End as the signal says: KeyboardInterrupt for SIGINT, SystemExit(143) for SIGTERM."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if number == getattr(signal, "SIGUSR1", None):
            self._paused = True
            return
        now = time.monotonic()
        if self.signal is None:
            self.signal, self._since = number, now
        elif now - self._since > self.ECHO:
            self.signal = number
            self.raise_signal()

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
                if hasattr(signal, name):
                    number = getattr(signal, name)
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
