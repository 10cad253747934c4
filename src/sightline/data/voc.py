"""Pascal VOC: one XML file an image, in `Annotations/`, images in `JPEGImages/`.

VOC's boxes are whole pixels, counted from 1, both ends included: xmin, ymin, xmax, ymax become
(xmin − 1, ymin − 1, xmax, ymax). A box whose ends coincide in the file is a fault
(`box.degenerate`) though it would cover one pixel: it is a slip of the mouse. `difficult` objects
stay, flagged. A file's `<path>`, a place on somebody's machine, is never read. The classes are
those of all XML files of the folder, whatever the split: VOC's own 20 in their official order,
others sorted.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline import images as pictures
from sightline.data.checks import Box, Checks, OnBad, check_box, to_flag, to_number
from sightline.data.reading import (
    contained,
    is_file,
    is_image_name,
    list_folder,
    read_text,
    with_image_suffix,
)
from sightline.data.records import Dataset, Example, Objects
from sightline.data.upright import settle
from sightline.data.xml import Node, read_xml
from sightline.errors import AnnotationError, DatasetError, ImageError
from sightline.types import Size

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
"""The 20 classes of Pascal VOC in their official order."""


@dataclass(frozen=True)
class _Shape:
    name: str
    box: Box
    difficult: bool
    swapped: bool
    place: str


@dataclass(frozen=True)
class _Page:
    """What one XML file says; `faults` are those of its objects."""

    path: Path
    file_name: str | None
    place: str | None
    size: Size | None
    shapes: tuple[_Shape, ...]
    names: tuple[str, ...]
    faults: tuple[AnnotationError, ...]


def voc_splits(folder: Path) -> tuple[str, ...]:
    """The image sets of `ImageSets/Main`; the lists of single classes (`cat_train`) are none."""
    known = [path for path in list_folder(folder / "ImageSets" / "Main") if path.suffix == ".txt"]
    names = [p.stem for p in known if all(len(line.split()) <= 1 for line in _lines(p)[:3])]
    order = ("train", "val", "trainval", "test")
    return tuple(sorted(names, key=lambda n: (order.index(n) if n in order else 9, n)))


def _lines(path: Path) -> list[str]:
    return [line for line in read_text(path).splitlines() if line.strip()]


def read_voc(folder: Path, split: str | None, on_bad: OnBad = "error") -> Dataset:
    """The images of one image set, or of all XML files where `split` is None.

    AnnotationError with every fault, file and line; with `on_bad="skip"` bad objects and missing
    images are dropped and told in `skipped`.
    """
    checks = Checks(on_bad)
    files = [path for path in list_folder(folder / "Annotations") if path.suffix == ".xml"]
    wanted = _wanted(folder, split, files, checks)
    asked = set(wanted)
    pages: dict[str, _Page] = {}
    names: set[str] = set()
    for path in files:
        try:
            page = _read_page(path)
        except AnnotationError as error:
            if path.stem in asked:
                checks.add_error(error, path, None)
            continue
        names.update(page.names)
        pages[path.stem] = page
    classes = _class_order(names)
    if not classes:
        checks.finish()
        raise DatasetError("no XML file names any object", code="dataset.empty", path=folder)
    examples = []
    for stem in wanted:
        if stem in pages:
            found = _example(pages[stem], folder / "JPEGImages", classes, checks)
            examples += [found] if found else []
    return Dataset(
        examples=settle(examples, checks),
        classes=classes,
        category_ids=tuple(range(1, len(classes) + 1)),
        skeleton=None,
        name=folder.name,
        root=folder,
        split=split,
        skipped=checks.finish(),
        repaired=tuple(checks.repaired),
        notes=tuple(checks.notes),
    )


def _wanted(folder: Path, split: str | None, files: list[Path], checks: Checks) -> list[str]:
    """The stems of the XML files that a split asks for, in its order."""
    known = {path.stem for path in files}
    if split is None:
        return sorted(known)
    listing = folder / "ImageSets" / "Main" / f"{split}.txt"
    wanted = []
    for number, line in enumerate(read_text(listing).splitlines(), 1):
        stem = line.split()[0] if line.split() else ""
        if stem in known:
            wanted.append(stem)
        elif stem:
            message = f"there is no Annotations/{stem}.xml"
            checks.add("image.unlabelled", message, listing, f"line {number}")
    return list(dict.fromkeys(wanted))


def _class_order(names: set[str]) -> tuple[str, ...]:
    if names <= set(VOC_CLASSES):
        return tuple(name for name in VOC_CLASSES if name in names)
    return tuple(sorted(names))


def _read_page(path: Path) -> _Page:
    root = read_xml(path, "annotation")
    shapes, names, faults = [], [], []
    for i, element in enumerate(root.each("object"), 1):
        name = (element.findtext("name") or "").strip()
        try:
            if not name:
                raise AnnotationError("an object has no name", code="category.name")
            names.append(name)
            box, swapped = _corners(element)
            hard = to_flag(element.findtext("difficult"))
            shapes.append(_Shape(name, box, hard, swapped, _place(i, name, element)))
        except AnnotationError as error:
            error.pointer = _place(i, name, element)
            faults.append(error)
    width, height = (to_number(root.findtext(f"size/{side}")) for side in ("width", "height"))
    size = None
    if width is not None and height is not None and width >= 1 and height >= 1:
        size = (int(height), int(width))
    file_name = (root.findtext("filename") or "").strip() or None
    place = (root.findtext("path") or "").strip() or None
    return _Page(path, file_name, place, size, tuple(shapes), tuple(names), tuple(faults))


def _place(number: int, name: str, element: Node) -> str:
    return f"object {number} ({name!r}), {element.place}"


def _corners(element: Node) -> tuple[Box, bool]:
    """An object's box, each end checked to be a finite number, and whether its corners were
    exchanged in the file.
    """
    values = []
    for end in ("xmin", "ymin", "xmax", "ymax"):
        text = element.findtext(f"bndbox/{end}")
        value = to_number(text)
        if value is None:
            raise AnnotationError(f"{end} is {str(text)[:40]!r}", code="box.format")
        values.append(value)
    x1, y1, x2, y2 = values
    if x2 == x1 or y2 == y1:
        raise AnnotationError(
            f"the box from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) has no area",
            code="box.degenerate",
            hint="draw it again, or delete the object",
        )
    ordered = min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2), max(y1, y2)
    return ordered, x2 < x1 or y2 < y1


def _image_path(page: _Page, folder: Path) -> Path:
    """The image of a page: by `<filename>`, or by the XML file's own name where that is absent."""
    if page.file_name is not None:
        path = contained(folder, page.file_name)
        if is_image_name(path) and is_file(path):
            return path
    same = with_image_suffix(folder / page.path.stem)
    if not same:
        raise AnnotationError(
            f"neither {page.file_name!r} nor {page.path.stem}.* is in {folder}",
            code="image.missing",
        )
    return contained(folder, same[0].name)


