"""The mask branch: whose masks are learnt, and which map answers."""

import pytest
import torch
from torch import Tensor

from sightline.detectors.mask_rcnn import MaskBranch, MaskHead
from sightline.detectors.region_head import RegionPooling
from sightline.types import Batch, Detections, Frame, Regions, Targets

SIZE = (64, 96)
BOXES = torch.tensor([[8.0, 8, 40, 40], [50, 10, 90, 50], [4, 30, 30, 62]])


def branch(classes: int) -> MaskBranch:
    torch.manual_seed(0)
    pooling = RegionPooling(size=(14, 14), aligned=True, levels=1)
    head = MaskHead(4, classes, pooling, hidden=6, depth=1)
    torch.nn.init.normal_(head.logits.weight)
    return MaskBranch(head)


def scene(images: int) -> tuple[Batch, tuple[Tensor, ...]]:
    batch = Batch(torch.rand(images, 3, *SIZE), tuple(Frame(SIZE, SIZE) for _ in range(images)))
    return batch, (torch.rand(images, 4, SIZE[0] // 8, SIZE[1] // 8),)


def truth(known: list[bool] | None, labels: tuple[int, ...] = (0, 1, 2)) -> Targets:
    masks = None
    if known is not None:
        masks = torch.zeros(3, *SIZE, dtype=torch.bool)
        for row, (x1, y1, x2, y2) in enumerate(BOXES.int().tolist()):
            masks[row, y1:y2, x1 : (x1 + x2) // 2] = known[row]
    return Targets(BOXES, torch.tensor(labels), torch.zeros(3, dtype=torch.bool), masks)


def regions(images: int) -> tuple[Regions, Tensor]:
    """Each object once, and a region that answers for nothing."""
    boxes = torch.cat([BOXES, torch.tensor([[0.0, 0, 20, 20]])])
    image = torch.arange(images).repeat_interleave(4)
    owner = torch.tensor([0, 1, 2, -1]).repeat(images)
    return Regions(boxes.repeat(images, 1), image, torch.zeros_like(image)), owner


def learnt(
    targets: list[Targets], classes: int = 3, state: tuple[Batch, tuple[Tensor, ...]] | None = None
) -> float:
    batch, features = scene(len(targets)) if state is None else state
    found, owner = regions(len(targets))
    return float(branch(classes).loss(batch, features, found, owner, targets)["mask"])


def test_what_has_no_mask_teaches_nothing() -> None:
    """An image without masks, and objects whose mask is not known, beside others that have one."""
    torch.manual_seed(1)
    state = scene(2)
    alone = (Batch(state[0].pixels[:1], state[0].frames[:1]), (state[1][0][:1],))
    every = learnt([truth([True] * 3)], state=alone)
    assert every > 0.1
    assert learnt([truth([True] * 3), truth(None)], state=state) == pytest.approx(every, rel=1e-5)
    unknown = truth([False] * 3)
    assert learnt([truth([True] * 3), unknown], state=state) == pytest.approx(every, rel=1e-5)
    parts = [learnt([truth([row == only for row in range(3)])], state=alone) for only in range(3)]
    assert sum(parts) / 3 == pytest.approx(every, rel=1e-5)
    assert learnt([unknown], state=alone) == learnt([truth(None)], state=alone) == 0


def test_classes_do_not_compete() -> None:
    """Only the map of the true class learns; the one that all classes share always does."""
    batch, features = scene(1)
    found, owner = regions(1)
    own = branch(3)
    targets = [truth([True] * 3, (1, 1, 1))]
    own.loss(batch, features, found, owner, targets)["mask"].backward()
    assert own.head.logits.bias is not None
    assert own.head.logits.bias.grad is not None
    assert (own.head.logits.bias.grad != 0).tolist() == [False, True, False]
    shared = branch(1)
    shared.loss(batch, features, found, owner, targets)["mask"].backward()
    assert shared.head.logits.bias is not None
    assert bool((shared.head.logits.bias.grad != 0).all())


@pytest.mark.parametrize("classes", [3, 1])
def test_the_map_of_its_class_is_looked_at(classes: int) -> None:
    batch, features = scene(1)
    found, _ = regions(1)
    three = Regions(found.boxes[:3], found.image[:3], found.level[:3])
    own = branch(classes)
    labels = torch.tensor([2, 0, 1])
    region = torch.arange(3)
    one = Detections(BOXES, torch.ones(3), labels, region, SIZE, ("a", "b", "c"))
    (seen,) = own.look(batch, features, three, [one])
    logits = own.head(features, three, SIZE)
    expected = logits[torch.arange(3), labels if classes == 3 else 0].sigmoid()
    assert seen.masks is not None
    torch.testing.assert_close(seen.masks.cells, expected)  # type: ignore[union-attr]
    assert logits.shape == (3, classes, 28, 28)
