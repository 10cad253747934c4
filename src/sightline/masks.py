"""Masks that are pixels only when somebody looks: a small grid of values for each box.

A hundred masks of a photo of 12 megapixels are 1.2 gigabytes of pixels, and 300 kilobytes of cells.
All here is taken apart and put together like a tensor (N, H, W) of booleans, one mask at a time;
`JoinedMasks` are put together of parts that several views of an image saw.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.bitmaps import Masks, Window, crop, unite, window
from sightline.ops.paste import paste
from sightline.types import Size

Rows = Tensor | slice | list[int]
"""Which masks: by boolean mask, index tensor, slice or list."""


class WindowedMasks(ABC):
    """What can be done with masks that tell a window of pixels each; `size` is the image's."""

    size: Size

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def window(self, row: int) -> Window:
        """The smallest window that holds the pixels of mask `row`."""

    @abstractmethod
    def _subset(self, rows: Rows) -> "WindowedMasks": ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W), as if all were there."""
        return (len(self), *self.size)

    @overload
    def __getitem__(self, rows: int) -> Tensor: ...

    @overload
    def __getitem__(self, rows: Rows) -> "WindowedMasks": ...

    def __getitem__(self, rows: int | Rows) -> "Tensor | WindowedMasks":
        """One as pixels; a subset, by boolean mask, index tensor, list or slice, not made yet."""
        if isinstance(rows, int):
            return self.bitmap(range(len(self))[rows])
        return self._subset(rows)

    def __iter__(self) -> Iterator[Bool[Tensor, "H W"]]:
        """One mask after the other, as pixels."""
        return (self.bitmap(row) for row in range(len(self)))

    def bitmap(self, row: int) -> Bool[Tensor, "H W"]:
        """Mask `row` as pixels."""
        answer = torch.zeros(self.size, dtype=torch.bool)
        self._put(row, answer)
        return answer

    def bitmaps(self) -> Bool[Tensor, "N H W"]:
        """All of them at once: N · H · W bytes."""
        answer = torch.zeros(self.shape, dtype=torch.bool)
        for row in range(len(self)):
            self._put(row, answer[row])
        return answer

    def _put(self, row: int, canvas: Bool[Tensor, "H W"]) -> None:
        top, left, pixels = self.window(row)
        height, width = pixels.shape
        canvas[top : top + height, left : left + width] = torch.from_numpy(pixels)

    def numpy(self) -> np.ndarray:
        """All of them at once, as an array."""
        return self.bitmaps().numpy()


@dataclass(frozen=True)
class BoxMasks(WindowedMasks):
    """`cells` (N, m, n) are probabilities within each of `boxes`, in pixels of an image of `size`.

    A pixel belongs to a mask whose pasted probability is greater than `threshold`. `published`
    pastes as torchvision does (see `ops.paste`).
    """

    cells: Float[Tensor, "N m n"]
    boxes: Float[Tensor, "N 4"]
    size: Size
    threshold: float = 0.5
    published: bool = False

    def __len__(self) -> int:
        return len(self.cells)

    def _subset(self, rows: Rows) -> "BoxMasks":
        return replace(self, cells=self.cells[rows], boxes=self.boxes[rows])

    def window(self, row: int) -> Window:
        """The smallest window that holds the pixels of mask `row`."""
        top, left, values = self.pasted(row)
        return crop((values > self.threshold).cpu().numpy(), top, left)

    def pasted(self, row: int) -> tuple[int, int, Float[Tensor, "h w"]]:
        """(top, left, probabilities) of the pixels that mask `row` reaches."""
        return paste(self.cells[row], self.boxes[row], self.size, self.published)

    def probabilities(self, row: int) -> Float[Tensor, "H W"]:
        """Mask `row` before the threshold, over the whole image."""
        top, left, values = self.pasted(row)
        answer = self.cells.new_zeros(self.size)
        answer[top : top + values.shape[0], left : left + values.shape[1]] = values
        return answer

    def cpu(self) -> "BoxMasks":
        """The same on the CPU."""
        return replace(self, cells=self.cells.cpu(), boxes=self.boxes.cpu())

    def detach(self) -> "BoxMasks":
        """The same without a gradient."""
        return replace(self, cells=self.cells.detach(), boxes=self.boxes.detach())


@dataclass(frozen=True)
class JoinedMasks(WindowedMasks):
    """Masks of an image of `size`, each the union of parts that its views saw.

    `views` are the masks of each view, and `corners` the (left, top) pixel where a view begins in
    the image. Mask i is of the `parts[i]`, pairs (view, row of its masks).
    """

    views: tuple[Masks | Tensor, ...]
    corners: tuple[tuple[int, int], ...]
    parts: tuple[tuple[tuple[int, int], ...], ...]
    size: Size

    def __len__(self) -> int:
        return len(self.parts)

    def _subset(self, rows: Rows) -> "JoinedMasks":
        chosen = torch.arange(len(self))[rows.cpu() if isinstance(rows, Tensor) else rows]
        return replace(self, parts=tuple(self.parts[row] for row in chosen.tolist()))

    def window(self, row: int) -> Window:
        """The smallest window that holds the pixels of mask `row`."""
        windows = []
        for view, own in self.parts[row]:
            top, left, pixels = window(self.views[view], own)
            x, y = self.corners[view]
            windows.append(Window(top + y, left + x, pixels))
        return unite(windows)

    def cpu(self) -> "JoinedMasks":
        """The same on the CPU."""
        return replace(self, views=tuple(view.cpu() for view in self.views))

    def detach(self) -> "JoinedMasks":
        """The same without a gradient."""
        return replace(self, views=tuple(view.detach() for view in self.views))
