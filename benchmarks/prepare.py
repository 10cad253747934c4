"""How long decoding and preparing one image takes, beside OpenCV and plain PyTorch.

    python benchmarks/prepare.py ../shared/data/coco/images/val

All in one thread, from files that the system has cached; the median over the images of the best of
five rounds each. CPU time is what counts, so that other work on the machine disturbs little. "peer"
is OpenCV's decoding, then PyTorch's interpolation, as torchvision does it.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import torch
from PIL import Image
from torch.nn import functional as F

import sightline
from sightline.images import read, read_size
from sightline.preparation import IMAGENET_MEAN, IMAGENET_STD, Preparation

PREPARATION = Preparation(shorter=None, longer=416)
MEAN, STD = (torch.tensor(value).view(3, 1, 1) for value in (IMAGENET_MEAN, IMAGENET_STD))


def pillow(path: Path) -> object:
    with Image.open(path) as image:
        return image.load()


def plain(image: torch.Tensor) -> torch.Tensor:
    """Resize, normalise and pad by PyTorch's own functions."""
    height, width = PREPARATION.resized((image.shape[1], image.shape[2]))
    values = F.interpolate(image[None].float() / 255, (height, width), mode="bilinear")[0]
    size = PREPARATION.padded((height, width))
    target = torch.zeros(3, *size)
    target[:, :height, :width] = (values - MEAN) / STD
    return target


def peer(path: Path) -> torch.Tensor:
    pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return plain(torch.from_numpy(pixels).permute(2, 0, 1))


def network_of(
    dtype: Literal["fp32", "bf16"], images: dict[Path, torch.Tensor]
) -> Callable[[Path], object]:
    """The light model from the prepared image to its detections."""
    detector = sightline.load("retinanet", dtype=dtype).detector

    @torch.inference_mode()
    def answer(path: Path) -> object:
        batch = detector.prepare([images[path]])
        features = detector.encode(batch)
        regions = detector.propose(batch, features)
        scored = detector.classify(batch, features, regions)
        return detector.postprocess(batch, features, scored)

    return answer


def median(function: Callable[[Path], object], paths: list[Path], rounds: int = 5) -> float:
    """Milliseconds an image."""

    def once(path: Path) -> float:
        start = time.thread_time()
        function(path)
        return 1000 * (time.thread_time() - start)

    function(paths[0])
    return statistics.median(min(once(path) for _ in range(rounds)) for path in paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder of JPEG files")
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    paths = sorted(options.folder.glob("*.jpg"))[: options.images]
    images = {path: read(path) for path in paths}
    rows = {
        "decode: sightline": read,
        "decode: Pillow": pillow,
        "decode: OpenCV": lambda path: cv2.imread(str(path)),
        "size only: sightline": read_size,
        "prepare: sightline": lambda path: PREPARATION([images[path]]),
        "prepare: PyTorch": lambda path: plain(images[path]),
        "both: sightline": lambda path: PREPARATION([read(path)]),
        "both: peer": peer,
    }
    print(
        f"{len(paths)} images, {sum(read_size(p)[0] for p in paths) // len(paths)} rows on average"
    )
    took = {name: median(function, paths) for name, function in rows.items()}
    for name, value in took.items():
        print(f"{name:24} {value:7.3f} ms")
    for dtype in ("fp32", "bf16"):
        network = median(network_of(dtype, images), paths, rounds=2)
        share = took["both: sightline"] / network
        print(f"light network, {dtype:9} {network:7.3f} ms: reading and preparing is {share:.1%}")


if __name__ == "__main__":
    main()
