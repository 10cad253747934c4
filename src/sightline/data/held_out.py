"""A split that stays as it is while all other images are divided anew."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sightline.data.records import Dataset
from sightline.errors import SightlineWarning

__all__ = ["HeldOut", "hold_out"]


@dataclass(frozen=True)
class HeldOut:
    """The split that stays, the rest, the rest's groups, and the files of the rest that belong
    together with an image of the split that stays.
    """

    kept: Dataset
    rest: Dataset
    groups: tuple[tuple[int, ...], ...]
    torn: tuple[str, ...]


def hold_out(dataset: Dataset, split: Dataset, groups: Sequence[Sequence[int]]) -> HeldOut:
    """Take the images of `split` out of `dataset`; `groups` are rows of `dataset`.

    A warning tells how many other images are in one group with one of these: they cannot be moved
    there, and would make its figures better than they are.
    """
    own = {example.path for example in split}
    inside = [row for row, example in enumerate(dataset) if example.path in own]
    outside = [row for row, example in enumerate(dataset) if example.path not in own]
    place = {row: i for i, row in enumerate(outside)}
    parted = [tuple(place[row] for row in group if row in place) for group in groups]
    torn = {
        row
        for group, left in zip(groups, parted, strict=True)
        if len(left) < len(group)
        for row in left
    }
    if torn:
        warnings.warn(
            f"{len(torn)} images belong together with images of {split.split!r}, which stays as it "
            "is; figures on it flatter (split.json lists them under 'torn')",
            SightlineWarning,
            stacklevel=2,
        )
    kept, rest = replace(dataset.subset(inside), split=split.split), dataset.subset(outside)
    whole = tuple(group for group in parted if len(group) > 1)
    return HeldOut(kept, rest, whole, tuple(rest.file_name(rest[row]) for row in sorted(torn)))
