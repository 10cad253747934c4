"""Whatever stands in a label file: a data set, or one of our errors, and nothing else."""

import copy
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from folders import coco_folder, coco_labels, voc_folder, voc_object, voc_page, yolo_folder
from sightline.data import open_dataset, to_coco
from sightline.errors import SightlineError, SightlineWarning

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([10**400, -(2**63), "..", "\ud800", "a" * 300, "x/" * 3000 + "a.jpg"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def open_quietly(root: Path) -> None:
    """Open both ways; what is opened can be written as strict JSON."""
    for on_bad in ("error", "skip"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SightlineWarning)
                dataset = open_dataset(root, on_bad=on_bad)  # type: ignore[arg-type]
        except SightlineError as error:
            assert str(error).encode()
        else:
            json.dumps(to_coco(dataset), allow_nan=False)


def full_labels() -> dict[str, Any]:
    labels = coco_labels()
    labels["categories"][0] |= {"keypoints": ["p", "q"], "skeleton": [[1, 2]]}
    labels["annotations"][0] |= {
        "segmentation": [[1, 1, 9, 1, 9, 9]],
        "keypoints": [1, 1, 2, 0, 0, 0],
        "area": 3.5,
        "difficult": 1,
    }
    labels["annotations"][1]["segmentation"] = {"size": [40, 60], "counts": [2400]}
    return labels


def places(value: Any) -> list[tuple[Any, ...]]:
    """The way to every value inside nested lists and objects."""
    if not isinstance(value, dict | list):
        return [()]
    keys = value.items() if isinstance(value, dict) else enumerate(value)
    return [(), *((key, *rest) for key, inner in keys for rest in places(inner))]


LABELS = full_labels()
PLACES = [place for place in places(LABELS) if place]


@SETTINGS
@given(st.sampled_from(PLACES), VALUES)
@example(("images", 0, "width"), 10**400)
@example(("images", 0, "file_name"), "\ud800.jpg")
@example(("annotations", 0, "bbox", 0), 10**400)
@example(("annotations", 0, "id"), 2**64)
@example(("annotations", 1, "segmentation", "counts", 0), 10**400)
def test_coco(place: tuple[Any, ...], value: Any) -> None:
    labels = copy.deepcopy(LABELS)
    target: Any = labels
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with tempfile.TemporaryDirectory() as folder:
        open_quietly(coco_folder(Path(folder), labels))


@SETTINGS
@given(st.lists(st.text("0123456789.-eEnai ", max_size=30) | st.text(max_size=8), max_size=3))
def test_yolo(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = yolo_folder(Path(folder) / "set", a="")
        text = "\n".join(lines).encode("utf-8", "surrogatepass")
        (root / "labels" / "train" / "a.txt").write_bytes(text)
        open_quietly(root)


@SETTINGS
@given(st.binary(max_size=60))
def test_yaml(tail: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = yolo_folder(Path(folder) / "set", a="0 0.5 0.5 0.5 0.5")
        (root / "data.yaml").write_bytes(b"train: images/train\nnames: [a]\n" + tail)
        open_quietly(root)


@SETTINGS
@given(st.integers(0, 400), st.integers(0, 20), st.binary(max_size=12))
def test_voc(start: int, length: int, patch: bytes) -> None:
    page = voc_page(voc_object("cat", (5, 5, 20, 20))).encode()
    with tempfile.TemporaryDirectory() as folder:
        root = voc_folder(Path(folder) / "set", a="")
        damaged = page[:start] + patch + page[start + length :]
        (root / "Annotations" / "a.xml").write_bytes(damaged)
        open_quietly(root)
