"""Large images, tile by tile: small things are seen at full size, and nothing is found twice.

An image is looked at as a whole once, for what is large, and through overlapping tiles, for what is
small. Views then disagree only along the tiles' inner borders, where a tile sees part of a thing.
The rule that joins the answers, for detections of one class from *different* views:

1. A detection that touches a border of its tile inside the image is *cut*; all others are whole.
2. Whole ones compete as usual: best score first, the others go if IoU > `iou`.
3. A cut one goes if a kept whole one explains it: IoU > `iou`, or more than `covered` of the cut
   one's area lies inside. Its score does not help it: a fragment never beats the thing itself.
4. Cut ones that are left belong to things larger than the overlap. Two of them are parts of one
   thing if they agree where both tiles looked (IoU there > `iou`); all its parts are then joined
   into their hull, with the best part's score, and step 3 is applied to the hulls once more.

Detections of one view never compete here: the detector's own suppression has the say within it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline import boxes as bx
from sightline.errors import UsageError
from sightline.masks import JoinedMasks
from sightline.types import Detections, Size

Find = Callable[[list[Tensor]], list[Detections]]
"""What finds things in a list of upright RGB images, (3, H, W) bytes each."""

View = tuple[int, int, int, int]
"""Left, top, right, bottom of a tile, in the image's pixels."""


@dataclass(frozen=True)
class Tiling:
    """Tiles of `size` pixels a side that share at least `overlap` of it with their neighbours.

    At most `limit` tiles: where an image would need more, its tiles grow. See the module for `iou`
    and `covered`. Raises UsageError for values that make no tiles.
    """

    size: int = 640
    overlap: float = 0.2
    limit: int = 256
    iou: float = 0.5
    covered: float = 0.7

    def __post_init__(self) -> None:
        if self.size < 32:
            raise UsageError("tiles need at least 32 pixels a side", code="usage.tile_size")
        if not 0 <= self.overlap <= 0.75:
            raise UsageError("tiles overlap by 0 to 0.75 of their side", code="usage.tile_overlap")
        if self.limit < 1:
            raise UsageError("at least one tile is needed", code="usage.tile_limit")


