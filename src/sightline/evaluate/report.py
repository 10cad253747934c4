"""What an evaluation says: figures for programs, a table for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BOX_FIGURES = (
    "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
    "AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip
"""COCO's twelve figures of boxes and of masks."""

KEYPOINT_FIGURES = (
    "AP", "AP50", "AP75", "AP_medium", "AP_large",
    "AR", "AR50", "AR75", "AR_medium", "AR_large",
)  # fmt: skip
"""COCO's ten figures of keypoints; at most 20 detections of a class in an image count."""

CORRECT_FIGURES = ("PCK", "PCK_torso", "PCKh")
"""The shares of correct keypoints beside them: see `correct_points`."""


@dataclass(frozen=True)
class Figures:
    """The figures of one kind of answer, in [0, 1]; None where there was nothing to find."""

    values: Mapping[str, float | None]
    per_class: Mapping[str, float | None]
    per_class_AP50: Mapping[str, float | None]  # noqa: N815 - the literature's name

    def flat(self, prefix: str = "") -> dict[str, Any]:
        """All figures in one dict, their names after `prefix`."""
        answer: dict[str, Any] = {prefix + name: value for name, value in self.values.items()}
        answer[prefix + "per_class"] = dict(self.per_class)
        answer[prefix + "per_class_AP50"] = dict(self.per_class_AP50)
        return answer


@dataclass(frozen=True)
class Counts:
    """What was judged; `objects` without crowds, `detections` of the data set's classes only."""

    images: int
    objects: Mapping[str, int]
    detections: int


@dataclass(frozen=True)
class Report:
    """COCO's figures of one model on one data set.

    The figures are attributes: `AP` (mean over IoU 0.50:0.05:0.95 and classes), `AP50`, `AP75`,
    `AP_small`, `AP_medium`, `AP_large` (areas up to 32², up to 96², above), `AR1`, `AR10`,
    `AR100`, `AR_small`, `AR_medium`, `AR_large`, `per_class` and `per_class_AP50` of boxes; the
    same after `segm_` for masks, and `KEYPOINT_FIGURES` and `CORRECT_FIGURES` after `keypoints_`.
    A figure is None, never NaN, where there is no ground truth for it, or where model or labels
    have no such thing.
    `unknown` are classes of the data that the model does not have (they count, with AP 0, where
    there are objects of them), `absent` classes without any object (they do not count).
    """

    boxes: Figures
    masks: Figures | None
    keypoints: Figures | None
    counts: Counts
    unknown: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    _flat: Mapping[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        flat = self.boxes.flat()
        for prefix, figures in (("segm_", self.masks), ("keypoints_", self.keypoints)):
            if figures is not None:
                flat.update(figures.flat(prefix))
        object.__setattr__(self, "_flat", flat)

    def __getattr__(self, name: str) -> Any:
        # only names that are no fields arrive here
        flat: Mapping[str, Any] = self.__dict__.get("_flat", {})
        if name in flat:
            return flat[name]
        part, _, figure = name.partition("_")
        names = {"segm": BOX_FIGURES, "keypoints": (*KEYPOINT_FIGURES, *CORRECT_FIGURES)}.get(
            part, ()
        )
        if figure in (*names, "per_class", "per_class_AP50") and names:
            return None
        raise AttributeError(f"a report has no figure {name!r}")

    def to_json(self) -> dict[str, Any]:
        """One flat dict of plain data; null, never NaN. Masks and keypoints only where judged."""
        return {
            **self._flat,
            "images": self.counts.images,
            "objects": sum(self.counts.objects.values()),
            "detections": self.counts.detections,
            "classes_unknown_to_model": list(self.unknown),
            "classes_without_objects": list(self.absent),
        }

    def summary(self) -> str:
        """A table for people, in per cent; "–" where there was nothing to find."""
        blocks = [_table([f for f in self._parts() if f[1] is not None])]
        blocks.append(_class_table(self._parts(), self.counts.objects))
        objects = sum(self.counts.objects.values())
        blocks.append(
            f"{self.counts.images} images, {objects} objects, {self.counts.detections} detections"
        )
        if self.unknown:
            blocks[-1] += "\nthe model does not know: " + ", ".join(self.unknown)
        if self.absent:
            blocks[-1] += "\nwithout objects, not counted: " + ", ".join(self.absent)
        return "\n\n".join(blocks)

    def _parts(self) -> list[tuple[str, Figures | None]]:
        return [("boxes", self.boxes), ("masks", self.masks), ("keypoints", self.keypoints)]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _table(parts: list[tuple[str, Figures | None]]) -> str:
    """One row a figure, one column a kind of answer."""
    given = [(title, figures) for title, figures in parts if figures is not None]
    names = list(dict.fromkeys(name for _, figures in given for name in figures.values))
    lines = [f"{'':12}" + "".join(f"{title:>11}" for title, _ in given)]
    for name in names:
        cells = (
            _percent(figures.values[name]) if name in figures.values else "" for _, figures in given
        )
        lines.append((f"{name:12}" + "".join(f"{cell:>11}" for cell in cells)).rstrip())
    return "\n".join(lines)


def _class_table(parts: list[tuple[str, Figures | None]], objects: Mapping[str, int]) -> str:
    """AP and AP50 of each class that has objects, best known classes first as the data has them."""
    given = [(title, figures) for title, figures in parts if figures is not None]
    width = max([12, *(len(name) + 2 for name in objects)])
    head = "".join(f"{'AP ' + title:>15}{'AP50':>7}" for title, _ in given)
    lines = [f"{'class':{width}}{'objects':>7}{head}"]
    for name, count in objects.items():
        if count:
            cells = "".join(
                f"{_percent(f.per_class[name]):>15}{_percent(f.per_class_AP50[name]):>7}"
                for _, f in given
            )
            lines.append(f"{name:{width}}{count:>7}{cells}")
    return "\n".join(lines)
