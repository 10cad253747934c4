"""A mask's pixels as run lengths and as outlines: arithmetic on arrays, which imports nothing.

All of it works on a `Window`, the part of an image in which a mask has pixels: the rest of a photo
costs nothing.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up: each is a right turn from the one before it (y points down)."""

Corner = tuple[int, int]
Ring = Float[ndarray, "_ 2"]
"""A closed ring: x, y of its corners, in pixels."""


class Window(NamedTuple):
    """The part of an image that begins at row `top` and column `left`; the mask is empty around."""

    top: int
    left: int
    pixels: Bool[ndarray, "h w"]


def crop(pixels: Bool[ndarray, "h w"], top: int = 0, left: int = 0) -> Window:
    """The smallest window around the pixels of a mask, which begin at (top, left) of its image.

    A view, not a copy; without any pixel a window of no size at (0, 0).
    """
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return Window(0, 0, pixels[:0, :0])
    y, x = int(rows[0]), int(columns[0])
    return Window(top + y, left + x, pixels[y : rows[-1] + 1, x : columns[-1] + 1])


@runtime_checkable
class Masks(Protocol):
    """N masks of (H, W) pixels: a boolean tensor (N, H, W), or what makes pixels one by one.

    The second are those of `sightline.masks`; all can be counted, indexed by rows and gone through.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any) -> Any: ...
    def __iter__(self) -> Iterator[Tensor]: ...

    def cpu(self) -> Any:
        """The same on the CPU."""
        ...

    def detach(self) -> Any:
        """The same without a gradient."""
        ...

    def numpy(self) -> Any:
        """All pixels at once, (N, H, W) booleans."""
        ...


@runtime_checkable
class LazyMasks(Masks, Protocol):
    """Masks whose pixels are made when somebody looks, and no more of them than there are."""

    def window(self, row: int) -> Window:
        """The smallest window that holds the pixels of one mask."""
        ...


def window(masks: Masks | Tensor, row: int) -> Window:
    """The smallest window of the image that holds the pixels of mask `row`."""
    if isinstance(masks, LazyMasks):
        return masks.window(row)
    return crop(masks[row].cpu().numpy())


def unite(windows: list[Window]) -> Window:
    """The window of all pixels of several masks of one image."""
    full = [window for window in windows if window.pixels.size]
    if len(full) <= 1:
        return full[0] if full else Window(0, 0, np.zeros((0, 0), bool))
    top, left = min(window.top for window in full), min(window.left for window in full)
    bottom = max(window.top + window.pixels.shape[0] for window in full)
    right = max(window.left + window.pixels.shape[1] for window in full)
    together = np.zeros((bottom - top, right - left), bool)
    for y, x, pixels in full:
        together[y - top :, x - left :][: pixels.shape[0], : pixels.shape[1]] |= pixels
    return Window(top, left, together)


def run_lengths(window: Window, size: tuple[int, int]) -> Int[ndarray, "runs"]:
    """A mask of `size` (height, width) as COCO's run lengths: down the columns, first of zeros."""
    height, width = size
    top, left, pixels = window
    flat = np.zeros(pixels.shape[1] * height + 2, bool)  # one more at either end, not of the mask
    columns = flat[1:-1].reshape(pixels.shape[1], height)
    columns[:, top : top + pixels.shape[0]] = pixels.T
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + left * height
    edges = np.concatenate([[0], changes, [height * width]])
    counts = np.diff(edges).astype(np.int64)
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def to_text(counts: Int[ndarray, "runs"]) -> str:
    """Run lengths as COCO's text: each as the difference to the one two before it (from the fourth
    on), in groups of five bits, lowest first, a sixth bit saying that more follow, plus 48.
    """
    answer = []
    numbers = counts.tolist()
    for i, count in enumerate(numbers):
        value = count - numbers[i - 2] if i > 2 else count
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            answer.append(chr(48 + group + 32 * more))
    return "".join(answer)


def polygons(window: Window) -> list[Ring]:
    """A mask as rings, one a part, that COCO rasterises to the same pixels again.

    Parts are 4-connected. A polygon of COCO has no holes: a part's holes are cut out of its ring by
    lines walked both ways (`bridge`), which enclose nothing.
    """
    rings = trace(window.pixels)
    corner = np.array([window.left, window.top], np.float64)
    return [bridge([outer, *holes]) + corner for outer, holes in _parts(rings)]


