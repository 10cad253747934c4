"""LabelMe: one JSON file an image, beside the images.

Polygons, rectangles and circles are objects (a circle becomes an outline of `CORNERS` corners), and
so are masks, whose pixels count both ends. Shapes of one label with the same `group_id` are parts
of one object, and points of an object's group are its keypoints, called as they are labelled; a
flag `hidden` says that one cannot be seen. Lines and other points enclose nothing: they are left
out and told. `difficult` is a flag of that name. An `imagePath` may climb with ".." but not out of
the data set's folder.

JSON files in the folder itself, or in `annotations/` or `labels/`, are one data set; JSON files in
other folders below it are a split each, called like the folder. The classes are those of all files,
whatever the split, sorted.
"""

import posixpath
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from sightline.data.checks import Checks, OnBad
from sightline.data.embedded import not_unpacked, unpack
from sightline.data.json_head import json_head
from sightline.data.labelme_shapes import LEFT_OUT, objects_of
from sightline.data.pages import Names, Page, to_dataset
from sightline.data.reading import contained, is_file, read_json, with_image_suffix
from sightline.data.records import Dataset
from sightline.data.sizes import image_size, said_size
from sightline.data.split_names import rank
from sightline.errors import AnnotationError

JSON_LIMIT = 400 << 20
"""Bytes of one file: an embedded image of 256 MiB, and labels."""

SAMPLE = 20
"""Files of a folder that are looked into to recognise it."""

PLAIN = ("annotations", "labels", "json")
"""Folders of label files that are no split."""

KEYS = {"shapes", "imagePath", "imageData"}


def is_labelme(file: Path) -> bool:
    """Whether a file is LabelMe's, by its first keys."""
    if file.suffix.lower() != ".json" or file.name.startswith("."):
        return False
    head = json_head(file)
    return not head.is_list and len(head.keys & KEYS) >= 2


def label_folders(root: Path) -> dict[str | None, Path]:
    """The folder of label files of each split; under None that of a data set without splits."""
    for folder in (root, *(root / name for name in PLAIN)):
        if _has_labels(folder):
            return {None: folder}
    if not root.is_dir():
        return {}
    below = sorted(path for path in root.iterdir() if path.is_dir())
    found = [path for path in below if _has_labels(path)]
    if found:  # a split whose files are all damaged must not go without a word
        found += [path for path in below if path not in found and _has_damaged(path)]
    found.sort(key=lambda path: rank(path.name))
    return {path.name: path for path in found}


def _json_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return [file for file in files if not file.name.startswith(".") and file.is_file()]


def _has_labels(folder: Path) -> bool:
    return any(is_labelme(file) for file in _json_files(folder)[:SAMPLE])


def _has_damaged(folder: Path) -> bool:
    """Whether a file beside an image of its name is empty, or begins like LabelMe's and breaks."""
    for file in _json_files(folder)[:SAMPLE]:
        keys = json_head(file).keys
        if (keys & KEYS or not keys) and with_image_suffix(file.with_suffix("")):
            return True
    return False


def read_labelme(
    root: Path,
    which: Path | str | None,
    images: Path | None = None,
    stage: Path | None = None,
    on_bad: OnBad = "error",
) -> Dataset:
    """The images of one split, of one label file, or of all where `which` is None.

    Images are looked for where their file says, then by name in its folder, in `images/` and in
    `images`, where that is given. One that is only inside its file (`imageData`) is written below
    `stage`; without that it is a fault, `image.embedded`.

    AnnotationError with every fault, file and JSON pointer; with `on_bad="skip"` bad shapes and
    missing images are dropped and told in `skipped`.
    """
    checks = Checks(on_bad)
    split = which if isinstance(which, str) else None
    if isinstance(which, Path) and not which.is_relative_to(root):
        root = which.parent
    pages: list[Page] = []
    names = Names()
    seen: set[Path] = set()
    for file, wanted in _listed(root, which):
        aside = checks if wanted else Checks("skip")
        try:
            data = _load(file)
            if not wanted:
                _name(data, names)
                continue
            path = _image(data, file, (root, images, stage))
            if path.resolve() in seen:
                message = "two files label this image"
                raise AnnotationError(message, code="image.duplicate_file", pointer="/imagePath")
            seen.add(path.resolve())
            said = said_size(data.get("imageHeight"), data.get("imageWidth"))
            size = image_size(said, path)
        except AnnotationError as error:
            aside.add_error(error, file, None)
            continue
        key = file.relative_to(root).with_suffix("").as_posix()
        page = Page(path, key, size)
        page.objects += objects_of(data["shapes"], size, (checks, file))
        pages.append(page)
    return to_dataset(pages, names, (root, split), checks)


