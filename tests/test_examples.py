"""The examples: each says how to run it, is listed, and those that take seconds run."""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sightline.data import open_dataset
from sightline.data.doctor import check

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHARED = {"one_budget.py"}
"""What others import, and nobody runs."""

Run = Callable[..., str]
"""An example's name and arguments to what it prints."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run an example as people do; what it printed."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))

    def call(name: str, *arguments: object) -> str:
        path = str(ROOT / "examples" / name)
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        runpy.run_path(path, run_name="__main__")
        return capsys.readouterr().out

    return call


@pytest.fixture(scope="module")
def grace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grace Hopper, small."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    small = tmp_path_factory.mktemp("photos") / "grace.png"
    Image.open(path).resize((205, 240)).save(small)
    return small


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_it_says_how_to_run_it_and_is_listed(path: Path) -> None:
    if path.name in SHARED:
        return
    head = path.read_text(encoding="utf-8").split('"""')[1]
    assert f"\n    python examples/{path.name}" in head
    assert f"`{path.name}`" in (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")


def test_drawn_scenes_are_sound_and_the_same_again(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("drawn_scenes.py", tmp_path / name, "--train", 5, "--val", 3)
    assert check(tmp_path / "a").sound
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 5 + 3 + 2
    assert all(
        (tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files
    )
    train = open_dataset(tmp_path / "a", "train")
    assert train.classes == ("ball", "cat", "fish") and sum(len(e.objects) for e in train) >= 5
    for example in train:
        boxes = example.objects.boxes
        assert (boxes >= 0).all() and (boxes <= [320, 240, 320, 240]).all()


def test_a_drawn_thing_fills_its_box(run: Run, tmp_path: Path) -> None:
    """What is drawn differs from an empty page in its box alone, and up to each of its sides."""
    import numpy as np
    from PIL import ImageDraw

    names = runpy.run_path(str(ROOT / "examples" / "drawn_scenes.py"))
    for kind, draw in names["DRAW"].items():
        page = Image.new("RGB", (400, 400), "#7f7f00")
        pen = names["Pen"](ImageDraw.Draw(page), 200, 200, 150, False)
        wide, high = draw(pen, np.random.default_rng(1))
        away = (np.asarray(page) != [127, 127, 0]).any(axis=2)
        rows, columns = np.flatnonzero(away.any(axis=1)), np.flatnonzero(away.any(axis=0))
        found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        box = 200 + 150 * np.array([-wide, -high, wide, high])
        assert abs(found - box).max() <= 6, f"{kind}: {found} against {box}"


def test_photos(run: Run, tmp_path: Path) -> None:
    run("photos.py", tmp_path)
    assert {"grace_hopper.jpg", "china.jpg", "flower.jpg"} <= {p.name for p in tmp_path.iterdir()}
    for path in tmp_path.iterdir():
        Image.open(path).load()


def test_tidy_labels(run: Run, tmp_path: Path) -> None:
    run("drawn_scenes.py", tmp_path / "toys", "--train", 4, "--val", 2)
    file = tmp_path / "toys" / "annotations" / "instances_train.json"
    labels = json.loads(file.read_text())
    labels["annotations"][0]["bbox"][2] = -9.0
    file.write_text(json.dumps(labels))
    assert not check(tmp_path / "toys").sound
    told = run("tidy_labels.py", tmp_path / "toys", tmp_path / "tidy", "--to", "yolo")
    assert "error box" in told and told.rstrip().endswith("sound") and "not sound" not in told
    assert len(open_dataset(tmp_path / "tidy", "train")) == 4


def test_real_difference(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    run("drawn_scenes.py", tmp_path, "--train", 1, "--val", 4)
    told = run("real_difference.py", tmp_path, checkpoint, checkpoint, "--resamples", 20)
    assert told.rstrip().endswith("they tie") and "difference: +0.000" in told


def test_count_tracks(run: Run, grace: Path, tmp_path: Path) -> None:
    for number in range(3):
        page = Image.new("RGB", (260, 260), "gray")
        page.paste(Image.open(grace), (10 * number, 10))
        page.save(tmp_path / f"{number}.png")
    told = run("count_tracks.py", tmp_path, "--fps", 2, "--score", 0.7)
    assert "#1 person: 0.0 – 1.0 s" in told and "1 × person" in told.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("levels.py", ["retinanet"], ["--out"]),
        ("easy_and_hard.py", [], ["person", 8, 8, 195, 236, "--out"]),
        ("side_by_side.py", [], ["retinanet", "selective_search", "--out"]),
        ("warped_regions.py", [], []),
    ],
)
def test_it_draws(
    run: Run, grace: Path, tmp_path: Path, name: str, before: list[Any], after: list[Any]
) -> None:
    out = tmp_path / "drawn.png"
    told = run(name, *before, grace, *after, out)
    assert str(out) in told
    with Image.open(out) as picture:
        assert min(picture.size) > 200 and len(picture.convert("RGB").getcolors(1 << 24)) > 50
