"""Results as files: COCO, YOLO, CSV, JSON lines, OpenPose, pictures; whole or not there at all."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TextIO

import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline import boxes as bx
from sightline.batch.mask_forms import MaskPictures, check_form, one_outline_each
from sightline.batch.rows import COCO_FILES, CocoResults, cell, line, openpose, plain, row
from sightline.errors import SightlineError, UsageError
from sightline.files import atomic_write, make_folder, refuse, write_text
from sightline.types import Detections

Image = UInt8[Tensor, "3 H W"]

KINDS = ("pictures", "coco", "yolo", "csv", "jsonl", "openpose")
"""What `Outputs` can write."""


def error_row(key: str, error: SightlineError) -> dict[str, Any]:
    """What stands in the place of an image that could not be read."""
    return {"file": key, "error": error.to_dict()}


def stems(keys: Sequence[str]) -> dict[str, str]:
    """A relative path without a suffix for the results of each key; all differ, case ignored.

    "b/1.jpg" becomes "b/1", and "b/1.png" beside it "b/1.png". Nothing leads out of the folder:
    of "/a/x.jpg" and "../x.jpg" only the file's name is left.
    """
    plain: dict[str, str] = {}
    taken: set[str] = set()
    for key in keys:
        path = PurePosixPath(key.replace("\\", "_").replace(":", "_"))
        inside = path.name if path.is_absolute() or ".." in path.parts else str(path)
        inside = "/".join(part[:120] for part in inside.split("/")) or "image"
        stem = inside.removesuffix(path.suffix) if len(inside) > len(path.suffix) else inside
        options = [stem, inside, *(f"{stem}-{n}" for n in range(2, len(keys) + 3))]
        name = next(option for option in options if option.casefold() not in taken)
        taken.add(name.casefold())
        plain[key] = name
    return plain


def text_file(stack: ExitStack, path: Path) -> TextIO:
    """A text file that gets its name when `stack` is left."""
    temporary = stack.enter_context(atomic_write(path))
    return stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))


class Writer(Protocol):
    """One kind of result: takes the images one after the other."""

    def add(self, key: str, image: Image, found: Detections) -> None:
        """Take one image's answer."""
        ...

    def close(self) -> None:
        """Make what was written complete; called also when a run is cut short."""
        ...


class Outputs:
    """The files of one run below `folder`: `with Outputs(…) as outputs: outputs.add(…)`.

    `kinds` are of `KINDS`, `keys` all images that will come, `masks` of `mask_forms.FORMS`: for
    "bitmaps" each mask becomes a picture besides. Lists appear, whole, at the end: also after an
    interruption, with what was done by then. `names` are the stems of each key's own files. Raises
    UsageError for an unknown kind or form and ResourceError when the disk refuses.
    """

    def __init__(
        self, folder: Path, kinds: Sequence[str], keys: Sequence[str], masks: str = "rle"
    ) -> None:
        check_form(masks)
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise UsageError(
                f"cannot save {unknown[0]!r}",
                code="usage.save",
                hint=f"known are {', '.join(KINDS)}",
            )
        self.folder = make_folder(folder)
        names, numbers = stems(keys), {key: i for i, key in enumerate(keys, start=1)}
        self.names = names
        self._writers: list[Writer] = [MaskPictures(folder, names)] if masks == "bitmaps" else []
        with ExitStack() as stack:
            for kind in dict.fromkeys(kinds):
                if kind == "pictures":
                    self._writers.append(_Pictures(folder / "pictures", names))
                elif kind == "yolo":
                    self._writers.append(_Yolo(folder, names))
                elif kind == "coco":
                    paths = (folder / f"coco_{part}.json" for part in COCO_FILES)
                    results, companion = (text_file(stack, path) for path in paths)
                    self._writers.append(_Coco(CocoResults(results, companion, masks), numbers))
                elif kind == "openpose":
                    self._writers.append(_OpenPose(folder / "openpose", names))
                elif kind == "csv":
                    self._writers.append(_Csv(text_file(stack, folder / "detections.csv")))
                else:
                    file = text_file(stack, folder / "detections.jsonl")
                    self._writers.append(_JsonLines(file, names, masks))
            self._stack = stack.pop_all()

    def add(self, key: str, image: Image, found: Detections) -> None:
        """Write one image's answer."""
        for writer in self._writers:
            try:
                writer.add(key, image, found)
            except OSError as error:
                refuse(error, self.folder)

    def __enter__(self) -> "Outputs":
        return self

    def __exit__(self, *_: object) -> None:
        # The files learn nothing of an exception here: what was done until then is published.
        with self._stack:
            for writer in self._writers:
                writer.close()


