"""Histograms of gradients and linear machines: all windows at once, and what they learn from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline import catalogue, checkpoint, pipeline
from sightline.detectors.hog_pyramid import HogPyramid, nearest_shape
from sightline.detectors.sliding_windows import SHAPES, HogSvm, hog_svm
from sightline.fitting import Desk
from sightline.types import Targets


def scene(seed: int, height: int = 150, width: int = 220) -> tuple[torch.Tensor, Targets]:
    """Noise with a bright ring (class 0) and an upright grating (class 1)."""
    rng = torch.Generator().manual_seed(seed)
    image = torch.randint(60, 120, (3, height, width), generator=rng, dtype=torch.uint8)
    x, y = (int(torch.randint(5, 45, (1,), generator=rng)) for _ in range(2))
    down, across = torch.meshgrid(torch.arange(60) - 30, torch.arange(60) - 30, indexing="ij")
    radius = (down.square() + across.square()).float().sqrt()
    image[:, y : y + 60, x : x + 60][:, (radius > 18) & (radius < 28)] = 250
    left = 130 + int(torch.randint(0, 30, (1,), generator=rng))
    image[:, 20:120, left : left + 50 : 12] = 255
    image[:, 20:120, left + 5 : left + 50 : 12] = 0
    boxes = torch.tensor([[x, y, x + 60, y + 60], [left, 20, left + 50, 120]]).float()
    return image, Targets(boxes, torch.tensor([0, 1]), torch.zeros(2).bool())


class Drawn(list[tuple[torch.Tensor, Targets]]):
    """Samples in memory."""


def loud(windows: str = "any") -> HogSvm:
    detector = hog_svm(("ring", "grating"), windows)  # type: ignore[arg-type]
    rng = torch.Generator().manual_seed(3)
    for buffer in detector.buffers():
        buffer.copy_(torch.randn(buffer.shape, generator=rng) * 0.05)
    detector.preparation = replace(detector.preparation, longer=240)
    return detector


@pytest.mark.parametrize("windows", ["any", "people"])
@pytest.mark.parametrize("pad", [0, 1, 2])
def test_all_windows_at_once_and_one_by_one(windows: str, pad: int) -> None:
    detector = loud(windows)
    detector.pyramid = replace(detector.pyramid, pad=pad)
    batch = detector.prepare([scene(1)[0], scene(2)[0]])
    features = detector.encode(batch)
    regions = detector.propose(batch, features)
    some = torch.randperm(len(regions), generator=torch.manual_seed(0))[:300]
    dense = detector.classify(batch, features, regions).scores[some]
    assert dense.std() > 0.1
    single = detector.classify_windows(batch, regions[some]).scores
    torch.testing.assert_close(dense, single, rtol=0, atol=1e-5)
    few = detector.classify(batch, features, regions[some]).scores
    assert torch.equal(few, dense)


@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    step=st.sampled_from([1.05, 1.2, 2.0]),
    margin=st.integers(0, 2),
    pad=st.integers(0, 2),
)
def test_windows_lie_on_their_maps(
    size: tuple[int, int], step: float, margin: int, pad: int
) -> None:
    pyramid = HogPyramid(((5, 3), (4, 6)), step, margin, pad)
    boxes, level = pyramid.windows(size)
    places = pyramid.places(size)
    assert len(boxes) == len(level) == sum(rows * columns for _, rows, columns in places)
    pixels = torch.zeros(1, 3, *size)
    maps = pyramid.maps(pixels)
    assert [tuple(m.shape[2:]) for m in maps] == [pyramid.grid(s) for s in pyramid.sizes(size)]
    cells = pyramid.cells(boxes, level, size)
    first = torch.tensor([p[0] for p in places])[level]
    columns = torch.tensor([p[2] for p in places])[level]
    assert torch.equal(first + cells[:, 0] * columns + cells[:, 1], torch.arange(len(boxes)))
    reach = 8 * (pad - margin) + 1e-3
    for number in level.unique().tolist():
        height, width = pyramid.sizes(size)[number // 2]
        scaled = boxes[level == number] * torch.tensor([width / size[1], height / size[0]] * 2)
        assert (scaled[:, :2] >= -reach).all()
        assert (scaled[:, 2] <= width + reach).all() and (scaled[:, 3] <= height + reach).all()


def test_the_number_of_windows_of_a_large_image() -> None:
    """As OpenCV's detector has them: 64 × 128 pixels, a pixel in eight, each level 5 % smaller."""
    pyramid = HogPyramid(((16, 8),), 1.05, margin=0, pad=0)
    assert len(pyramid.windows((768, 1024))[0]) == 85_729


