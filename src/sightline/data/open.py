"""Open a folder of labelled images, whatever format it is in.

| format | recognised by |
|---|---|
| COCO | `annotations/instances_{split}.json`, or Roboflow's `_annotations.coco.json` |
| Pascal VOC | `Annotations/*.xml`, with `ImageSets/Main/{split}.txt` and `JPEGImages/` |
| YOLO | `data.yaml` that names the classes, with `images/` and `labels/` |
| CVAT | `annotations.xml`, with `images/` |
| OpenImages | `{split}-annotations-bbox.csv`, or any CSV with its header, with `images/` |
| plain CSV | `labels.csv` or `annotations.csv`, with `images/` |
| LabelMe | a JSON file with `shapes` for each image; folders of them are splits |
| Label Studio | a JSON file with a list of tasks; `tasks_{split}.json` for splits |

`sightline.data.sources` lists them. Splits are never guessed: without one, all images are taken;
training takes "train", evaluation "val" (`default_split`). "val", "valid" and "validation" are one
split.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.checks import OnBad
from sightline.data.kept import kept
from sightline.data.reading import list_folder, read_json, refuse_packed
from sightline.data.records import Dataset
from sightline.data.sources import SOURCES, Place
from sightline.data.split_names import SAME
from sightline.errors import AnnotationError, DatasetError, SightlineWarning, UsageError


def open_dataset(
    folder: Path | str,
    split: str | None = None,
    annotations: Path | str | None = None,
    images: Path | str | None = None,
    on_bad: OnBad = "error",
    format: str | None = None,
    unpack: Path | None = None,
) -> Dataset:
    """The labelled images of a folder, in any of the formats of `SOURCES`.

    `split` is one of `splits(folder)`; without it all of them are taken together. `annotations`
    names a label file and `images` its folder of images, where they are not in the usual places;
    `folder` may also be such a file itself. `format` says which of `SOURCES` it is, where that
    cannot be seen or a folder is two things. Images that stand inside their label file are written
    below the folder `unpack`; without it they are faults.

    AnnotationError tells every fault of the labels, or with `on_bad="skip"` what is bad is dropped,
    counted in one warning and kept in `skipped`. DatasetError where the folder cannot be
    recognised, has no such split, or nothing in it. Every image's header is read, none is decoded.
    """
    place = replace(_entrance(Path(folder), annotations, images), unpack=unpack)
    source = SOURCES[_recognise(place, format)]
    with kept():
        known = source.splits(place)
        free = source.any_split and place.file is not None
        name = split if split is None or free else _existing(split, known, place.root)
        dataset = source.read(place, name, on_bad)
    if not dataset.examples:
        empty = DatasetError(
            "there are no images in it",
            code="dataset.empty",
            path=place.root,
            hint="is the split empty, or all in it at fault? `sightline check` tells",
        )
        empty.faults = dataset.skipped
        raise empty
    return dataset


def format_of(folder: Path | str, format: str | None = None) -> str:
    """The format of a data set, a name of `SOURCES`; DatasetError where it is none."""
    return _recognise(_entrance(Path(folder)), format)


def splits(folder: Path | str, format: str | None = None) -> tuple[str, ...]:
    """The names of a folder's splits, train first; none where its images are not divided."""
    place = _entrance(Path(folder))
    return SOURCES[_recognise(place, format)].splits(place)


def default_split(folder: Path | str, wanted: str, format: str | None = None) -> str | None:
    """The split to take where the user names none: `wanted` ("train", "val") under the name it has
    in this folder; None, all of it, for a folder without splits.
    """
    known = splits(folder, format)
    return _existing(wanted, known, Path(folder)) if known else None


def _entrance(
    path: Path, annotations: Path | str | None = None, images: Path | str | None = None
) -> Place:
    """The data set's folder, and the label file where one is named."""
    pictures = None if images is None else Path(images)
    if annotations is not None:
        file = Path(annotations)
        if not file.is_file() and (path / file).is_file():
            file = path / file
        if not file.is_file():
            raise AnnotationError("there is no such file", code="file.not_found", path=file)
        return Place(path, file, pictures)
    if path.is_dir():
        return Place(path, None, pictures)
    if path.is_file():
        up = path.parent.name == "annotations"
        return Place(path.parent.parent if up else path.parent, path, pictures)
    raise DatasetError(
        "there is no such data set",
        code="dataset.missing",
        path=path,
        hint="name a folder, or its label file",
    )


def _recognise(place: Place, format: str | None) -> str:
    """The name of the format that a place is in, or is said to be in."""
    if format is not None:
        return _forced(place, format)
    if place.file is not None:
        return _of_file(place.file)
    found = next((name for name, source in SOURCES.items() if source.found(place.root)), None)
    if found is None:
        refuse_packed(*list_folder(place.root))
        raise DatasetError(
            "the folder is in none of the formats known",
            code="dataset.unknown",
            path=place.root,
            hint="; ".join(f"{source.title}: {source.sign}" for source in SOURCES.values())
            + ". Or name the label file with annotations=… (--annotations FILE)",
        )
    others = [name for name in SOURCES if name != found and _fits(name, place.root)]
    if others:
        message = f"{place.root} could be {' or '.join((found, *others))}: read as {found}"
        warnings.warn(f"{message} (say which: --from, format=…)", SightlineWarning, stacklevel=3)
    return found


def _fits(name: str, root: Path) -> bool:
    """Whether a folder could be of another format too; what cannot be read does not count."""
    try:
        return SOURCES[name].found(root)
    except AnnotationError:
        return False


def _forced(place: Place, format: str) -> str:
    if format not in SOURCES:
        raise UsageError(
            f"there is no format {format!r}",
            code="usage.format",
            hint=f"known: {', '.join(SOURCES)}",
        )
    source = SOURCES[format]
    if place.file is None and not source.found(place.root):
        raise DatasetError(
            f"the folder is not {source.title}: there is no {source.sign}",
            code="dataset.format",
            path=place.root,
            hint="leave the format away, or name another",
        )
    if place.file is not None and source.owns is None:
        raise DatasetError(
            f"{source.title} is read from a folder, not from one file",
            code="dataset.format",
            path=place.file,
            hint=f"name the folder that has {source.sign}",
        )
    return format  # a file that is something else is told by the reader, with the place


def _of_file(file: Path) -> str:
    for name, source in SOURCES.items():
        if source.owns is not None and source.owns(file):
            return name
    refuse_packed(file)
    if file.suffix.lower() == ".json":
        read_json(file)  # if it is no JSON at all, that is the fault to tell
    raise DatasetError(
        "the file is in none of the formats known",
        code="dataset.unknown",
        path=file,
        hint=f"known: {', '.join(source.title for source in SOURCES.values())}",
    )


def _existing(split: str, known: Sequence[str], folder: Path) -> str:
    """The name that a split has among those known; DatasetError where there is none."""
    same: tuple[str, ...] = next((group for group in SAME if split in group), (split,))
    for name in (split, *same):
        if name in known:
            return name
    raise DatasetError(
        f"there is no split {split!r}",
        code="dataset.split",
        path=folder,
        hint=f"it has {', '.join(known)}" if known else "it has no splits: leave the split away",
    )
