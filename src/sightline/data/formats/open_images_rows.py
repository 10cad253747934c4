"""The CSV files of OpenImages: rows of boxes by the header's names, and descriptions of classes."""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from sightline.data.formats.plain_csv import unguarded
from sightline.data.reading import list_folder, no_text, readable
from sightline.errors import AnnotationError

ENDS = ("xmin", "ymin", "xmax", "ymax")
NEEDED = ("imageid", "labelname", *ENDS)
HEAD = 4096
LINE = 1 << 20
"""Characters of a line: of the file no more is in memory at a time, however large it is."""
SPLIT = re.compile(r"(?:oidv\d+-)?(\w[\w .-]*)-annotations(?:-human)?-bbox")
"""What a file of boxes is called that tells its split."""


def is_open_images(file: Path) -> bool:
    """Whether a file is called like those of OpenImages' boxes, or its header is theirs, whole or
    not.
    """
    if file.suffix.lower() != ".csv":
        return False
    if SPLIT.fullmatch(file.stem):
        return True
    try:
        with file.open("rb") as stream:
            first = stream.read(HEAD).decode("utf-8-sig", "replace").splitlines()
    except OSError:
        return False
    names = {cell.strip().strip('"').lower() for cell in (first or [""])[0].split(",")}
    return {"imageid", "labelname"} <= names and bool(names & set(ENDS))


def table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, each with its line; read as they are asked for.

    AnnotationError: `file.not_found`, `file.unreadable`, `file.encoding` with the byte,
    `csv.syntax` with the line.
    """
    with readable(path), path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(_lines(stream, path), strict=True)
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row
        except csv.Error as error:
            raise AnnotationError(
                str(error), code="csv.syntax", path=path, pointer=f"line {reader.line_num}"
            ) from error
        except UnicodeDecodeError as error:
            raise no_text(path, _first_bad(path)) from error


def _lines(stream: TextIO, path: Path) -> Iterator[str]:
    """The lines of a file; AnnotationError `csv.syntax` for one that is too long for a table."""
    number = 0
    while line := stream.readline(LINE):
        number += 1
        if len(line) == LINE and not line.endswith(("\n", "\r")):
            raise _refusal("csv.syntax", f"more than {LINE:,} characters", path, number)
        yield line


def _first_bad(path: Path) -> int:
    """Which byte of a file is the first that is no UTF-8."""
    decoder, done = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as stream:
        while True:
            chunk, waiting = stream.read(LINE), len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return done - waiting + error.start
            done += len(chunk)
            if not chunk:
                return done


def box_rows(path: Path) -> Iterator[tuple[int, dict[str, str] | AnnotationError]]:
    """The rows of a file of boxes by column, the names in small letters, each with its line; an
    error without a place for a row of another length.

    AnnotationError: `csv.syntax`, and `csv.header` where a column is missing or stands twice.
    """
    columns: list[str] | None = None
    for line, row in table(path):
        if columns is None:
            columns = [cell.strip().lower() for cell in row]
            missing = [name for name in NEEDED if name not in columns]
            if missing or len(set(columns)) < len(columns):
                what = f"no column {missing[0]!r}" if missing else "a column twice"
                raise AnnotationError(
                    f"the header has {what}", code="csv.header", path=path, pointer=f"line {line}"
                )
        elif len(row) != len(columns):
            message = f"{len(row)} columns, not {len(columns)}"
            yield line, AnnotationError(message, code="csv.columns")
        else:
            yield line, dict(zip(columns, row, strict=True))
    if columns is None:
        raise AnnotationError("the file is empty", code="csv.header", path=path, pointer="line 1")


@dataclass(frozen=True)
class Descriptions:
    """The display names of labels, in the file's order; `path` is None where there is no file."""

    path: Path | None = None
    names: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def classes(self, used: set[str]) -> tuple[dict[str, int], tuple[str, ...]]:
        """The class of each label that is used, and the classes' names.

        AnnotationError `category.duplicate_name` where two of them have one name.
        """
        if self.path is None:
            labels = sorted(used)
            return {label: i for i, label in enumerate(labels)}, tuple(labels)
        labels = [label for label in self.names if label in used]
        seen: set[str] = set()
        for label in labels:
            if self.names[label] in seen:
                raise AnnotationError(
                    f"two labels are called {self.names[label]!r}",
                    code="category.duplicate_name",
                    path=self.path,
                    pointer=f"line {self.lines[label]}",
                )
            seen.add(self.names[label])
        names = tuple(self.names[label] for label in labels)
        return {label: i for i, label in enumerate(labels)}, names


def read_descriptions(root: Path) -> Descriptions:
    """The display names of `class-descriptions*.csv`, in the folder or in its `annotations`; of
    several files, one that has "boxable" in its name goes first.

    AnnotationError: `csv.syntax`, `csv.columns`, `category.name`, `category.duplicate_id`.
    """
    found = [
        path
        for path in (*list_folder(root), *list_folder(root / "annotations"))
        if "class-descriptions" in path.name and path.suffix.lower() == ".csv"
    ]
    if not found:
        return Descriptions()
    path = min(found, key=lambda path: "boxable" not in path.name)
    answer = Descriptions(path)
    for line, row in table(path):
        if [cell.strip().lower() for cell in row] == ["labelname", "displayname"]:
            continue
        if len(row) != 2:
            raise _refusal("csv.columns", f"{len(row)} columns, not 2", path, line)
        label, name = map(unguarded, row)
        if not label.strip() or not name.strip():
            raise _refusal("category.name", "a label has no name", path, line)
        if label in answer.names:
            raise _refusal("category.duplicate_id", f"{label!r} stands twice", path, line)
        answer.names[label], answer.lines[label] = name, line
    return answer


def _refusal(code: str, message: str, path: Path, line: int) -> AnnotationError:
    return AnnotationError(message, code=code, path=path, pointer=f"line {line}")