def _example(page: _Page, folder: Path, classes: tuple[str, ...], checks: Checks) -> Example | None:
    try:
        path = _image_path(page, folder)
        size = page.size or pictures.read_size(path)
    except (AnnotationError, ImageError) as error:
        checks.add(error.code, error.message, page.path, "filename", error.hint)
        return None
    if page.place is not None and (page.place.startswith("/") or ":" in page.place[:3]):
        message = "<path> is a place on somebody's machine; it is not read"
        checks.note("file.machine_path", message, page.path, "path")
    for fault in page.faults:
        checks.add_error(fault, page.path, None)
    boxes, labels, difficult = [], [], []
    for shape in page.shapes:
        box = _settled(shape, size, page.path, checks)
        if box is not None:
            boxes.append(box)
            labels.append(classes.index(shape.name))
            difficult.append(shape.difficult)
    objects = Objects.of(boxes, labels)
    objects.difficult[:] = np.array(difficult, bool)
    return Example(path, page.path.stem, size, objects)


def _settled(shape: _Shape, size: Size, path: Path, checks: Checks) -> Box | None:
    """A shape's box in its image, put right where that is wanted; None where it is a fault."""
    place = path, shape.place
    if shape.swapped:
        message = "the second corner lies left of the first, or above it"
        if not checks.fixing:
            checks.add("box.swapped", message, *place, "exchange them, or read with fix")
            return None
        checks.repair("box.swapped", f"{message}: exchanged", *place)
    try:
        box, excess = check_box(shape.box, size)
    except AnnotationError as error:
        checks.add_error(error, *place)
        return None
    checks.clipped(excess, *place)
    return box
