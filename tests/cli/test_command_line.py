"""The command line as a person and as a program meet it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from skimage import data

from sightline import cli
from sightline.errors import TrainingDiverged, UsageError, WeightsError

Run = subprocess.CompletedProcess


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    Pillow.fromarray(data.chelsea()).save(folder / "cat.png")
    Pillow.fromarray(data.coffee()[:200]).save(folder / "sub" / "cat.png")
    return folder


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    threads = torch.get_num_threads()
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop, pytest.MonkeyPatch.context() as patch:
        import warnings

        patch.setattr(warnings, "showwarning", warnings.showwarning)
        cli.main([str(argument) for argument in arguments])
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, handler)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(stop.value.code or 0), out, err


def test_json_is_one_line_an_image_and_nothing_else(
    checkpoint: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call(capsys, "detect", photos, "--model", checkpoint, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [row["file"] for row in rows] == ["cat.png", "sub/cat.png"]
    assert (rows[0]["width"], rows[0]["height"]) == (451, 300)
    assert rows[0]["detections"]
    for one in rows[0]["detections"]:
        assert list(one) == ["label", "score", "box"]
        assert one["label"] in ("cat", "dog", "person") and 0.3 < one["score"] < 1
        assert 0 <= one["box"][0] <= one["box"][2] <= 451
    assert [p.name for p in photos.parent.iterdir()] == ["photos"]


def test_a_table_and_pictures_for_people(
    checkpoint: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photos.parent)
    status, out, _ = call(capsys, "detect", "photos", "--model", checkpoint, "--limit", 2)
    assert status == 0
    assert out.splitlines()[0] == "cat.png  451×300  2 objects"
    assert out.splitlines()[-1].endswith("see sightline-out")
    drawn = np.asarray(Pillow.open("sightline-out/pictures/sub/cat.jpg"))
    assert drawn.shape == (200, 600, 3)


def test_saves_what_is_asked_for(
    checkpoint: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    status, _, _ = call(
        capsys, "detect", photos, "--model", checkpoint, "--out", out, "--json",
        "--save", "coco, yolo,csv,jsonl", "--threads", 1, "--tile", 256,
    )  # fmt: skip
    assert status == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "classes.txt", "coco_images.json", "coco_results.json", "detections.csv",
        "detections.jsonl", "labels",
    ]  # fmt: skip


def test_one_bad_file_never_stops_the_rest(
    checkpoint: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "bad.jpg").write_bytes(b"<html>")
    status, out, err = call(
        capsys, "detect", photos, photos / "gone.png", "--model", checkpoint, "--json"
    )
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 3
    assert [("error" in row) for row in rows] == [True, False, False, True]
    assert rows[0]["error"]["code"] == "image.unsupported"
    assert rows[3]["error"]["code"] == "image.not_found"
    assert err.count("error: ") == 2


def test_all_bad_is_another_status(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "b.jpg").write_bytes(b"x" * 100)
    out = tmp_path / "out"
    status, text, err = call(
        capsys, "detect", tmp_path / "a.jpg", tmp_path / "b.jpg", "--model", checkpoint,
        "--out", out, "--save", "coco",
    )  # fmt: skip
    assert status == 4
    assert text == "0 objects in 0 images, 2 failed\n"
    assert "image.empty" in err
    assert json.loads((out / "coco_results.json").read_text()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["detekt", "x.jpg"], "detect"),
        (["detect", "x.jpg", "--scor", "0.5"], "--score"),
        (["detect"], "SOURCE"),
        (["detect", "x.jpg", "--score", "much"], "--score"),
        (["detect", "x.jpg", "--score", "1.5"], "usage.score"),
        (["detect", "x.jpg", "--model", "retinnet"], "did you mean retinanet?"),
        (["detect", "x.jpg", "--model", "{checkpoint}", "--save", "xml"], "pictures, coco"),
        (["detect", "x.jpg", "--model", "{checkpoint}", "--tile", "3"], "usage.tile"),
        (["evaluate"], "usage.no_data"),
        (["evaluate", ".", "--on-bad", "perhaps"], "usage.on_bad"),
        (["evaluate", ".", "--margins"], "usage.margins"),
    ],
)
def test_wrong_calls_say_what_would_be_right(
    arguments: list[str],
    says: str,
    checkpoint: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photos)
    Pillow.new("RGB", (40, 30)).save("x.jpg")
    given = [str(checkpoint) if item == "{checkpoint}" else item for item in arguments]
    status, out, err = call(capsys, *given)
    assert (status, out) == (2, "")
    assert says in err


def test_bad_weights(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evil.pt").write_bytes(b"\x80\x04.")
    for name in ("evil.pt", "gone.safetensors"):
        status, out, err = call(capsys, "detect", photos, "--model", tmp_path / name)
        assert (status, out) == (5, "")
        assert err.startswith("error: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("x", code="usage.x"), 2),
        (WeightsError("x", code="weights.x"), 5),
        (MemoryError(), 6),
        (OSError(28, "No space left on device", "f"), 6),
        (TrainingDiverged("x", step=1, loss=float("nan"), last_good=None), 7),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("half\x1b[31m\nline"), 1),
    ],
)
def test_every_end_has_its_status(
    error: BaseException,
    status: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("sightline.cli.models._names", fail)
    ended, out, err = call(capsys, "models")
    assert (ended, out) == (status, "")
    assert err.count("\n") == 1 and "\x1b" not in err
    assert ("bug" in err) == (status == 1)


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "models", "--json")
    names = [row["name"] for row in json.loads(out)]
    assert status == 0
    assert "retinanet_mobilenet_v2" in names
    assert call(capsys, "models")[1].count("\n") >= len(names)


def labelled(folder: Path) -> Path:
    """A COCO file of two photos, one without objects."""
    truth = {
        "images": [
            {"id": 5, "file_name": "cat.png", "width": 451, "height": 300},
            {"id": 9, "file_name": "sub/cat.png", "width": 600, "height": 200},
        ],
        "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 17, "bbox": [100, 20, 300, 250],
             "area": 75000, "iscrowd": 0}
        ],
    }  # fmt: skip
    path = folder / "truth.json"
    path.write_text(json.dumps(truth))
    return path


@pytest.mark.filterwarnings("default::sightline.errors.SightlineWarning")
def test_evaluate_prints_one_line(
    checkpoint: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    status, text, _ = call(
        capsys, "evaluate", "--annotations", labelled(tmp_path), "--images", photos,
        "--model", checkpoint, "--json", "--out", out,
    )  # fmt: skip
    assert status == 0
    assert text.count("\n") == 1
    figures = json.loads(text)
    assert {"AP", "AP50", "AP75", "AR100", "per_class"} <= set(figures)
    assert 0 <= figures["AP"] <= figures["AP50"] <= 1
    assert figures["images"] == 2
    assert sorted(p.name for p in out.iterdir()) == [
        "coco_results.json", "confusion.png", "f1.png", "precision_recall.png", "report.json"
    ]  # fmt: skip
    again = call(
        capsys, "evaluate", "--annotations", tmp_path / "truth.json", "--images", photos,
        "--detections", out / "coco_results.json", "--json",
    )  # fmt: skip
    assert json.loads(again[1])["AP"] == pytest.approx(figures["AP"], abs=1e-6)


@pytest.mark.filterwarnings("default::sightline.errors.SightlineWarning")
def test_perfect_results_get_everything(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.json"
    one = {"image_id": 5, "category_id": 17, "bbox": [100, 20, 300, 250], "score": 0.9}
    results.write_text(json.dumps([one]))
    status, text, _ = call(
        capsys, "evaluate", "--annotations", labelled(tmp_path), "--images", photos,
        "--detections", results, "--json",
    )  # fmt: skip
    assert status == 0
    assert json.loads(text)["AP"] == pytest.approx(1.0)


def process(*arguments: object, **options: object) -> Run[bytes]:
    command = [sys.executable, "-m", "sightline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=300, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_standard_input_output_and_names_of_any_kind(checkpoint: Path, photos: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(photos) + b"/-\xff\n\x1b[31m.png"))
    (photos / "cat.png").rename(odd)
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "COLUMNS": "80"}
    plain.pop("HOME", None)
    ended = process("detect", "-", photos, "--model", checkpoint, "--json", env=plain,
                    input=odd.read_bytes())  # fmt: skip
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, ended.stderr
    assert [row["file"] for row in rows] == ["stdin", rows[1]["file"], f"{photos}/sub/cat.png"]
    assert rows[0]["detections"] == rows[1]["detections"]
    table = process(
        "detect", photos, "--model", checkpoint, "--out", photos.parent / "o", env=plain
    )
    assert table.returncode == 0, table.stderr
    assert b"\x1b" not in table.stdout


def test_a_closed_pipe_is_no_fault(checkpoint: Path, photos: Path) -> None:
    command = f"{sys.executable} -m sightline models | true"
    shell = ["bash", "-c", f"set -o pipefail; {command}; echo ${{PIPESTATUS[0]}}"]
    ended = subprocess.run(shell, capture_output=True, timeout=300, check=False)
    assert ended.stderr == b""
    assert ended.stdout.strip() in (b"0", b"141")


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_signals_end_it_cleanly(
    checkpoint: Path, photos: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    out = tmp_path / "out"
    arguments = ["detect", *[photos] * 400, "--model", checkpoint, "--out", out, "--save", "coco"]
    command = [sys.executable, "-u", "-m", "sightline", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.readline()
        child.send_signal(number)
        _, errors = child.communicate(timeout=120)
    assert child.returncode == status
    assert b"Traceback" not in errors
    assert isinstance(json.loads((out / "coco_results.json").read_text()), list)
    assert not list(out.glob(".tmp*"))


def test_starts_fast() -> None:
    def best(*arguments: str) -> float:
        """Seconds of a processor, which other programs on the machine do not lengthen."""
        times = []
        for _ in range(3):
            before = os.times()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            after = os.times()
            times.append(
                after.children_user
                - before.children_user
                + after.children_system
                - before.children_system
            )
        return min(times)

    assert best("-c", "import sightline") < 0.3
    assert best("-m", "sightline", "--help") < 0.5
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, sightline.cli; print(*sys.modules)"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert not {"torch", "numpy", "rich", "numba", "PIL", "matplotlib"} & set(loaded)


def test_importing_has_no_side_effects() -> None:
    code = (
        "import signal, threading, socket, warnings\n"
        "def no(*a, **k): raise SystemExit('network')\n"
        "socket.socket.connect = no\n"
        "before = [signal.getsignal(s) for s in (2, 15)]\n"
        "import random; state = random.getstate()\n"
        "import sightline, sightline.cli, sightline.predict, sightline.evaluate\n"
        "assert before == [signal.getsignal(s) for s in (2, 15)]\n"
        "assert random.getstate() == state\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_of_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    top = call(capsys, "--help")[1]
    for verb in ("demo", "detect", "evaluate", "train", "models"):
        assert verb in top
        status, out, _ = call(capsys, verb, "--help")
        assert status == 0 and "Usage: sightline" in out
    assert call(capsys, "--version")[1].startswith("sightline 0.")


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sightline.predict import embedded

    if embedded("retinanet_mobilenet_v2") is None:
        pytest.skip("this source tree has no trained weights yet")
    status, out, _ = call(capsys, "demo", "--out", tmp_path / "o")
    assert status == 0
    assert "grace_hopper.jpg" in out and "person" in out
    assert len(list((tmp_path / "o/pictures").iterdir())) == 3


def test_the_demos_photos_are_there() -> None:
    from sightline.cli.demo import photos

    assert [path.name for path in photos()] == ["grace_hopper.jpg", "china.jpg", "flower.jpg"]


@pytest.mark.parametrize(
    ("rank", "size", "who"),
    [
        ("1", "2", "process 1: "),
        ("5", "2", ""),
        ("two", "2", ""),
        ("0", "many", ""),
        ("0", "1", ""),
    ],
)
def test_an_error_says_which_process_it_is_of(
    rank: str,
    size: str,
    who: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", size)
    assert cli.report(UsageError("no", code="usage.no")) == 2
    assert capsys.readouterr().err == f"error: {who}no [usage.no]\n"
