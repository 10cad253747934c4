"""Plain CSV: a row an object, in `labels.csv` (or `annotations.csv`) beside `images/`.

With a header the columns are found by name: file, label, x1, y1, x2, y2, and width, height where
they are known. Without one they are `path,x1,y1,x2,y2,class`. Empty cells after the file name mean
an image without objects. Boxes are xyxy in continuous pixels of the upright image. A quote before
= + - @ or another quote, which keeps a spreadsheet from running a cell, is taken away. The classes
are sorted by name.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.data.checks import Box, Checks, OnBad, check_box, to_number
from sightline.data.reading import contained, is_file, read_text
from sightline.data.records import Dataset, Example, Objects
from sightline.data.sizes import image_size, written_size
from sightline.data.upright import settle
from sightline.errors import AnnotationError
from sightline.types import Size

FILES = ("labels.csv", "annotations.csv")
BARE = ("file", "x1", "y1", "x2", "y2", "label")
ENDS = ("x1", "y1", "x2", "y2")
GUARDED = ("=", "+", "-", "@", "\t", "\r", "'")
"""Beginnings of a cell that a spreadsheet may run, and the quote that keeps it from that."""

ALIASES = {
    "filename": "file",
    "path": "file",
    "image": "file",
    "class": "label",
    "xmin": "x1",
    "ymin": "y1",
    "xmax": "x2",
    "ymax": "y2",
}


@dataclass
class _Page:
    path: Path
    size: Size
    rows: list[tuple[str, Box]] = field(default_factory=list)


def find_csv(folder: Path) -> Path | None:
    """The CSV file of labels of a folder."""
    return next((path for name in FILES if is_file(path := folder / name)), None)


def read_csv(path: Path, on_bad: OnBad = "error") -> Dataset:
    """The data set of one CSV file.

    AnnotationError with every fault and line; with `on_bad="skip"` bad rows and missing images are
    dropped and told in `skipped`. Codes: `csv.syntax`, `csv.header`, `csv.columns`, `box.…`,
    `category.name`, `image.size`, `image.missing`, `file.…`.
    """
    checks = Checks(on_bad)
    # only \n and \r end a line: a class may be called "a\u2028b"
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    pages: dict[str | Path, _Page | None] = {}
    columns: tuple[str, ...] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns = _columns(row, path)
                if columns != BARE or row[0].strip().lower() in ("file", *ALIASES):
                    continue
            try:
                excess = _take(row, columns, pages, path.parent)
                checks.clipped(excess, path, f"line {reader.line_num}")
            except AnnotationError as error:
                checks.add_error(error, path, f"line {reader.line_num}")
    except csv.Error as error:
        raise AnnotationError(
            str(error), code="csv.syntax", path=path, pointer=f"line {reader.line_num}"
        ) from error
    known = list({page.path: page for page in pages.values() if page is not None}.values())
    classes = tuple(sorted({label for page in known for label, _ in page.rows}))
    checks.need(classes, path)
    examples = settle([_example(page, classes) for page in known], checks)
    return checks.dataset(examples, classes, (path.parent, None))


def _columns(row: list[str], path: Path) -> tuple[str, ...]:
    """The columns' names: those of the header, or the order of files without one."""
    names = [ALIASES.get(cell.strip().lower(), cell.strip().lower()) for cell in row]
    if "file" not in names:
        return BARE
    missing = [name for name in BARE if name not in names]
    if missing or len(set(names)) < len(names):
        what = f"no column {missing[0]!r}" if missing else "a column twice"
        raise AnnotationError(
            f"the header has {what}", code="csv.header", path=path, pointer="line 1"
        )
    return tuple(names)


def _take(
    row: list[str], columns: tuple[str, ...], pages: dict[str | Path, _Page | None], home: Path
) -> float:
    """Hand one row to its image; by how many pixels its box was cut. Errors without a place."""
    if len(row) != len(columns):
        raise AnnotationError(f"{len(row)} columns, not {len(columns)}", code="csv.columns")
    cells = dict(zip(columns, row, strict=True))
    name = unguarded(cells["file"])
    if name not in pages:
        pages[name] = None  # a name that is refused is told once for each row
        found = _page(name, cells, home)
        pages[name] = pages.setdefault(found.path, found)  # "a.jpg" and "images/a.jpg" may be one
    page = pages[name]
    if page is None:
        return 0.0
    said = [cells.get(side, "").strip() for side in ("height", "width")]
    if any(said) and [text.lstrip("0") for text in said] != [str(side) for side in page.size]:
        raise AnnotationError(
            f"the image has {page.size[1]} × {page.size[0]} pixels by its first row, "
            f"{said[1][:40]} × {said[0][:40]} by this one",
            code="image.size",
        )
    label = unguarded(cells["label"])
    if not label and not any(cells[end].strip() for end in ENDS):
        return 0.0
    if not label.strip():
        raise AnnotationError("an object has no class", code="category.name")
    box, excess = check_box(_corners(cells), page.size)
    page.rows.append((label, box))
    return excess


def guarded(text: str) -> str:
    """Text that a spreadsheet will not run: a quote before = + - @, tab, return and the quote."""
    return f"'{text}" if text.startswith(GUARDED) else text


def to_csv(rows: Iterable[Sequence[object]]) -> str:
    """The text of a table, a line a row; a return inside of a cell is quoted like a line's end,
    which Python does only where it ends lines.
    """
    lines = []
    for row in rows:
        file = io.StringIO(newline="")
        csv.writer(file, lineterminator="\r\n").writerow(row)
        lines.append(file.getvalue().removesuffix("\r\n"))
    return "".join(f"{line}\n" for line in lines)


def unguarded(text: str) -> str:
    """A cell's text without the quote that keeps a spreadsheet from running it."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(GUARDED) else text


def _corners(cells: dict[str, str]) -> Box:
    values = []
    for end in ENDS:
        value = to_number(cells[end])
        if value is None:
            hint = "write a number of pixels, with a point for the decimals"
            raise AnnotationError(f"{end} is {cells[end][:40]!r}", code="box.format", hint=hint)
        values.append(value)
    return values[0], values[1], values[2], values[3]


def _page(name: str, cells: dict[str, str], home: Path) -> _Page:
    """The image of a row, in the folder `images` beside the file, or beside the file itself."""
    choices = [contained(home / "images", name), contained(home, name)]
    path = next((path for path in choices if is_file(path)), None)
    if path is None:
        raise AnnotationError(
            f"there is no image {name[:80]!r}",
            code="image.missing",
            hint="put it into the folder images, or delete the row",
        )
    return _Page(path, image_size(written_size(cells.get("height"), cells.get("width")), path))


def _example(page: _Page, classes: tuple[str, ...]) -> Example:
    index = {name: i for i, name in enumerate(classes)}
    objects = Objects.of([box for _, box in page.rows], [index[name] for name, _ in page.rows])
    return Example(page.path, page.path.stem, page.size, objects)
