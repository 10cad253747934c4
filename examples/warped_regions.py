"""What R-CNN's network sees: searched regions, each warped to a square of its own.

    python examples/warped_regions.py PHOTO OUT.png [--count 12] [--first 40]

Left: some of the first regions that Selective Search proposes. Right: the same as the network gets
them, 227 × 227 pixels whatever their shape was, with 16 pixels of what lies around (Girshick 2014,
appendix A); outside of the photo is its mean colour. The network looks at each of 2,000 of them.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

import sightline
from sightline import images
from sightline.detectors.crop_network import Warp
from sightline.evaluate.pictures import new_figure, save
from sightline.explain.canvas import outline, scene, shade_of
from sightline.ops.region_warp import region_warp


def chosen(boxes: Tensor, size: tuple[int, int], count: int) -> Tensor:
    """Rows of `count` boxes of every shape: no slivers, none nearly as large as the photo."""
    sides = boxes[:, 2:] - boxes[:, :2]
    share = sides.prod(dim=1) / (size[0] * size[1])
    rows = ((share > 0.015) & (share < 0.6)).nonzero()[:, 0]
    shape = (sides[rows, 0] / sides[rows, 1]).sort().indices
    places = torch.linspace(0, max(0, len(rows) - 1), min(count, len(rows))).round().long()
    return rows[shape[places]]


def main() -> None:
    """Search, choose, warp, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--first", type=int, default=40, help="of so many regions")
    given = parser.parse_args()
    image, warp = images.read(given.photo), Warp()
    found = sightline.load("selective_search", score=None)(image)
    boxes = found.boxes[: given.first]
    boxes = boxes[chosen(boxes, found.size, given.count)]
    mean = image.float().mean(dim=(1, 2))[:, None, None]
    which = torch.zeros(len(boxes), dtype=torch.int64)
    crops = region_warp((image - mean)[None], boxes, which, warp.size, warp.context) + mean
    columns = -(-len(boxes) // 3)
    tall = 4.0 * found.size[0] / found.size[1] + 0.3
    figure = new_figure(4.0 + columns * tall / 3, tall)
    left, right = figure.subfigures(1, 2, width_ratios=[4.0, columns * tall / 3])
    axes = left.subplots()
    axes.set_axis_off()
    scene(axes, image.permute(1, 2, 0).numpy(), f"{len(boxes)} of {len(found):,} regions")
    right.suptitle(f"as the network gets them: {warp.size} × {warp.size} pixels", fontsize=9)
    grid = right.subplots(3, columns, squeeze=False)
    for place, panel in enumerate(grid.flat):
        panel.set_axis_off()
        if place < len(boxes):
            outline(axes, boxes[place].tolist(), shade_of(place), 2.0)
            panel.imshow(crops[place].permute(1, 2, 0).round().clamp(0, 255).byte().numpy())
            panel.add_patch(frame(warp.size, shade_of(place)))
    print(f"{len(found):,} regions, {warp.size} × {warp.size} pixels for each; {given.out}")
    save(figure, given.out)


def frame(size: int, shade: str) -> object:
    """The border of a crop, in the colour of its region."""
    from matplotlib.patches import Rectangle

    return Rectangle((1, 1), size - 3, size - 3, fill=False, edgecolor=shade, linewidth=4)


if __name__ == "__main__":
    main()
