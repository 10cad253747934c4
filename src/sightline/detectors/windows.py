"""All windows of an image as one convolution: their grid, and linear classifiers of every shape.

A window is some cells of a map. Its features are the means of its cells in g × g bins; a linear
classifier of its shape reads them. For all windows at once the classifiers come first and the means
afterwards.

Key of shapes: B images, A windows an image, L outputs, C channels, H W cells of a map, g bins a
side, y x windows down and across.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.types import Size


@dataclass(frozen=True)
class WindowGrid:
    """Windows of every size in every ratio (height / width) around every cell of `stride` pixels.

    `sizes` are square roots of areas in pixels. Sides are whole cells, at least `least`.
    """

    sizes: tuple[float, ...] = (32.0, 56.0, 100.0, 176.0, 304.0)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    stride: int = 8
    least: int = 3

    @property
    def shapes(self) -> tuple[Size, ...]:
        """(height, width) of the windows in cells, size by size."""

        def cells(side: float) -> int:
            return max(self.least, round(side / self.stride))

        return tuple(
            (cells(s * r**0.5), cells(s / r**0.5)) for s in self.sizes for r in self.ratios
        )

    @staticmethod
    def before(shape: Size) -> tuple[int, int]:
        """How many rows and columns of cells a window has above and left of its own cell."""
        return (shape[0] - 1) // 2, (shape[1] - 1) // 2

    def boxes(self, grid: Size) -> tuple[Float[Tensor, "A 4"], Int[Tensor, "A"]]:
        """All windows of a map of `grid` cells in pixels, and their shapes: by shape, row, column.

        Windows at the border reach beyond it.
        """
        return _boxes(self, grid)


@functools.lru_cache(maxsize=32)
def _boxes(windows: WindowGrid, grid: Size) -> tuple[Tensor, Tensor]:
    parts = []
    for shape in windows.shapes:
        above, left = windows.before(shape)
        y, x = torch.arange(grid[0]) - above, torch.arange(grid[1]) - left
        corner = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
        parts.append(torch.cat([corner, corner + torch.tensor([shape[1], shape[0]])], dim=1))
    level = torch.arange(len(parts)).repeat_interleave(grid[0] * grid[1])
    return torch.cat(parts).float() * windows.stride, level


def bins_of(cells: int, bins: int) -> tuple[int, int]:
    """Step and length of `bins` equal, evenly spaced bins that cover `cells`; they may overlap.

    Example: 3 bins of 8 cells are [0, 4), [2, 6), [4, 8): (2, 4).
    """
    step = cells // bins
    return step, cells - (bins - 1) * step


def averaging(cells: int, side: int, bins: int, starts: Int[Tensor, "n"]) -> Float[Tensor, "n g c"]:
    """What each of `cells` cells in a row counts in each bin of windows that begin at `starts`.

    A bin's row sums to 1 where the window lies inside; cells beyond the row are zero and count.
    """
    step, length = bins_of(side, bins)
    first = starts[:, None] + step * torch.arange(bins, device=starts.device)
    offset = torch.arange(cells, device=starts.device) - first[..., None]
    return ((offset >= 0) & (offset < length)).float() / length


class WindowHead(nn.Module):
    """A linear classifier of each shape on g × g bins: Σ_kj w_kj · mean of bin kj, + b.

    Raises ValueError for windows that have fewer cells than bins along a side.
    """

    def __init__(self, channels: int, classes: int, shapes: Sequence[Size], bins: int = 3) -> None:
        super().__init__()
        if min(min(shape) for shape in shapes) < bins:
            raise ValueError(f"a window of fewer cells than {bins} bins: {shapes}")
        self.shapes, self.bins, self.outputs = tuple(shapes), bins, classes + 1
        # Its outputs: shape, column of bins, class, row of bins
        self.parts = nn.Conv2d(channels, len(self.shapes) * bins**2 * self.outputs, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(len(self.shapes), self.outputs))
        nn.init.normal_(self.parts.weight, std=0.01)

    def of_shape(
        self, cells: Float[Tensor, "B C H W"], number: int, top: Tensor, left: Tensor
    ) -> Float[Tensor, "B L y x"]:
        """Logits of the windows of one shape that begin at rows `top` (y,) and columns `left` (x,).

        Every bin's scores at every cell first, their means then: both are linear and may change
        places, and a mean is a product with a matrix. Beyond the map all is zero.
        """
        (count, _, rows, columns), g = cells.shape, self.bins
        height, width = self.shapes[number]
        weight = self.parts.weight.chunk(len(self.shapes))[number]
        scores = F.conv2d(cells, weight).float().reshape(count, -1, g * rows, columns)
        down = averaging(rows, height, g, top).flatten(1)
        across = averaging(columns, width, g, left).flatten(1)
        means = (down @ scores).view(count, g, self.outputs, len(top), columns)
        means = means.permute(0, 2, 3, 1, 4).flatten(3)
        logits: Tensor = means @ across.T + self.bias[number].float()[:, None, None]
        return logits

    def forward(self, cells: Float[Tensor, "B C H W"]) -> Float[Tensor, "B A L"]:
        """Logits of all windows in the order of `WindowGrid.boxes`."""
        y, x = (torch.arange(side, device=cells.device) for side in cells.shape[2:])
        answers = []
        for number, shape in enumerate(self.shapes):
            above, left = WindowGrid.before(shape)
            logits = self.of_shape(cells, number, y - above, x - left)
            answers.append(logits.flatten(2).transpose(1, 2))
        return torch.cat(answers, dim=1)