def _starts(length: int, size: int, shared: int) -> list[int]:
    """Where tiles of `size` begin along a side: evenly, the last one ending at the border."""
    if length <= size:
        return [0]
    count = -(-(length - shared) // max(1, size - shared))
    return [round(i * (length - size) / (count - 1)) for i in range(count)]


def grid(size: Size, tiling: Tiling) -> list[View]:
    """The tiles of an image of `size`, row by row; one tile where the image fits into it."""
    height, width = size
    side = tiling.size
    while True:
        shared = round(side * tiling.overlap)
        rows, columns = (_starts(length, side, shared) for length in (height, width))
        if len(rows) * len(columns) <= tiling.limit:
            break
        side = side * 9 // 8 + 1
    return [(x, y, min(width, x + side), min(height, y + side)) for y in rows for x in columns]


def detect(find: Find, image: Tensor, tiling: Tiling) -> Detections:
    """What `find` sees in the whole image and in its tiles, joined without doubles.

    `region` of each detection is the row of its own view's regions.
    """
    size = (image.shape[1], image.shape[2])
    views = grid(size, tiling)
    if len(views) == 1:
        return find([image])[0]
    crops = [image[:, y1:y2, x1:x2].contiguous() for x1, y1, x2, y2 in views]
    whole: View = (0, 0, size[1], size[0])
    return merge(find([image, *crops]), [whole, *views], size, tiling)


@dataclass(frozen=True)
class _Pool:
    """The boxes of all views in the image's pixels, with where each was seen."""

    boxes: Float[Tensor, "N 4"]
    scores: Float[Tensor, "N"]
    labels: Int[Tensor, "N"]
    view: Int[Tensor, "N"]
    seen: Float[Tensor, "N 4"]
    cut: Bool[Tensor, "N"]

    def rivals(self, a: Tensor, b: Tensor) -> Bool[Tensor, "n m"]:
        """Whether rows `a` and `b` are of one class and of different views."""
        same = self.labels[a][:, None] == self.labels[b][None, :]
        return same & (self.view[a][:, None] != self.view[b][None, :])


def merge(
    found: Sequence[Detections], views: Sequence[View], size: Size, tiling: Tiling
) -> Detections:
    """Join the answers of several views of one image, best first, by the rule of this module."""
    pool = _gather(found, views, size)
    order = torch.argsort(pool.scores, descending=True, stable=True)
    whole = order[~pool.cut[order]]
    kept = _suppress(pool, whole, tiling)
    left = order[pool.cut[order]]
    left = left[~_explained(pool.boxes[left], pool.rivals(left, kept), pool.boxes[kept], tiling)]
    groups = [[int(row)] for row in kept] + _fragments(pool, left, tiling)
    return _assemble(found, views, size, pool, _drop_nested(pool, groups, len(kept), tiling))


def _gather(found: Sequence[Detections], views: Sequence[View], size: Size) -> _Pool:
    boxes, seen, cut = [], [], []
    for answer, (x1, y1, x2, y2) in zip(found, views, strict=True):
        moved = answer.boxes.float().cpu() + torch.tensor([x1, y1, x1, y1])
        # A network's box ends a little before or behind the border that cuts it.
        slack = max(2.0, 0.01 * max(x2 - x1, y2 - y1)) * moved.new_tensor([1, 1, -1, -1])
        view = moved.new_tensor([x1, y1, x2, y2])
        inner = torch.tensor([x1 > 0, y1 > 0, x2 < size[1], y2 < size[0]])
        inside = (moved - view - slack) * moved.new_tensor([1, 1, -1, -1]) > 0
        boxes.append(moved)
        seen.append(view.expand(len(moved), 4))
        cut.append((~inside & inner).any(dim=1))
    return _Pool(
        torch.cat(boxes),
        torch.cat([answer.scores.float().cpu() for answer in found]),
        torch.cat([answer.labels.cpu() for answer in found]),
        torch.repeat_interleave(torch.tensor([len(answer) for answer in found])),
        torch.cat(seen),
        torch.cat(cut),
    )


def _suppress(pool: _Pool, rows: Tensor, tiling: Tiling) -> Tensor:
    """Greedy suppression of `rows`, given best first, between different views."""
    boxes = pool.boxes[rows]
    alive = torch.ones(len(rows), dtype=torch.bool)
    for i in range(len(rows)):
        if alive[i]:
            over = bx.iou(boxes[i : i + 1], boxes[i + 1 :])[0] > tiling.iou
            alive[i + 1 :] &= ~(over & pool.rivals(rows[i : i + 1], rows[i + 1 :])[0])
    return rows[alive]


def _explained(cut: Tensor, rivals: Tensor, whole: Tensor, tiling: Tiling) -> Bool[Tensor, "n"]:
    """Which of the `cut` boxes one of the `whole` ones explains (step 3)."""
    close = bx.iou(cut, whole) > tiling.iou
    within = bx.coverage(cut, whole) > tiling.covered
    return ((close | within) & rivals).any(dim=1)


def _fragments(pool: _Pool, rows: Tensor, tiling: Tiling) -> list[list[int]]:
    """Cut detections sorted into things (step 4), each best first, the best thing first."""
    rank = {row: i for i, row in enumerate(rows.tolist())}
    groups = {row: [row] for row in rank}
    boxes = pool.boxes[rows]
    meet = pool.rivals(rows, rows) & (bx.intersection(boxes, boxes) > 0)
    for i, j in meet.tril(-1).nonzero().tolist():
        a, b = int(rows[i]), int(rows[j])
        shared = _common(pool.seen[a], pool.seen[b])
        parts = torch.stack([_common(pool.boxes[row], shared) for row in (a, b)])
        if groups[a] is not groups[b] and bx.iou(parts[:1], parts[1:])[0, 0] > tiling.iou:
            joined = sorted(groups[a] + groups[b], key=rank.__getitem__)
            groups.update((row, joined) for row in joined)
    unique = {group[0]: group for group in groups.values()}
    return [unique[row] for row in rank if row in unique]


def _common(a: Tensor, b: Tensor) -> Tensor:
    """The intersection of two boxes; without area where they do not meet."""
    return torch.cat([torch.maximum(a[:2], b[:2]), torch.minimum(a[2:], b[2:])])


def _hull(pool: _Pool, group: Sequence[int]) -> Float[Tensor, "4"]:
    parts = pool.boxes[list(group)]
    return torch.cat([parts[:, :2].amin(dim=0), parts[:, 2:].amax(dim=0)])


def _drop_nested(
    pool: _Pool, groups: list[list[int]], sure: int, tiling: Tiling
) -> list[list[int]]:
    """All groups but those behind the first `sure` that another group explains."""
    if len(groups) == sure:
        return groups
    hulls = torch.stack([_hull(pool, group) for group in groups])
    sizes = bx.area(hulls)
    views = [set(pool.view[group].tolist()) for group in groups]
    kept = groups[:sure]
    places = list(range(sure))
    # The largest first: the hull of a thing explains the fragments that did not reach it.
    for index in sorted(range(sure, len(groups)), key=lambda i: -float(sizes[i])):
        rivals = torch.tensor(
            [
                bool(pool.labels[groups[index][0]] == pool.labels[groups[place][0]])
                and views[index] != views[place]
                for place in places
            ],
            dtype=torch.bool,
        )
        if not _explained(hulls[[index]], rivals[None], hulls[places], tiling)[0]:
            kept.append(groups[index])
            places.append(index)
    return kept


def _assemble(
    found: Sequence[Detections],
    views: Sequence[View],
    size: Size,
    pool: _Pool,
    groups: list[list[int]],
) -> Detections:
    """One record of the groups, best first; masks are joined, the surest keypoints taken."""
    best = torch.tensor([group[0] for group in groups], dtype=torch.int64)
    order = torch.argsort(pool.scores[best], descending=True, stable=True)
    groups, best = [groups[i] for i in order.tolist()], best[order]
    hulls = [_hull(pool, group) for group in groups]
    answer = replace(
        found[0],
        boxes=bx.clip(torch.stack(hulls) if hulls else pool.boxes[:0], size),
        scores=pool.scores[best],
        labels=pool.labels[best],
        region=torch.cat([one.region.cpu() for one in found])[best],
        size=size,
        masks=None,
        keypoints=None,
    )
    if found[0].masks is not None:
        answer = replace(answer, masks=_masks(found, views, size, groups))
    if found[0].keypoints is not None:
        answer = replace(answer, keypoints=_keypoints(found, views, groups))
    return answer


def _masks(
    found: Sequence[Detections], views: Sequence[View], size: Size, groups: list[list[int]]
) -> JoinedMasks:
    """Every group's masks, to be pasted where their views lie when somebody looks."""
    places = [(v, row) for v, answer in enumerate(found) for row in range(len(answer))]
    return JoinedMasks(
        views=tuple(answer.masks for answer in found if answer.masks is not None),
        corners=tuple((view[0], view[1]) for view in views),
        parts=tuple(tuple(places[member] for member in group) for group in groups),
        size=size,
    )


def _keypoints(
    found: Sequence[Detections], views: Sequence[View], groups: list[list[int]]
) -> Float[Tensor, "N P 3"]:
    """Of every group's keypoints the one with the best score, in the image's pixels."""
    moved = [
        answer.keypoints + torch.tensor([view[0], view[1], 0.0])
        for answer, view in zip(found, views, strict=True)
        if answer.keypoints is not None
    ]
    points = torch.cat(moved)
    chosen = points[:0]
    for group in groups:
        parts = points[group]
        surest = parts[..., 2].argmax(dim=0)
        chosen = torch.cat([chosen, parts[surest, torch.arange(parts.shape[1])][None]])
    return chosen
