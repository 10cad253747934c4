"""Label files with damaged bytes: read, or refused with a typed error, never anything else."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folders import draw
from sightline.data import Dataset, Example, Objects, Polygons, masks, open_dataset
from sightline.data.convert import convert
from sightline.errors import SightlineError, SightlineWarning
from sightline.skeletons import skeleton

SIZE = (40, 60)
FILES = {
    "cvat": "annotations.xml",
    "openimages": "train-annotations-bbox.csv",
    "yolo": "labels/train/a.txt",
}
PIECES = st.sampled_from(
    [b"", b"nan", b"inf", b"-1", b"1e999", b"9" * 400, b"\0", b"\xff", b'"', b"<", b"/>", b"&x;",
     b",", b";", b" ", b"\n", b"../", b"0", b"2"]
)  # fmt: skip


@pytest.fixture(scope="module", params=FILES)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The label file of a data set with masks, keypoints and a crowd, in each format."""
    home = tmp_path_factory.mktemp("damaged")
    pixels = np.zeros(SIZE, bool)
    pixels[5:20, 5:30] = True
    ring = np.array([[5.0, 5], [50, 5.25], [40, 35]])
    found = Objects.of([[5, 5, 50, 35], [1, 1, 30, 39]], [0, 1], keypoints=np.zeros((2, 3, 3)))
    assert found.keypoints is not None
    found.keypoints[0] = [[10, 12, 2], [30, 20, 1], [0, 0, 0]]
    found.crowd[1] = request.param == "openimages"
    found = replace(found, segments=(Polygons((ring, ring / 2)), masks.encode(pixels)))
    example = Example(draw(home / "a.png", SIZE), "a", SIZE, found)
    bones = skeleton(("nose", "left_ear", "right_ear"), ((0, 1),))
    dataset = Dataset((example,), ("dog", "cat"), (0, 1), bones, "x", home, "train")
    convert([dataset], home / "out", request.param)
    return home / "out" / FILES[request.param]


@settings(max_examples=120, deadline=None)
@given(start=st.floats(0, 1), length=st.integers(0, 12), piece=PIECES, cut=st.booleans())
def test_nothing_but_typed_errors(
    written: Path, start: float, length: int, piece: bytes, cut: bool
) -> None:
    whole = written.read_bytes()
    at = int(start * len(whole))
    rest = b"" if cut else whole[at + length :]
    root = next(up for up in written.parents if up.name == "out")
    try:
        written.write_bytes(whole[:at] + piece + rest)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SightlineWarning)
            for on_bad in ("error", "skip"):
                dataset = _opened(root, on_bad)
                for example in dataset or ():
                    assert np.isfinite(example.objects.boxes).all()
                    assert (example.objects.boxes[:, :2] >= 0).all()
                    assert (example.objects.boxes[:, 2:] <= [SIZE[1], SIZE[0]]).all()
    finally:
        written.write_bytes(whole)


def _opened(root: Path, on_bad: str) -> Dataset | None:
    try:
        return open_dataset(root, on_bad=on_bad)  # type: ignore[arg-type]
    except SightlineError as error:
        assert error.code
        return None
