"""Faults of label files: collected while reading, then raised or skipped, never lost."""

import math
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeGuard

from sightline.data.records import Dataset, Example, Fault, Skeleton
from sightline.errors import HINTS, AnnotationError, DatasetError, SightlineWarning, UsageError
from sightline.types import Size

OnBad = Literal["error", "skip", "fix"]
"""What faulty labels do: end the reading, be dropped, or be mended where a mend is plain and
dropped where none is.
"""

MODES: tuple[OnBad, ...] = ("error", "skip", "fix")

Box = tuple[float, float, float, float]

NUMBER = re.compile(r"[ \t\r\n]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?[ \t\r\n]*", re.ASCII)

HUGE = 2.0**24
"""Pixels from which on float32 cannot tell neighbours apart; no image is as wide."""

TOLERANCE = 1.0
"""Boxes that leave their image by no more than this (pixels) are cut without a word: rounding."""


def mode(value: str, option: str = "on_bad") -> OnBad:
    """`value` as one of the three modes; UsageError `usage.on_bad`."""
    for known in MODES:
        if value == known:
            return known
    raise UsageError(
        f"{option} is error, skip or fix, not {value!r}",
        code="usage.on_bad",
        hint="error ends the reading, skip drops what is bad, fix mends what can be mended",
    )


class Checks:
    """What was found wrong while reading one data set."""

    def __init__(self, on_bad: OnBad) -> None:
        self.on_bad = mode(on_bad)
        self.faults: list[Fault] = []
        self.repaired: list[Fault] = []
        self.notes: list[Fault] = []
        self.ruined = False

    def add(
        self,
        code: str,
        message: str,
        path: Path,
        pointer: str | None,
        hint: str | None = None,
        id: int | str | None = None,
    ) -> None:
        """Remember a broken rule; what it stands in is dropped by the caller."""
        self.faults.append(Fault(code, message, str(path), pointer, hint, id=id))

    def add_error(
        self,
        error: AnnotationError,
        path: Path,
        pointer: str | None,
        id: int | str | None = None,
    ) -> None:
        """Remember an error that a check lower down raised without knowing its place."""
        inner = error.pointer or ""
        place = f"{pointer or ''}{inner}" or None
        self.add(error.code, error.message, path, place, error.hint, id)

    def ruin(self, error: AnnotationError, path: Path, pointer: str | None) -> None:
        """Remember a fault that makes all of the file unusable, whatever is to be done with others:
        the reading goes on for what else there is to find, and `finish` raises.
        """
        self.ruined = True
        self.add_error(error, path, pointer)

    def repair(
        self,
        code: str,
        message: str,
        path: Path,
        pointer: str | None,
        hint: str | None = None,
        id: int | str | None = None,
    ) -> None:
        """Remember something that was put right, or is suspect and is used all the same."""
        hint = hint or HINTS.get(code)
        self.repaired.append(Fault(code, message, str(path), pointer, hint, "warning", id))

    def clipped(
        self, excess: float, path: Path, pointer: str | None, id: int | str | None = None
    ) -> None:
        """Remember a box that was cut at its image's edge, if that was more than rounding.

        `excess` is what `check_box` says of it.
        """
        if excess > TOLERANCE:
            message = f"the box reached {excess:.1f} pixels out of its image and was cut"
            hint = "draw the object's visible part; or was the image resized after labelling?"
            self.repair("box.clipped", message, path, pointer, hint, id)

    def note(
        self, code: str, message: str, path: Path, pointer: str | None, hint: str | None = None
    ) -> None:
        """Remember something that costs nothing; nobody is warned of it."""
        self.notes.append(Fault(code, message, str(path), pointer, hint, "note"))

    @property
    def fixing(self) -> bool:
        """Whether what has a plain mend is to be mended (`repair`) instead of dropped (`add`)."""
        return self.on_bad == "fix"

    def need(self, classes: Sequence[str], path: Path) -> None:
        """DatasetError `dataset.empty`, with what was found wrong by then, without any class; if
        faults end the reading, AnnotationError with these.
        """
        if not classes:
            empty = DatasetError(
                "its labels name no class",
                code="dataset.empty",
                path=path,
                hint="label some images",
            )
            empty.faults = self.finish()
            raise empty

    def dataset(
        self,
        examples: Sequence[Example],
        classes: tuple[str, ...],
        place: tuple[Path, str | None],
        skeleton: Skeleton | None = None,
        ids: tuple[int, ...] | None = None,
    ) -> Dataset:
        """The data set that was read, with all that was found (`finish`).

        `place` is its folder and split, `ids` are the classes' own, 1, 2, … where they have none.
        """
        root, split = place
        return Dataset(
            examples=tuple(examples),
            classes=classes,
            category_ids=tuple(range(1, len(classes) + 1)) if ids is None else ids,
            skeleton=skeleton,
            name=root.name,
            root=root,
            split=split,
            skipped=self.finish(),
            repaired=tuple(self.repaired),
            notes=tuple(self.notes),
        )

    def finish(self) -> tuple[Fault, ...]:
        """Raise everything as one AnnotationError, or warn once and hand back what was skipped."""
        if self.repaired and not self.ruined:
            _warn("repaired or suspect", self.repaired)
        if self.faults and (self.ruined or self.on_bad == "error"):
            raise _combined(self.faults)
        if self.faults:
            _warn("skipped", self.faults)
        return tuple(self.faults)


