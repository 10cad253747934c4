"""What an augmented training picture costs, in milliseconds of one core (CPU time).

    python benchmarks/loader.py [--data FOLDER] [--size 320]

Without a folder of labelled images, scikit-image's cat and astronaut serve, with boxes of nothing.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sightline.data.augment import Augmentation
from sightline.data.loader import Loader
from sightline.data.records import Dataset, Example, Objects

RECIPES = {
    "letterbox only": Augmentation.none(),
    "one image": Augmentation(mosaic=0.0),
    "mosaic 0.5": Augmentation(),
    "mosaic 1": Augmentation(mosaic=1.0),
    "mosaic 0.5, mixup 0.5": Augmentation(mixup=0.5),
    "mosaic 0.5, copy-paste 0.5": Augmentation(copy_paste=0.5),
}


def photographs(folder: Path) -> Dataset:
    """64 images of two photographs, 480 pixels on the longer side, with ten boxes each."""
    from skimage import data

    rng, examples = np.random.default_rng(0), []
    for i in range(64):
        photo = Image.fromarray(data.chelsea() if i % 2 else data.astronaut()[:400])
        photo.thumbnail((480, 480))
        photo.save(folder / f"{i}.jpg", quality=90)
        corner = rng.uniform(0, 200, (10, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 100, (10, 2))], axis=1)
        objects = Objects.of(boxes, rng.integers(0, 80, 10))
        examples.append(Example(folder / f"{i}.jpg", i, (photo.height, photo.width), objects))
    names = tuple(f"class {i}" for i in range(80))
    return Dataset(tuple(examples), names, tuple(range(80)), None, "photos", folder, None)


def measure(dataset: Dataset, size: int, batch: int = 8, batches: int = 40) -> None:
    plain = Loader(dataset, Augmentation.none(), batch, seed=0)
    plain.batch(0, size)  # compiles
    begin, known = time.process_time(), len(plain.pictures)
    for row in range(len(dataset)):
        plain.pictures[row]
    decoded = max(len(dataset) - known, 1)
    print(f"decode (once)              {(time.process_time() - begin) / decoded * 1e3:6.2f} ms")
    for name, recipe in RECIPES.items():
        loader = Loader(dataset, recipe, batch, seed=0)
        loader.pictures = plain.pictures
        loader.batch(0, size)
        best = np.inf
        for repeat in range(3):  # caches may be cold: the best of three
            begin = time.process_time()
            for step in range(batches):
                loader.batch(repeat * batches + step, size)
            best = min(best, (time.process_time() - begin) / batches / batch)
        print(f"{name:26} {best * 1e3:6.2f} ms an image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--annotations", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--size", type=int, default=320)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.data is None:
        with tempfile.TemporaryDirectory() as folder:
            measure(photographs(Path(folder)), options.size)
        return
    from sightline.data import open_dataset

    dataset = open_dataset(
        options.data, None, annotations=options.annotations, images=options.images
    )
    measure(dataset.subset(range(min(len(dataset), 500))), options.size)


if __name__ == "__main__":
    main()
