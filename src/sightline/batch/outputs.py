"""Results as files: COCO, YOLO, CSV, JSON lines and pictures, complete or not there at all."""

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TextIO

import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline import boxes as bx
from sightline.batch.mask_forms import MaskPictures, check_form, one_outline_each, picture
from sightline.errors import SightlineError, UsageError
from sightline.files import atomic_write, make_folder, refuse, write_json, write_text
from sightline.types import Detections

Image = UInt8[Tensor, "3 H W"]

KINDS = ("pictures", "coco", "yolo", "csv", "jsonl")
"""What `Outputs` can write."""


def row(key: str, found: Detections, form: str = "rle", stem: str = "") -> dict[str, Any]:
    """One image's answer as plain data: file, width, height, detections.

    Scores have five decimals and boxes two: finer differences say nothing. Masks are of a `form`
    of `mask_forms.FORMS`; pictures are named by the image's `stem`.
    """
    answer = _plain(key, found, None if found.masks is None or form == "bitmaps" else form)
    if form == "bitmaps" and found.masks is not None:
        for number, one in enumerate(answer["detections"], start=1):
            one["mask"] = picture(stem, number)
    return answer


def _plain(key: str, found: Detections, masks: str | None = None) -> dict[str, Any]:
    height, width = found.size
    detections = [
        {**one, "score": round(one["score"], 5), "box": [round(v, 2) for v in one["box"]]}
        for one in found.to_json(masks)
    ]
    return {"file": key, "width": width, "height": height, "detections": detections}


def error_row(key: str, error: SightlineError) -> dict[str, Any]:
    """What stands in the place of an image that could not be read."""
    return {"file": key, "error": error.to_dict()}


def line(value: dict[str, Any]) -> str:
    """One line of strict JSON in plain ASCII, whatever the names of files are."""
    return json.dumps(value, allow_nan=False)


def cell(text: str) -> str:
    """Text that a spreadsheet will not take for a formula: a quote before = + - @ tab, return."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


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


def _open(stack: ExitStack, path: Path) -> TextIO:
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
                    file = _open(stack, folder / "coco_results.json")
                    self._writers.append(_Coco(file, folder / "coco_images.json", numbers, masks))
                elif kind == "csv":
                    self._writers.append(_Csv(_open(stack, folder / "detections.csv")))
                else:
                    file = _open(stack, folder / "detections.jsonl")
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

    file: TextIO
    companion: Path
    numbers: Mapping[str, int]
    form: str
    images: list[dict[str, Any]] = field(default_factory=list)
    categories: dict[int, str] = field(default_factory=dict)
    _rows: int = 0

    def add(self, key: str, image: Image, found: Detections) -> None:
        number, (height, width) = self.numbers[key], found.size
        self.images.append({"id": number, "file_name": key, "width": width, "height": height})
        ids = found.category_ids or tuple(range(1, len(found.classes) + 1))
        self.categories = dict(zip(ids, found.classes, strict=True))
        # COCO knows run lengths and polygons; the pictures of masks are elsewhere
        form = "polygons" if self.form == "polygons" else "rle"
        answers = row(key, found, form)["detections"]
        for i, (label, box) in enumerate(
            zip(found.labels.tolist(), bx.to_xywh(found.boxes).tolist(), strict=True)
        ):
            result: dict[str, Any] = {
                "image_id": number,
                "category_id": ids[label],
                "bbox": [round(v, 2) for v in box],
                "score": answers[i]["score"],
            }
            if found.masks is not None:
                result["segmentation"] = answers[i]["mask"]
            if found.keypoints is not None:
                result["keypoints"] = [round(v, 2) for v in found.keypoints[i].flatten().tolist()]
            self.file.write(("[\n" if self._rows == 0 else ",\n") + line(result))
            self._rows += 1

    def close(self) -> None:
        self.file.write("\n]\n" if self._rows else "[]\n")
        categories = [{"id": i, "name": name} for i, name in self.categories.items()]
        write_json(self.companion, {"images": self.images, "categories": categories})


@dataclass
class _Csv:
    file: TextIO

    def __post_init__(self) -> None:
        self._table = csv.writer(self.file, lineterminator="\n")
        self._table.writerow(["file", "label", "score", "x1", "y1", "x2", "y2", "width", "height"])

    def add(self, key: str, image: Image, found: Detections) -> None:
        answer = _plain(key, found)
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
