"""What a run is told beside its recipe."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sightline import processes
from sightline.train.record import Record


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Run:
    """What of a run is not its recipe.

    `command` and `notes` (`path`, `on_bad` and `from` of the data set) go into repro.json, the
    entries of `manifest` into every checkpoint. `accept_changes` resumes although recipe, data or
    threads changed; after `stop_after` minutes of this process the run pauses and can be resumed;
    `say` gets a line for a person now and then. `repeats` is the record of a run to train again.
    One of several processes waits `worker_timeout` seconds for another at most.
    """

    command: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    accept_changes: bool = False
    stop_after: float | None = None
    say: Callable[[str], None] = _say
    notes: Mapping[str, Any] = field(default_factory=dict)
    repeats: Record | None = None
    worker_timeout: float = processes.TIMEOUT
