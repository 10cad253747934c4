"""TIDE's six errors: each once, with its weight worked out by hand; and oracles on random sets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_world import SIZE, Answer, dataset_of, found, square

from sightline.data.records import Dataset, Example, Objects
from sightline.evaluate import tide
from sightline.evaluate.errors import KINDS, Errors
from sightline.types import Detections

AB = ("cat", "dog")
CAT, DOG = square(0, 0), square(40, 40)


def errors(*answers: Answer) -> Errors:
    """TIDE on one image with a cat and a dog."""
    return tide(dataset_of(AB, [("cat", CAT), ("dog", DOG)]), [found(AB, *answers)])


def only(report: Errors, *kinds: str) -> None:
    assert {kind for kind, count in report.counts.items() if count} == set(kinds)


def test_no_error() -> None:
    report = errors(("cat", 0.9, CAT), ("dog", 0.8, DOG))
    only(report)
    assert pytest.approx(1) == report.AP
    assert all(gain == pytest.approx(0) for gain in report.dAP.values())


def test_classification() -> None:
    # the dog is called a cat: no AP for dogs; the cats' precision suffers before the cat comes
    report = errors(("cat", 0.9, DOG), ("cat", 0.8, CAT))
    only(report, "classification")
    assert pytest.approx((0.5 + 0) / 2) == report.AP
    assert report.dAP["classification"] == pytest.approx(0.75)
    assert report.dAP["missed"] == pytest.approx(0)
    # without its only, unfound object the dogs drop out of the mean
    assert report.dAP["false_negatives"] == pytest.approx(0.25)
    assert report.dAP["false_positives"] == pytest.approx(0.25)


def test_localisation() -> None:
    badly = [40, 40, 50, 44]  # IoU 0.4
    report = errors(("cat", 0.9, CAT), ("dog", 0.8, badly))
    only(report, "localisation")
    assert pytest.approx(0.5) == report.AP
    assert report.dAP["localisation"] == pytest.approx(0.5)


def test_both() -> None:
    badly = [40, 40, 50, 44]
    report = errors(("cat", 0.9, badly), ("cat", 0.8, CAT), ("dog", 0.7, DOG))
    only(report, "both")
    assert pytest.approx(0.75) == report.AP
    assert report.dAP["both"] == pytest.approx(0.25)


def test_duplicate() -> None:
    data = dataset_of(("cat",), [("cat", CAT), ("cat", DOG)])
    rows = [found(("cat",), ("cat", 0.9, CAT), ("cat", 0.8, CAT), ("cat", 0.7, DOG))]
    report = tide(data, rows)
    only(report, "duplicate")
    # precision 1 up to recall 1/2 (51 of the 101 recalls), then 2/3
    assert pytest.approx((51 + 50 * 2 / 3) / 101) == report.AP
    assert report.dAP["duplicate"] == pytest.approx(1 - (51 + 50 * 2 / 3) / 101)


def test_background() -> None:
    report = errors(("cat", 0.95, square(20, 0)), ("cat", 0.9, CAT), ("dog", 0.8, DOG))
    only(report, "background")
    assert pytest.approx(0.75) == report.AP
    assert report.dAP["background"] == pytest.approx(0.25)
    alone = tide(dataset_of(("cat",), [], [("cat", CAT)]), [
        found(("cat",), ("cat", 0.95, CAT)),
        found(("cat",), ("cat", 0.9, CAT)),
    ])  # fmt: skip
    only(alone, "background")
    assert alone.worst() == [0] and alone.images["background"].tolist() == [1, 0]


def test_missed() -> None:
    data = dataset_of(("cat",), [("cat", CAT), ("cat", DOG)])
    report = tide(data, [found(("cat",), ("cat", 0.9, CAT))])
    only(report, "missed")
    assert pytest.approx(51 / 101) == report.AP
    assert report.dAP["missed"] == pytest.approx(50 / 101)
    nothing = tide(data, [found(("cat",))])
    assert nothing.AP == 0 and nothing.dAP["missed"] == pytest.approx(1)


@pytest.mark.parametrize(
    "side, kind", [(5.0, None), (4.9, "localisation"), (1.0, "localisation"), (0.9, "background")]
)
def test_thresholds(side: float, kind: str | None) -> None:
    data = dataset_of(("cat",), [("cat", CAT)])
    report = tide(data, [found(("cat",), ("cat", 0.9, [0, 0, 10, side]))])
    only(report, *([] if kind is None else [kind, "missed"][: 2 if kind == "background" else 1]))


def test_of_two_claims_on_one_object_the_better_scored_is_mended() -> None:
    badly = [40, 40, 50, 44]
    report = errors(("cat", 0.9, CAT), ("dog", 0.8, badly), ("dog", 0.7, badly))
    assert report.counts["localisation"] == 2
    assert report.dAP["localisation"] == pytest.approx(0.5)
    # a claim on an object that is found already replaces the worse scored of the two
    report = errors(("cat", 0.9, CAT), ("dog", 0.8, badly), ("dog", 0.7, DOG))
    assert pytest.approx(0.75) == report.AP
    assert report.dAP["localisation"] == pytest.approx(0.25)


def test_crowds_excuse_and_nothing_to_find_is_null() -> None:
    data = dataset_of(("cat",), [("cat", [0, 0, 60, 60])], crowd=[(0, 0)])
    report = tide(data, [found(("cat",), ("cat", 0.9, square(30, 30)))])
    only(report)
    assert report.AP is None and set(report.dAP.values()) == {None}
    assert "–" in report.summary() and set(report.to_json()) == {"AP", "dAP", "counts"}


def random_set(seed: int) -> tuple[Dataset, list[Detections]]:
    rng = np.random.default_rng(seed)
    examples, results = [], []
    for number in range(4):
        corner = rng.random((5, 2)) * 40
        truth = np.concatenate([corner, corner + 6 + rng.random((5, 2)) * 14], axis=1)
        objects = Objects.of(truth, rng.integers(0, 2, 5))
        examples.append(Example(Path(f"/{number}.png"), number, SIZE, objects))
        boxes = np.tile(truth, (3, 1)) + rng.normal(0, 2, (15, 4))
        results.append(
            Detections(
                torch.from_numpy(boxes).float(),
                torch.from_numpy(rng.random(15)).float(),
                torch.from_numpy(rng.integers(0, 2, 15)),
                torch.arange(15),
                SIZE,
                AB,
            )
        )
    return Dataset(tuple(examples), AB, (1, 2), None, "r", Path("/"), None), results


@pytest.mark.parametrize("seed", range(10))
def test_every_error_has_one_kind_and_mending_never_harms(seed: int) -> None:
    data, results = random_set(seed)
    report = tide(data, results)
    right = 60 - sum(report.counts[kind] for kind in KINDS[:-1])
    assert 0 < right <= 20 and report.counts["missed"] <= 20 - right
    assert report.AP is not None and 0 < report.AP < 1
    for kind in KINDS:
        gain = report.dAP[kind]
        assert gain is not None and -1e-12 <= gain <= 1 - report.AP + 1e-12
    assert sum(rows.sum() for rows in report.images.values()) == sum(report.counts.values())