def _listed(root: Path, which: Path | str | None) -> Iterator[tuple[Path, bool]]:
    """Every label file, and whether it is asked for: the others are read for their classes."""
    if isinstance(which, Path):
        yield which, True
        return
    for split, folder in label_folders(root).items():
        for file in _json_files(folder):
            yield file, which is None or split == which


def _load(file: Path) -> dict[str, Any]:
    data = read_json(file, JSON_LIMIT)
    if not isinstance(data, dict):
        raise AnnotationError("the file holds no JSON object", code="json.object")
    for key in ("shapes", "imagePath"):
        if key not in data:
            raise AnnotationError(
                f"there is no {key!r}",
                code="json.missing_key",
                pointer=f"/{key}",
                hint="LabelMe's files have shapes and imagePath",
            )
    if not isinstance(data["shapes"], list):
        raise AnnotationError("shapes is no list", code="json.object", pointer="/shapes")
    return data


def _name(data: dict[str, Any], names: Names) -> None:
    """Add what a file of another split names."""
    for shape in data["shapes"]:
        label = shape.get("label") if isinstance(shape, dict) else None
        if not isinstance(label, str) or not label.strip():
            continue
        kind = shape.get("shape_type") or "polygon"
        if kind == "point" and shape.get("group_id") is not None:
            names.points.add(label)
        elif kind not in LEFT_OUT:
            names.classes.add(label)


def _image(data: dict[str, Any], file: Path, places: tuple[Path, Path | None, Path | None]) -> Path:
    """The image of a label file; AnnotationError with a pointer."""
    root, images, stage = places
    name, text = data["imagePath"], data.get("imageData")
    try:
        inside = _inside(name, file, root)
        last = inside.name
        folders = [file.parent, root / "images", *([images] if images else [])]
        for path in (contained(root, inside.as_posix()), *(contained(f, last) for f in folders)):
            if is_file(path):
                return path
        if text is None:
            raise AnnotationError(f"there is no image {str(name)[:200]!r}", code="image.missing")
    except AnnotationError as error:
        if text is None or error.code == "file.outside":
            error.pointer = "/imagePath"
            raise
    if not isinstance(text, str):
        raise AnnotationError("imageData is no text", code="image.base64", pointer="/imageData")
    try:
        if stage is None:
            raise not_unpacked(str(name)[:200])
        return unpack(text, stage / file.relative_to(root).with_suffix(""))
    except AnnotationError as error:
        error.pointer = "/imageData"
        raise


def _inside(name: object, file: Path, root: Path) -> PurePosixPath:
    """Where below `root` an `imagePath` leads, which counts from the label file's folder."""
    if not isinstance(name, str) or not name.strip():
        raise AnnotationError(f"{str(name)[:80]!r} is no file name", code="file.name")
    clean = name.replace("\\", "/")
    if clean.startswith("/") or PureWindowsPath(clean).drive or "\0" in clean:
        contained(root, clean)  # says so
    home = file.parent.relative_to(root).as_posix()
    place = posixpath.normpath(posixpath.join(home, clean))
    return PurePosixPath(place)
