"""Intervals by resampling: COCO's own figures of the images drawn, by the kernel's bits."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation_world import dataset_of, found, square

from sightline.data.records import Dataset
from sightline.errors import UsageError
from sightline.evaluate import bootstrap, evaluate
from sightline.evaluate.columns import Columns, gather
from sightline.kernels.cpu.bootstrap import resampled_precision as fast
from sightline.types import Detections

CLASSES = ("cat", "dog")


def scenes(seed: int, images: int = 12) -> tuple[Dataset, list[Detections]]:
    """Objects, and answers near some of them and beside others; images share scores, of which an
    image has each once."""
    rng = np.random.default_rng(seed)
    labels, answers = [], []
    for _ in range(images):
        rows, said = [], []
        for _ in range(rng.integers(0, 4)):
            name, (x, y) = CLASSES[rng.integers(2)], rng.integers(0, 40, 2).tolist()
            rows.append((name, square(x, y)))
            for _ in range(rng.integers(0, 3)):
                dx, dy = rng.integers(-4, 5, 2).tolist()
                score = float(rng.integers(1, 5)) / 10 + len(said) / 200
                said.append((name, score, square(x + dx / 2, y + dy / 2)))
        said.sort(key=lambda one: -one[1])
        labels.append(rows)
        answers.append(found(CLASSES, *said))
    return dataset_of(CLASSES, *labels, crowd=[(0, 0)] if labels[0] else []), answers


def columns_of(seed: int) -> Columns:
    return gather(*scenes(seed))


@pytest.mark.parametrize("seed", range(4))
def test_the_kernel_is_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, count = 9, int(rng.integers(0, 60))
    image = rng.integers(0, images, count)
    hits = rng.random(count) < 0.4
    objects = rng.integers(0, 5, images)
    copies = bootstrap.draw(images, 50, seed)
    copies[0] = 0  # a resample in which there is nothing to find
    exact = bootstrap.resampled_precision.reference(image, hits, objects, copies)
    assert np.array_equal(fast(image, hits, objects, copies), exact, equal_nan=True)
    assert np.isnan(exact[0]).all() and not np.isnan(exact[1:]).any()


@pytest.mark.filterwarnings("ignore::sightline.errors.SightlineWarning")
@pytest.mark.parametrize("seed", range(3))
def test_a_resample_is_cocos_figure_of_the_images_drawn(seed: int) -> None:
    """Judged once more by the evaluator itself, the images drawn twice as two images."""
    dataset, answers = scenes(seed)
    copies = bootstrap.draw(len(dataset), 5, seed)
    found = bootstrap.judged(gather(dataset, answers), copies)
    for row, times in enumerate(copies):
        rows = np.repeat(np.arange(len(dataset)), times).tolist()
        examples = tuple(replace(dataset[i], image_id=n + 1) for n, i in enumerate(rows))
        report = evaluate(replace(dataset, examples=examples), [answers[i] for i in rows])
        for name in ("AP", "AP50", "AP75"):
            assert getattr(found, name)[row] == pytest.approx(getattr(report, name), abs=1e-9)


def test_every_image_once_is_the_figure_itself() -> None:
    dataset, answers = scenes(7)
    columns, report = gather(dataset, answers), evaluate(dataset, answers)
    once = bootstrap.judged(columns, np.ones((1, len(dataset)), np.int64))
    assert once.AP[0] == pytest.approx(report.AP, abs=1e-9)
    spread = bootstrap.interval(bootstrap.bootstrap(columns, 200).AP)
    assert spread is not None and spread[0] < report.AP < spread[1]


def test_the_seed_decides() -> None:
    columns = columns_of(3)
    first, again, other = (bootstrap.bootstrap(columns, 20, seed).AP for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    with pytest.raises(UsageError, match="0 resamples"):
        bootstrap.bootstrap(columns, 0)


def test_a_difference_is_surer_than_its_figures() -> None:
    """Two models whose intervals overlap, one of which is better on every image."""
    base = np.linspace(0.2, 0.6, 101)
    better = base + 0.01
    one, two = bootstrap.interval(base), bootstrap.interval(better)
    assert one is not None and two is not None and one[1] > two[0]
    assert not bootstrap.tied(base, better) and bootstrap.tied(base, base[::-1])
    assert bootstrap.tied(base, np.full(101, np.nan)) and bootstrap.interval(base * np.nan) is None


def test_no_objects_no_figure() -> None:
    dataset = dataset_of(CLASSES, [], [])
    none = bootstrap.bootstrap(gather(dataset, [found(CLASSES)] * 2), 3)
    assert np.isnan(none.AP).all() and np.isnan(none.AP50).all()
