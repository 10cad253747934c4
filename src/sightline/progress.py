"""A progress bar on standard error, with the time left; silent when that is no terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TextIO, TypeVar

from sightline import processes

T = TypeVar("T")

REDRAW_SECONDS = 0.1


class _Notices:
    allowed = False
    said: frozenset[str] = frozenset()


def allow_notices(allowed: bool = True) -> None:
    """Say what takes long and cannot be counted, as the command line does; a library call never
    speaks on its host's standard error.
    """
    _Notices.allowed, _Notices.said = allowed, frozenset()


def notice(text: str) -> None:
    """Say once on standard error what the user waits for; silent when that is no terminal."""
    if not _Notices.allowed or text in _Notices.said or not processes.is_first():
        return
    _Notices.said |= {text}
    if getattr(sys.stderr, "isatty", lambda: False)():
        print(f"\r{text:<79}", file=sys.stderr, flush=True)


def clock_text(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss from an hour on; never negative."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Bar:
    """One line that shows how far something is: `with bar(total, "images") as b: b.advance()`.

    `total` is in any unit; None or 0 shows a count alone. Time left is estimated from what was
    done since the bar began, so a resumed run (`start` > 0) is judged by its own pace.
    """

    def __init__(
        self, total: float | None, label: str, start: float = 0.0, stream: TextIO | None = None
    ) -> None:
        self.total, self.label, self.start, self.done = total, label, start, start
        self.note = ""
        self._stream = sys.stderr if stream is None else stream
        seen = bool(getattr(self._stream, "isatty", lambda: False)())
        self._shown = seen and processes.is_first()
        self._began = time.monotonic()
        self._drawn = float("-inf")
        self._width = 0

    def advance(self, amount: float = 1.0, note: str | None = None) -> None:
        """Go forward by `amount`; `note` replaces the text at the end of the line."""
        self.to(self.done + amount, note)

    def to(self, done: float, note: str | None = None) -> None:
        """Go to `done`, in the unit of `total`."""
        self.done = done
        if note is not None:
            self.note = note
        if self._shown and time.monotonic() - self._drawn >= REDRAW_SECONDS:
            self._draw()

    def line(self, columns: int = 80) -> str:
        """The line as it would be drawn in a terminal of `columns` characters."""
        passed = time.monotonic() - self._began
        if not self.total:
            return f"{self.label} {self.done:g} in {clock_text(passed)} {self.note}"[: columns - 1]
        share = min(1.0, max(0.0, self.done / self.total))
        gained = self.done - self.start
        left = clock_text(passed * (self.total - self.done) / gained) if gained > 0 else "?"
        filled = round(20 * share)
        picture = "█" * filled + "·" * (20 - filled)
        head = f"{self.label} {picture} {share:4.0%} {clock_text(passed)} < {left}"
        return f"{head} {self.note}".rstrip()[: columns - 1]

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        text = self.line(shutil.get_terminal_size().columns)
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)

    def close(self) -> None:
        """Draw the last state and end the line."""
        if self._shown:
            self._draw()
            self._stream.write("\n")
            self._stream.flush()
            self._shown = False

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def bar(total: float | None, label: str, start: float = 0.0) -> Bar:
    """A bar for `total` units of work, to be used with `with`."""
    return Bar(total, label, start)


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """The same items, with a bar that moves as they are taken."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(total, label) as shown:
        for item in items:
            yield item
            shown.advance()
