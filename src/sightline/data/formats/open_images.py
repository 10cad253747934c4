"""OpenImages' CSV: a row a box in `{split}-annotations-bbox.csv`, and the classes' display names.

Columns are found by name, whatever their case: ImageID, LabelName, XMin, XMax, YMin, YMax (shares
of the upright image), and IsGroupOf and Confidence where they are there; others are not read. An
image is `ImageID` plus an image's ending, in `images/{split}`, `{split}`, `images` or beside the
file. `class-descriptions*.csv` gives labels (`/m/01yrx`) their display names; without it, labels
are names. The classes are those that any row of any split has, in the order of the descriptions:
the official list has 601, and few data sets have them all.

There are no rows for images without objects. They are the images of a split's own folder that no
row names. Where splits share one folder, they belong to none of the splits.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sightline.data.checks import Box, Checks, OnBad, check_box, to_number
from sightline.data.formats.open_images_folders import Folders
from sightline.data.formats.open_images_rows import (
    ENDS,
    SPLIT,
    Descriptions,
    box_rows,
    is_open_images,
    read_descriptions,
)
from sightline.data.formats.plain_csv import unguarded
from sightline.data.reading import contained, list_folder
from sightline.data.records import Dataset, Example, Objects
from sightline.data.sizes import header_size
from sightline.data.split_names import rank
from sightline.errors import AnnotationError
from sightline.types import Size

SLACK = 1e-3
"""By how much a share may leave 0 … 1: what tools lose in rounding."""


@dataclass(frozen=True)
class BoxFile:
    """One file of boxes, and its split where its name tells one."""

    path: Path
    split: str | None

    @classmethod
    def of(cls, path: Path) -> "BoxFile":
        """The file with the split that its name tells: `validation-annotations-bbox.csv`."""
        match = SPLIT.fullmatch(path.stem)
        return cls(path, None if match is None else match[1])


@dataclass
class _Page:
    """An image, and of its objects xyxy, the label's number and whether it is a group: in plain
    arrays, for there may be millions of them.
    """

    path: Path
    size: Size
    boxes: "array[float]" = field(default_factory=lambda: array("f"))
    labels: "array[int]" = field(default_factory=lambda: array("i"))
    groups: bytearray = field(default_factory=bytearray)


def box_files(root: Path) -> list[BoxFile]:
    """The files of boxes of a folder and of its folder `annotations`, train first."""
    paths = [*list_folder(root), *list_folder(root / "annotations")]
    files = [BoxFile.of(path) for path in paths if is_open_images(path)]
    return sorted(files, key=lambda file: rank(file.split))


def read_open_images(
    files: Sequence[BoxFile],
    place: tuple[Path, Path | None],
    split: str | None,
    on_bad: OnBad = "error",
) -> Dataset:
    """The images of one split of the files, or of all where `split` is None. `place` is the data
    set's folder, and that of the images where it is another.

    AnnotationError with every fault and line; with `on_bad="skip"` bad rows and missing images are
    dropped and told in `skipped`. Codes: `csv.syntax`, `csv.header`, `csv.columns`, `box.…` (with
    `box.range` for shares outside 0 … 1 and `box.confidence`), `crowd`, `category.…`,
    `annotation.category`, `image.…`, `file.…`.
    """
    root = place[0]
    checks = Checks(on_bad)
    reader = _Reader(read_descriptions(root), checks, Folders(*place))
    for file in files:
        reader.read(file, split is None or file.split == split)
    index, classes = reader.descriptions.classes(set(reader.labels))
    checks.need(classes, root)
    pages = [*reader.pages.values(), *reader.unnamed(files, split)]
    order = np.array([index[label] for label in reader.labels])
    examples = [_example(page, order, root) for page in pages]
    return checks.dataset(examples, classes, (root, split))


def _example(page: _Page, order: np.ndarray, root: Path) -> Example:
    """The image with the classes of its labels, which `order` tells of each number."""
    boxes = np.array(page.boxes, np.float32).reshape(-1, 4)
    objects = Objects.of(boxes, order[np.array(page.labels, np.int64)])
    objects.crowd[:] = np.array(page.groups, bool)
    inside = page.path.is_relative_to(root)
    name = page.path.relative_to(root) if inside else Path(page.path.name)
    return Example(page.path, name.with_suffix("").as_posix(), page.size, objects)


@dataclass
class _Reader:
    """Reads the files one after the other; what is of no interest only for its labels."""

    descriptions: Descriptions
    checks: Checks
    folders: Folders
    labels: dict[str, int] = field(default_factory=dict)
    named: dict[Path, set[str]] = field(default_factory=dict)
    pages: dict[Path, _Page] = field(default_factory=dict)

    def read(self, file: BoxFile, asked: bool) -> None:
        """Read one file: its boxes if it is `asked` for, else labels and images alone."""
        keys = self.named.setdefault(file.path, set())
        found: dict[str, _Page | None] = {}
        try:
            for line, cells in box_rows(file.path):
                try:
                    if isinstance(cells, AnnotationError):
                        raise cells
                    key = unguarded(cells["imageid"])
                    keys.add(key)
                    if asked:
                        self._take(cells, found, file, line)
                    else:
                        self._number(cells)
                except AnnotationError as error:
                    if asked:
                        self.checks.add_error(error, file.path, f"line {line}")
        except AnnotationError as error:
            if asked:
                raise
            self.checks.note(error.code, error.message, file.path, error.pointer)

    def _take(
        self, cells: dict[str, str], found: dict[str, _Page | None], file: BoxFile, line: int
    ) -> None:
        """Hand one row to its image; errors without a place."""
        key = unguarded(cells["imageid"])
        number = self._number(cells)  # whatever becomes of the row: other splits count it too
        if key not in found:
            found[key] = None  # an image that is refused is told once
            found[key] = self._page(key, file)
        page = found[key]
        if page is None:
            return
        group = _group(cells)
        box, excess = check_box(_corners(cells, page.size), page.size)
        self.checks.clipped(excess, file.path, f"line {line}")
        page.boxes.extend(box)
        page.labels.append(number)
        page.groups.append(group)

    def _page(self, key: str, file: BoxFile) -> _Page:
        path = self.folders.find(key, file.split)
        if path in self.pages:
            raise AnnotationError(
                f"the image {key!r} stands in another file too", code="image.duplicate_file"
            )
        page = _Page(path, header_size(path))
        self.pages[path] = page
        return page

    def _number(self, cells: dict[str, str]) -> int:
        """The number of a row's label, in the order in which they are met."""
        label = unguarded(cells["labelname"])
        if not label.strip():
            raise AnnotationError("an object has no class", code="category.name")
        if self.descriptions.path is not None and label not in self.descriptions.names:
            raise AnnotationError(
                f"there is no label {label[:80]!r}",
                code="annotation.category",
                hint=f"name it in {self.descriptions.path.name}",
            )
        return self.labels.setdefault(label, len(self.labels))

    def unnamed(self, files: Sequence[BoxFile], split: str | None) -> list[_Page]:
        """The images that no row names, of the splits' own folders; of the shared folder only where
        nobody asks for one of several splits.
        """
        paths: list[Path] = []
        for file in files:
            if split is None or file.split == split:
                for folder in self.folders.own(file.split):
                    paths += self._others(folder, self.named[file.path])
        shared = self.folders.shared()[:1]
        if shared == [self.folders.root] and not any(p.parent == shared[0] for p in self.pages):
            shared = []  # the images lie elsewhere: pictures beside the file are something else
        every = set().union(*self.named.values())
        rest = [path for place in shared for path in self._others(place, every)]
        if split is None or len(files) == 1:
            paths += rest
        elif rest:
            message = f"{len(rest)} images are named by no row: they belong to none of the splits"
            self.checks.note("image.unlabelled", message, shared[0], None)
        pages = []
        for path in dict.fromkeys(paths):
            try:
                pages.append(_Page(path, header_size(contained(path.parent, path.name))))
            except AnnotationError as error:
                self.checks.add_error(error, path, None)
        return pages

    def _others(self, folder: Path, named: set[str]) -> list[Path]:
        stems = self.folders.stems(folder)
        return [path for stem, paths in stems.items() if stem not in named for path in paths]


def _group(cells: dict[str, str]) -> bool:
    """IsGroupOf, and the confidence looked at: 1, 0 or −1 for unknown."""
    value = cells.get("isgroupof", "0").strip()
    if value not in ("-1", "0", "1"):
        raise AnnotationError(f"IsGroupOf is {value[:40]!r}, not 0 or 1", code="crowd")
    confidence = to_number(cells.get("confidence", "1"))
    if confidence is None or not 0 < confidence <= 1:
        raise AnnotationError(
            f"the confidence is {cells['confidence'][:40]!r}",
            code="box.confidence",
            hint="a box that somebody drew has 1; delete the row if there is nothing",
        )
    return value == "1"


def _corners(cells: dict[str, str], size: Size) -> Box:
    values = []
    for end in ENDS:
        value = to_number(cells[end])
        if value is None:
            raise AnnotationError(f"{end} is {cells[end][:40]!r}", code="box.format")
        if not -SLACK <= value <= 1 + SLACK:
            raise AnnotationError(
                f"{end} is {value:g}, outside 0 … 1",
                code="box.range",
                hint="divide pixels by the image's size",
            )
        values.append(value)
    height, width = size
    return values[0] * width, values[1] * height, values[2] * width, values[3] * height