@dataclass
class _Pictures:
    folder: Path
    names: Mapping[str, str]

    def add(self, key: str, image: Image, found: Detections) -> None:
        from sightline.explain.draw import draw

        with atomic_write(self.folder / f"{self.names[key]}.jpg") as temporary:
            draw(image, found).save(temporary, "JPEG", quality=92, subsampling=0)

    def close(self) -> None:
        """Every picture is complete already."""


@dataclass
class _Yolo:
    """labels/NAME.txt: class, centre x, centre y, width, height (in parts of the image), score.

    Where there are masks, class, x1, y1, x2, y2, … of an outline, score: Ultralytics' lines of
    segmentation.
    """

    folder: Path
    names: Mapping[str, str]
    classes: tuple[str, ...] = ()

    def add(self, key: str, image: Image, found: Detections) -> None:
        height, width = found.size
        if found.masks is None:
            corners = found.boxes / found.boxes.new_tensor([width, height, width, height])
            centred = torch.cat([bx.centres(corners), corners[:, 2:] - corners[:, :2]], dim=1)
            shapes = centred.tolist()
        else:
            shapes = [(ring / (width, height)).ravel() for ring in one_outline_each(found)]
        lines = [
            f"{label} {' '.join(f'{v:.6f}' for v in shape)} {score:.5f}\n"
            for label, shape, score in zip(
                found.labels.tolist(), shapes, found.scores.tolist(), strict=True
            )
        ]
        write_text(self.folder / "labels" / f"{self.names[key]}.txt", "".join(lines))
        self.classes = found.classes

    def close(self) -> None:
        names = (" ".join(name.split()) for name in self.classes)
        write_text(self.folder / "classes.txt", "".join(f"{name}\n" for name in names))


@dataclass
class _Coco:
    """A list of results, and beside it the images and categories that its ids stand for."""

    results: CocoResults
    numbers: Mapping[str, int]

    def add(self, key: str, image: Image, found: Detections) -> None:
        self.results.add(self.numbers[key], key, found)

    def close(self) -> None:
        self.results.close()


@dataclass
class _OpenPose:
    """openpose/NAME_keypoints.json, as OpenPose names them."""

    folder: Path
    names: Mapping[str, str]

    def add(self, key: str, image: Image, found: Detections) -> None:
        text = line(openpose(found)) + "\n"
        write_text(self.folder / f"{self.names[key]}_keypoints.json", text)

    def close(self) -> None:
        """Every file is complete already."""


@dataclass
class _Csv:
    file: TextIO

    def __post_init__(self) -> None:
        self._table = csv.writer(self.file, lineterminator="\n")
        self._table.writerow(["file", "label", "score", "x1", "y1", "x2", "y2", "width", "height"])

    def add(self, key: str, image: Image, found: Detections) -> None:
        answer = plain(key, found)
        for one in answer["detections"]:
            size = (answer["width"], answer["height"])
            text = (cell(key), cell(one["label"]))
            self._table.writerow([*text, one["score"], *one["box"], *size])

    def close(self) -> None:
        """The table has no end mark."""


@dataclass
class _JsonLines:
    file: TextIO
    names: Mapping[str, str]
    form: str

    def add(self, key: str, image: Image, found: Detections) -> None:
        self.file.write(line(row(key, found, self.form, self.names[key])) + "\n")

    def close(self) -> None:
        """Every line is complete already."""
