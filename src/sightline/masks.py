"""Masks that are pixels only when somebody looks: a small grid of values for each box.

A hundred masks of a photo of 12 megapixels are 1.2 gigabytes of pixels, and 300 kilobytes of cells.
`BoxMasks` is taken apart and put together like a tensor (N, H, W) of booleans, one mask at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.ops.paste import paste
from sightline.types import Size


@dataclass(frozen=True)
class BoxMasks:
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

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W), as if all were there."""
        return (len(self), *self.size)

    @overload
    def __getitem__(self, rows: int) -> Tensor: ...

    @overload
    def __getitem__(self, rows: Tensor | slice | list[int]) -> "BoxMasks": ...

    def __getitem__(self, rows: int | Tensor | slice | list[int]) -> "Tensor | BoxMasks":
        """One as pixels; a subset, by boolean mask, index tensor, list or slice, not pasted yet."""
        if isinstance(rows, int):
            return self.bitmap(range(len(self))[rows])
        return replace(self, cells=self.cells[rows], boxes=self.boxes[rows])

    def __iter__(self) -> Iterator[Bool[Tensor, "H W"]]:
        """One mask after the other, as pixels."""
        return (self.bitmap(row) for row in range(len(self)))

    def window(self, row: int) -> tuple[int, int, Float[Tensor, "h w"]]:
        """(top, left, probabilities) of the pixels that mask `row` reaches."""
        return paste(self.cells[row], self.boxes[row], self.size, self.published)

    def probabilities(self, row: int) -> Float[Tensor, "H W"]:
        """Mask `row` before the threshold, over the whole image."""
        top, left, values = self.window(row)
        answer = self.cells.new_zeros(self.size)
        answer[top : top + values.shape[0], left : left + values.shape[1]] = values
        return answer

    def bitmap(self, row: int) -> Bool[Tensor, "H W"]:
        """Mask `row` as pixels."""
        top, left, values = self.window(row)
        answer = torch.zeros(self.size, dtype=torch.bool)
        inner = (values > self.threshold).cpu()
        answer[top : top + values.shape[0], left : left + values.shape[1]] = inner
        return answer

    def bitmaps(self) -> Bool[Tensor, "N H W"]:
        """All of them at once: N · H · W bytes."""
        answer = torch.zeros(self.shape, dtype=torch.bool)
        for row, mask in enumerate(self):
            answer[row] = mask
        return answer

    def numpy(self) -> np.ndarray:
        """All of them at once, as an array."""
        return self.bitmaps().numpy()

    def cpu(self) -> "BoxMasks":
        """The same on the CPU."""
        return replace(self, cells=self.cells.cpu(), boxes=self.boxes.cpu())

    def detach(self) -> "BoxMasks":
        """The same without a gradient."""
        return replace(self, cells=self.cells.detach(), boxes=self.boxes.detach())
