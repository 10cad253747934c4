"""Stages of every kind of method: their numbers are the trace's, their pictures are pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from drawn_poses import Drawn, person
from sightline import pipeline
from sightline.data.records import Objects
from sightline.detectors.bottom_up import Decoding
from sightline.detectors.top_down import TopDown
from sightline.explain import View, crop_views, stages
from sightline.explain.encode_views import merged
from sightline.explain.view import shown, write
from sightline.explain.words import OUTCOMES
from sightline.ops.limbs import LineRule
from sightline.pipeline import Detector, Trace
from small_detectors import small

FIRST = {"first-stage", "pooling"}
CHOSEN = {"classify", "suppression"}
KINDS = {
    "mask_rcnn_mobilenet_v2": FIRST | CHOSEN | {"encode", "masks"},
    "keypoint_rcnn_mobilenet_v2": FIRST | CHOSEN | {"encode", "keypoints"},
    "rcnn_mobilenet_v2": FIRST | CHOSEN | {"encode"},
    "yolo_v1_mobilenet_v2": CHOSEN | {"encode", "grid"},
    "yolo_v3_mobilenet_v2": CHOSEN | {"encode", "grid"},
    "openpose_mobilenet_v2": {"encode", "parts", "limbs"},
    "cpm_mobilenet_v2": CHOSEN | {"encode", "first-stage", "people", "crops", "parts"},
    "selective_search": CHOSEN | {"segments"},
}
ALWAYS = {"prepare", "propose", "best", "reasons", "answers", "objects", "cost"}
Looked = tuple[str, Detector, Trace, dict[str, View]]


@pytest.fixture(scope="module", params=KINDS)
def looked(request: pytest.FixtureRequest) -> Looked:
    photo = torch.from_numpy(data.chelsea()[:150, :230].copy()).permute(2, 0, 1).contiguous()
    large = request.param.startswith("openpose")  # of less nobody is put together
    detector = small(request.param, *((224, 128) if large else (128, 96)))
    trace = pipeline.run(detector, [photo])
    truth = Objects.of([[10, 10, 80, 70], [2, 2, 9, 9]], [0, 0])
    views = stages(trace, detector, truth, best=5)
    found = {view.name: view for view in views}
    assert len(found) == len(views)
    return request.param, detector, trace, found


def column(view: View, head: str) -> list[Any]:
    """A column of a table that has rows."""
    assert view.table, view.name
    return [row[view.heads.index(head)] for row in view.table]


def test_which_stages_there_are_depends_on_the_method(looked: Looked) -> None:
    name, _, trace, found = looked
    assert set(found) == ALWAYS | KINDS[name]
    regions = len(trace.regions)
    assert found["propose"].numbers["regions"] == sum(column(found["propose"], "regions"))
    assert found["propose"].numbers["regions"] == sum(column(found["reasons"], "candidates"))
    assert found["propose"].numbers["regions"] == regions > 0
    assert len(column(found["answers"], "score")) == len(trace.detections[0])
    assert column(found["objects"], "object") == [0, 1]
    assert column(found["cost"], "verb") == list(trace.seconds)
    assert min(column(found["cost"], "megabytes passed on")) >= 0
    undrawn = {view.name for view in found.values() if view.draw is None}
    assert undrawn == {"best"} | ({"encode"} if name.startswith("rcnn") else set())
    json.dumps([view.to_json() for view in found.values()], allow_nan=False)
    assert all(view.text(3).startswith(view.title) for view in found.values())


def test_the_best_regions_have_their_scores_offsets_and_ends(looked: Looked) -> None:
    _, detector, trace, found = looked
    view, answers = found["best"], trace.detections[0]
    rows = column(view, "region")
    assert len(rows) == len(set(rows)) == min(5, len(trace.regions))
    scores = trace.scored.scores[rows].float().amax(dim=1)
    assert scores.max() == trace.scored.scores.max() and (scores.diff() <= 0).all()
    told = column(view, "what became of it")
    assert any(text.startswith("kept as #") for text in told)
    checked = "parts" in found
    for place, (row, text) in enumerate(zip(rows, told, strict=True)):
        if not text.startswith("kept as #") or "parts" in found:
            continue
        answer = int(text.removeprefix("kept as #")) - 1
        assert int(answers.region[answer]) == row
        label = detector.classes.index(column(view, "class")[place])
        if label != int(answers.labels[answer]):
            continue  # the class that got furthest is not that of the best score
        x1, x2 = trace.regions.boxes[row, 0::2].tolist()
        middle = (x1 + x2) / 2 + column(view, "shift x")[place] * (x2 - x1)
        half = column(view, "width ×")[place] * (x2 - x1) / 2
        ends = trace.batch.frames[0].to_original(torch.tensor([middle - half, 0, middle + half, 0]))
        wanted = answers.boxes[answer, 0::2]
        torch.testing.assert_close(ends[0::2].clamp(0, 230), wanted, rtol=1e-3, atol=0.05)
        checked = True
    assert checked


def test_numbers_are_those_of_the_trace(looked: Looked) -> None:
    name, detector, trace, found = looked
    if "classify" in found:
        region, *scores = found["classify"].table[0]
        torch.testing.assert_close(torch.tensor(scores), trace.scored.scores[region].float())  # type: ignore[index]
        assert max(scores) == pytest.approx(float(trace.scored.scores.max()))  # type: ignore[type-var]
    if "limbs" in found:
        wanted = trace.scored.extras["integrals"].sort(descending=True).values
        assert column(found["limbs"], "line integral") == pytest.approx(wanted.tolist())
        assert len(column(found["parts"], "part")) == len(detector.parts.points)  # type: ignore[attr-defined]
    if "suppression" in found and name not in ("selective_search", "cpm_mobilenet_v2"):
        least = detector.selection.iou  # type: ignore[attr-defined]
        assert min(column(found["suppression"], "IoU")) > least
    if "pooling" in found and "rcnn_" in name and not name.startswith("rcnn"):
        assert sum(column(found["pooling"], "regions")) == len(trace.regions)
        levels = set(column(found["pooling"], "level"))
        assert set(column(found["best"], "read from")) <= levels and len(levels) == 3
    if "masks" in found:
        assert "28 × 28" in found["masks"].title
        cells = trace.detections[0].masks.cells  # type: ignore[union-attr]
        assert column(found["masks"], "largest") == pytest.approx(cells.amax((1, 2)).tolist())


def test_the_first_stage_before_and_after_suppression(looked: Looked) -> None:
    _, _, trace, found = looked
    if "first-stage" not in found:
        assert not hasattr(looked[1], "proposer")
        return
    view, words = found["first-stage"], set(OUTCOMES.values())
    counts = {key: value for key, value in view.numbers.items() if key in words}
    assert sum(counts.values()) == view.numbers["candidates"] > 0
    assert view.numbers["proposals"] == len(trace.regions)
    scores, told = column(view, "score"), column(view, "what became of it")
    assert scores[:5] == sorted(scores[:5], reverse=True) and min(scores[:5]) >= max(
        scores[5:], default=-9
    )
    assert sum(text.startswith("kept as #") for text in told) == min(5, counts["kept"])


def test_the_grid_multiplies_to_the_scores(looked: Looked) -> None:
    name, _, trace, found = looked
    if "grid" not in found:
        assert not name.startswith("yolo")
        return
    view = found["grid"]
    heads = ("confidence", "Pr(class | object)", "score")
    sure, chance, score = (torch.tensor(column(view, head)) for head in heads)
    torch.testing.assert_close(sure * chance, score, rtol=1e-3, atol=1e-4)
    assert (chance <= 1.001).all() and (score == trace.detections[0].scores).all()
    level = column(view, "level") if "level" in view.heads else [0] * len(view.table)
    sides = (
        trace.features[0].shape[-2:] if name == "yolo_v3_mobilenet_v2" else view.numbers["cells"]
    )
    cells = trace.regions.boxes[trace.detections[0].region]
    middle = (cells[:, :2] + cells[:, 2:]) / 2
    for place, (row, column_) in enumerate(
        zip(column(view, "row"), column(view, "column"), strict=True)
    ):
        scale = 2 ** level[place]
        high, wide = trace.batch.size
        y, x = float(middle[place, 1]) / high, float(middle[place, 0]) / wide
        assert row == int(y * sides[0] / scale) + 1 and column_ == int(x * sides[1] / scale) + 1


def test_points_of_a_branch(looked: Looked) -> None:
    name, _, trace, found = looked
    if "keypoints" not in found:
        assert not name.startswith("keypoint")
        return
    points = trace.detections[0].keypoints
    assert points is not None
    told = torch.tensor([[*row[2:]] for row in found["keypoints"].table])
    torch.testing.assert_close(told, points.flatten(0, 1))


def test_people_from_the_top_down(looked: Looked) -> None:
    name, detector, trace, found = looked
    if not isinstance(detector, TopDown):
        assert not name.startswith("cpm") and "people" not in found
        return
    windows = torch.tensor([[*row[3:]] for row in found["people"].table])
    boxes = trace.batch.frames[0].to_original(
        trace.regions.boxes[column(found["people"], "region")]
    )
    assert (windows[:, :2] <= boxes[:, :2] + 1).all() and (windows[:, 2:] >= boxes[:, 2:] - 1).all()
    rows = torch.tensor(column(found["people"], "region"))[: crop_views.PEOPLE]
    again = crop_views.stages(trace, detector, 0, rows)
    assert len(again) == 3 == found["crops"].numbers["stages"]
    maps = trace.scored.extras["maps"][rows][:, :17]
    torch.testing.assert_close(again[-1], maps, rtol=1e-3, atol=1e-5)
    last = torch.tensor([[*row[2:]] for row in found["crops"].table if row[1] == 3])
    torch.testing.assert_close(last, maps.amax((2, 3)))
    points, answers = found["parts"].table[:17], trace.detections[0]
    assert answers.keypoints is not None
    (place,) = (answers.region == points[0][0]).nonzero()[:, 0].tolist()
    told = torch.tensor([[*row[2:5]] for row in points])
    torch.testing.assert_close(told, answers.keypoints[place], rtol=1e-3, atol=1e-2)
    assert set(column(found["parts"], "from")) == {"the machine"}


def test_every_picture_can_be_drawn(looked: Looked) -> None:
    """Of the first kind all, of the others what is theirs alone, and the answers."""
    name, _, _, found = looked
    own = {"answers"} | KINDS[name] - CHOSEN - {"first-stage"}
    drawn = [view for view in found.values() if view.draw is not None]
    if name != next(iter(KINDS)):
        drawn = [view for view in drawn if view.name in own]
    assert len(drawn) >= (10 if name == next(iter(KINDS)) else 2)
    for view in drawn:
        assert view.draw is not None
        figure = view.draw()
        figure.set_dpi(20)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
        assert pixels.std() > 3, view.name


def test_which_limbs_were_taken(tmp_path: Path) -> None:
    """More candidates than limbs: two people who stand close have limbs to each other's parts."""
    people = torch.stack([person(8.3, 7.1), person(11.8, 8.4)])
    detector = Drawn(people, Decoding(line=LineRule(share=0.3, least=0.0)))
    trace = pipeline.run(detector, [torch.zeros(3, 480, 704, dtype=torch.uint8)])
    (view,) = (one for one in stages(trace, detector) if one.name == "limbs")
    rows = detector.matched(trace.scored)
    assert 0 < len(rows) < len(view.table) == len(trace.scored.extras["limbs"])
    taken = [row[1:3] for row in view.table if row[5] == "yes"]
    ends = trace.scored.extras["limbs"][rows, 1:].tolist()
    assert sorted(taken) == sorted(map(tuple, ends)) and view.numbers["taken"] == len(rows)  # type: ignore[type-var]
    assert [path.suffix for path in write(tmp_path, "two people", [view])].count(".png") == 1


def test_a_page_with_its_pictures(looked: Looked, tmp_path: Path) -> None:
    drawn = [looked[3][name] for name in ("propose", "best", "answers")]  # each takes a while
    written = write(tmp_path / "page", "a photo", drawn)
    pictures = [path for path in written if path.suffix == ".png"]
    page = (tmp_path / "page" / "stages.md").read_text()
    assert len(pictures) == 2  # and the best ones are a table
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
