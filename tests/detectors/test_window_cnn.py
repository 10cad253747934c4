"""Sliding windows with a network: window by window and all at once, and what is learnt from."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from skimage import data
from torch import Tensor, nn
from torch.nn import functional as F

from sightline import boxes as bx
from sightline import catalogue, pipeline
from sightline.detectors.window_cnn import WindowCNN, WindowCriterion
from sightline.detectors.windows import WindowGrid, WindowHead, bins_of
from sightline.errors import UsageError
from sightline.matching import Sampler
from sightline.nets.mobilenet import MobileNetV2
from sightline.nets.pyramids import Stack
from sightline.nets.resnet import resnet18
from sightline.nets.vgg import VGG16
from sightline.preparation import Preparation
from sightline.suppress import Selection
from sightline.types import Batch, Frame, Targets

CLASSES = ("cat", "dog")


def photo(height: int, width: int) -> Tensor:
    pixels: Any = data.astronaut  # it has no types
    return torch.from_numpy(pixels()[:height, :width].copy()).permute(2, 0, 1).contiguous()


def loud(backbone: nn.Module) -> nn.Module:
    """Random norms that keep activations alive, so that a cell tells what it saw."""
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None and module.running_mean is not None
            module.running_var.uniform_(0.05, 0.3)
            module.running_mean.normal_(0, 0.1)
            nn.init.uniform_(module.bias, 0, 0.3)
    return backbone


def small(backbone: nn.Module, strides: tuple[int, ...], longer: int = 480) -> WindowCNN:
    """Three small shapes, so that crops are much smaller than their image."""
    torch.manual_seed(0)
    windows = WindowGrid((32.0,))
    encoder = Stack(loud(backbone), strides, 32)
    head = WindowHead(32, len(CLASSES), windows.shapes)
    nn.init.normal_(head.parts.weight, std=0.1)
    nn.init.normal_(head.bias)
    prepare = Preparation(shorter=None, longer=longer)
    criterion, selection = WindowCriterion(), Selection(score=0.05, iou=0.3)
    model = WindowCNN(CLASSES, encoder, windows, head, prepare, criterion, selection)
    model.eval()
    with torch.no_grad():  # a softmax of large logits would hide what differs
        cells = model.encode(model.prepare([photo(200, 320)]))[0]
        head.parts.weight *= 2 / head(cells).std()
    return model


def test_the_windows_of_the_course() -> None:
    """1024 × 768 pixels, stride 8: 128 × 96 windows of one size, 184,320 of 5 sizes × 3 ratios."""
    windows = WindowGrid()
    boxes, level = windows.boxes((96, 128))
    assert len(boxes) == 184_320
    assert level.bincount().tolist() == [12_288] * 15
    one = boxes[level == 4].view(96, 128, 4)
    assert torch.equal(one[1:] - one[:-1], torch.tensor([0.0, 8, 0, 8]).expand(95, 128, 4))
    assert torch.equal(one[:, 1:] - one[:, :-1], torch.tensor([8.0, 0, 8, 0]).expand(96, 127, 4))
    sides = one[0, 0, 2:] - one[0, 0, :2]
    assert sides.tolist() == [56.0, 56.0]
    cells = bx.centres(one)
    assert torch.equal(cells[0, 0], torch.tensor([4.0, 4.0]))


def test_shapes_are_whole_cells_of_about_the_size() -> None:
    for (height, width), (size, ratio) in zip(
        WindowGrid().shapes,
        [(s, r) for s in (32, 56, 100, 176, 304) for r in (0.5, 1, 2)],
        strict=True,
    ):
        assert height >= 3 and width >= 3
        assert 8 * (height * width) ** 0.5 == pytest.approx(size, rel=0.1)
        assert height / width == pytest.approx(ratio, rel=0.25)


@pytest.mark.parametrize("bins", [1, 2, 3, 4])
def test_bins_cover_their_cells(bins: int) -> None:
    for cells in range(bins, 40):
        step, length = bins_of(cells, bins)
        covered = {k * step + i for k in range(bins) for i in range(length)}
        assert covered == set(range(cells))


def test_part_scores_are_the_template_of_the_means() -> None:
    """The definition in a loop: means of the bins first, one weight a bin and channel."""
    torch.manual_seed(0)
    head = WindowHead(5, 2, ((4, 7), (8, 3))).double()
    nn.init.normal_(head.bias)
    cells = torch.randn(2, 5, 10, 9, dtype=torch.float64)
    dense = head(cells)
    assert dense.shape == (2, 2 * 90, 3)
    for number, (height, width) in enumerate(head.shapes):
        # column of bins, output, row of bins, channel
        weight = head.parts.weight.view(2, 3, 3, 3, 5)[number]
        above, left = (height - 1) // 2, (width - 1) // 2
        around = F.pad(cells, (left, width, above, height))
        (down, tall), (right, wide) = bins_of(height, 3), bins_of(width, 3)
        for y, x in ((0, 0), (3, 4), (9, 8), (0, 8), (5, 2)):
            total = head.bias[number].expand(2, 3)
            for k in range(3):
                for j in range(3):
                    top, start = y + k * down, x + j * right
                    mean = around[:, :, top : top + tall, start : start + wide].mean(dim=(2, 3))
                    total = total + mean @ weight[j, :, k].T
            row = number * 90 + y * 9 + x
            # the head's sums are in single precision
            torch.testing.assert_close(dense[:, row].double(), total, rtol=0, atol=1e-5)


BACKBONES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "mobilenet": (MobileNetV2, (8, 16), 480),
    "mobilenet at stride 8": (MobileNetV2, (8,), 320),
    "mobilenet at three strides": (MobileNetV2, (8, 16, 32), 640),
    "resnet": (resnet18, (8, 16), 480),
    "vgg": (lambda: VGG16((4, 5)), (8, 16), 320),
}


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet",
        "mobilenet at stride 8",
        "resnet",
        pytest.param("mobilenet at three strides", marks=pytest.mark.slow),
        pytest.param("vgg", marks=pytest.mark.slow),
    ],
)
def test_window_by_window_and_all_at_once(name: str) -> None:
    """The same scores to 1e-5, at the corners, on the borders and inside, one or several crops."""
    make, strides, longer = BACKBONES[name]
    model = small(make(), strides, longer)
    image = photo(300, 512)
    trace = pipeline.run(model, [image, image.flip(-1)])
    regions, dense = trace.regions, trace.scored.scores
    assert dense.std() > 0.03  # there is something to compare
    draw = torch.Generator().manual_seed(0)
    some = torch.randperm(len(regions), generator=draw)[:6]
    width = trace.features[0].shape[3]
    chosen = torch.cat([some, torch.tensor([0, width - 1, len(regions) - 1])])
    alone = model.classify_windows(trace.batch, regions[chosen])
    assert torch.equal(alone.boxes, regions.boxes[chosen])
    assert (alone.scores - dense[chosen]).abs().max() < 1e-5
    several = model.classify_windows(trace.batch, regions[chosen], at_once=4)
    assert (several.scores - alone.scores).abs().max() < 1e-5


def test_crops_are_small_and_need_their_margin() -> None:
    model = small(MobileNetV2(), (8, 16))
    trace = pipeline.run(model, [photo(480, 480)])
    middle = torch.tensor([30 * 60 + 30, 60 * 60 + 28 * 60 + 33])
    regions = trace.regions[middle]
    _, size = model._crops(regions.boxes[:1, :2].long(), 0, trace.batch.size)
    assert max(size) < 400
    exact = model.classify_windows(trace.batch, regions)
    assert (exact.scores - trace.scored.scores[middle]).abs().max() < 1e-5
    model.margin = 32
    short = model.classify_windows(trace.batch, regions)
    assert (short.scores - trace.scored.scores[middle]).abs().max() > 1e-4


def test_no_region_is_no_score() -> None:
    model = small(MobileNetV2(), (8,))
    trace = pipeline.run(model, [photo(64, 96)])
    none = model.classify_windows(trace.batch, trace.regions[torch.zeros(0).long()])
    assert none.scores.shape == (0, 2)
    with pytest.raises(UsageError, match="at_once is 0"):
        model.classify_windows(trace.batch, trace.regions, at_once=0)


def test_a_backbone_without_such_a_stride() -> None:
    with pytest.raises(ValueError, match="maps of strides"):
        Stack(VGG16((5,)), (8, 16))


def test_windows_smaller_than_their_bins() -> None:
    with pytest.raises(ValueError, match="3 bins"):
        WindowHead(4, 1, ((2, 5),))


def learnt(
    logits: Tensor, truth: Targets, hard: int, count: int = 4
) -> tuple[Tensor, WindowCriterion, Any]:
    windows = torch.tensor(
        [[0.0, 0, 10, 10], [0, 0, 10, 12], [40, 40, 50, 50], [60, 60, 70, 70], [-10, 80, 10, 100]]
    )
    criterion = WindowCriterion(sampler=Sampler(count, 0.5), hard=hard)
    batch = Batch(torch.zeros(1, 3, 100, 100), (Frame((100, 100), (100, 100)),))
    call = (logits, windows, torch.zeros(5).long(), batch, [truth])
    return criterion(*call)["classification"], criterion, call


def test_a_window_is_what_it_overlaps_most() -> None:
    """IoU 1 and 0.83 with the cat; the last window is cut at the border, then it is the dog."""
    truth = Targets(
        torch.tensor([[0.0, 0, 10, 10], [0, 80, 10, 100]]),
        torch.tensor([0, 1]),
        torch.zeros(2).bool(),
    )
    logits = torch.zeros(1, 5, 3, requires_grad=True)
    loss, _, _ = learnt(logits, truth, hard=0, count=10)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0].argmin(dim=1).tolist() == [0, 0, 2, 2, 1]
    assert loss.item() == pytest.approx(torch.tensor(3.0).log().item())


def test_the_best_windows_of_an_object_are_learnt_from() -> None:
    """The second overlaps the cat by 0.83: no window to learn from where one does."""
    truth = Targets(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0]), torch.zeros(1).bool())
    _, criterion, call = learnt(torch.zeros(1, 5, 3), truth, hard=0, count=10)
    logits = torch.zeros(1, 5, 3, requires_grad=True)
    replace(criterion, best=1)(logits, *call[1:])["classification"].backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[0].abs().sum(dim=1) > 0).tolist() == [True, False, True, True, True]


def test_the_worst_false_positive_is_mined() -> None:
    truth = Targets(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).bool())
    logits = torch.zeros(1, 5, 3)
    logits[0, 3] = torch.tensor([4.0, 0, 0])
    logits.requires_grad_()
    loss, _, _ = learnt(logits, truth, hard=1, count=0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad[0].abs().sum(dim=1) > 0).tolist() == [False, False, False, True, False]
    assert loss.item() == pytest.approx(-torch.tensor([4.0, 0, 0]).log_softmax(0)[2].item())


def test_classes_count_what_they_are_told() -> None:
    truth = Targets(torch.tensor([[40.0, 40, 50, 50]]), torch.tensor([1]), torch.zeros(1).bool())
    loss, criterion, call = learnt(torch.zeros(1, 5, 3), truth, hard=0, count=10)
    weighted = replace(criterion, weights=(1.0, 6.0))
    assert weighted(*call)["classification"].item() == pytest.approx(loss.item() * 2)


def test_the_catalogue_has_it() -> None:
    assert catalogue.resolve("window_cnn") == "window_cnn_mobilenet_v2"
    model: Any = catalogue.build("window_cnn", ["a"])
    assert model.head.bias.shape == (15, 2)
