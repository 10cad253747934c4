"""Class-wise box regression (R-CNN, appendix C): offsets of an object as a ridge regression.

t = W φ(P) + b of the cells φ of a proposal P, for each of the four offsets of each class; W
minimises Σ ‖t − W φ − b‖² + λ ‖W‖², which has a closed form. Learnt from proposals with an IoU of
at least 0.6 with their object: of others no linear function tells where the object is.

Key of shapes: K classes, S samples, G numbers of cells.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sightline import boxes as bx
from sightline.detectors.region_features import Book, Page
from sightline.fitting import Desk
from sightline.progress import bar

LENGTH = 20.0
"""The mean length that cells are scaled to, as in the paper's code: λ is held against it."""


@dataclass(frozen=True)
class RidgeTraining:
    """`penalty` is λ; a sample is a proposal with an IoU of at least `near` with an object.

    At most about `most` samples a class, so that they fit into memory; the paper takes all.
    """

    penalty: float = 1000.0
    near: float = 0.6
    most: int = 20_000


PAPER = RidgeTraining()


def ridge(
    cells: Float[Tensor, "S G"], offsets: Float[Tensor, "S 4"], penalty: float
) -> tuple[Float[Tensor, "4 G"], Float[Tensor, "4"]]:
    """W and b of the least squares with λ = `penalty` on W alone, in double precision.

    Of two equal forms the smaller is solved: (XᵀX + λ) W = XᵀT over the numbers, or W = Xᵀ (XXᵀ +
    λ)⁻¹ T over the samples.
    """
    centre, mean = cells.double().mean(dim=0), offsets.double().mean(dim=0)
    x, t = cells.double() - centre, offsets.double() - mean
    if len(x) <= x.shape[1]:
        inner = x @ x.T
        inner.diagonal().add_(penalty)
        weight = x.T @ torch.linalg.solve(inner, t)
    else:
        inner = x.T @ x
        inner.diagonal().add_(penalty)
        weight = torch.linalg.solve(inner, x.T @ t)
    return weight.T, mean - weight.T @ centre


def train_ridges(
    book: Book, classes: tuple[str, ...], desk: Desk, training: RidgeTraining = PAPER
) -> tuple[Float[Tensor, "K 4 G"], Float[Tensor, "K 4"]]:
    """The regression of each class, on cells as they are; 0 for a class without a sample, which is
    said: its boxes stay as they were proposed.
    """
    width = book[0].cells.shape[1]
    weights, biases = torch.zeros(len(classes), 4, width), torch.zeros(len(classes), 4)
    absent = []
    with bar(len(classes), "box regression") as shown:
        for label, name in enumerate(classes):
            desk.pause()
            images = book.having(label)
            each = max(1, training.most // max(1, len(images)))
            parts = [samples(book[index], label, training, each) for index in images]
            cells = torch.cat([part[0] for part in parts]) if parts else torch.zeros(0, width)
            length = float(cells.float().norm(dim=1).mean()) if len(cells) else 0.0
            if length > 0:
                scale = LENGTH / length
                goals = torch.cat([part[1] for part in parts])
                weight, bias = ridge(cells.float() * scale, goals, training.penalty)
                weights[label], biases[label] = (weight * scale).float(), bias.float()
                desk.say(f"{name}: boxes learnt from {len(cells):,} proposals")
            else:
                absent.append(name)
            shown.advance()
    if absent:
        desk.say(f"no proposal near an object, so boxes stay as proposed: {', '.join(absent)}")
    return weights, biases


def samples(
    page: Page, label: int, training: RidgeTraining, most: int
) -> tuple[Float[Tensor, "S G"], Float[Tensor, "S 4"]]:
    """Cells, in half precision, and true offsets of an image's proposals near objects of a class.

    `most` of them, at even steps down the list of proposals. The image has such an object.
    """
    objects = page.truth.boxes[page.own][page.truth.labels[page.own] == label]
    regions = page.boxes[page.near]
    best, owner = bx.iou(regions, objects).max(dim=1)
    rows = (best >= training.near).nonzero()[:, 0]
    if len(rows) > most:
        rows = rows[torch.arange(most) * len(rows) // most]
    return page.cells[rows], bx.encode(objects[owner[rows]], regions[rows])
