"""What a run writes down: one row a report, as JSON lines and as CSV, and the curves as a picture.

A log that cannot be written is warned about once; training goes on.
"""

from __future__ import annotations

import csv
import io
import json
import math
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sightline import processes
from sightline.errors import SightlineError, SightlineWarning
from sightline.files import write_text

Row = dict[str, Any]


class Log:
    """The rows of one run, in `log.jsonl` and `log.csv` of its folder.

    `resume_at` keeps the rows of an earlier run up to that step; None begins anew. Of several
    processes only the first writes.
    """

    def __init__(self, folder: Path, resume_at: int | None = None) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self._columns: list[str] = []
        self._warned = False
        self._drawn = 0
        if resume_at is not None:
            old = _read(folder / "log.jsonl")
            self.rows = [row for row in old if row.get("step", 0) <= resume_at]
        self._safely(self._rewrite)

    def add(self, row: Row) -> None:
        """Write one row; numbers that are not finite become null."""
        clean = {k: _finite(v) for k, v in row.items()}
        self.rows.append(clean)
        if set(clean) - set(self._columns):
            self._safely(self._rewrite)
        else:
            self._safely(self._append)

    def draw(self) -> None:
        """Draw the learning curves into `curves.png`, if there is anything new to draw."""
        from sightline.train.curves import draw

        if len(self.rows) > self._drawn:
            self._safely(lambda: draw(self.rows, self.folder / "curves.png"))
            self._drawn = len(self.rows)

    def _append(self) -> None:
        row = self.rows[-1]
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        with (self.folder / "log.csv").open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self._columns, lineterminator="\n").writerow(row)

    def _rewrite(self) -> None:
        self._columns = list(dict.fromkeys(key for row in self.rows for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.folder / "log.csv", text.getvalue())
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_text(self.folder / "log.jsonl", lines)

    def _safely(self, write: Any) -> None:
        if not processes.is_first():
            return
        try:
            write()
        except (OSError, SightlineError) as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"the log cannot be written, training goes on: {error}",
                    SightlineWarning,
                    stacklevel=3,
                )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(path: Path) -> list[Row]:
    """The rows of a JSON lines file, as far as it can be read."""
    if not path.is_file():
        return []
    return list(_parsed(path.read_text(encoding="utf-8", errors="replace").splitlines()))


def _parsed(lines: Iterable[str]) -> Iterable[Row]:
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            return
        if isinstance(row, dict):
            yield row
