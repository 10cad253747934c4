"""The ladder never goes down, ends at 1, and starts where the evaluator stands."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from sightline import pipeline
from sightline.data.records import Dataset, Example, Objects
from sightline.evaluate import evaluate
from sightline.explain import Stage
from sightline.explain.losses import chart, comma_separated, losses, markdown, rows, write
from sightline.explain.oracle import RUNGS, ladder_of
from sightline.images import read
from small_detectors import small


def test_each_rung_mends_its_own_stage() -> None:
    objects = [("cat", stage) for stage in Stage]
    answers = [
        ("cat", 0.9, "background"),
        ("cat", 0.8, "right"),
        ("cat", 0.7, "localisation"),
        ("cat", 0.6, "duplicate"),
        ("dog", 0.5, "foreign"),
    ]
    values = list(ladder_of([(objects, answers)]).values.values())
    # of 7 objects: 1 after a wrong answer; 2 more before it; 2 more, the wrong one gone; …
    places = np.linspace(0, 1, 101)
    recall = [places <= n / 7 for n in (1, 3, 5, 6, 7)]
    assert values[0] == pytest.approx(float((recall[0] * 0.5).mean()))
    second = np.where(places <= 2 / 7, 1.0, recall[1] * 0.75)
    assert values[1] == pytest.approx(float(second.mean()))
    assert values[2:4] == pytest.approx([float(recall[2].mean()), float(recall[3].mean())])
    assert values[4] == 1.0


def test_without_objects_there_is_nothing_to_climb() -> None:
    assert set(ladder_of([([], [("cat", 0.5, "background")])]).values.values()) == {None}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two pictures of noise with three boxes each."""
    folder = tmp_path_factory.mktemp("pictures")
    draw, examples = np.random.default_rng(0), []
    for number in (1, 2):
        path = folder / f"{number}.png"
        pixels = draw.integers(0, 255, (9, 12, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((120, 90)).save(path)
        boxes = [[5, 5, 60, 70], [40, 20, 115, 85], [0, 0, 119, 89]]
        labels = [0, 1, 2]
        examples.append(Example(path, number, (90, 120), Objects.of(boxes, labels)))
    return Dataset(tuple(examples), ("cat", "dog", "hen"), (1, 2, 3), None, "noise", folder, None)


@pytest.mark.parametrize("name", ["retinanet", "yolo_v1", "faster_rcnn", "hog_svm"])
def test_it_starts_at_the_evaluators_figure(name: str, dataset: Dataset) -> None:
    torch.manual_seed(0)
    detector = small(name if name == "hog_svm" else f"{name}_mobilenet_v2", 128, 96)
    answers = pipeline.detect(detector, [read(example.path) for example in dataset])
    examples = []
    for example, one in zip(dataset, answers, strict=True):  # something that is found, and more
        known = one[one.labels != 2]  # the data have no person
        boxes = torch.cat([known.boxes[:1].double(), torch.from_numpy(example.objects.boxes)])
        truth = Objects.of(boxes.tolist(), [int(known.labels[0]), 0, 1, 2])
        examples.append(replace(example, objects=truth))
    dataset, seen = replace(dataset, examples=tuple(examples)), list[int]()
    found = losses(detector, dataset, progress=lambda done, _: seen.append(done))
    assert seen == [1, 2] and found.objects == 8
    with pytest.warns(Warning, match="hen"):
        report = evaluate(dataset, answers)
    values = [found.ladder.values[rung] for rung in RUNGS]
    assert values[0] == pytest.approx(report.boxes.values["AP50"], abs=1e-9)
    assert all(a <= b for a, b in pairwise(values))  # type: ignore[operator]
    assert values[-1] == 1.0 and 0 < values[0] < 1  # type: ignore[operator]
    assert sum(found.ladder.gains().values()) == pytest.approx(1.0 - values[0])  # type: ignore[arg-type]


def test_tables_and_chart(dataset: Dataset, tmp_path: pytest.TempPathFactory) -> None:
    found = {"yolo": losses(small("yolo_v1_mobilenet_v2", 128, 96), dataset)}
    found["again"] = found["yolo"]
    table = rows(found)
    assert table[0] == ["", "yolo", "again"] and table[1] == ["objects", "6", "6"]
    shares = [float(row[1].split()[0]) for row in table[2:9]]
    assert sum(shares) == pytest.approx(100, abs=0.4)
    ends = [float(row[1].split()[0]) for row in table if row[0].startswith("…")]
    assert sum(ends) == pytest.approx(100, abs=0.1)
    assert markdown(table).count("\n") == len(table) + 1
    assert comma_separated(table).splitlines()[1] == "objects,6,6"
    assert {path.name for path in write(tmp_path, found)} == {  # type: ignore[arg-type]
        "lost.json", "lost.csv", "lost.md", "lost.png"
    }  # fmt: skip
    heights: dict[float, float] = {}
    for patch in chart(found).axes[0].patches:
        place = round(patch.get_x(), 2)
        heights[place] = heights.get(place, 0.0) + patch.get_height()
    assert list(heights.values()) == pytest.approx([100, 100])
