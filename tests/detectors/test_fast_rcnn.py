"""Fast R-CNN: what is searched, what is learnt of it, and what truncation keeps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline import boxes as bx
from sightline import catalogue, checkpoint, pipeline
from sightline.detectors.fast_rcnn import (
    SAMPLED,
    FastRCNN,
    MeasuredHead,
    Truncated,
    compress,
    ranks,
)
from sightline.detectors.proposal_store import ProposalStore
from sightline.detectors.region_head import RegionPooling, TwoLayers
from sightline.fitting import Desk, Paused
from sightline.predict import load
from sightline.types import Regions, Targets

CLASSES = ("cat", "dog", "unseen")


class Grid(nn.Module):
    """A stand-in for the search: squares of three sides all over the image, and how often asked."""

    method = "grid"

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def search(self, image: Tensor) -> Tensor:
        self.asked += 1
        height, width = image.shape[1:]
        boxes = [
            [x, y, min(x + side, width), min(y + side, height)]
            for side in (24, 40, 64)
            for y in range(0, max(1, height - side // 2), 12)
            for x in range(0, max(1, width - side // 2), 12)
        ]
        return torch.tensor(boxes, dtype=torch.float32)


class Nothing(Grid):
    """A search that proposes nothing."""

    def search(self, image: Tensor) -> Tensor:
        return torch.zeros(0, 4)


def detector(proposer: Any = None, **options: str) -> FastRCNN:
    torch.manual_seed(0)
    model: Any = catalogue.build("fast_rcnn", CLASSES, None, options)
    model.proposer = Grid() if proposer is None else proposer
    model.preparation = replace(model.preparation, longer=128)
    assert isinstance(model, FastRCNN)
    return model.eval()


def picture(seed: int = 0, height: int = 96, width: int = 128) -> tuple[Tensor, Targets]:
    """A grey picture with a red square (class 0) and a blue one (class 1), at random places."""
    draw = torch.Generator().manual_seed(seed)
    image = torch.full((3, height, width), 110, dtype=torch.uint8)
    image += torch.randint(0, 30, image.shape, generator=draw).byte()
    boxes = []
    for label, left in ((0, 0), (1, width // 2)):
        x = left + int(torch.randint(0, width // 2 - 34, (), generator=draw))
        y = int(torch.randint(0, height - 34, (), generator=draw))
        image[:, y : y + 34, x : x + 34] = 20
        image[2 * label, y : y + 34, x : x + 34] = 230
        boxes.append([x, y, x + 34, y + 34])
    crowd = torch.zeros(2, dtype=torch.bool)
    return image, Targets(torch.tensor(boxes, dtype=torch.float32), torch.tensor([0, 1]), crowd)


def test_the_proposals_are_the_search_s_and_searched_once() -> None:
    model = detector()
    image, _ = picture()
    trace = pipeline.run(model, [image, image.flip(2)])
    grid = Grid().search(image)
    assert torch.equal(trace.regions.boxes, torch.cat([grid, grid]))
    assert trace.regions.scores is not None and trace.regions.scores[0] == 1
    again = pipeline.run(model, [image, image.flip(2)])
    assert model.proposer.asked == 2  # type: ignore[attr-defined]
    assert torch.equal(again.scored.scores, trace.scored.scores)


def test_one_look_at_the_image_judges_all_regions() -> None:
    """The features are made before, and without, any region."""
    model = detector()
    batch = model.prepare([picture()[0]])
    features = model.encode(batch)
    regions = model.propose(batch, features)
    some = model.classify(batch, features, regions[torch.tensor([5, 2])])
    every = model.classify(batch, features, regions)
    torch.testing.assert_close(some.scores, every.scores[[5, 2]])
    torch.testing.assert_close(some.boxes, every.boxes[[5, 2]])
    assert every.boxes.shape == (len(regions), 3, 4)


def test_a_quarter_answers_for_objects_and_the_rest_is_near() -> None:
    image, truth = picture()
    boxes = Grid().search(image)
    rows = torch.zeros(len(boxes), dtype=torch.int64)
    regions = Regions(boxes, rows, rows)
    pixels = torch.rand(1, 3, 96, 128)
    chosen, owner = SAMPLED.chosen(regions, [truth], pixels)
    overlap = bx.iou(chosen.boxes, truth.boxes).amax(dim=1)
    assert 0 < (owner >= 0).sum() <= 16 and len(owner) <= 64
    assert (overlap[owner >= 0] >= 0.5).all()
    assert ((overlap[owner < 0] >= 0.1) & (overlap[owner < 0] < 0.5)).all()
    everywhere, owner = replace(SAMPLED, near=0.0).chosen(regions, [truth], pixels)
    assert (bx.iou(everywhere.boxes, truth.boxes).amax(dim=1)[owner < 0] < 0.1).any()
    empty = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0).bool())
    chosen, owner = SAMPLED.chosen(regions, [empty], pixels)
    assert len(owner) == 64 and (owner < 0).all(), "an image without objects is all background"


def test_the_true_boxes_are_among_the_regions() -> None:
    """Even where the search finds nothing, the objects are learnt."""
    model = detector(Nothing()).train()
    image, truth = picture()
    parts = model.loss(model.prepare([image]), [truth])
    assert set(parts) == {"classification", "box"}
    assert parts["classification"].item() == pytest.approx(torch.tensor(4.0).log().item(), rel=0.1)


def test_an_image_teaches_by_other_regions_every_time() -> None:
    model = detector().train()
    image, truth = picture()
    batch = model.prepare([image])
    first, second = (sum(model.loss(batch, [truth]).values()).item() for _ in range(2))  # type: ignore[union-attr]
    assert first != second and int(model.draws) == 2
    state = model.state_dict()
    third = sum(model.loss(batch, [truth]).values()).item()  # type: ignore[union-attr]
    model.load_state_dict({**state, "draws": torch.tensor(2)})
    assert sum(model.loss(batch, [truth]).values()).item() == third  # type: ignore[union-attr]
    model.eval()
    first, second = (sum(model.loss(batch, [truth]).values()).item() for _ in range(2))  # type: ignore[union-attr]
    assert first == second


class Pictures:
    """Labelled pictures at their own size."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Targets]:
        image, truth = picture(index)
        return image.repeat_interleave(2, 1).repeat_interleave(2, 2), replace(
            truth, boxes=2 * truth.boxes
        )


