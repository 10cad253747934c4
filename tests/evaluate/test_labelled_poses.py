"""A pose machine judged by itself: it poses the labelled boxes, and no detector takes part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dot_machine import ONE, STAR, TWO, middles, model, picture
from sightline import catalogue
from sightline.data.records import Dataset, Example, Objects
from sightline.errors import SightlineWarning, UsageError
from sightline.evaluate import evaluate, predict


def labelled(folder: Path) -> Dataset:
    """Two people, a crowd and a dog in one image; nobody in a second of the same size."""
    points = np.zeros((4, 3, 3), np.float32)
    points[:2, :, :2] = np.stack([middles(ONE), middles(TWO)])
    points[:2, :, 2] = 2
    boxes = [[5, 5, 50, 65], [60, 15, 115, 75], [0, 0, 120, 90], [0, 0, 9, 9]]
    objects = Objects.of(boxes, [1, 1, 1, 0], keypoints=points)
    objects = replace(objects, crowd=np.array([False, False, True, False]))
    examples = []
    for number, (stars, own) in enumerate((((ONE, TWO), objects), ((), objects[:0]))):
        path = folder / f"{number}.png"
        Image.fromarray(picture(*stars).permute(1, 2, 0).numpy()).save(path)
        examples.append(Example(path, number, (90, 120), own))
    return Dataset(tuple(examples), ("dog", "person"), (1, 2), STAR, "dots", folder, None)


def test_the_labelled_people_are_posed_and_nobody_else(tmp_path: Path) -> None:
    data = labelled(tmp_path)
    found = predict(model(), data, batch_size=2, labelled=True)
    assert [len(one) for one in found] == [2, 0]
    assert sorted(found[0].boxes[:, 0].tolist()) == [5, 60]
    with pytest.warns(SightlineWarning, match="does not know dog"):
        report = evaluate(data, found)
    assert report.keypoints_PCK == 1


def test_other_detectors_find_their_objects_themselves(tmp_path: Path) -> None:
    retinanet = catalogue.build("retinanet", ("dog", "person"))
    with pytest.raises(UsageError, match="labelled boxes") as caught:
        predict(retinanet, labelled(tmp_path), labelled=True)
    assert caught.value.code == "usage.people"
