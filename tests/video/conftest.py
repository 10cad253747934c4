"""What tests of videos share."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sightline.errors import SightlineError
from sightline.video import reading, worker
from sightline.video.channel import Channel
from sightline.video.formats import Input


class Here(Channel):
    """A `Channel` that decodes in this very process: a test then starts none."""

    def __init__(self, given: Input, job: dict[str, Any], timeout: float) -> None:
        self.given, self.job = given, job

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        pass

    def __iter__(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        messages: list[tuple[dict[str, Any], np.ndarray]] = []

        class Collect(worker.Outlet):
            def send(self, head: dict[str, Any], pixels: memoryview | None = None) -> None:
                messages.append((head, np.frombuffer(bytes(pixels or b""), np.uint8).copy()))

        error: SightlineError | None = None
        try:
            worker.serve(self.given, self.job, Collect(-1))
        except SightlineError as caught:
            error = caught
        yield from messages
        if error is not None:
            raise error


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "Channel", Here)
