"""Objects that share a cell of YOLO v1's grid: which, where, and who is counted."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sightline.data.records import Dataset, Example, Fault, Objects
from sightline.data.suspect_objects import CELLS, objects_in_one_cell

SIZE = (70, 140)
"""So that a cell has 20 × 10 pixels."""


def found(centres: list[tuple[float, float]], crowds: tuple[int, ...] = ()) -> list[Fault]:
    """The faults of one image with boxes of 4 × 2 pixels around `centres`; ids are 10, 11, …"""
    count = len(centres)
    middle = np.array(centres, np.float32).reshape(-1, 2)
    half = np.array([2, 1], np.float32)
    objects = Objects(
        boxes=np.hstack([middle - half, middle + half]),
        labels=np.zeros(count, np.int64),
        crowd=np.isin(np.arange(count), crowds),
        difficult=np.zeros(count, bool),
        ids=np.arange(10, 10 + count),
        area=np.full(count, 8.0),
        segments=None,
        keypoints=None,
    )
    example = Example(Path("a.jpg"), 1, SIZE, objects)
    dataset = Dataset((example,), ("a",), (1,), None, "drawn", Path(), None)
    return objects_in_one_cell({"all": dataset})


def test_the_borders_of_cells() -> None:
    """x = 20 is the first of the second column, y = 10 the first of the second line."""
    assert not found([(19.9, 5), (20, 5)]) and not found([(5, 9.9), (5, 10)])
    (fault,) = found([(21, 11), (100, 5), (39, 19), (39.5, 12)])
    assert fault.code == "object.same_cell" and fault.severity == "warning"
    assert "3 objects" in fault.message and "row 2, column 2 of 7 × 7" in fault.message
    assert fault.pointer == "objects 1, 3, 4 (ids 10, 12, 13)"
    assert fault.id == 12 and fault.path == "a.jpg"


def test_every_cell_is_told_and_crowds_are_not_counted() -> None:
    pairs = [(5.0, 5.0), (6.0, 6.0), (139.0, 69.0), (140.0, 70.0)]
    assert [f.pointer for f in found(pairs)] == [
        "objects 1, 2 (ids 10, 11)",
        "objects 3, 4 (ids 12, 13)",
    ]
    assert len(found(pairs, crowds=(1,))) == 1
    assert not found([])


def test_a_thousand_objects_of_one_cell_are_told_in_short() -> None:
    (fault,) = found([(5.0, 5.0)] * 1000)
    assert fault.pointer is not None and len(fault.pointer) < 150
    assert "1000 objects" in fault.message and "and 990 more" in fault.pointer


@given(st.lists(st.tuples(st.floats(0, 140), st.floats(0, 70)), max_size=30))
def test_what_is_told_is_what_the_detector_loses(centres: list[tuple[float, float]]) -> None:
    """The same cells as the grid of the detector: an object more than one is one that is lost."""
    import torch

    from sightline.detectors.yolo_v1 import Grid

    points = torch.from_numpy(np.array(centres, np.float32).reshape(-1, 2)).double()
    cells = Grid(CELLS).cell_of(points, SIZE).bincount(minlength=CELLS**2)
    told = [int(fault.message.split(" of ")[1].split()[0]) for fault in found(centres)]
    assert told == cells[cells > 1].tolist()
