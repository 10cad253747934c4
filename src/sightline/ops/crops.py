"""Crops of images: upright or turned rectangles of any size, read as pixels of one size.

A crop is a window (x1, y1, x2, y2) of its image, turned by an angle about its middle. Pixel (u, v)
of its h × w pixels lies at the image's point

    middle + R(angle) · ((u − w/2) · (x2 − x1)/w, (v − h/2) · (y2 − y1)/h),

in continuous coordinates on both sides: pixel i covers [i, i + 1). What lies outside of the image
is 0, the mean colour of normalised pixels.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.ops.checks import require_rows

Size = tuple[int, int]


def crops(
    images: Float[Tensor, "B C H W"],
    windows: Float[Tensor, "R 4"],
    angles: Float[Tensor, "R"],
    image: Int[Tensor, "R"],
    size: Size,
) -> Float[Tensor, "R C h w"]:
    """The pixels of each window of its `image`, turned by `angles` (radians, clockwise as seen).

    Samples are bilinear. Where a crop's pixel covers k whole pixels or more of the image, the image
    is first averaged over k × k of them, so that nothing is skipped. Raises UsageError
    (usage.shape) for shapes that disagree.
    """
    require_rows(windows, angles, image)
    answer = images.new_zeros(len(windows), images.shape[1], *size)
    sides = (windows[:, 2:] - windows[:, :2]).abs()
    steps = (sides / sides.new_tensor([size[1], size[0]])).amin(dim=1).floor().clamp(min=1).long()
    grids = _grids(windows, angles, size)
    for index, step in sorted(set(zip(image.tolist(), steps.tolist(), strict=True))):
        rows = ((image == index) & (steps == step)).nonzero()[:, 0]
        picture = _coarser(images[index][None], step)
        height, width = (side * step for side in picture.shape[-2:])
        grid = grids[rows] * (2 / grids.new_tensor([width, height])) - 1
        strip = grid.flatten(0, 1)[None].to(picture.dtype)  # one crop below the other
        read = F.grid_sample(picture, strip, "bilinear", "zeros", align_corners=False)[0]
        answer[rows] = read.reshape(-1, len(rows), *size).transpose(0, 1)
    return answer


def _coarser(picture: Float[Tensor, "1 C H W"], step: int) -> Float[Tensor, "1 C h w"]:
    """The mean of each `step` × `step` pixels; a border that does not fill them goes on."""
    if step == 1:
        return picture
    height, width = picture.shape[-2:]
    whole = F.pad(picture, (0, -width % step, 0, -height % step), mode="replicate")
    return F.avg_pool2d(whole, step)


def _grids(
    windows: Float[Tensor, "R 4"], angles: Float[Tensor, "R"], size: Size
) -> Float[Tensor, "R h w 2"]:
    """The image's point under the middle of every pixel of every crop."""
    rows, columns = (
        torch.arange(side, device=windows.device, dtype=windows.dtype) + 0.5 for side in size
    )
    cells = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    points = cells.flatten(0, 1).expand(len(windows), -1, 2)
    return from_crops(points, windows, angles, size).reshape(-1, *size, 2)


def from_crops(
    points: Float[Tensor, "R P 2"],
    windows: Float[Tensor, "R 4"],
    angles: Float[Tensor, "R"],
    size: Size,
) -> Float[Tensor, "R P 2"]:
    """Points (x, y) of each crop's pixels as points of its image."""
    middle, scale = _frame(windows, size)
    place = (points - points.new_tensor([size[1] / 2, size[0] / 2])) * scale
    return _turned(place, angles) + middle


def to_crops(
    points: Float[Tensor, "R P 2"],
    windows: Float[Tensor, "R 4"],
    angles: Float[Tensor, "R"],
    size: Size,
) -> Float[Tensor, "R P 2"]:
    """Points (x, y) of an image as points of each crop's pixels: the way back of `from_crops`."""
    middle, scale = _frame(windows, size)
    place = _turned(points - middle, -angles) / scale
    return place + points.new_tensor([size[1] / 2, size[0] / 2])


def _frame(
    windows: Float[Tensor, "R 4"], size: Size
) -> tuple[Float[Tensor, "R 1 2"], Float[Tensor, "R 1 2"]]:
    """Middle of each window, and its pixels a pixel of the crop."""
    sides = windows[:, 2:] - windows[:, :2]
    scale = sides / sides.new_tensor([size[1], size[0]])
    return ((windows[:, :2] + windows[:, 2:]) / 2)[:, None], scale[:, None]


def _turned(points: Float[Tensor, "R P 2"], angles: Float[Tensor, "R"]) -> Float[Tensor, "R P 2"]:
    cosine, sine = angles.cos()[:, None], angles.sin()[:, None]
    x, y = points.unbind(dim=-1)
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=-1)
