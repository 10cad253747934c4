"""When a step cannot be taken, or none any more: which layer, which image, and a picture of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from sightline import checkpoint, processes
from sightline.errors import SightlineError, TrainingDiverged
from sightline.explain.draw import Style, draw
from sightline.files import atomic_write, write_json
from sightline.train import guard
from sightline.train.course import Progress
from sightline.train.feed import Batch, Feed
from sightline.train.setup import Say
from sightline.train.step import Stepper
from sightline.types import Detections, Targets

NAMES = ("diverged.json", "diverged.png")
"""The report of a run that diverged, and its picture."""

SHOWN, COLUMNS, SIDE = 12, 4, 320
"""At most so many images of a batch are drawn, so many a row, so many pixels wide."""


@dataclass(frozen=True)
class Suspect:
    """One image of a batch by itself: its loss, and whether that and its gradient are finite.

    `loss` is None where the network cannot run on one image alone.
    """

    loss: float | None
    finite: bool


class Guard:
    """Watches every step of a run, and ends it where it makes no sense to go on."""

    def __init__(self, stepper: Stepper, feed: Feed, out: Path, say: Say) -> None:
        self.stepper, self.feed, self.out, self.say = stepper, feed, out, say
        self._broken = False
        self._waited = 0
        for name in NAMES if processes.is_first() else ():  # of an earlier attempt in this folder
            (out / name).unlink(missing_ok=True)

    def check(self, at: Progress, batch: Batch, taken: bool) -> None:
        """Look at the step that was just made, or not taken; `at.loss` is its loss.

        Up to `bad_steps` in a row that are not finite are skipped, with a line that names the
        images. Raises TrainingDiverged after more of them, and for a loss that climbs (`guard`).
        Among several processes each looks at the images of all, so that they end alike.
        """
        if taken:
            at.bad = 0
            if guard.climbs(at, at.loss, self.stepper.first):
                raise self._diverged(at, self.feed.whole(at.step, batch), "climb", [])
            return
        batch = self.feed.whole(at.step, batch)
        at.bad += 1
        at.skipped += 1
        reason = "gradient" if self.stepper.layers else "loss"
        suspects = blame(self.stepper, batch)
        self._broken = not any(suspect.finite for suspect in suspects)
        rows = self._images(at, batch, suspects)
        self.say(f"step {at.step}: {self._what(at)}, step skipped: {_names(rows)}")
        if at.bad > self.stepper.recipe.bad_steps:
            raise self._diverged(at, batch, reason, suspects)

    def is_fit_to_save(self, at: Progress) -> bool:
        """Whether the present weights may be written over the last good checkpoint.

        Asked at every step once it is time to save. A loss that only looks like a climb, and is
        none after twice as many steps as it takes to tell, no longer keeps a run from saving.
        """
        suspect = self._waited < 2 * guard.WINDOW and guard.is_suspect(at, self.stepper.first)
        self._waited = self._waited + 1 if suspect else 0
        return not suspect and at.bad == 0 and guard.is_finite(self.stepper.detector)

    def check_weights(self, at: Progress) -> None:
        """Before the last save: TrainingDiverged where the weights are of no use any more.

        They are not finite, or the last step was not usable for any of its images.
        """
        broken = at.bad > 0 and self._broken
        if broken or not guard.is_finite(self.stepper.detector):
            raise self._diverged(at, None, "weights", [])

    def _what(self, at: Progress) -> str:
        if self.stepper.layers:
            layers = ", ".join(self.stepper.layers[:3])
            more = len(self.stepper.layers) - 3
            return f"the gradient is not finite in {layers}{f' and {more} more' * (more > 0)}"
        parts = ", ".join(self.stepper.parts)
        return f"loss {at.loss:g} is not usable{f' ({parts})' if parts else ''}"

    def _images(
        self, at: Progress, batch: Batch, suspects: Sequence[Suspect]
    ) -> list[dict[str, Any]]:
        """What is known of each image of a batch, as plain data."""
        pixels, targets = batch
        files = self.feed.sources(at.step, pixels)
        classes = self.stepper.detector.classes
        rows = []
        for index, target in enumerate(targets):
            sides = target.boxes[:, 2:] - target.boxes[:, :2]
            bad = ~(sides >= 1).all(dim=1) | ~target.boxes.isfinite().all(dim=1)
            one = suspects[index] if suspects else None
            rows.append(
                {
                    "files": files[index],
                    "guilty": one is not None and not one.finite,
                    "loss": None if one is None else _plain(one.loss),
                    "boxes": [[_plain(x) for x in box] for box in target.boxes.tolist()],
                    "labels": [classes[label] for label in target.labels.tolist()],
                    "crowd": target.crowd.tolist(),
                    "degenerate": bad.nonzero().flatten().tolist(),
                }
            )
        return rows

    def _diverged(
        self, at: Progress, batch: Batch | None, reason: str, suspects: Sequence[Suspect]
    ) -> TrainingDiverged:
        """The error to raise, with `diverged.json` and `diverged.png` written beside the run."""
        rows = [] if batch is None else self._images(at, batch, suspects)
        since = guard.began(at) if reason == "climb" else at.step - at.bad + 1
        good = _last_good(self.out, since)
        start = "" if good is None else f"--start {good} "
        rate = self.stepper.recipe.learning_rate / 10
        lower = f"begin anew with {start}--set learning_rate={rate:.2g}"
        message, hint = _explain(at, reason, rows, self._what(at))
        hint = hint or lower
        record = {
            "step": at.step,
            "reason": reason,
            "message": message,
            "hint": hint,
            "loss": _plain(at.loss),
            "since": since,
            "learning_rate": at.rate,
            "size": at.size,
            "parts": list(self.stepper.parts),
            "layers": list(self.stepper.layers),
            "recent_losses": [_plain(loss) for loss in at.recent],
            "last_good": good,
            "images": rows,
        }
        report, picture = (self.out / name for name in NAMES)
        try:
            if processes.is_first():
                write_json(report, record, indent=1)
                if batch is not None:
                    _draw(batch, rows, self.stepper.detector.classes, picture)
        except SightlineError as error:  # a full disk must not hide why the run ended
            self.say(f"the report cannot be written: {error}")
        return TrainingDiverged(
            message, step=at.step, loss=at.loss, last_good=good, hint=hint, record=record
        )


def blame(stepper: Stepper, batch: Batch) -> list[Suspect]:
    """Each image of a batch by itself: whose loss or gradient is not finite.

    Weights, running statistics and random generators are as before afterwards.
    """
    pixels, targets = batch
    answer = []
    with torch.random.fork_rng(), processes.alone():
        for index in range(len(pixels)):
            try:
                loss = stepper.loss_of(pixels[index : index + 1], targets[index : index + 1])
            except (RuntimeError, ValueError):  # some norms need more than one value a channel
                answer.append(Suspect(None, True))
                continue
            finite = math.isfinite(loss) and not guard.not_finite(stepper.detector)
            answer.append(Suspect(loss, finite))
    stepper.forget()
    return answer


def _names(rows: Sequence[dict[str, Any]]) -> str:
    """The files of the guilty images where it is clear who they are, else of all."""
    guilty = [row for row in rows if row["guilty"]]
    if 0 < len(guilty) < len(rows):
        names = dict.fromkeys(name for row in guilty for name in row["files"])
        return f"it comes from {', '.join(names)} alone"
    return ", ".join(dict.fromkeys(name for row in rows for name in row["files"]))


def _explain(
    at: Progress, reason: str, rows: Sequence[dict[str, Any]], what: str
) -> tuple[str, str]:
    """What happened, in one sentence, and what to look at; "" where it is the learning rate."""
    if reason == "climb":
        low = 0.0 if at.lowest is None else at.lowest
        mean = sum(at.recent) / len(at.recent)
        last = f"the mean of the last {len(at.recent)} losses is {mean:.3g}"
        return f"{last}, the lowest was {low:.3g}", ""
    if reason == "weights":
        return f"the weights are of no use any more: {what}, whatever the image", ""
    row = "a step was" if at.bad == 1 else f"{at.bad} steps in a row were"
    message = f"{row} not usable; in the last one {what}: {_names(rows)}"
    if any(row["degenerate"] and row["guilty"] for row in rows):
        return message, "look at the degenerate boxes of these images in diverged.json"
    if 0 < sum(row["guilty"] for row in rows) < len(rows):
        return message, "look at these images and their boxes in diverged.png"
    return message, ""


def _last_good(out: Path, since: int) -> str | None:
    """The newest checkpoint of weights from before the trouble began."""
    for name in ("last", "best"):
        path = out / f"{name}.safetensors"
        try:
            if path.exists() and checkpoint.read(path).manifest["training"]["step"] <= since:
                return str(path)
        except (SightlineError, KeyError):
            continue
    return None


def _plain(value: float | None) -> float | str | None:
    """A number as JSON may hold it: "nan" and "inf" as text."""
    return value if value is None or math.isfinite(value) else str(value)


def _draw(batch: Batch, rows: Sequence[dict[str, Any]], classes: Sequence[str], path: Path) -> None:
    """The images of a batch with their boxes, the guilty ones first and in a red frame."""
    order = sorted(range(len(rows)), key=lambda i: not rows[i]["guilty"])[:SHOWN]
    columns = min(COLUMNS, len(order))
    height = -(-len(order) // columns)
    sheet = Image.new("RGB", (columns * SIDE, height * SIDE), (255, 255, 255))
    for place, index in enumerate(order):
        tile = _tile(batch[0][index], batch[1][index], classes)
        if rows[index]["guilty"]:
            ImageDraw.Draw(tile).rectangle((0, 0, *(s - 1 for s in tile.size)), None, "red", 6)
        row, column = divmod(place, columns)
        sheet.paste(tile, (column * SIDE + 2, row * SIDE + 2))
    with atomic_write(path) as temporary:
        sheet.save(temporary, format="PNG")


def _tile(pixels: UInt8[Tensor, "3 H W"], target: Targets, classes: Sequence[str]) -> Image.Image:
    """One picture of a batch; boxes that are not finite stand in `diverged.json` alone."""
    size = (pixels.shape[1], pixels.shape[2])
    factor = (SIDE - 4) / max(size)
    shown = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy()))
    shown = shown.resize((max(1, int(size[1] * factor)), max(1, int(size[0] * factor))))
    rows = target.boxes.isfinite().all(dim=1).nonzero().flatten().cpu()
    found = Detections(
        target.boxes.cpu()[rows] * factor,
        torch.ones(len(rows)),
        target.labels.cpu()[rows],
        torch.full((len(rows),), -1),
        (shown.height, shown.width),
        tuple(classes),
    )
    return draw(torch.from_numpy(np.array(shown)).permute(2, 0, 1), found, Style(scores=False))
