"""How the templates of sliding windows learn: linear machines, hard negatives until none is new.

Dalal and Triggs 2005, section 4: a machine is trained on the objects and on random windows without
one; it then looks at all images, and what it wrongly takes for an object is added to the windows it
is trained on again. This goes on, instead of once, until more of them no longer make it better.

Key of shapes: N copies of an object, D numbers of a descriptor.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from sightline import boxes as bx
from sightline.detectors.hog_pyramid import nearest_shape
from sightline.detectors.linear_machine import linear_machine
from sightline.detectors.window_scene import Scene, cut
from sightline.fitting import Desk, Samples
from sightline.ops.hog import CELL, LENGTH, hog
from sightline.progress import track
from sightline.types import Targets

if TYPE_CHECKING:
    from sightline.detectors.sliding_windows import HogSvm


@dataclass(frozen=True)
class Mining:
    """How machines are trained.

    `cost` is the machine's C. Objects are learnt that fill at least `covered` of the smallest
    window of their shape: no window covers the others with a larger IoU. Each is learnt as it lies
    and `moved` times a little aside, because windows lie on a grid. Windows are negatives of a
    class whose IoU with each of its objects is below `apart`, and that lie for less than `apart` in
    a crowd. A machine begins with `random` of them, up to `each` an image. A look at `images`
    images, in turn, adds up to `hard`, as many of each image, drawn from those with a margin above
    −1. The search ends when a look finds none, or has not `settled` fewer false alarms (margins
    above 0) an image than the best look before: a share. At most `looks`, `rows` descriptors a
    machine, and `memory` bytes for all of them.
    """

    cost: float = 0.01
    covered: float = 0.5
    moved: int = 1
    apart: float = 0.3
    random: int = 2000
    each: int = 10
    hard: int = 5000
    settled: float = 0.03
    images: int = 500
    looks: int = 20
    rows: int = 24_000
    memory: int = 1 << 30


Name = tuple[int, int]
"""(image, row of its windows)."""


@dataclass
class Machine:
    """What one class's template of one shape is trained on: (D,) descriptors, and whose they are.

    `met` counts the positives met, kept or not.
    """

    positives: list[ndarray] = field(default_factory=list)
    negatives: dict[Name, ndarray] = field(default_factory=dict)
    met: int = 0

    def keep(self, descriptor: ndarray, most: int, rng: np.random.Generator) -> None:
        """Add a positive; of more than `most`, each stays with the same chance."""
        self.met += 1
        if len(self.positives) < most:
            self.positives.append(descriptor)
        elif (place := int(rng.integers(self.met))) < most:
            self.positives[place] = descriptor

    def train(self, cost: float, most: int, seed: int) -> tuple[ndarray, float]:
        """Weights (D,) and bias. Of more than `most` negatives the hardest stay."""
        positives, negatives = np.stack(self.positives), np.stack([*self.negatives.values()])
        weights, bias = linear_machine(positives, negatives, cost, seed)
        if len(self.negatives) > most:
            margins = negatives @ weights
            names = list(self.negatives)
            stay = np.sort(np.argsort(-margins, kind="stable")[:most])
            self.negatives = {names[i]: self.negatives[names[i]] for i in stay}
        return weights, bias


class Learner:
    """Trains all machines of a detector, in place."""

    def __init__(self, detector: "HogSvm", mining: Mining, desk: Desk) -> None:
        self.detector, self.mining, self.desk = detector, mining, desk
        self.pyramid = detector.pyramid
        self.rng = np.random.default_rng(desk.seed)
        self.machines: dict[tuple[int, int], Machine] = {}
        """By class and shape."""
        self.order: list[int] = []
        """The images as they are looked at, again and again; `begun` have been."""
        self.begun = 0
        numbers = LENGTH * sum(height * width for height, width in self.pyramid.blocks)
        room = mining.memory // (4 * numbers * len(detector.classes))
        self.most = max(2, min(mining.rows, room) // 2)
        """Positives a machine keeps, and negatives."""

    @torch.no_grad()
    def learn(self, samples: Samples) -> None:
        """Objects, random windows, and then hard ones until false alarms get no fewer."""
        self._gather_objects(samples)
        self._tell_absent()
        if not self.machines:
            return
        self._gather_random(samples)
        self._train()
        least = math.inf
        for look in range(1, self.mining.looks + 1):
            if self.desk.spent() >= 1:
                break
            fresh, alarms = self._look(samples)
            kept = sum(len(machine.negatives) for machine in self.machines.values())
            told = f"{alarms:.1f} false alarms an image"
            self.desk.say(f"look {look}: {told}, {fresh:,} new hard negatives among {kept:,}")
            if fresh:
                self._train()
            if not fresh or alarms >= (1 - self.mining.settled) * least:
                break
            least = alarms

    def _read(
        self, samples: Samples, order: Iterable[int], label: str
    ) -> Iterator[tuple[int, Tensor, Targets]]:
        """Images with their objects, and a bar, until the time is over."""
        for index in track(list(order), label):
            self.desk.pause()
            if self.desk.spent() >= 1:
                return
            yield index, *samples[index]

    def _gather_objects(self, samples: Samples) -> None:
        """Every object that a window could cover, and its mirror image, resized to its shape."""
        shapes, margin = self.pyramid.shapes, self.pyramid.margin
        for _, image, truth in self._read(samples, range(len(samples)), "objects"):
            for (label, shape), box in self._learnt(image, truth):
                machine = self.machines.setdefault((label, shape), Machine())
                for place in (box, *self._moved(box)):
                    picture = cut(image, place, shapes[shape], margin)
                    for one in (picture, picture.flip(-1)):
                        blocks = hog(one)[:, 1:-1, 1:-1]
                        machine.keep(blocks.flatten().numpy(), self.most, self.rng)

    def _moved(self, box: Float[Tensor, "4"]) -> Float[Tensor, "N 4"]:
        """A box as windows cover it, which lie on a grid of places and sizes."""
        offsets = self.rng.uniform(-1, 1, (self.mining.moved, 3)) * (0.06, 0.06, 0.05)
        x, y, size = torch.from_numpy(offsets).float().unbind(1)
        return bx.decode(torch.stack([x, y, size, size], dim=1), box.expand(len(x), 4))

    def _learnt(
        self, image: UInt8[Tensor, "3 H W"], truth: Targets
    ) -> Iterator[tuple[tuple[int, int], Float[Tensor, "4"]]]:
        """(class, shape) and box of objects that are not too small for the smallest window."""
        size = (image.shape[1], image.shape[2])
        resized = self.detector.preparation.resized(size)
        scale = torch.tensor([resized[1] / size[1], resized[0] / size[0]])
        boxes = truth.boxes.float()
        shapes = nearest_shape(boxes, self.pyramid.shapes)
        least = torch.tensor([height * width * CELL**2 for height, width in self.pyramid.shapes])
        area = ((boxes[:, 2:] - boxes[:, :2]).clamp(min=0) * scale).prod(dim=1)
        good = ~truth.crowd & (area >= self.mining.covered * least[shapes])
        for row in good.nonzero()[:, 0].tolist():
            yield (int(truth.labels[row]), int(shapes[row])), boxes[row]

    def _tell_absent(self) -> None:
        """Name the classes that nothing can be learnt of."""
        present = {label for label, _ in self.machines}
        names = [n for k, n in enumerate(self.detector.classes) if k not in present]
        if names:
            self.desk.say(f"no sample, so no answer: {', '.join(names)}")

    def _gather_random(self, samples: Samples) -> None:
        """Random windows without an object, the same for all classes."""
        self.order = self.rng.permutation(len(samples)).tolist()
        turn = self.order[: -(-self.mining.random // self.mining.each)]
        for index, image, truth in self._read(samples, turn, "random windows"):
            scene = Scene.of(self.detector, image, truth)
            for shape in sorted({shape for _, shape in self.machines}):
                rows = scene.rows(shape)
                chosen = self.rng.permutation(len(rows))[: self.mining.each]
                rows = rows[torch.from_numpy(chosen)]
                for label in sorted(k for k, s in self.machines if s == shape):
                    apart = scene.apart(rows, label, self.mining.apart)
                    self._add(scene, index, (label, shape), rows[apart])

    def _look(self, samples: Samples) -> tuple[int, float]:
        """Add what the machines wrongly take for objects: how many were new, and how many false
        alarms there were an image.
        """
        fresh, alarms, looked = 0, 0, 0
        count = min(len(samples), self.mining.images)
        each = -(-self.mining.hard // count)
        turn = [self.order[(self.begun + i) % len(samples)] for i in range(count)]
        self.begun += count
        for index, image, truth in self._read(samples, turn, "hard negatives"):
            scene = Scene.of(self.detector, image, truth)
            table = self.detector.margins([level[0] for level in scene.features])
            for label, shape in sorted(self.machines):
                rows = scene.rows(shape)
                rows = rows[table[rows, label] > -1]
                rows = rows[scene.apart(rows, label, self.mining.apart)]
                alarms += int((table[rows, label] > 0).sum())
                chosen = self.rng.permutation(len(rows))[:each]
                fresh += self._add(scene, index, (label, shape), rows[torch.from_numpy(chosen)])
            looked += 1
        return fresh, alarms / max(1, looked)

    def _add(self, scene: Scene, index: int, name: tuple[int, int], rows: Tensor) -> int:
        """Put windows among a machine's negatives; how many were not there."""
        negatives = self.machines[name].negatives
        fresh = [row for row in rows.tolist() if (index, row) not in negatives]
        for row in fresh:
            negatives[index, row] = scene.descriptor(row)
        if len(negatives) > 2 * self.most:
            self._train_one(name)
        return len(fresh)

    def _train(self) -> None:
        for name in track(sorted(self.machines), "machines"):
            self.desk.pause()
            self._train_one(name)

    def _train_one(self, name: tuple[int, int]) -> None:
        """A machine without any negative says no: there is nothing to tell objects from."""
        (label, shape), machine = name, self.machines[name]
        if machine.negatives:
            weights, bias = machine.train(self.mining.cost, self.most, self.desk.seed)
            template = self.detector.templates[shape][label]
            template.copy_(torch.from_numpy(weights).view(template.shape))
            self.detector.bias[shape, label] = bias