def test_shapes_by_ratio() -> None:
    boxes = torch.tensor([[0, 0, 10, 20.0], [0, 0, 30, 33], [5, 5, 45, 20], [0, 0, 0, 0]])
    assert nearest_shape(boxes, SHAPES["any"]).tolist() == [0, 1, 2, 1]


@pytest.mark.slow
def test_it_learns_what_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    detector = hog_svm(("ring", "grating", "unicorn"))
    detector.preparation = replace(detector.preparation, longer=220)
    samples = Drawn(scene(seed) for seed in range(12))
    assert not len(pipeline.detect(detector, [samples[0][0]])[0])  # before it has learnt
    detector.fit(samples, Desk(say=lines.append))
    assert any("no sample" in line and "unicorn" in line for line in lines)
    assert any("hard negatives" in line for line in lines)
    for seed in range(100, 104):
        image, truth = scene(seed)
        found = pipeline.detect(detector, [image])[0].above(0.0)
        best = {label: i for i, label in reversed(list(enumerate(found.labels.tolist())))}
        assert set(best) == {0, 1}
        for label, row in best.items():
            from sightline.boxes import iou

            assert iou(found.boxes[row : row + 1], truth.boxes[label : label + 1]) > 0.6


@pytest.mark.slow
def test_the_same_seed_the_same_machines_and_a_file_keeps_them(tmp_path: Path) -> None:
    samples = Drawn(scene(seed) for seed in range(4))
    states = []
    for _ in range(2):
        detector = hog_svm(("ring", "grating"))
        detector.preparation = replace(detector.preparation, longer=220)
        detector.fit(samples, Desk(seed=5))
        states.append(detector.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    manifest = {"model": "hog_svm", "classes": ["ring", "grating"]}
    checkpoint.write(tmp_path / "machines", states[0], manifest)
    again = catalogue.build("hog_svm", ("ring", "grating"))
    checkpoint.load_into(again, checkpoint.read(tmp_path / "machines"))  # type: ignore[arg-type]
    for name, value in again.state_dict().items():  # type: ignore[attr-defined]
        assert torch.equal(value, states[0][name])


def test_nothing_to_learn_from_is_said_and_no_crash() -> None:
    image, truth = scene(0)
    none = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0).bool())
    crowd = replace(truth, crowd=torch.ones(2).bool())
    for samples in (Drawn(), Drawn([(image, none)]), Drawn([(image, crowd)])):
        lines: list[str] = []
        detector = hog_svm(("ring", "grating"))
        detector.fit(samples, Desk(say=lines.append))
        assert "no sample" in lines[0]
        assert not len(pipeline.detect(detector, [image])[0])


def test_images_without_a_negative() -> None:
    """One object that fills its image: nothing to tell it from, so no answer, and no crash."""
    image = torch.randint(0, 255, (3, 70, 64), dtype=torch.uint8)
    whole = Targets(torch.tensor([[0.0, 0, 64, 70]]), torch.tensor([0]), torch.zeros(1).bool())
    detector = hog_svm(("thing",))
    detector.pyramid = replace(detector.pyramid, step=8.0)
    detector.preparation = replace(detector.preparation, longer=80)
    detector.fit(Drawn([(image, whole)]), Desk())
    assert all(value.isfinite().all() for value in detector.state_dict().values())


def test_a_stop_is_heard_and_time_can_run_out() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    samples = Drawn(scene(seed) for seed in range(3))
    with pytest.raises(Stop):
        hog_svm(("ring", "grating")).fit(samples, Desk(pause=stop))
    detector = hog_svm(("ring", "grating"))
    detector.fit(samples, Desk(spent=lambda: 1.0))
    assert all(value.isfinite().all() for value in detector.state_dict().values())
