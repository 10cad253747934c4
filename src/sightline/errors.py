"""Typed errors: what is wrong, where, and what to do about it.

Every fault that a user can cause ends in one of these; any other exception is a bug of ours.
`code` is stable and meant for programs, `hint` is meant for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any


class SightlineWarning(UserWarning):
    """Something was repaired, skipped or ignored, and the user should know."""


class SightlineError(Exception):
    """The base of all our errors.

    `message` says what is wrong; `code` names the fault ("image.truncated"); `path` is the file,
    `pointer` the place inside it (a line, a JSON pointer, an annotation id); `hint` what to do.
    `exit_status` is what the command line ends with.
    """

    exit_status = 1
    hints: Mapping[str, str] = MappingProxyType({})
    """Code → what to do, where the place that raises says nothing of it."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        path: str | Path | None = None,
        pointer: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.path = None if path is None else str(path)
        self.pointer = pointer
        self.hint = hint or self.hints.get(code)

    def __str__(self) -> str:
        place = "".join(f"{part}: " for part in (self.path, self.pointer) if part)
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.message} [{self.code}]{hint}"

    def to_dict(self) -> dict[str, str | None]:
        """The error as plain data, for `--json` and for servers."""
        return {
            "code": self.code,
            "message": self.message,
            "path": self.path,
            "pointer": self.pointer,
            "hint": self.hint,
        }


class UsageError(SightlineError):
    """The call itself makes no sense: an unknown name, a value out of range, a missing extra."""

    exit_status = 2


class ImageError(SightlineError):
    """An image cannot be read. Codes: image.empty, .unsupported, .truncated, .corrupt,
    .too_many_pixels, .too_large_bytes, .bad_dimensions, .unsupported_mode, .non_finite, .timeout,
    .not_found, .not_a_file, .permission, .unreadable, .ambiguous.
    """

    exit_status = 4


class VideoError(SightlineError):
    """A video cannot be read."""

    exit_status = 4


HINTS = {
    "annotation.none": "label it, or delete the task",
    "annotation.several": "mark the right one as ground truth, or cancel the others",
    "box.degenerate": "draw it again, or delete the object",
    "box.format": "write numbers of pixels, with a point for the decimals",
    "box.not_finite": "write a finite number, or delete the object",
    "box.outside": "does it belong to another image, or to one of another size?",
    "box.turned": "draw an upright box if this one is too wide",
    "category.duplicate_id": "delete the second, or correct it",
    "category.duplicate_name": "rename one of them",
    "category.name": "name the class, or delete what has none",
    "circle.radius": "draw it again, or delete the object",
    "crowd": "write 1 for a group of objects, 0 for one",
    "csv.columns": "quote cells that have commas, and leave no cell out",
    "csv.header": "write the columns' names into the first line, each once",
    "csv.syntax": "close the quote, or was the file cut short?",
    "ellipse.radius": "draw it again, or delete the object",
    "file.name": "write the name of an image, relative to the image folder",
    "image.base64": "was the file cut short? export it again",
    "image.duplicate_file": "keep one, with the objects of both",
    "image.duplicate_id": "give each its own id",
    "image.id": "an id is a whole number or a text",
    "image.missing": "put it there, or name the folder with images=… (--images DIR)",
    "image.size": "write the width and the height of the image, or leave both out",
    "image.too_many_pixels": "cut the image up first",
    "json.missing_key": "was the file cut short, or edited by hand? export it again",
    "json.object": "was the file edited by hand, or is it of another format?",
    "keypoints.format": "a keypoint is one place: x and y",
    "keypoints.length": "a keypoint is one place: x and y",
    "keypoints.not_finite": "write finite numbers, or delete the keypoint",
    "keypoints.outside": "move it into the image, or delete it",
    "keypoints.twice": "give each point a name of its own, or delete one",
    "mask.format": "draw it again, or delete the object",
    "mask.outside": "draw it again, or delete the object",
    "mask.size": "draw it again, or delete the object",
    "polygon.format": "a corner is two finite numbers, x and y: draw it again",
    "rle.format": "draw it again, or delete the object",
    "rle.size": "was the image resized after labelling? draw the mask again",
    "rle.sum": "draw it again, or delete the object",
    "rle.text": "run lengths are whole numbers, parted by commas: draw it again",
    "shape.flags": "write flags as an object of names and true or false",
    "shape.group": "a group is a whole number or a text",
    "shape.left_out": "draw a box or an outline where it stands for an object",
    "xml.root": "was the file edited by hand, or is it of another format?",
    "xml.size": "is it a label file? split it if it is",
    "xml.syntax": "the file was cut short, or edited by hand: an XML editor shows the place",
}
"""What to do about a broken rule of labels, where the place that finds it knows no better."""


class AnnotationError(SightlineError):
    """A label file breaks a rule; `code` is the rule ("box.degenerate").

    `faults` is everything found wrong (`sightline.data.records.Fault`), not only the first. Without
    a `hint` it is that of `HINTS`.
    """

    exit_status = 4
    hints = HINTS
    faults: tuple[object, ...] = ()


class DatasetError(SightlineError):
    """A data set as a whole cannot serve: not recognised, empty, classes that disagree.

    `faults` is what else was found wrong with its labels by then.
    """

    exit_status = 4
    faults: tuple[object, ...] = ()


class WeightsError(SightlineError):
    """Weights cannot be used. Codes: weights.unsafe_format, .checksum, .truncated, .architecture,
    .class_count, .non_finite, .not_found, .offline, .format.
    """

    exit_status = 5


class ResourceError(SightlineError):
    """The machine refuses. Codes: resource.disk_full, .out_of_memory, .permission, .locked."""

    exit_status = 6


class TrainingDiverged(SightlineError):
    """Training cannot go on: loss, gradient or weights left the finite numbers, or the loss climbs.

    `step` and `loss` say where; `last_good` is the newest checkpoint from before the trouble, None
    where there is none. `record` is what `diverged.json` in the run's folder holds: `reason`
    ("loss", "gradient", "climb", "weights"), `layers` with a gradient that is not finite, and
    `images`, one entry an image of the batch, with the `files` it was made of, its `boxes` and
    `labels`, its own `loss`, and whether it is `guilty`.
    """

    exit_status = 7

    def __init__(
        self,
        message: str,
        *,
        step: int,
        loss: float,
        last_good: str | None,
        hint: str = "lower the learning rate; the last good checkpoint is kept",
        record: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            message,
            code="training.diverged",
            path=last_good,
            pointer=f"step {step}",
            hint=hint,
        )
        self.step = step
        self.loss = loss
        self.last_good = last_good
        self.record: Mapping[str, Any] = {} if record is None else record

    @property
    def images(self) -> list[dict[str, Any]]:
        """The images of the batch of the last step."""
        return list(self.record.get("images", []))
