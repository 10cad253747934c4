"""Our decoder on the maps of an OpenPose network that was trained elsewhere, judged by OKS AP.

    python benchmarks/openpose_maps.py ../shared/weights/openpose_mobilenet_v2_coco_368x432.onnx \\
        ../shared/data/coco [--maps FOLDER] [--matching optimal]

Every image of `person_keypoints_val` is brought into the network's 368 × 432 pixels once, its own
shape kept, with grey around it; the decoder has its defaults. The second row has the mean of these
maps and those of the mirrored image. The network was trained on COCO train2017, and these images
are val2017's, nearly all; the decoder's numbers were chosen on `person_keypoints_train`. A plain
decoder gets 0.270 and 0.295, one tuned in its thresholds 0.281 and 0.313.

`--maps` keeps what the network says (half precision, 270 MB), so that the next run takes
seconds. The network was taught as OpenPose's, with labels that number pixels: a whole number is a
pixel's centre. Here it is a pixel's corner, and half a pixel is taken off its answers.
"""

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from sightline import images
from sightline.data import Dataset, open_dataset
from sightline.detectors.bottom_up import BottomUp, Decoding, unmirrored
from sightline.evaluate import evaluate
from sightline.ops.resample import resample
from sightline.preparation import Preparation
from sightline.skeletons import PERSON, skeleton
from sightline.types import Batch, Detections, Frame, Size

HEIGHT, WIDTH, STRIDE = 368, 432, 8


def letterbox(size: Size) -> Frame:
    """An image of `size` in the middle of the network's rectangle."""
    scale = min(HEIGHT / size[0], WIDTH / size[1])
    height, width = (max(1, round(side * scale)) for side in size)
    return Frame(size, (height, width), ((HEIGHT - height) // 2, (WIDTH - width) // 2))


def prepared(image: Tensor, frame: Frame, fill: float) -> Tensor:
    """What the network takes: BGR, 0–255, padded."""
    pixels = torch.full((3, HEIGHT, WIDTH), fill)
    (top, left), (height, width) = frame.offset, frame.resized
    inside = pixels[:, top : top + height, left : left + width]
    resample(image, inside, frame.resized, torch.ones(3), torch.zeros(3))
    return pixels.flip(0)


def run(weights: Path, dataset: Dataset, fill: float) -> Iterator[np.ndarray]:
    """The network's 57 maps of each image, and of its mirror image: (2, 57, 46, 54)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    (name,) = (one.name for one in session.get_inputs())
    for example in dataset:
        image = images.read(example.path)
        pixels = prepared(image, letterbox(tuple(image.shape[1:])), fill)
        pair = [one.contiguous().numpy()[None] for one in (pixels, pixels.flip(-1))]
        yield np.concatenate([session.run(None, {name: one})[0] for one in pair])


def recorded(weights: Path, dataset: Dataset, fill: float, file: Path) -> np.ndarray:
    """All maps in half precision, kept in `file` for the next time."""
    if not file.exists():
        shape = (len(dataset), 2, 57, HEIGHT // STRIDE, WIDTH // STRIDE)
        part = file.with_suffix(".part")
        store = np.lib.format.open_memmap(part, "w+", np.float16, shape)
        for row, maps in enumerate(run(weights, dataset, fill)):
            store[row] = maps
        store.flush()
        part.rename(file)
    return np.load(file, mmap_mode="r")


ORDER = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder"),
    *("left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip"),
    *("left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear"),
)
"""The network's 18 parts; a background map follows."""

LIMBS = {
    **{(1, 2): 12, (1, 5): 20, (2, 3): 14, (3, 4): 16, (5, 6): 22, (6, 7): 24, (1, 8): 0},
    **{(8, 9): 2, (9, 10): 4, (1, 11): 6, (11, 12): 8, (12, 13): 10, (1, 0): 28, (0, 14): 30},
    **{(14, 16): 34, (0, 15): 32, (15, 17): 36, (2, 16): 18, (5, 17): 26},
}
"""Its limbs → the first of the two channels of their fields, counted after the 19 maps."""

PARTS = skeleton(ORDER, tuple(LIMBS))
CHANNELS = [19 + first + axis for first in LIMBS.values() for axis in (0, 1)]
NETWORK = Preparation(shorter=None, longer=WIDTH)


class Recorded(BottomUp):
    """The decoder alone: what the network said of an image is given to it."""

    def __init__(self, decoding: Decoding) -> None:
        super().__init__(("person",), PERSON, PARTS, STRIDE, NETWORK, decoding)

    def decode(self, maps: np.ndarray, frame: Frame) -> Detections:
        """People from the maps of an image and, with `flip`, of its mirror image too."""
        both = torch.from_numpy(np.asarray(maps, np.float32))
        found, mirrored = ((one[None, :19], one[None, CHANNELS]) for one in both)
        if self.decoding.flip:
            other = unmirrored(mirrored, PARTS, "pafs")
            found = tuple((a + b) / 2 for a, b in zip(found, other, strict=True))
        batch = Batch(torch.empty(1, 3, HEIGHT, WIDTH), (frame,))
        regions = self.propose(batch, found)
        (people,) = self.postprocess(batch, found, self.classify(batch, found, regions))
        points = people.keypoints.clone()
        points[..., :2] -= 0.5 * (points[..., 2:] > 0)
        return replace(people, keypoints=points)


def judge(dataset: Dataset, maps: np.ndarray, decoding: Decoding) -> dict[str, float]:
    """COCO's figures of keypoints."""
    decoder = Recorded(decoding)
    frames = [letterbox(example.size) for example in dataset]
    results = [decoder.decode(one, frame) for one, frame in zip(maps, frames, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evaluate(dataset, results).to_json()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("coco", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--fill", type=float, default=128.0, help="the grey around images")
    parser.add_argument("--maps", type=Path, help="a folder to keep the network's maps in")
    parser.add_argument("--matching", choices=["greedy", "optimal"], default="greedy")
    given = parser.parse_args()
    dataset = open_dataset(given.coco / "annotations" / f"person_keypoints_{given.split}.json")
    with TemporaryDirectory() as folder:
        home = given.maps or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        file = home / f"openpose-{given.split}-{given.fill:g}.npy"
        maps = recorded(given.weights, dataset, given.fill, file)
        print(f"{len(dataset)} images of {given.split}, {given.matching} matching")
        print("| maps | OKS AP | AP50 | AP75 | AP, medium | AP, large | AR |")
        print("|---|---|---|---|---|---|---|")
        for flip in (False, True):
            decoding = Decoding(flip=flip, matching=given.matching)
            figures = judge(dataset, maps, decoding)
            names = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR")
            row = " | ".join(f"{figures[f'keypoints_{name}']:.4f}" for name in names)
            print(f"| {'and of the mirror image' if flip else 'of one pass'} | {row} |", flush=True)


if __name__ == "__main__":
    main()