def test_offsets_get_zero_mean_and_unit_variance(tmp_path: Path) -> None:
    model, said = detector(), []
    model.prime(Pictures(12), Desk(tmp_path, 0, said.append))
    assert "offsets of" in said[0] and model.store.folder == tmp_path / "proposals"
    learnt = []
    for index in range(12):
        image, truth = Pictures(12)[index]
        batch = model.prepare([image])
        goals = batch.frames[0].to_prepared(truth.boxes)
        boxes = torch.cat([Grid().search(batch.pixels[0]), goals])
        best, owner = bx.iou(boxes, goals).max(dim=1)
        learnt.append(model.head.encode(goals[owner[best >= 0.5]], boxes[best >= 0.5]))  # type: ignore[operator]
    every = torch.cat(learnt)
    torch.testing.assert_close(every.mean(dim=0), torch.zeros(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(every.std(dim=0), torch.ones(4), rtol=0, atol=1e-4)
    goals, boxes = torch.tensor([[10.0, 20, 50, 70]]), torch.tensor([[15.0, 18, 48, 80]])
    rows = torch.zeros(1, dtype=torch.int64)
    offsets = model.head.encode(goals, boxes)[:, None].expand(1, 3, 4)  # type: ignore[operator]
    back = model.head.decode(offsets, Regions(boxes, rows, rows))  # type: ignore[operator]
    torch.testing.assert_close(back[0], goals.expand(3, 4), rtol=0, atol=1e-3)


def test_what_was_measured_lies_in_the_checkpoint(tmp_path: Path) -> None:
    model = detector()
    model.prime(Pictures(24), Desk())
    checkpoint.write(tmp_path / "one", model.state_dict(), _manifest())
    again: Any = load(tmp_path / "one").detector
    assert torch.equal(again.head.offset_std, model.head.offset_std)
    assert not torch.equal(again.head.offset_std, detector().head.offset_std)


def test_too_little_to_measure_is_said() -> None:
    model, said = detector(Nothing()), []
    model.prime(Pictures(3), Desk(say=said.append))
    assert "too few" in said[0]
    assert torch.equal(model.head.offset_std, torch.tensor([0.1, 0.1, 0.2, 0.2]))
    model.prime(Pictures(0), Desk(say=said.append))


def test_measuring_can_be_stopped() -> None:
    def stop() -> None:
        raise Paused

    with pytest.raises(Paused):
        detector().prime(Pictures(3), Desk(pause=stop))


@pytest.mark.slow
def test_it_learns_and_what_has_no_sample_is_never_found() -> None:
    """Two of three classes have samples: both are found, the third is not."""
    torch.manual_seed(1)
    model = detector(pooling="align")
    model.encoder = Colours()
    model.head = MeasuredHead(
        RegionPooling(method="align", levels=1), TwoLayers(3, hidden=32), 32, 3
    )
    model.prime(Pictures(12), Desk())
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(200):
        pair = [picture(2 * step), picture(2 * step + 1)]
        batch = model.prepare([image for image, _ in pair])
        losses = model.loss(batch, [truth for _, truth in pair])
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    overlaps = []
    for seed in range(1000, 1010):
        image, truth = picture(seed)
        (found,) = pipeline.detect(model, [image])
        assert (found.labels != 2).all()
        for label in (0, 1):
            best = found[found.labels == label].boxes[:1]
            overlaps.append(bx.iou(best, truth.boxes[label : label + 1]).item())
    assert sum(overlaps) / len(overlaps) > 0.75


class Colours(nn.Module):
    """Pixels at a quarter of their resolution, as a map."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 3, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return (nn.functional.avg_pool2d(self.backbone(pixels), 4),)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (70, 1)])
def test_images_of_which_nothing_is_proposed_have_no_answers(size: tuple[int, int]) -> None:
    model = detector(Nothing())
    image = torch.full((3, *size), 7, dtype=torch.uint8)
    trace = pipeline.run(model, [image])
    assert len(trace.regions) == 0 and len(trace.detections[0]) == 0
    assert trace.detections[0].size == size


def test_an_empty_batch_of_regions_has_a_loss_and_gradients() -> None:
    model = detector(Nothing()).train()
    empty = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0).bool())
    total = torch.stack(list(model.loss(model.prepare([picture()[0]]), [empty]).values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert total.item() == 0


def test_the_nearest_layer_of_a_rank() -> None:
    """Eckart–Young: the error is the singular values that are left out; of full rank none is."""
    torch.manual_seed(0)
    layer, x = nn.Linear(60, 24), torch.randn(50, 60)
    values = torch.linalg.svdvals(layer.weight.double())
    for rank in (24, 7, 1):
        two = Truncated.of(layer, rank)
        product = two[1].weight.double() @ two[0].weight.double()  # type: ignore[operator, union-attr]
        error = (product - layer.weight.double()).norm()
        assert error.item() == pytest.approx(values[rank:].norm().item(), abs=1e-5)
    torch.testing.assert_close(Truncated.of(layer, 24)(x), layer(x), rtol=0, atol=1e-5)


def test_the_ranks_of_the_paper() -> None:
    assert ranks(4096) == {"fc6": 1024, "fc7": 256}
    assert ranks(256) == {"fc6": 64, "fc7": 64}


def test_a_compressed_checkpoint_loads(tmp_path: Path) -> None:
    model = detector()
    small = compress(model)
    count = sum(p.numel() for p in small.head.layers.parameters())
    assert 3 * count < sum(p.numel() for p in model.head.layers.parameters())
    assert isinstance(model.head.layers.fc6, nn.Linear), "the one given has been changed"
    manifest = {**_manifest(), "options": {"layers": "svd"}}
    checkpoint.write(tmp_path / "small", small.state_dict(), manifest)
    again: Any = load(tmp_path / "small", score=None).detector
    again.proposer, again.preparation = model.proposer, model.preparation
    image, _ = picture()
    one, other = (pipeline.run(m, [image]).scored for m in (small, again))
    torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=1e-5)
    full = pipeline.run(model, [image]).scored
    assert not torch.equal(one.scores, full.scores)
    assert torch.equal(compress(small).state_dict()["head.layers.fc7.0.weight"],
                       small.state_dict()["head.layers.fc7.0.weight"])  # fmt: skip


def test_copies_share_what_was_searched() -> None:
    model = detector()
    assert compress(model).store is model.store
    assert isinstance(model.store, ProposalStore) and model.store.folder is None


def _manifest() -> dict[str, Any]:
    return {"model": "fast_rcnn_mobilenet_v2", "classes": list(CLASSES)}
