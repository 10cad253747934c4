"""COCO result files: what is written comes back; what is wrong is refused, with its place."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_world import SIZE, blob, dataset_of, found, square

from sightline.data.records import Skeleton
from sightline.errors import AnnotationError, SightlineWarning, UsageError
from sightline.evaluate import from_results, stream_results, write_results
from sightline.types import Detections

AB = ("cat", "dog")
DATA = dataset_of(AB, [("cat", square(0, 0))], [], [("dog", square(9, 9))])
ENTRY = {"image_id": 1, "category_id": 7, "bbox": [0, 0, 10, 10], "score": 0.5}


def put(folder: Path, value: Any) -> Path:
    path = folder / "answers.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    masks = torch.from_numpy(np.stack([blob([1, 2, 30, 20]), blob([0, 0, 80, 60])]))
    rows = [
        replace(
            found(AB, ("dog", 0.9, [1.1, 2.2, 30.3, 20.7]), ("cat", 0.25, square(3, 4))),
            masks=masks,
            keypoints=torch.rand(2, 3, 3),
        ),
        replace(found(AB), masks=torch.zeros(0, *SIZE, dtype=torch.bool)),
        replace(found(AB, ("cat", 1.0, square(0, 0))), masks=masks[:1]),
    ]
    skeleton = Skeleton(("a", "b", "c"), (), (0, 1, 2), (0.1, 0.1, 0.1))
    data = replace(DATA, skeleton=skeleton)
    path = tmp_path / "out" / "results.json"
    assert write_results(path, data, iter(rows)) == 3
    back = from_results(path, data)
    assert [len(b) for b in back] == [2, 0, 1]
    for before, after in zip(rows, back, strict=True):
        assert after.names == before.names and after.size == SIZE
        torch.testing.assert_close(after.boxes.float(), before.boxes)
        assert torch.equal(after.scores, before.scores.double())
        assert before.masks is not None and after.masks is not None
        assert torch.equal(after.masks, before.masks)
    assert back[0].keypoints is not None and rows[0].keypoints is not None
    assert torch.equal(back[0].keypoints, rows[0].keypoints.double())
    first = json.loads(path.read_text())[0]
    assert first["image_id"] == 1 and first["category_id"] == 17
    assert list(path.parent.iterdir()) == [path]


def test_parts_are_chosen_and_strangers_left_out(tmp_path: Path) -> None:
    row = replace(found(("zebra", "cat"), ("zebra", 0.9, square(0, 0)), ("cat", 0.8, square(1, 1))),
                  masks=torch.ones(2, *SIZE, dtype=torch.bool))  # fmt: skip
    rows = [row, found(AB), found(AB)]
    path = tmp_path / "r.json"
    assert write_results(path, DATA, rows, ("segmentation",)) == 1
    (entry,) = json.loads(path.read_text())
    assert set(entry) == {"image_id", "category_id", "score", "segmentation"}
    assert from_results(path, DATA)[0].boxes.tolist() == [[0, 0, 80, 60]]


def test_polygons_are_read_and_a_mask_without_pixels_stays_one(tmp_path: Path) -> None:
    """A weak detection may have no pixel: that is no fault, and its box is no mask."""
    masks = torch.from_numpy(np.stack([blob([1, 2, 30, 20]), np.zeros(SIZE, bool)]))
    row = replace(found(AB, ("dog", 0.9, square(1, 2)), ("cat", 0.25, square(3, 4))), masks=masks)
    path = tmp_path / "r.json"
    write_results(path, DATA, [row, found(AB), found(AB)])
    assert torch.equal(torch.as_tensor(from_results(path, DATA)[0].masks), masks)
    entries = json.loads(path.read_text())
    for entry, rings in zip(entries, row.polygons(), strict=True):
        entry["segmentation"] = rings
    assert entries[1]["segmentation"] == []
    again = from_results(put(tmp_path, entries), DATA)[0]
    assert torch.equal(torch.as_tensor(again.masks), masks)


def test_a_failed_run_leaves_no_file_and_no_nan_is_ever_written(tmp_path: Path) -> None:
    path = tmp_path / "r.json"

    def broken() -> Iterator[Detections]:
        yield found(AB, ("cat", 0.5, square(0, 0)))
        raise RuntimeError("the network went away")

    with pytest.raises(RuntimeError):
        write_results(path, DATA, broken())
    with pytest.raises(UsageError):
        write_results(path, DATA, [found(AB)])
    with pytest.raises(AnnotationError) as caught:
        write_results(path, DATA, [found(AB, ("cat", float("nan"), square(0, 0)))])
    assert caught.value.code == "result.non_finite"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_list_is_an_answer(tmp_path: Path) -> None:
    assert [len(d) for d in from_results(put(tmp_path, []), DATA)] == [0, 0, 0]
    assert write_results(tmp_path / "e.json", DATA, [found(AB)] * 3) == 0
    assert json.loads((tmp_path / "e.json").read_text()) == []


def test_the_files_order_breaks_ties_and_region_is_the_place_in_the_file(tmp_path: Path) -> None:
    rows = [{**ENTRY, "score": s} for s in (0.5, 0.9, 0.5)]
    (first, _, _) = stream_results(put(tmp_path, rows), DATA)
    assert first.region.tolist() == [1, 0, 2] and first.category_ids == DATA.category_ids


@pytest.mark.parametrize(
    "change, code",
    [
        ({"image_id": 99}, "result.image"),
        ({"image_id": "1"}, "result.image"),
        ({"image_id": True}, "result.image"),
        ({"image_id": None}, "result.image"),
        ({"image_id": [1]}, "result.image"),
        ({"category_id": 1}, "result.category"),
        ({"score": 1.0001}, "result.score"),
        ({"score": -0.1}, "result.score"),
        ({"score": "0.5"}, "result.score"),
        ({"score": None}, "result.score"),
        ({"score": True}, "result.score"),
        ({"score": 10**400}, "result.score"),
        ({"bbox": [0, 0, 10]}, "result.box"),
        ({"bbox": [0, 0, -1, 10]}, "result.box"),
        ({"bbox": [0, 0, "1", 10]}, "result.box"),
        ({"bbox": [0, 0, 1e300, 10]}, "result.box"),
        ({"bbox": {}}, "result.box"),
        ({"bbox": None}, "result.shape"),
        ({"keypoints": [1, 2]}, "result.keypoints"),
        ({"keypoints": []}, "result.keypoints"),
        ({"keypoints": [1, 2, "x"]}, "result.keypoints"),
        ({"segmentation": {"size": [80, 60], "counts": "0"}}, "rle.size"),
        ({"segmentation": {"size": list(SIZE), "counts": [5]}}, "rle.sum"),
        ({"segmentation": {"size": list(SIZE), "counts": "~~"}}, "rle.text"),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "polygon.odd"),
    ],
)
def test_wrong_entries(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    path = put(tmp_path, [ENTRY, {**ENTRY, **change}])
    with pytest.raises(AnnotationError) as caught:
        from_results(path, DATA)
    assert caught.value.code == code
    assert caught.value.path == str(path)
    place = "/1/segmentation" if code.startswith(("rle.", "polygon.")) else "/1"
    assert str(caught.value.pointer).startswith(place)
    with pytest.warns(SightlineWarning, match=code):
        assert len(from_results(path, DATA, on_bad="skip")[0]) == 1


@pytest.mark.parametrize(
    "text, code",
    [
        ('[{"image_id": 1, "category_id": 7, "bbox": [0, 0, 1, 1], "score":NaN}]', "json.constant"),
        ("[", "json.syntax"),
        ("{}", "result.format"),
        ("[3]", "result.format"),
        ("[" * 100_000, "json.depth"),
    ],
)  # fmt: skip
def test_wrong_files(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        from_results(put(tmp_path, text), DATA)
    assert caught.value.code == code


def test_a_missing_file_and_a_byte_order_mark(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError) as caught:
        from_results(tmp_path / "none.json", DATA)
    assert caught.value.code == "file.not_found"
    path = put(tmp_path, "\ufeff" + json.dumps([ENTRY]))
    assert len(from_results(path, DATA)[0]) == 1


def test_margins_are_allowed_when_asked_for(tmp_path: Path) -> None:
    path = put(tmp_path, [{**ENTRY, "score": 2.5}])
    assert from_results(path, DATA, margins=True)[0].scores.tolist() == [2.5]


def test_all_faults_are_told(tmp_path: Path) -> None:
    path = put(tmp_path, [{**ENTRY, "image_id": 99}, {**ENTRY, "score": 2}, ENTRY])
    with pytest.raises(AnnotationError, match=r"2 faults.*result\.score"):
        from_results(path, DATA)