def _parts(rings: list[Ring]) -> list[tuple[Ring, list[Ring]]]:
    """Each outer ring, with the holes in it."""
    areas = [signed_area(ring) for ring in rings]
    order = sorted((i for i, area in enumerate(areas) if area > 0), key=areas.__getitem__)
    holes: dict[int, list[Ring]] = {i: [] for i in order}
    lows = np.array([rings[i].min(axis=0) for i in order]).reshape(-1, 2)
    highs = np.array([rings[i].max(axis=0) for i in order]).reshape(-1, 2)
    for ring, area in zip(rings, areas, strict=True):
        if area > 0:
            continue
        # The pixel on the right of the hole's first edge belongs to the part that has the hole,
        # and of all rings around that pixel the part's own is the smallest.
        step = np.sign(ring[1] - ring[0])
        middle = ring[0] + (step + np.array([-step[1], step[0]])) / 2
        near = np.flatnonzero(((lows < middle) & (middle < highs)).all(axis=1))
        own = next(order[n] for n in near if len(near) == 1 or _inside(middle, rings[order[n]]))
        holes[own].append(ring)
    return [(rings[i], holes[i]) for i in sorted(order)]


def _inside(point: Float[ndarray, "2"], ring: Ring) -> bool:
    """Whether a pixel's middle lies in a ring along the pixels' edges: even-odd, to the left."""
    following = np.roll(ring, -1, axis=0)
    low, high = np.minimum(ring, following)[:, 1], np.maximum(ring, following)[:, 1]
    return bool(np.sum((ring[:, 0] < point[0]) & (low < point[1]) & (point[1] < high)) % 2)


def trace(mask: Bool[ndarray, "H W"]) -> list[Ring]:
    """The closed rings around a mask's pixels, in pixel corners; only corners where they turn.

    Rings keep the mask on their right: outlines run clockwise as seen on the screen, holes the
    other way. Pixels that only touch at a corner are apart (4-connected).
    """
    leaving = _edges(mask)
    rings = []
    while leaving:
        start = corner = next(iter(leaving))
        ring: list[Corner] = []
        before = -1
        while corner in leaving:
            ways = leaving[corner]
            # where two pixels touch, two ways leave: the right turn stays with ours
            way = (before + 1) % 4 if len(ways) > 1 and before >= 0 else ways[0]
            ways.remove(way)
            if not ways:
                del leaving[corner]
            if way != before:
                ring.append(corner)
            corner = (corner[0] + STEPS[way][0], corner[1] + STEPS[way][1])
            before = way
            if corner == start and (start not in leaving or (way + 1) % 4 not in leaving[start]):
                break
        rings.append(np.array(_corners(ring), np.float64))
    return rings


def _corners(ring: list[Corner]) -> list[Corner]:
    """The ring without a start that lies in the middle of an edge."""
    before, first, after = ring[-1], ring[0], ring[1]
    straight = before[0] == first[0] == after[0] or before[1] == first[1] == after[1]
    return ring[1:] if straight else ring


def _edges(mask: Bool[ndarray, "H W"]) -> dict[Corner, list[int]]:
    """For each pixel corner on the border the ways that leave it, the mask on their right."""
    inside = np.pad(mask, 1)
    below, above = inside[1:, 1:-1], inside[:-1, 1:-1]
    right, left = inside[1:-1, 1:], inside[1:-1, :-1]
    leaving: dict[Corner, list[int]] = {}
    for way, edge, (dx, dy) in (
        (0, below & ~above, (0, 0)),
        (2, above & ~below, (1, 0)),
        (3, right & ~left, (0, 1)),
        (1, left & ~right, (0, 0)),
    ):
        for y, x in np.argwhere(edge).tolist():
            leaving.setdefault((x + dx, y + dy), []).append(way)
    return leaving


def signed_area(ring: Ring) -> float:
    """The area inside a ring, square pixels; negative where it runs anti-clockwise (a hole)."""
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def bridge(rings: list[Ring]) -> Ring:
    """Rings as one: from the first corner of the first a line leads to each other ring and back.

    A line walked both ways encloses nothing, so by the even-odd rule holes stay holes.
    """
    if len(rings) == 1:
        return rings[0]
    home = rings[0][:1]
    parts = [rings[0], home]
    for ring in rings[1:]:
        parts += [ring, ring[:1], home]
    return np.ascontiguousarray(np.concatenate(parts))
