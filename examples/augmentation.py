"""Draw a sheet of augmented training pictures with everything that is labelled in them.

    python examples/augmentation.py DATA --out sheet.png
    python examples/augmentation.py DATA --model ssd --out patches.png

Looking at it is the best test of a new data set and of a new recipe: a box beside its object, a
mask on the wrong side or a left arm that became a right one is seen at once.
"""

import argparse
import colorsys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from sightline.data import open_dataset
from sightline.data.augment import Augmentation
from sightline.data.loader import Loader
from sightline.data.records import Skeleton
from sightline.train.recipes import default_for
from sightline.types import Targets


def colour(number: int) -> tuple[int, int, int]:
    """Neighbouring numbers get hues far apart."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618 % 1, 0.9, 1.0)
    return int(255 * red), int(255 * green), int(255 * blue)


def draw(
    pixels: np.ndarray, targets: Targets, classes: tuple[str, ...], skeleton: Skeleton | None
) -> Image.Image:
    """One picture with boxes, masks (tinted) and keypoints; left limbs green, right ones red."""
    canvas = pixels.astype(np.float32)
    for i in range(len(targets)):
        if targets.masks is not None:
            mask = targets.masks[i].numpy()
            canvas[mask] = 0.55 * canvas[mask] + 0.45 * np.array(colour(i))
    image = Image.fromarray(canvas.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for i in range(len(targets)):
        crowd = bool(targets.crowd[i])
        edge = (255, 255, 255) if crowd else colour(i)
        box = targets.boxes[i].tolist()
        pen.rectangle([box[0], box[1], box[2] - 1, box[3] - 1], outline=edge)
        name = classes[int(targets.labels[i])]
        pen.text((box[0] + 2, box[1]), f"{name} (crowd)" if crowd else name, fill=edge)
        if targets.keypoints is not None and skeleton is not None:
            points = targets.keypoints[i].tolist()
            for a, b in skeleton.limbs:
                if points[a][2] > 0 and points[b][2] > 0:
                    names = skeleton.points[a] + skeleton.points[b]
                    side = (0, 255, 0) if "left" in names else (255, 255, 0)
                    side = (255, 60, 60) if "right" in names else side
                    pen.line([*points[a][:2], *points[b][:2]], fill=side, width=2)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder in COCO, Pascal VOC or YOLO form")
    parser.add_argument("--annotations", type=Path, help="a COCO file, where there are several")
    parser.add_argument("--images", type=Path, help="the folder of its images")
    parser.add_argument("--split", default=None)
    parser.add_argument("--out", type=Path, default=Path("augmentation.png"))
    parser.add_argument("--model", help="as this model is usually trained; else with a bit of all")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dataset = open_dataset(
        options.data, options.split, annotations=options.annotations, images=options.images
    )
    recipe = Augmentation(mosaic=0.4, mixup=0.15, copy_paste=0.3)
    if options.model is not None:
        recipe = default_for(options.model, dataset, None).augmentation
    pixels, targets = Loader(dataset, recipe, batch=12, seed=options.seed).batch(0, options.size)
    sheet = Image.new("RGB", (4 * options.size, 3 * options.size))
    for i, (picture, labels) in enumerate(zip(pixels, targets, strict=True)):
        drawn = draw(picture.permute(1, 2, 0).numpy(), labels, dataset.classes, dataset.skeleton)
        sheet.paste(drawn, (i % 4 * options.size, i // 4 * options.size))
    sheet.save(options.out)
    print(f"{options.out}: 12 pictures, {sum(len(labels) for labels in targets)} objects")


if __name__ == "__main__":
    main()
