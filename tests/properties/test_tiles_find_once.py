"""Whatever lies where it may: tiles find every drawn rectangle exactly once.

The fake detector sees perfectly: of every rectangle of an image it gives the part that the image
shows. Rectangles are drawn with a colour of their own, so that it finds them in pixels, as a real
detector would, with no knowledge of where the tile lies.
"""

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightline import boxes as bx
from sightline.tiles import Tiling, detect, grid
from sightline.types import Detections

CLASSES = ("thing", "other")


def answer(rows: list[tuple[list[float], float, int]], size: tuple[int, int]) -> Detections:
    return Detections(
        torch.tensor([box for box, _, _ in rows]).view(-1, 4),
        torch.tensor([score for _, score, _ in rows]),
        torch.tensor([label for _, _, label in rows], dtype=torch.int64),
        torch.arange(len(rows)),
        size,
        CLASSES,
    )


def see(image: Tensor, smallest: float = 0.0, largest: float = float("inf")) -> Detections:
    """Every colour but black as one box; those of the wrong size for this view are overlooked."""
    rows: list[tuple[list[float], float, int]] = []
    ids = image[0].long() + 256 * image[1].long()
    for value in ids.unique().tolist():
        if value:
            ys, xs = (ids == value).nonzero().unbind(1)
            x1, y1 = float(xs.min()), float(ys.min())
            x2, y2 = float(xs.max()) + 1, float(ys.max()) + 1
            if smallest <= max(x2 - x1, y2 - y1) <= largest:
                score = 0.5 + 0.5 * ((value * 7919) % 997) / 997
                rows.append(([x1, y1, x2, y2], score, value % 2))
    rows.sort(key=lambda row: -row[1])
    return answer(rows, (image.shape[1], image.shape[2]))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """An image, the boxes of its rectangles (apart by at least a pixel), and their classes."""
    height, width = draw(st.integers(40, 330)), draw(st.integers(40, 330))
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    boxes: list[list[int]] = []
    labels: list[int] = []
    for value in range(1, draw(st.integers(1, 14)) + 1):
        x, y = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
        w, h = draw(st.integers(2, 220)), draw(st.integers(2, 220))
        box = [x, y, min(width, x + w), min(height, y + h)]
        if not image[:, max(0, y - 1) : box[3] + 1, max(0, x - 1) : box[2] + 1].any():
            image[0, y : box[3], x : box[2]] = value
            boxes.append(box)
            labels.append(value % 2)
    return image, torch.tensor(boxes, dtype=torch.float32), torch.tensor(labels)


def check(found: Detections, boxes: Tensor, labels: Tensor) -> None:
    assert len(found) == len(boxes)
    overlap, best = bx.iou(boxes, found.boxes).max(dim=1)
    assert overlap.min() == 1.0
    assert found.labels[best].tolist() == labels.tolist()
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


TILING = Tiling(size=96, overlap=0.25)


@given(scenes())
@settings(max_examples=150, deadline=None)
def test_every_rectangle_once_when_the_whole_view_finds_all(
    scene: tuple[Tensor, Tensor, Tensor],
) -> None:
    image, boxes, labels = scene
    check(detect(lambda images: [see(x) for x in images], image, TILING), boxes, labels)


@given(scenes())
@settings(max_examples=150, deadline=None)
def test_every_rectangle_once_when_the_whole_view_finds_only_the_large(
    scene: tuple[Tensor, Tensor, Tensor],
) -> None:
    image, boxes, labels = scene
    find = [lambda x: see(x, smallest=25.0), see]

    def views(images: list[Tensor]) -> list[Detections]:
        return [find[min(i, 1)](x) if len(images) > 1 else see(x) for i, x in enumerate(images)]

    check(detect(views, image, TILING), boxes, labels)


@given(scenes())
@settings(max_examples=150, deadline=None)
def test_every_rectangle_once_when_the_whole_view_finds_nothing(
    scene: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Then things larger than a tile are put together from their parts."""
    image, boxes, labels = scene

    def views(images: list[Tensor]) -> list[Detections]:
        lost = len(images) > 1
        return [see(x, smallest=1e9 if lost and i == 0 else 0.0) for i, x in enumerate(images)]

    check(detect(views, image, TILING), boxes, labels)


@given(
    st.one_of(
        st.tuples(st.integers(1, 9_000), st.integers(1, 9_000)),
        st.tuples(st.integers(1, 300), st.integers(30_000, 300_000)),
        st.tuples(st.integers(30_000, 300_000), st.integers(1, 300)),
    ),
    st.integers(32, 1_000),
    st.floats(0, 0.75),
)
@settings(max_examples=300, deadline=None)
def test_tiles_cover_the_image_and_stay_few(
    size: tuple[int, int], side: int, overlap: float
) -> None:
    tiling = Tiling(side, overlap, limit=100)
    views = grid(size, tiling)
    assert 1 <= len(views) <= 100
    for low, high, length in ((0, 2, size[1]), (1, 3, size[0])):
        spans = sorted({(view[low], view[high]) for view in views})
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert len({b - a for a, b in spans}) == 1
        for (_, end), (start, _) in itertools.pairwise(spans):
            grown = spans[0][1] - spans[0][0]
            assert end - start >= round(grown * overlap) - 1
