"""How a run over images and videos tells of itself, in lines for people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sightline.types import Detections


@dataclass
class Tally:
    """What became of the images of a run."""

    done: int = 0
    failed: int = 0
    objects: int = 0
    seconds: list[float] = field(default_factory=list)

    def __add__(self, other: Tally) -> Tally:
        """Both runs together."""
        done, failed = self.done + other.done, self.failed + other.failed
        return Tally(done, failed, self.objects + other.objects, [*self.seconds, *other.seconds])

    def close(self, folder: Path | None) -> None:
        """The last line for people."""
        pace = ""
        if self.seconds:
            middle = sorted(self.seconds)[len(self.seconds) // 2]
            pace = f", {1000 * middle:.0f} ms an image"
        failed = f", {self.failed} failed" if self.failed else ""
        place = f"; see {folder}" if folder is not None and self.done else ""
        print(
            f"{count(self.objects, 'object')} in {count(self.done, 'image')}{failed}{pace}{place}"
        )


def count(number: int, noun: str) -> str:
    """ "1 image", "2 images"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def table(found: Detections) -> Iterator[str]:
    """A line a detection: name, score, corners."""
    wide = max((len(name) for name in found.names), default=0)
    for name, score, box in found:
        corners = " ".join(f"{value:7.1f}" for value in box)
        yield f"  {name:<{wide}}  {score:.2f}  {corners}"


def shown(text: str) -> str:
    """`text` as standard output can show it, control characters escaped."""
    encoding = sys.stdout.encoding or "ascii"
    clean = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return clean.encode(encoding, "backslashreplace").decode(encoding)
