"""People found by gradients: OpenCV's default detector and ours, by one evaluator in one run.

    sightline train DATA/annotations/person_keypoints_train.json --model hog_svm \\
        --set "options={'windows': 'people'}" --out RUN
    python benchmarks/people.py DATA RUN

DATA is a folder in COCO's layout, `instances_val.json` among its labels. Counted are people taller
than 96 pixels; smaller ones are ignored, like crowds, for everybody. OpenCV's detector is taken as
it comes, and at its best setting: windows cut to the person, 0.65 of their width and 0.8 of their
height (its template was trained with a margin), and a threshold of −1.
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from contributed import require

from sightline import images, load, pipeline
from sightline.boxes import clip
from sightline.data import Dataset, open_dataset
from sightline.evaluate import evaluate
from sightline.ops.nms import nms
from sightline.progress import track
from sightline.types import Detections

TALL = 96
"""Pixels: what OpenCV's template, 64 × 128 with its margin, was trained for."""


def people(folder: Path) -> Dataset:
    """The images of the split "val" with people alone; those up to `TALL` are crowds."""
    dataset = open_dataset(folder, "val")
    number, examples = dataset.classes.index("person"), []
    for example in dataset:
        objects = example.objects[np.flatnonzero(example.objects.labels == number)]
        small = objects.boxes[:, 3] - objects.boxes[:, 1] <= TALL
        labels = np.zeros(len(objects), np.int64)
        objects = replace(objects, labels=labels, crowd=objects.crowd | small)
        examples.append(replace(example, objects=objects))
    return replace(dataset, examples=tuple(examples), classes=("person",), category_ids=(1,))


def answers(boxes: torch.Tensor, scores: torch.Tensor, size: tuple[int, int]) -> Detections:
    """The best 100 after suppression, as detections of people."""
    kept = nms(boxes, scores, 0.5, 100)
    labels = torch.zeros(len(kept), dtype=torch.int64)
    return Detections(clip(boxes[kept], size), scores[kept], labels, kept, size, ("person",))


def opencv(cut: tuple[float, float], hit: float, group: int) -> Callable[[Path], Detections]:
    """OpenCV's detector; its windows shrunk by `cut` (width, height) around their centres."""
    detector = cv2.HOGDescriptor()
    detector.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())

    def found(path: Path) -> Detections:
        picture = images.read(path).permute(1, 2, 0).numpy()[..., ::-1].copy()
        size = (picture.shape[0], picture.shape[1])
        rows, margins = detector.detectMultiScale(
            picture, hit, (8, 8), (8, 8), scale=1.05, groupThreshold=group
        )
        corners = torch.from_numpy(np.asarray(rows, np.float32).reshape(-1, 4))
        half = corners[:, 2:] / 2
        middle, half = corners[:, :2] + half, half * torch.tensor(cut)
        scores = torch.from_numpy(np.asarray(margins, np.float32).reshape(-1))
        return answers(torch.cat([middle - half, middle + half], 1), scores, size)

    return found


def ours(run: str) -> Callable[[Path], Detections]:
    """A trained model, with the threshold that it has itself."""
    detector = load(run, score=None).detector

    def found(path: Path) -> Detections:
        answer = pipeline.detect(detector, [images.read(path)])[0]
        return replace(answer, classes=("person",))

    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("model", nargs="?", help="a run that was trained on people alone")
    options = parser.parse_args()
    require(parser, "HOGDescriptor")
    dataset = people(options.data)
    rows = {
        "OpenCV, as it comes": opencv((1.0, 1.0), 0.0, 2),
        "OpenCV, windows cut, threshold −1": opencv((0.65, 0.8), -1.0, 0),
    }
    if options.model:
        rows["ours"] = ours(options.model)
    count = sum(int((~example.objects.crowd).sum()) for example in dataset)
    print(f"{len(dataset)} images, {count} people taller than {TALL} pixels")
    for name, found in rows.items():
        results = [found(example.path) for example in track(dataset, name)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = evaluate(dataset, results).to_json()
        print(f"{name}: AP50 {report['AP50']:.3f}, AP {report['AP']:.3f}", flush=True)


if __name__ == "__main__":
    main()
