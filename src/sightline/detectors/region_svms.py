"""One linear support vector machine a class, and its hard negatives (R-CNN, section 2.3).

Positives are the true boxes alone; negatives are proposals with an IoU below 0.3 with every object
of the class. They are too many to learn from at once: each machine keeps those that it gets wrong.
It begins with all negatives of the first images. From each further image it takes those with a
margin above −1, and whenever 2,000 are new it is trained again and drops the easy ones.

Key of shapes: R regions, K classes, D features, P positives, N negatives.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from sightline.detectors.linear_machine import NEVER, linear_machine
from sightline.detectors.region_features import Book, Page
from sightline.fitting import Desk
from sightline.progress import bar


@dataclass(frozen=True)
class SvmTraining:
    """How machines are trained; the numbers are those of the paper's own code.

    Features are scaled to a mean length of `length`. `cost` is the machine's C, and positives count
    `positive` times. A negative has an IoU below `apart`; it is hard with a margin above `hard`,
    easy again below `easy`. A machine is trained whenever `fresh` negatives are new. All images are
    looked at `looks` times; the paper found once enough.
    """

    length: float = 20.0
    cost: float = 1e-3
    positive: float = 2.0
    apart: float = 0.3
    hard: float = -1.0
    easy: float = -1.2
    fresh: int = 2000
    looks: int = 1


PAPER = SvmTraining()

MEASURED = 200
"""So many images tell how long features are."""


def mean_length(book: Book) -> float:
    """The mean length of the features of regions; 1 where all are 0."""
    total, count = 0.0, 0
    for index in range(min(MEASURED, len(book))):
        lengths = book[index].features.float().norm(dim=1)
        total, count = total + float(lengths.double().sum()), count + len(lengths)
    return total / count if total > 0 else 1.0


@dataclass
class Machine:
    """One class's: (P, D) and (N, D) features in half precision, and where negatives came from."""

    positives: list[Float[ndarray, "_ D"]] = field(default_factory=list)
    negatives: list[Float[ndarray, "_ D"]] = field(default_factory=list)
    names: set[tuple[int, int]] = field(default_factory=set)
    fresh: int = 0
    trained: int = 0

    def add(self, image: int, rows: list[int], features: ndarray) -> None:
        """Take the negatives `rows` of an image that are not there already."""
        new = [row for row in rows if (image, row) not in self.names]
        if new:
            self.names.update((image, row) for row in new)
            self.negatives.append(features[new])
            self.fresh += len(new)

    def train(self, training: SvmTraining, seed: int) -> tuple[ndarray, float]:
        """Weights (D,) and bias for scaled features; drops the negatives that are easy now.

        A dropped one may come back in a further look.
        """
        positives, negatives = np.concatenate(self.positives), np.concatenate(self.negatives)
        weight, bias = linear_machine(
            positives, negatives, training.cost, seed, training.positive, hinge=True
        )
        stays = negatives.astype(np.float64) @ weight + bias >= training.easy
        self.negatives = [negatives[stays]]
        self.fresh, self.trained = 0, self.trained + 1
        return weight, bias


def train_svms(
    book: Book, classes: tuple[str, ...], desk: Desk, training: SvmTraining = PAPER
) -> tuple[Float[Tensor, "K D"], Float[Tensor, "K"]]:
    """Weights and biases for features as they are, unscaled; margins are f · w + b.

    A class without a true box, or without a single region that is apart from its objects, gets a
    machine that never answers, and is said. Raises `Paused` through `desk.pause`.
    """
    width = book[0].features.shape[1]
    weights, biases = torch.zeros(len(classes), width), torch.full((len(classes),), NEVER)
    scale = training.length / mean_length(book)
    machines = _objects(book, len(classes), scale)

    def retrain(label: int) -> None:
        weight, bias = machines[label].train(training, desk.seed)
        weights[label], biases[label] = torch.from_numpy(weight), bias

    with bar(len(book) * training.looks, "hard negatives") as shown:
        for look in range(training.looks):
            for index in range(len(book)):
                desk.pause()
                if look and desk.spent() >= 1:
                    break
                page = book[index]
                _look(page, index, machines, (weights, biases, scale), training)
                for label, machine in machines.items():
                    if machine.fresh > training.fresh:
                        retrain(label)
                shown.advance()
    for label, machine in machines.items():
        if machine.fresh:
            desk.pause()
            retrain(label)
    _tell(machines, classes, desk)
    return weights * scale, biases


def _objects(book: Book, classes: int, scale: float) -> dict[int, Machine]:
    """A machine for each class that has a true box, with its positives."""
    machines: dict[int, Machine] = {}
    for index, truth in enumerate(book.truths):
        if bool((~truth.crowd).any()):
            page = book[index]
            features = _scaled(page, scale)[page.proposals :]
            labels = page.truth.labels[page.own]
            for label in sorted(set(labels.tolist())):
                machine = machines.setdefault(label, Machine())
                machine.positives.append(features[(labels == label).numpy()])
    return {label: machines[label] for label in sorted(machines) if label < classes}


def _scaled(page: Page, scale: float) -> Float[ndarray, "R D"]:
    """Features of the length that machines are trained with, in half precision."""
    return (page.features.float() * scale).half().numpy()


def _look(
    page: Page,
    index: int,
    machines: dict[int, Machine],
    learnt: tuple[Tensor, Tensor, float],
    training: SvmTraining,
) -> None:
    """Give each machine the regions of an image that it gets wrong; a new one gets all."""
    weights, biases, scale = learnt
    features = _scaled(page, scale)
    apart = page.overlaps(len(weights)) < training.apart
    margins = torch.from_numpy(features).float() @ weights.T + biases
    for label, machine in machines.items():
        wrong = apart[:, label]
        if machine.trained:
            wrong = wrong & (margins[:, label] > training.hard)
        machine.add(index, wrong.nonzero()[:, 0].tolist(), features)


def _tell(machines: dict[int, Machine], classes: tuple[str, ...], desk: Desk) -> None:
    absent = [name for label, name in enumerate(classes) if label not in machines]
    if absent:
        desk.say(f"no true box, so no answer: {', '.join(absent)}")
    alone = [classes[label] for label, machine in machines.items() if not machine.trained]
    if alone:
        desk.say(f"no region apart from its objects, so no answer: {', '.join(alone)}")
    for label, machine in machines.items():
        if machine.trained:
            objects = sum(map(len, machine.positives))
            kept = sum(map(len, machine.negatives))
            desk.say(
                f"{classes[label]}: {objects:,} true boxes, {len(machine.names):,} negatives met, "
                f"{kept:,} kept, trained {machine.trained} times"
            )
