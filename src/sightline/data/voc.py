"""Pascal VOC: one XML file an image, in `Annotations/`, images in `JPEGImages/`.

VOC's boxes are whole pixels, counted from 1, both ends included: xmin, ymin, xmax, ymax become
(xmin − 1, ymin − 1, xmax, ymax). A box whose ends coincide in the file is a fault
(`box.degenerate`) though it would cover one pixel: it is a slip of the mouse. `difficult` objects
stay, flagged. A file's `<path>`, a place on somebody's machine, is never read. The classes are
those of all XML files of the folder, whatever the split: VOC's own 20 in their official order,
others sorted.
"""

from pathlib import Path

import numpy as np

from sightline import images as pictures
from sightline.data.checks import Box, Checks, OnBad, check_box
from sightline.data.reading import (
    contained,
    is_file,
    is_image_name,
    lines_of,
    list_folder,
    read_text,
    with_image_suffix,
)
from sightline.data.records import Dataset, Example, Objects
from sightline.data.split_names import rank
from sightline.data.upright import settle
from sightline.data.voc_pages import Page, Shape, page_of
from sightline.errors import AnnotationError, ImageError
from sightline.types import Size

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
"""The 20 classes of Pascal VOC in their official order."""


def voc_splits(folder: Path) -> tuple[str, ...]:
    """The image sets of `ImageSets/Main`; the lists of single classes (`cat_train`) are none."""
    known = [path for path in list_folder(folder / "ImageSets" / "Main") if path.suffix == ".txt"]
    names = [p.stem for p in known if all(len(line.split()) <= 1 for line in _lines(p)[:3])]
    return tuple(sorted(names, key=rank))


def _lines(path: Path) -> list[str]:
    return [line for line in lines_of(read_text(path)) if line.strip()]


def read_voc(folder: Path, split: str | None, on_bad: OnBad = "error") -> Dataset:
    """The images of one image set, or of all XML files where `split` is None.

    AnnotationError with every fault, file and line; with `on_bad="skip"` bad objects and missing
    images are dropped and told in `skipped`.
    """
    checks = Checks(on_bad)
    files = [path for path in list_folder(folder / "Annotations") if path.suffix == ".xml"]
    wanted = _wanted(folder, split, files, checks)
    asked = set(wanted)
    pages: dict[str, Page] = {}
    names: set[str] = set()
    for path in files:
        try:
            page = page_of(path, folder)
        except AnnotationError as error:
            if path.stem in asked:
                checks.add_error(error, path, None)
            continue
        names.update(page.names)
        pages[path.stem] = page
    classes = _class_order(names)
    checks.need(classes, folder)
    examples: dict[Path, Example] = {}
    for stem in wanted:
        found = (
            _example(pages[stem], folder / "JPEGImages", classes, checks) if stem in pages else None
        )
        if found is not None and found.path in examples:
            message = f"{examples[found.path].image_id}.xml names the same image"
            hint = "correct <filename>, or join the two"
            checks.add("image.duplicate_file", message, pages[stem].path, "filename", hint)
        elif found is not None:
            examples[found.path] = found
    return checks.dataset(settle(list(examples.values()), checks), classes, (folder, split))


def _wanted(folder: Path, split: str | None, files: list[Path], checks: Checks) -> list[str]:
    """The stems of the XML files that a split asks for, in its order."""
    known = {path.stem for path in files}
    if split is None:
        return sorted(known)
    listing = folder / "ImageSets" / "Main" / f"{split}.txt"
    wanted: dict[str, None] = {}
    for number, line in enumerate(lines_of(read_text(listing)), 1):
        stem, place = line.split()[0] if line.split() else "", f"line {number}"
        if stem in wanted:
            message, hint = f"{stem} stands here for the second time", "delete the line"
            checks.repair("image.listed_twice", message, listing, place, hint)
        elif stem in known:
            wanted[stem] = None
        elif stem:
            message = f"there is no Annotations/{stem[:80]}.xml"
            hint = "label the image, or take it off the list"
            checks.add("image.unlabelled", message, listing, place, hint)
    return list(wanted)


def _class_order(names: set[str]) -> tuple[str, ...]:
    if names <= set(VOC_CLASSES):
        return tuple(name for name in VOC_CLASSES if name in names)
    return tuple(sorted(names))


def _image_path(page: Page, folder: Path) -> Path:
    """The image of a page: by `<filename>`, or by the XML file's own name where that is absent."""
    if page.file_name is not None:
        path = contained(folder, page.file_name)
        if is_image_name(path) and is_file(path):
            return path
    same = with_image_suffix(folder / page.path.stem)
    if not same:
        raise AnnotationError(
            f"neither {(page.file_name or '')[:80]!r} nor {page.path.stem}.* is in {folder}",
            code="image.missing",
            hint="put the image there, or delete the XML file",
        )
    return contained(folder, same[0].name)


def _example(page: Page, folder: Path, classes: tuple[str, ...], checks: Checks) -> Example | None:
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
    if page.said is not None:
        message = f"{page.said[:40]} is no image size: the image's own is taken"
        checks.note("image.size", message, page.path, "size", "correct it, or leave it out")
    boxes, labels, difficult = [], [], []
    for shape in page.shapes:
        box = _settled(shape, size, (page.path, shape.place), checks)
        if box is not None:
            boxes.append(box)
            labels.append(classes.index(shape.name))
            difficult.append(shape.difficult)
    objects = Objects.of(boxes, labels)
    objects.difficult[:] = np.array(difficult, bool)
    return Example(path, page.path.stem, size, objects)


def _settled(shape: Shape, size: Size, place: tuple[Path, str], checks: Checks) -> Box | None:
    """A shape's box in its image, put right where that is wanted; None where it is a fault."""
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
