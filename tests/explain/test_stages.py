"""Stages of every kind of method: their numbers are the trace's, their pictures are pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from drawn_poses import Drawn, person
from sightline import pipeline
from sightline.data.records import Objects
from sightline.detectors.bottom_up import Decoding
from sightline.explain import View, stages
from sightline.explain.encode_views import merged
from sightline.explain.view import shown, write
from sightline.ops.limbs import LineRule
from sightline.pipeline import Detector, Trace
from small_detectors import small

FIRST = {"first-stage", "pooling"}
KINDS = {
    "mask_rcnn_mobilenet_v2": FIRST | {"encode", "masks", "classify", "suppression"},
    "rcnn_mobilenet_v2": FIRST | {"encode", "classify", "suppression"},
    "yolo_v1_mobilenet_v2": {"encode", "grid", "classify", "suppression"},
    "openpose_mobilenet_v2": {"encode", "parts", "limbs"},
    "selective_search": {"segments", "classify", "suppression"},
}
ALWAYS = {"prepare", "propose", "reasons", "answers", "objects", "cost"}


@pytest.fixture(scope="module", params=KINDS)
def looked(request: pytest.FixtureRequest) -> tuple[str, Detector, Trace, list[View]]:
    photo = torch.from_numpy(data.chelsea()[:90, :140].copy()).permute(2, 0, 1).contiguous()
    detector = small(request.param, 128, 96)
    trace = pipeline.run(detector, [photo])
    truth = Objects.of([[10, 10, 80, 70], [2, 2, 9, 9]], [0, 0])
    return request.param, detector, trace, stages(trace, detector, truth, best=5)


def by_name(views: list[View]) -> dict[str, View]:
    return {view.name: view for view in views}


def test_which_stages_there_are_depends_on_the_method(
    looked: tuple[str, Detector, Trace, list[View]],
) -> None:
    name, _, trace, views = looked
    found = by_name(views)
    assert set(found) == ALWAYS | KINDS[name] and len(found) == len(views)
    regions = len(trace.regions)
    assert found["propose"].numbers["regions"] == regions
    assert sum(row[1] for row in found["propose"].table) == regions  # type: ignore[misc]
    assert sum(row[1] for row in found["reasons"].table) == regions  # type: ignore[misc]
    assert len(found["answers"].table) == len(trace.detections[0])
    assert [row[0] for row in found["objects"].table] == [0, 1]
    assert [row[0] for row in found["cost"].table] == list(trace.seconds)
    json.dumps([view.to_json() for view in views], allow_nan=False)
    assert all(view.text(3).startswith(view.title) for view in views)


def test_numbers_are_those_of_the_trace(looked: tuple[str, Detector, Trace, list[View]]) -> None:
    name, detector, trace, views = looked
    found = by_name(views)
    if "classify" in found:
        region, *scores = found["classify"].table[0]
        torch.testing.assert_close(torch.tensor(scores), trace.scored.scores[region].float())  # type: ignore[index]
        assert max(scores) == pytest.approx(float(trace.scored.scores.max()))  # type: ignore[type-var]
    if "first-stage" in found:
        anchors = found["first-stage"].numbers["candidates"]
        assert sum(row[1] for row in found["first-stage"].table) == anchors  # type: ignore[misc]
    if name.startswith("mask"):
        assert sum(row[2] for row in found["pooling"].table) == len(trace.regions)  # type: ignore[misc]
        assert "28 × 28" in found["masks"].title
    if "limbs" in found:
        integrals = [row[3] for row in found["limbs"].table]
        wanted = trace.scored.extras["integrals"].sort(descending=True).values
        assert integrals == pytest.approx(wanted.tolist())
        assert len(found["parts"].table) == len(detector.parts.points)  # type: ignore[attr-defined]
    if "grid" in found:
        row = found["grid"].table[0]
        assert row[6] == pytest.approx(row[4] * row[5], abs=1e-4)  # type: ignore[operator]
    if "suppression" in found and name != "selective_search":
        assert all(row[4] > 0.3 for row in found["suppression"].table)  # type: ignore[operator]


def test_which_limbs_were_taken(tmp_path: Path) -> None:
    """More candidates than limbs: two people who stand close have limbs to each other's parts."""
    people = torch.stack([person(8.3, 7.1), person(11.8, 8.4)])
    detector = Drawn(people, Decoding(line=LineRule(share=0.3, least=0.0)))
    trace = pipeline.run(detector, [torch.zeros(3, 480, 704, dtype=torch.uint8)])
    view = by_name(stages(trace, detector))["limbs"]
    rows = detector.matched(trace.scored)
    assert 0 < len(rows) < len(view.table) == len(trace.scored.extras["limbs"])
    taken = [row[1:3] for row in view.table if row[5] == "yes"]
    ends = trace.scored.extras["limbs"][rows, 1:].tolist()
    assert sorted(taken) == sorted(map(tuple, ends)) and view.numbers["taken"] == len(rows)  # type: ignore[type-var]
    assert [path.suffix for path in write(tmp_path, "two people", [view])].count(".png") == 1


def test_a_page_with_its_pictures(
    looked: tuple[str, Detector, Trace, list[View]], tmp_path: Path
) -> None:
    _, _, _, views = looked
    drawn = [view for view in views if view.draw is not None][1:3]  # each takes a while
    written = write(tmp_path / "page", "a photo", drawn)
    pictures = [path for path in written if path.suffix == ".png"]
    page = (tmp_path / "page" / "stages.md").read_text()
    assert len(pictures) == len(drawn)
    for path in pictures:
        assert f"]({path.name})" in page
        assert np.asarray(Image.open(path)).std() > 5
    told = json.loads((tmp_path / "page" / "stages.json").read_text())
    assert [one["stage"] for one in told["stages"]] == [view.name for view in drawn]


def test_segments_grow_together() -> None:
    photo = torch.from_numpy(data.chelsea()[:60, :90].copy()).permute(2, 0, 1).contiguous()
    trace = pipeline.run(small("selective_search", 128, 96), [photo])
    pixels = photo.permute(1, 2, 0).numpy()
    colours = [
        len(np.unique(merged(trace, 0, 0, left, pixels).reshape(-1, 3), axis=0))
        for left in (100, 4, 2, 1)
    ]
    assert colours[0] > colours[1] >= colours[2] > colours[3] == 1


def test_numbers_as_people_read_them() -> None:
    told = [shown(value) for value in (None, 0.25, 1234, 0.00002, (3, 4), "a|b", 0.0)]
    assert told == ["–", "0.250", "1,234", "2e-05", "3 × 4", "a/b", "0.000"]
