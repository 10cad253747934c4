"""The tables by hand, and what is recommended where resamples can tell, and where they cannot."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from sightline.compare import tables
from sightline.compare.advice import advice
from sightline.compare.rows import FIGURES, Row, Times
from sightline.compare.run import Comparison

STAGES = dict.fromkeys(tables.VERBS, 2.0)


def row(name: str, ap: float, noise: int) -> Row:
    """Resamples that share their images: `noise` shifts how they fall."""
    rng = np.random.default_rng(noise)
    samples = ap + 0.05 * np.sin(np.arange(200)) + 0.01 * rng.normal(size=200)
    return Row(
        name, "ssd_mobilenet_v2", "random", 300, 2_500_000, 1234.0, dict.fromkeys(FIGURES, ap),
        {"cat": ap}, {"AP": (ap - 0.05, ap + 0.05)}, tuple(samples.tolist()),
    )  # fmt: skip


def times(ms: float, memory: int, training: float | None = 60.0) -> Times:
    return Times(training, ms, STAGES, 1000 / ms, memory)


def world() -> Comparison:
    rows = (row("best", 0.5, 1), row("near", 0.498, 2), row("=weak|", 0.3, 3),
            Row("broken", "yolo_v1_mobilenet_v2", failed="the loss\nclimbs"))  # fmt: skip
    measured = {
        "best": times(120.0, 900_000_000), "near": times(50.0, 500_000_000, 30.0),
        "=weak|": times(20.0, 300_000_000, None),
    }  # fmt: skip
    return Comparison(rows, measured, {})


def test_what_is_recommended() -> None:
    found = world()
    said = advice(found.rows, found.times, 42)
    assert said[0].startswith("Most accurate: best (AP 0.500, 95 %: 0.450–0.550), tied with near")
    assert "=weak|" not in said[0] and "near is the quickest (50 ms)" in said[0]
    assert (
        said[1] == "Best at 30 images a second on one thread: =weak| (AP 0.300, 95 %: 0.250–0.350)."
    )
    assert "Best at 10 images a second on one thread: near" in said[2]
    assert "clearly ahead of the others" in said[2]
    assert said[3] == "Least memory: =weak| (300 MB, AP 0.300)."
    assert said[4] == "Least training: near (30 s, AP 0.498)."
    assert "42 test images" in said[5] and "±0.05" in said[5]
    assert len(advice(found.rows, found.times, 400)) == 5
    alike = found.times | {"best": times(120.0, 314_000_000, 31.5)}
    said = advice(found.rows, alike, 400)
    assert said[3:] == [
        "Least memory: best (314 MB, AP 0.500).", "Least training: best (32 s, AP 0.500)."
    ]  # fmt: skip
    slow = {"best": times(2000.0, 1)}
    assert "none, the quickest takes 2000 ms (best)" in advice(found.rows[:1], slow, 400)[1]
    assert "No model found anything" in advice([row("none", 0.0, 1)], {}, 42)[0]
    assert advice(found.rows[3:], {}, 42) == [
        "No model has a figure: there is nothing to recommend."
    ]


def test_tables(tmp_path: Path) -> None:
    found = world()
    tables.write(tmp_path, found, {"data": "drawn", "seed": 0}, ["take best"])
    lines = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert [line["model"] for line in lines] == ["best", "near", "'=weak|", "broken"]
    assert lines[0]["AP"] == "0.5" and lines[0]["memory_MB"] == "900"
    assert lines[3]["AP"] == "" and lines[3]["failed"] == "the loss\nclimbs"
    whole = json.loads((tmp_path / "table.json").read_text())
    assert whole["advice"] == ["take best"] and whole["rows"][1]["encode_ms"] == 2.0
    text = (tmp_path / "table.md").read_text()
    assert "| best | 0.500 | 0.450–0.550 | 0.500 |" in text and "=weak\\|" in text
    assert "failed: the loss climbs" in text and "| – | 20.0 |" in text
    widths = {line.replace("\\|", "").count("|") for line in text.splitlines()[:6]}
    assert widths == {15}


def test_figures_hold_no_time(tmp_path: Path) -> None:
    """Measured again on a slower day: the same bytes."""
    found = world()
    slower = Comparison(found.rows, {"best": times(900.0, 5)}, {})
    for one, name in ((found, "a"), (slower, "b")):
        tables.write(tmp_path / name, one, {"data": "drawn"}, [])
    first, second = ((tmp_path / name / "figures.json").read_bytes() for name in "ab")
    assert first == second and b"_ms" not in first and b"memory" not in first
    assert (tmp_path / "a" / "table.json").read_bytes() != (
        tmp_path / "b" / "table.json"
    ).read_bytes()


def test_a_row_comes_back_from_its_file() -> None:
    one = row("best", 0.5, 1)
    assert Row.of(json.loads(json.dumps(one.to_json()))) == one
