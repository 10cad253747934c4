"""The rule at the seams, case by case, on two tiles of 100 pixels that share 20."""

import pytest
import torch

from sightline.errors import UsageError
from sightline.tiles import Tiling, detect, merge
from sightline.types import Detections

SIZE = (100, 180)
VIEWS = [(0, 0, 180, 100), (0, 0, 100, 100), (80, 0, 180, 100)]
TILING = Tiling(size=100, overlap=0.2)


def view(*rows: tuple[float, float, float, float, float], label: int = 0) -> Detections:
    values = torch.tensor(rows, dtype=torch.float32).view(-1, 5)
    return Detections(
        values[:, :4],
        values[:, 4],
        torch.full((len(rows),), label),
        torch.arange(len(rows)) + 10,
        (100, 100),
        ("a", "b"),
    )


def test_a_fragment_never_beats_the_thing_itself() -> None:
    found = merge(
        [view(), view((60, 10, 100, 50, 0.9)), view((2, 10, 30, 50, 0.6), (-20, 10, 30, 50, 0.5))],
        VIEWS,
        SIZE,
        TILING,
    )
    # the second tile's first box is a fragment too; together they are the thing from 60 to 110
    assert found.boxes.tolist() == [[60, 10, 110, 50]]
    whole = merge(
        [view((58, 9, 111, 52, 0.4)), view((60, 10, 100, 50, 0.9)), view((0, 10, 30, 50, 0.8))],
        VIEWS,
        SIZE,
        TILING,
    )
    assert whole.boxes.tolist() == [[58, 9, 111, 52]]
    assert whole.scores.tolist() == pytest.approx([0.4])


def test_a_small_thing_on_a_large_one_stays() -> None:
    found = merge(
        [view((10, 5, 170, 95, 0.8)), view((60, 40, 70, 50, 0.7)), view()], VIEWS, SIZE, TILING
    )
    assert len(found) == 2


def test_classes_do_not_meet() -> None:
    found = merge(
        [view(), view((40, 10, 70, 50, 0.7)), view((-40, 10, -10, 50, 0.6), label=1)],
        VIEWS,
        SIZE,
        TILING,
    )
    assert found.labels.tolist() == [0, 1]


def test_one_view_is_left_to_the_detector() -> None:
    twice = view((10, 10, 30, 50, 0.9), (11, 10, 31, 50, 0.8))
    assert len(merge([view(), twice, view()], VIEWS, SIZE, TILING)) == 2


def test_equal_scores_keep_the_first() -> None:
    found = merge(
        [view((20, 10, 50, 50, 0.5)), view((21, 10, 51, 50, 0.5)), view()], VIEWS, SIZE, TILING
    )
    assert found.boxes.tolist() == [[20, 10, 50, 50]]
    assert found.region.tolist() == [10]


def test_masks_and_keypoints_move_with_their_boxes() -> None:
    def with_parts(found: Detections, width: int) -> Detections:
        from dataclasses import replace

        masks = torch.zeros(len(found), 100, width, dtype=torch.bool)
        points = torch.zeros(len(found), 2, 3)
        for mask, point, box in zip(masks, points, found.boxes.long().tolist(), strict=True):
            mask[box[1] : box[3], max(0, box[0]) : box[2]] = True
            point[0] = torch.tensor([box[0] + 1.0, 20.0, 0.1 + box[0] / 1000])
            point[1] = torch.tensor([box[2] - 1.0, 30.0, 0.5 + box[0] / 1000])
        return replace(found, masks=masks, keypoints=points)

    found = merge(
        [
            with_parts(view(), 180),
            with_parts(view((60, 10, 100, 50, 0.9)), 100),
            with_parts(view((0, 10, 30, 50, 0.8)), 100),
        ],
        VIEWS,
        SIZE,
        TILING,
    )
    assert found.boxes.tolist() == [[60, 10, 110, 50]]
    assert found.masks is not None and found.keypoints is not None
    expected = torch.zeros(SIZE, dtype=torch.bool)
    expected[10:50, 60:110] = True
    assert torch.equal(found.masks[0], expected)
    assert found.keypoints[0, :, 0].tolist() == [61, 99]


def test_a_small_image_is_one_view() -> None:
    seen: list[int] = []

    def find(images: list[torch.Tensor]) -> list[Detections]:
        seen.append(len(images))
        return [view() for _ in images]

    assert len(detect(find, torch.zeros(3, 60, 100, dtype=torch.uint8), TILING)) == 0
    assert len(detect(find, torch.zeros(3, 60, 101, dtype=torch.uint8), TILING)) == 0
    assert seen == [1, 3]


@pytest.mark.parametrize("bad", [{"size": 8}, {"overlap": 0.9}, {"overlap": -0.1}, {"limit": 0}])
def test_tiles_that_cannot_be(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Tiling(**bad)  # type: ignore[arg-type]
