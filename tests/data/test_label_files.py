"""Numbers, lines and JSON of label files: read strictly, told with their places, in bounds."""

import gc
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folders import draw
from sightline import memory
from sightline.data.checks import to_number
from sightline.data.json_places import MOST, misplaced
from sightline.data.reading import MEMORY, lines_of, parse_json, read_json
from sightline.errors import AnnotationError, ResourceError


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read_as_python_writes_it(value: float) -> None:
    assert to_number(repr(value)) == value
    assert to_number(f" {value!r}\n") == value


@given(st.text(max_size=8))
def test_what_is_read_is_what_python_reads(text: str) -> None:
    value = to_number(text)
    if value is not None:
        assert value == float(text) and math.isfinite(value) and text.isascii()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            ".",
            "1_0",
            "infinity",
            "inf",
            "nan",
            "1e999",
            "\uff11",
            "\u0661",
            "0x10",
            "1,5",
        ),
        *("1e", "--1", "1 2", "1\0", "\u00a01", "1.2.3", "1d5", "9" * 400, "9" * 100_000 + "x"),
    ],
)
def test_what_is_no_number(text: str) -> None:
    start = time.process_time()
    assert to_number(text) is None
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize("text", ["5", "+5", "5.", ".5e1", "5E0", "0005", "\t5\r\n"])
def test_what_is_a_number(text: str) -> None:
    assert to_number(text) == 5


def test_lines_are_those_of_an_editor() -> None:
    assert lines_of("a\r\nb\rc\nd\u2028e\x0bf\x85g") == ["a", "b", "c", "d\u2028e\x0bf\x85g"]


def test_places_in_json() -> None:
    lines = (
        '{"a/b": [1, {"x": NaN}],',
        ' "t": "NaN [{\\" ,",',
        '  "a/b": [-Infinity], "~": {"k": 1,"k": 2}}',
    )
    text = "\n".join(lines)
    told = [(fault.code, fault.pointer) for fault in misplaced(text)]
    assert told == [
        ("json.constant", "/a~1b/1/x (line 1:19)"),
        ("json.twice", "/a~1b (line 3:3)"),
        ("json.constant", "/a~1b/0 (line 3:11)"),
        ("json.twice", "/~0/k (line 3:36)"),
    ]
    assert all(fault.hint for fault in misplaced(text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_sound_json_has_no_faults(value: object) -> None:
    text = json.dumps(value)
    constants = text.replace('"', "").count("Infinity") if "Infinity" in text else 0
    found = misplaced(text)
    assert all(fault.code == "json.constant" for fault in found)
    assert len(found) <= constants


@given(json_values, st.lists(st.text(max_size=3), max_size=3))
def test_each_pointer_leads_to_its_fault(value: object, keys: list[str]) -> None:
    """A NaN put under any keys is found again by the pointer that is told."""
    held: object = float("nan")
    for key in reversed(keys):
        held = [None, {key: held}]
    text = json.dumps({"before": value, "here": held})
    pointers = [f.pointer for f in misplaced(text) if "NaN" in f.message]
    assert len(pointers) == 1
    reached: object = json.loads(text)
    for step in pointers[0].rsplit(" (line", 1)[0].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        reached = reached[int(name)] if isinstance(reached, list) else reached[name]  # type: ignore[index]
    assert isinstance(reached, float) and math.isnan(reached)


def test_masses_of_faults_are_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("[" + "NaN," * 5000 + "1]")
    data, faults = parse_json(file)
    assert len(data) == 5001 and len(faults) == MOST
    with pytest.raises(AnnotationError) as caught:
        read_json(file)
    assert caught.value.code == "json.constant" and len(caught.value.faults) == MOST


HOSTILE = {
    "deep lists": "[" * 3_000_000,
    "deep objects": '{"a":' * 500_000,
    "deep, closed": "[" * 200_000 + "]" * 200_000,
    "a long number": "[" + "9" * 3_000_000 + "]",
    "many long numbers": "[" + ",".join(["9" * 4400] * 300) + "]",
    "a large exponent": "[1e400, -1e400, 1e-400, 1e99999999]",
    "quotes": '["' + '\\"' * 500_000,
    "deep after quotes": '["' + '\\"' * 200_000 + '",' + "[" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_answered_quickly(name: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(HOSTILE[name])
    start = time.process_time()
    try:
        data = read_json(file)
        assert name == "a large exponent" and data[0] == math.inf
    except AnnotationError as error:
        assert error.code.startswith("json.") and error.pointer and error.hint
    assert time.process_time() - start < 2
    assert gc.isenabled()


def test_what_the_memory_cannot_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.json"
    file.write_text("[" + "1," * 1000 + "1]")
    size = file.stat().st_size
    monkeypatch.setattr(memory, "available", lambda: MEMORY * size)
    assert len(read_json(file)) == 1001
    monkeypatch.setattr(memory, "available", lambda: MEMORY * size - 1)
    with pytest.raises(ResourceError) as caught:
        read_json(file)
    assert caught.value.code == "resource.out_of_memory" and caught.value.hint


MEASURE = """
import resource, sys
from sightline.data import open_dataset
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
dataset = open_dataset(sys.argv[1])
print(peak() - before, sum(len(example.objects) for example in dataset))
"""


@pytest.mark.slow
def test_memory_stays_within_a_multiple_of_the_file(tmp_path: Path) -> None:
    """A COCO file of 200 MB, half boxes and half outlines, in a process of its own."""
    for i in range(100):
        draw(tmp_path / "images" / f"{i}.jpg", (480, 640))
    file = tmp_path / "annotations" / "instances_val.json"
    file.parent.mkdir()
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(100)]
    ring = [round(10 + (7.31 * j) % 400, 2) for j in range(40)]
    count = written = 0
    with file.open("w") as stream:
        head = {"images": images, "categories": [{"id": 1, "name": "a"}]}
        stream.write(json.dumps(head)[:-1] + ', "annotations": [')
        while written < 200_000_000:
            row = {"id": count, "image_id": count % 100, "category_id": 1, "iscrowd": 0}
            row |= {"bbox": [10.13, 10.44, 300.5, 300.25], "area": 90225.5}
            row |= {"segmentation": [ring]} if count % 3 == 0 else {}
            written += stream.write("," * (count > 0) + json.dumps(row))
            count += 1
        stream.write("]}")
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(told[1]) == count
    assert int(told[0]) < MEMORY * file.stat().st_size