def _summary(faults: Sequence[Fault]) -> str:
    counts = Counter(fault.code for fault in faults)
    return ", ".join(f"{code} × {count}" for code, count in counts.most_common())


def _warn(verb: str, faults: Sequence[Fault]) -> None:
    first = str(faults[0].error())
    message = f"{len(faults)} labels {verb} ({_summary(faults)}); the first: {first}"
    warnings.warn(message, SightlineWarning, stacklevel=4)


def _combined(faults: Sequence[Fault]) -> AnnotationError:
    """One error for all: the first in full, the next 19 by place, the rest counted."""
    first = faults[0]
    message = first.message
    if len(faults) > 1:
        places = [f"{Path(f.path).name} {f.pointer or ''} {f.code}" for f in faults[1:20]]
        more = f"; and {len(faults) - 20} more" if len(faults) > 20 else ""
        message += f"; {len(faults)} faults in all ({_summary(faults)}): {'; '.join(places)}{more}"
    go_on = "or go on without them: on_bad='skip' (--on-bad skip), or 'fix'"
    error = AnnotationError(
        message,
        code=first.code,
        path=first.path,
        pointer=first.pointer,
        hint=f"{first.hint or 'mend the labels'}, {go_on}",
    )
    error.faults = tuple(faults)
    return error


def is_id(value: object) -> TypeGuard[int | str]:
    """Whether a value is text or a number of 64 bits (true and false are no ids)."""
    if isinstance(value, str):
        return True
    return type(value) is int and -(2**63) <= value < 2**63


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value read from a file is a finite number (true and false are none)."""
    if type(value) is not int and type(value) is not float:
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the floats
        return False


def to_number(text: str | None) -> float | None:
    """The finite number that a text is, in ASCII digits with a point; None for everything else.

    Python would take `1_000`, `infinity` and digits of other scripts, which are slips in a label
    file.
    """
    if text is None or not NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def is_whole(text: str) -> bool:
    """Whether a text is a whole number in at most nine ASCII digits."""
    return text.isascii() and text.isdigit() and len(text) < 10


def to_flag(text: str | None) -> bool:
    """Whether a text says yes: 1, true or yes."""
    return (text or "").strip().lower() in ("1", "true", "yes")


def check_box(box: Box, size: Size) -> tuple[Box, float]:
    """The part of an xyxy box inside an image of `size`, and by how many pixels it reached out.

    AnnotationError without a place: `box.huge` for ends beyond 2²⁴ pixels, `box.degenerate` for
    sides of zero or less, `box.outside` where less than a pixel's area lies inside.
    """
    x1, y1, x2, y2 = box
    height, width = size
    if not -HUGE < min(box) <= max(box) < HUGE:
        raise AnnotationError(
            f"the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}) ends further away than any image is wide",
            code="box.huge",
            hint="coordinates are pixels: correct the numbers, or delete the object",
        )
    if not (x2 > x1 and y2 > y1):
        raise AnnotationError(
            f"the box has no area: {x2 - x1:g} × {y2 - y1:g} pixels",
            code="box.degenerate",
            hint="draw it again, or delete the object",
        )
    excess = max(-x1, -y1, x2 - width, y2 - height)
    if excess <= 0:
        return box, 0.0
    cut = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    sides = cut[2] - cut[0], cut[3] - cut[1]
    if min(sides) <= 0 or (excess > TOLERANCE and sides[0] * sides[1] < 1):
        raise AnnotationError(
            f"the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}) lies outside the image of "
            f"{width} × {height} pixels",
            code="box.outside",
            hint="does it belong to another image, or to one of another size?",
        )
    return cut, excess
