"""The progress bar."""

import io
import sys

import numba
import numpy as np
import pytest

from sightline import progress
from sightline.kernels.cpu.compile import LONG
from sightline.progress import Bar, clock_text, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silent_away_from_a_terminal() -> None:
    stream = io.StringIO()
    with Bar(3, "images", stream=stream) as shown:
        for _ in range(3):
            shown.advance()
    assert stream.getvalue() == ""


def test_drawn_in_a_terminal() -> None:
    stream = Terminal()
    with Bar(4, "images", stream=stream) as shown:
        shown.advance(2, "loss 0.5")
    text = stream.getvalue()
    assert "images" in text
    assert " 50%" in text
    assert "loss 0.5" in text
    assert text.endswith("\n")


def test_time_left_is_judged_by_what_was_done_since_the_start() -> None:
    shown = Bar(100, "steps", start=50, stream=io.StringIO())
    assert "< ?" in shown.line()
    shown._began -= 10
    shown.to(60)
    assert "0:10 < 0:40" in shown.line()
    assert len(shown.line(30)) == 29


def test_without_a_total_a_count() -> None:
    shown = Bar(None, "images", stream=io.StringIO())
    shown.advance(7)
    assert shown.line().startswith("images 7 in 0:00")


def test_clock() -> None:
    assert [clock_text(x) for x in (-5, 0, 61, 3600, 36125)] == [
        "0:00", "0:00", "1:01", "1:00:00", "10:02:05",
    ]  # fmt: skip


def test_track_gives_the_same_items() -> None:
    assert list(track([3, 1, 2], "images")) == [3, 1, 2]


@pytest.mark.parametrize("allowed", [True, False])
def test_compiling_is_told_once_in_a_terminal_and_to_no_host(
    monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    progress.allow_notices(allowed)

    def doubled(values: np.ndarray) -> np.ndarray:
        return values * 2

    kernel = numba.njit(doubled)  # kept nowhere: compiled at every run
    for kind in (np.int64, np.float32):  # two compilations
        assert kernel(np.ones(2, kind)).tolist() == [2, 2]
    assert stream.getvalue().count(LONG) == int(allowed)
    progress.allow_notices(False)


def test_a_notice_goes_to_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    progress.allow_notices()
    progress.notice("anything")
    progress.allow_notices(False)
    assert stream.getvalue() == ""
