"""YOLO v1: cells, who is responsible, every term of the loss by hand, and what its parts say."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightline import boxes as bx
from sightline import catalogue, pipeline
from sightline.detectors.yolo_v1 import (
    Answers,
    Grid,
    GridCriterion,
    YoloV1,
    paper,
    responsible,
)
from sightline.errors import UsageError
from sightline.matching import BACKGROUND, IGNORED
from sightline.nets.yolo_v1 import DARKNET, FAST, CellConvolutions, Convolutions, FullyConnected
from sightline.types import Targets

SIZE = (40, 80)
"""Of the examples: height 40, width 80, so that cells of a 2 × 2 grid have 40 × 20 pixels."""

TWO = Grid(side=2, boxes=2)


def truth(
    *boxes: list[float], labels: list[int] | None = None, crowd: int | None = None
) -> Targets:
    """Objects, of which number `crowd` is a crowd."""
    count = len(boxes)
    crowds = torch.arange(count) == (-1 if crowd is None else crowd)
    return Targets(
        torch.tensor(boxes).view(-1, 4).float(), torch.tensor(labels or [0] * count).long(), crowds
    )


def silent(images: int = 1, classes: int = 2, grid: Grid = TWO) -> Tensor:
    """Outputs of 0 everywhere."""
    return torch.zeros(images, grid.side, grid.side, 5 * grid.boxes + classes)


def losses(outputs: Tensor, *targets: Targets, **kind: float) -> dict[str, float]:
    found = GridCriterion(**kind)(Answers.of(outputs, 2), targets, TWO, SIZE)  # type: ignore[arg-type]
    return {name: value.item() for name, value in found.items()}


def test_regions_are_the_cells_and_tell_them() -> None:
    regions = TWO.regions(SIZE, images=2)
    assert len(regions) == 2 * 2 * 2 * 2
    assert regions.boxes[:4].tolist() == [[0, 0, 40, 20]] * 2 + [[40, 0, 80, 20]] * 2
    assert regions.boxes[6].tolist() == [40, 20, 80, 40]
    assert regions.image.tolist() == [0] * 8 + [1] * 8


def test_which_cell_a_centre_lies_in() -> None:
    points = torch.tensor([[39.9, 5], [40.0, 5], [10, 20], [80, 40], [-3, 99]])
    assert TWO.cell_of(points, SIZE).tolist() == [0, 1, 2, 3, 2]


def test_one_object_a_cell_the_first() -> None:
    """Centres (20, 10), (30, 15), (60, 30): the second shares its cell with the first."""
    boxes = [[10.0, 5, 30, 15], [20.0, 10, 40, 20], [50.0, 25, 70, 35]]
    assert TWO.owners(truth(*boxes), SIZE).tolist() == [0, BACKGROUND, BACKGROUND, 2]
    assert TWO.owners(truth(*reversed(boxes)), SIZE).tolist() == [1, BACKGROUND, BACKGROUND, 0]


def test_the_second_object_of_a_cell_teaches_nothing() -> None:
    torch.manual_seed(0)
    outputs = torch.randn(1, 2, 2, 12)
    first, second = [10.0, 5, 30, 15], [20.0, 10, 40, 20]
    alone = losses(outputs, truth(first, labels=[1]))
    assert losses(outputs, truth(first, second, labels=[1, 0])) == alone
    assert losses(outputs, truth(second, first, labels=[0, 1])) != alone


def test_nothing_is_learnt_of_a_crowd() -> None:
    """A crowd over the left half: its cells need not be empty, an object in them counts."""
    crowd, own = [0.0, 0, 40, 40], [10.0, 5, 30, 15]
    assert TWO.owners(truth(crowd, crowd=0), SIZE).tolist() == [IGNORED, -1, IGNORED, -1]
    assert TWO.owners(truth(own, crowd, crowd=1), SIZE).tolist() == [0, -1, IGNORED, -1]
    outputs = silent()
    outputs[..., [4, 9]] = 1.0  # eight confidences of 1
    assert losses(outputs, truth())["background"] == 0.5 * 8
    assert losses(outputs, truth(crowd, crowd=0))["background"] == 0.5 * 4


def test_answers_are_boxes_of_their_cells() -> None:
    """Cell (1, 0): x ½, y ¼, √w ½, √h 1 is a box of 20 × 40 pixels around (20, 25)."""
    outputs = silent()
    outputs[0, 1, 0, 5:9] = torch.tensor([0.5, 0.25, 0.5, 1.0])
    assert Answers.of(outputs, 2).boxes(SIZE)[0, 1, 0, 1].tolist() == [10, 5, 30, 45]
    outputs[0, 1, 0, 7:9] = torch.tensor([-3.0, 1e30])  # what no box has
    assert Answers.of(outputs, 2).boxes(SIZE)[0, 1, 0, 1].tolist() == [20, 5, 20, 45]


def test_the_five_terms_by_hand() -> None:
    """One object of 20 × 10 pixels around (30, 15), class 1, so cell 0 with
    x = 30/40 = ¾, y = 15/20 = ¾, √w = √(20/80) = ½, √h = √(10/40) = ½.

    Box 0 says (¾, ¼, ½, 1): 20 × 40 pixels around (30, 5), so y from −15 to 25. It covers the
    object whole: IoU = 200 / 800 = ¼. Box 1 says (¼, ¾, ½, ½): 20 × 10 around (10, 15), which
    touches the object at x = 20: IoU 0. Box 0 is responsible.
    """
    outputs = silent()
    outputs[0, 0, 0] = torch.tensor(
        [0.75, 0.25, 0.5, 1.0, 0.65, 0.25, 0.75, 0.5, 0.5, 0.3, 0.4, 0.8]
    )
    outputs[0, 1, 1, 4] = 0.2
    found = losses(outputs, truth([20, 10, 40, 20], labels=[1]))
    assert found == pytest.approx(
        {
            "centre": 5 * (0.0**2 + 0.5**2),
            "size": 5 * (0.0**2 + 0.5**2),
            "object": (0.65 - 0.25) ** 2,
            "background": 0.5 * (0.3**2 + 0.2**2),
            "classes": 0.4**2 + (0.8 - 1) ** 2,
        }
    )
    found = losses(outputs, truth([20, 10, 40, 20], labels=[1]), coord=1.0, noobj=2.0)
    assert (found["centre"], found["background"]) == pytest.approx((0.25, 0.26))


def test_roots_make_small_boxes_count_more() -> None:
    """Four pixels too wide cost a box of 1 pixel ten times what they cost one of 60."""
    small, large = ((math.sqrt(a / 80) - math.sqrt((a + 4) / 80)) ** 2 for a in (1, 60))
    for width, cost in ((1.0, small), (60.0, large)):
        outputs = silent()
        outputs[0, 0, 0, 2] = math.sqrt((width + 4) / 80)
        outputs[0, 0, 0, 3] = math.sqrt(10 / 40)
        outputs[0, 0, 0, :2] = 0.5
        at = [20 - width / 2, 5, 20 + width / 2, 15]
        assert losses(outputs, truth(at))["size"] == pytest.approx(5 * cost, rel=1e-4)
    assert small > 10 * large


def test_losses_are_means_over_the_images() -> None:
    torch.manual_seed(1)
    outputs = torch.randn(2, 2, 2, 12)
    both = (truth([20, 10, 40, 20]), truth())
    alone = [losses(outputs[i : i + 1], both[i]) for i in (0, 1)]
    for name, value in losses(outputs, *both).items():
        assert value == pytest.approx((alone[0][name] + alone[1][name]) / 2)


def test_the_first_of_equal_boxes_is_responsible_and_the_nearest_where_none_meets() -> None:
    goal = torch.tensor([[20.0, 10, 40, 20]])
    wanted = GridCriterion.encode(goal, torch.tensor([0]), TWO, SIZE)
    assert wanted.tolist() == [[0.75, 0.75, 0.5, 0.5]]
    same = wanted[:, None].repeat(1, 2, 1)
    best, overlap = responsible(same, wanted, goal[:, None].repeat(1, 2, 1), goal)
    assert best.tolist() == [0] and overlap.tolist() == [1]
    far = torch.tensor([[[0.0, 0, 1, 1], [60.0, 30, 61, 31]]])
    said = torch.tensor([[[-9.0, 0.75, 0.5, 0.5], [0.75, 0.0, 0.4, 0.5]]])
    best, overlap = responsible(said, wanted, far, goal)
    assert best.tolist() == [1] and overlap.tolist() == [0]


def test_weights_count_the_classes_of_cells() -> None:
    outputs = silent()
    outputs[0, 0, 0, 10:] = torch.tensor([0.5, 0.0])
    target = truth([20, 10, 40, 20], [50, 25, 70, 35], labels=[0, 1])
    plain = losses(outputs, target)
    heavy = losses(outputs, target, weights=(3.0, 1.0))  # type: ignore[arg-type]
    assert plain["classes"] == 0.25 + 1 and heavy["classes"] == 3 * 0.25 + 1
    assert {**plain, "classes": 0} == {**heavy, "classes": 0}


boxes_of = st.lists(
    st.tuples(*[st.floats(0, 1, width=32)] * 2, *[st.floats(1 / 64, 1, width=32)] * 2),
    max_size=6,
)


def drawn(rows: list[tuple[float, ...]]) -> Targets:
    """Objects by share of the image: centre and sides, cut to it."""
    middle = torch.tensor(rows).view(-1, 4) * torch.tensor([80.0, 40, 80, 40])
    corners = torch.cat([middle[:, :2] - middle[:, 2:] / 2, middle[:, :2] + middle[:, 2:] / 2], 1)
    boxes = bx.clip(corners, SIZE)
    return Targets(boxes, torch.arange(len(rows)) % 2, torch.zeros(len(rows)).bool())


@settings(max_examples=25)
@given(boxes_of, st.integers(1, 9))
def test_a_goal_said_exactly_is_the_box(rows: list[tuple[float, ...]], side: int) -> None:
    """Encode, say it, decode: the object's box again, whatever the grid; and its cell is right."""
    target, grid = drawn(rows), Grid(side, 1)
    cell = grid.cell_of(bx.centres(target.boxes), SIZE)
    wanted = GridCriterion.encode(target.boxes, cell, grid, SIZE)
    assert ((wanted >= -1e-5) & (wanted <= 1 + 1e-5)).all()
    for row in range(len(rows)):
        outputs = silent(grid=grid)
        outputs[0, int(cell[row]) // side, int(cell[row]) % side, :4] = wanted[row]
        said = Answers.of(outputs, 1).boxes(SIZE).view(-1, 4)[cell[row]]
        torch.testing.assert_close(said, target.boxes[row], rtol=0, atol=1e-3)


@settings(max_examples=25)
@given(boxes_of, st.integers(0, 1000), st.sampled_from([0.1, 1.0, 50.0, 1e4]))
def test_losses_and_gradients_are_finite_whatever_is_said(
    rows: list[tuple[float, ...]], seed: int, spread: float
) -> None:
    outputs = torch.randn(1, 2, 2, 12, generator=torch.Generator().manual_seed(seed)) * spread
    outputs.requires_grad_()
    found = GridCriterion()(Answers.of(outputs, 2), [drawn(rows)], TWO, SIZE)
    sum(found.values()).backward()  # type: ignore[union-attr]
    assert all(value >= 0 and value.isfinite() for value in found.values())
    assert outputs.grad is not None and outputs.grad.isfinite().all()


@settings(max_examples=25)
@given(boxes_of, st.permutations(range(6)))
def test_order_decides_within_a_cell_only(rows: list[tuple[float, ...]], order: list[int]) -> None:
    target = drawn(rows)
    kept = [i for i in order if i < len(rows)]
    other = Targets(target.boxes[kept], target.labels[kept], target.crowd[kept])
    busy, again = (TWO.owners(t, SIZE) for t in (target, other))
    assert torch.equal(busy >= 0, again >= 0)
    cells = TWO.cell_of(bx.centres(target.boxes), SIZE).tolist()
    for cell, row in enumerate(busy.tolist()):
        assert row == (cells.index(cell) if cell in cells else BACKGROUND)


def test_the_paper_counts_its_layers() -> None:
    """24 and 9 convolutions, a stride of 64, 7 × 7 × 30 outputs for the 20 classes of VOC."""
    for stages, count in ((DARKNET, 24), (FAST, 9)):
        with torch.device("meta"):
            net = Convolutions(stages)
        found = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
        assert len(found) == count and net.strides == (64,) and net.channels == (1024,)
        assert net(torch.empty(1, 3, 448, 448, device="meta"))[0].shape == (1, 1024, 7, 7)
    with torch.device("meta"):
        head = FullyConnected(1024, 7, 7, 30)
    assert head(torch.empty(2, 1024, 7, 7, device="meta")).shape == (2, 7, 7, 30)
    assert sum(p.numel() for p in head.parameters()) == 1024 * 49 * 4096 + 4096 + 4097 * 1470
    leaky = {m.negative_slope for m in net.modules() if isinstance(m, torch.nn.LeakyReLU)}
    assert leaky == {0.1} and head.dropout.p == 0.5


def test_stages_can_be_frozen() -> None:
    net = Convolutions((((3, 4, 1),), ((3, 8, 2),)))
    net.freeze(1)
    assert [p.requires_grad for p in net.parameters()] == [False, False, True, True]


@pytest.fixture(scope="module")
def tiny() -> YoloV1:
    """The paper's scheme in small: three grids' worth of choices are free."""
    torch.manual_seed(0)
    stages = (((3, 8, 2),), ((3, 16, 2), (3, 16, 2)))
    return paper(("cat", "dog", "owl"), stages, (32,), Grid(side=3, boxes=4), 64).eval()


def test_any_grid_boxes_and_classes(tiny: YoloV1) -> None:
    trace = pipeline.run(tiny, [torch.randint(0, 256, (3, 40, 90), dtype=torch.uint8)])
    assert trace.scored.scores.shape == (3 * 3 * 4, 3)
    assert trace.scored.boxes.shape == (36, 4)


def test_the_trace_holds_the_grid(tiny: YoloV1) -> None:
    """Scores are confidence × class probability of the region's own cell, both cut to 0 … 1."""
    picture = torch.randint(0, 256, (3, 40, 90), dtype=torch.uint8)
    trace = pipeline.run(tiny, [picture, picture.flip(-1)])
    extras = trace.scored.extras
    assert extras["class_map"].shape == (2, 3, 3, 3)
    for row in (0, 5, 35, 36, 71):
        line, column = extras["cell"][row].tolist()
        image = int(trace.regions.image[row])
        corner = trace.regions.boxes[row, :2] / torch.tensor(trace.batch.size).flip(0)
        assert (corner * 3).round().tolist() == [column, line]
        sure = extras["confidence"][row].clamp(0, 1)
        expected = sure * extras["class_map"][image, line, column].clamp(0, 1)
        assert torch.equal(trace.scored.scores[row], expected)
    moved = trace.scored.to("cpu")
    assert set(moved.extras) == {"confidence", "class_map", "cell"}


def test_two_negative_outputs_are_no_score(tiny: YoloV1) -> None:
    trace = pipeline.run(tiny, [torch.zeros(3, 40, 90, dtype=torch.uint8)])
    outputs = torch.full((1, 3, 3, 23), -5.0)
    tiny_head, tiny.head = tiny.head, torch.nn.Identity()  # type: ignore[assignment]
    try:
        scored = tiny.classify(trace.batch, (outputs,), trace.regions)
    finally:
        tiny.head = tiny_head
    assert scored.scores.abs().max() == 0


def test_another_size_of_image_is_refused_in_words(tiny: YoloV1) -> None:
    batch = tiny.prepare([torch.zeros(3, 40, 90, dtype=torch.uint8)])
    small = replace(batch, pixels=batch.pixels[:, :, :32, :32])
    with pytest.raises(UsageError, match="4 × 4 cells, not 2 × 2") as caught:
        tiny.loss(small, [truth()])
    assert caught.value.code == "usage.shape" and "--size" in (caught.value.hint or "")


def test_it_starts_from_boxes_in_the_middle_of_their_cells() -> None:
    """Before any step: B sizes, little confidence, so no loss is large, and none needs luck."""
    torch.manual_seed(0)
    model = catalogue.build("yolo_v1", ["cat", "dog"]).eval()  # type: ignore[attr-defined]
    trace = pipeline.run(model, [torch.randint(0, 256, (3, 100, 150), dtype=torch.uint8)])
    away = bx.centres(trace.scored.boxes) - bx.centres(trace.regions.boxes)
    assert away.abs().max() < 0.1 * 32
    sides = (trace.scored.boxes[:, 2:] - trace.scored.boxes[:, :2]) / 224
    torch.testing.assert_close(sides[0::2], torch.full((49, 2), 1 / 9), rtol=0, atol=0.03)
    torch.testing.assert_close(sides[1::2], torch.full((49, 2), 4 / 9), rtol=0, atol=0.06)
    assert (trace.scored.extras["confidence"] - 0.1).abs().max() < 0.1


@pytest.mark.parametrize(("side", "pixels"), list(itertools.product((3, 7), (64, 96))))
def test_convolutions_answer_for_any_grid_at_any_size(side: int, pixels: int) -> None:
    head = CellConvolutions(8, side, 11, width=4)
    assert head(torch.randn(2, 8, pixels // 32, pixels // 16)).shape == (2, side, side, 11)


def test_at_its_own_size_no_cell_is_averaged() -> None:
    head = CellConvolutions(8, 7, 11, width=4)
    x = torch.randn(1, 8, 14, 14)
    assert torch.equal(head.pool(x), x)


@pytest.mark.parametrize("spread", [1e-3, 10.0])
def test_one_cell_learns_its_object_from_anywhere(spread: float) -> None:
    """By gradient steps on the outputs alone, from small and from wild ones: a sum of squares is
    soon at its bottom, whatever the roots are at the start.
    """
    outputs = torch.randn(1, 2, 2, 12, generator=torch.Generator().manual_seed(3)) * spread
    outputs.requires_grad_()
    target, optimizer = truth([20, 10, 40, 20], labels=[1]), torch.optim.SGD([outputs], lr=0.09)
    for _ in range(30):
        total = sum(GridCriterion()(Answers.of(outputs, 2), [target], TWO, SIZE).values())
        optimizer.zero_grad()
        total.backward()  # type: ignore[union-attr]
        optimizer.step()
    answers = Answers.of(outputs.detach(), 2)
    best = int(answers.confidence[0, 0, 0].argmax())
    found = answers.boxes(SIZE)[0, 0, 0, best]
    assert bx.iou(found[None], target.boxes).item() > 0.95
    assert answers.confidence[0, 0, 0, best] > 0.95
    assert answers.classes[0, 0, 0].argmax() == 1
