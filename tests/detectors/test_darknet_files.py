"""Darknet's files as our networks: what is read from them, what is written, what is refused."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from sightline import catalogue, cli, pipeline
from sightline import checkpoint as checkpoints
from sightline.detectors import darknet_files
from sightline.detectors.darknet_files import Found
from sightline.detectors.yolo_v2 import YoloV2, yolo_v2_darknet19, yolo_v2_tiny
from sightline.detectors.yolo_v3 import yolo_v3_darknet53, yolo_v3_tiny
from sightline.errors import UsageError, WeightsError
from sightline.nets import darknet_cfg, darknet_weights
from sightline.nets.blocks import fold
from sightline.nets.darknet_weights import Header
from sightline.predict import load
from sightline.train.recipes import Recipe
from sightline.train.start import begin

SEEN = 32013312


def form(build: Any, classes: int) -> YoloV2:
    """A network without numbers."""
    with torch.device("meta"):
        made: YoloV2 = build([f"class_{number}" for number in range(classes)])
    return made


def a_text(classes: int = 2, size: int = 64) -> bytes:
    """Tiny YOLO v3 as its authors write it: settings of training, comments, relative layers."""
    own = darknet_cfg.text_of((size, size), form(yolo_v3_tiny, classes).plan().layers).decode()
    own = own.replace("channels=3", "channels=3\n# Training\nbatch=64\nmomentum=0.9")
    own = own.replace("layers=19,8", "layers = -1, 8").replace("layers=13", "layers = -4")
    return own.replace("num=6", "num=6\njitter=.3\nignore_thresh = .7").encode()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.cfg, tiny.weights and tiny.names of two classes, never trained, sure of a few things."""
    torch.manual_seed(0)
    detector = yolo_v3_tiny(["left", "right"])
    with torch.no_grad():
        for head in detector.heads:
            head.weight.mul_(40)
    path = tmp_path_factory.mktemp("darknet") / "tiny.cfg"
    header = Header((0, 2, 5), SEEN)
    darknet_weights.save(detector.plan().layers, path.with_suffix(".weights"), header)
    path.write_bytes(a_text())
    path.with_suffix(".names").write_text("left\nright\n\n")
    return path


@pytest.fixture(scope="module")
def found(files: Path) -> Found:
    return darknet_files.read(files)


@pytest.mark.parametrize(
    ("build", "classes", "header", "size"),
    [
        (yolo_v3_darknet53, 80, 20, 248_007_048),
        (yolo_v3_tiny, 80, 20, 35_434_956),
        (yolo_v2_darknet19, 80, 16, 203_934_260),
        (yolo_v2_tiny, 20, 16, 63_471_556),
        (partial(yolo_v2_tiny, neck="512"), 80, 16, 44_948_596),
    ],
)
def test_the_published_files_have_as_many_numbers(
    build: Any, classes: int, header: int, size: int
) -> None:
    """Sizes of yolov3, yolov3-tiny, yolov2, yolov2-tiny-voc and yolov2-tiny.weights in bytes."""
    layers = form(build, classes).plan().layers
    tensors = [t for x in layers if x.block for _, t in darknet_weights.tensors(x)]
    assert header + 4 * sum(tensor.numel() for tensor in tensors) == size


def test_files_come_out_as_the_same_bytes(files: Path, found: Found, tmp_path: Path) -> None:
    assert found.name == "yolo_v3_tiny" and int(found.detector.seen) == SEEN
    again = darknet_files.save(found.detector, tmp_path / "again.cfg", source=found.source)
    assert again == (tmp_path / "again.cfg", tmp_path / "again.weights")
    for suffix in (".cfg", ".weights"):
        assert (tmp_path / f"again{suffix}").read_bytes() == files.with_suffix(suffix).read_bytes()
    assert (tmp_path / "again.names").read_text() == "left\nright\n"


def test_what_a_file_may_choose(files: Path, tmp_path: Path) -> None:
    """Input size and priors, which of them at which scale; and the names of the classes."""
    cfg = tmp_path / "other.cfg"
    text = a_text(size=96).replace(b"mask=0,1,2", b"mask=1,2,3").replace(b"10,14,", b"10.5,14,")
    cfg.write_bytes(text)
    other = darknet_files.read(cfg, files.with_suffix(".weights"))
    assert other.detector.classes == ("class_0", "class_1")
    assert other.detector.preparation.longer == 96
    assert other.detector.priors[0].tolist() == [[23, 27], [37, 58], [81, 82]]
    assert other.detector.priors[1].tolist() == [[81, 82], [135, 169], [344, 319]]
    saved, _ = darknet_files.save(other.detector, tmp_path / "same.cfg", source=other.source)
    assert saved.read_bytes() == text
    other.detector.set_priors(other.detector.priors + 1)  # the text would no longer be true
    saved, _ = darknet_files.save(other.detector, tmp_path / "new.cfg", source=other.source)
    assert saved.read_bytes() != text
    again = darknet_files.read(saved).detector
    assert torch.equal(again.priors, other.detector.priors)
    assert again.preparation == other.detector.preparation


FAULTS = [
    (b"filters=32\n", b"filters=33\n", "layer 2 (conv", "filters is 33, not 32, in yolo_v3_tiny"),
    (
        b"stride=1\npadding=1\n\n# 12",
        b"stride=2\npadding=1\n\n# 12",
        "layer 11 (maxpool)",
        "stride",
    ),
    (b"activation=leaky", b"activation=mish", "layer 0 (conv", "mish, not leaky"),
    (b"layers = -1, 8", b"layers = -1, 6", "layer 20 (route)", "layers is 19,6, not 19,8"),
    (b"filters=21\n", b"filters=24\n", "layer 15 (conv", "filters is 24, not 21"),
    (b"mask=3,4,5", b"mask=3,4,6", "layer 16 (yolo)", "mask is (3, 4, 6)"),
    (b"mask=3,4,5", b"mask=3,4", "layer 16 (yolo)", "not 3 of 6"),
    (b"num=6", b"num=7", "(yolo)", "12 numbers in anchors, num is 7"),
    (b"10,14,", b"-10,14,", "(yolo)", "a prior without width"),
    (b"classes=2", b"classes=3", "layer 23 (yolo)", "2 classes, where another"),
    (b"classes=2", b"classes=0", "(yolo)", "classes"),
    (b"width=64", b"width=96", "layer 0", "no square"),
]


@pytest.mark.parametrize(("old", "new", "place", "told"), FAULTS)
def test_other_networks_are_refused_by_layer(
    old: bytes, new: bytes, place: str, told: str, files: Path, tmp_path: Path
) -> None:
    cfg = tmp_path / "other.cfg"
    assert old in a_text()
    cfg.write_bytes(a_text().replace(old, new, 1))
    with pytest.raises(WeightsError) as caught:
        darknet_files.read(cfg, files.with_suffix(".weights"))
    assert caught.value.code == "weights.architecture" and caught.value.path == str(cfg)
    assert place in caught.value.message and told in caught.value.message


def test_weights_of_another_network_name_the_layer_where_they_end(
    files: Path, tmp_path: Path
) -> None:
    whole = files.with_suffix(".weights").read_bytes()
    weights = tmp_path / "a.weights"
    for size, code, told in (
        (len(whole) - 1, "weights.truncated", "layer 22 (convolutional)"),
        (20, "weights.truncated", "layer 0 (convolutional)"),
        (7, "weights.truncated", "not even a header"),
        (len(whole) + 4, "weights.architecture", "4 bytes are left"),
    ):
        weights.write_bytes((whole + bytes(8))[:size])
        with pytest.raises(WeightsError) as caught:
            darknet_files.read(files, weights)
        assert caught.value.code == code and caught.value.path == str(weights)
        assert told in str(caught.value)


def test_names_that_are_others(files: Path, tmp_path: Path) -> None:
    cfg = tmp_path / "a.cfg"
    cfg.write_bytes(a_text())
    for names, code in (
        (b"left\n", "weights.class_count"),
        (b"left\nleft\n", "weights.class_count"),
        (b"\xff\n", "weights.format"),
    ):
        cfg.with_suffix(".names").write_bytes(names)
        with pytest.raises(WeightsError) as caught:
            darknet_files.read(cfg, files.with_suffix(".weights"))
        assert caught.value.code == code and caught.value.path == str(tmp_path / "a.names")


def test_files_that_are_not_there(files: Path, tmp_path: Path) -> None:
    cfg = tmp_path / "a.cfg"
    for path, told in ((cfg, "a.cfg"), (tmp_path, "cfg"), (Path("a\0.cfg"), "a")):
        with pytest.raises(WeightsError, match=told) as caught:
            darknet_files.read(path)
        assert caught.value.code == "weights.not_found"
    cfg.write_bytes(a_text())
    with pytest.raises(WeightsError, match=r"a\.weights") as caught:
        darknet_files.read(cfg)
    assert caught.value.code == "weights.not_found"


TEXT = a_text()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, len(TEXT)),
    length=st.one_of(st.integers(0, 40), st.just(len(TEXT))),
    new=st.sampled_from([b"", b"9", b"-", b"\n", b"[yolo]\n", b"=", b"\xff", b"99999999999"]),
)
def test_damaged_cfg_files_never_crash(start: int, length: int, new: bytes, tmp_path: Path) -> None:
    """Without numbers, so that what is sound ends in `not_found`."""
    cfg = tmp_path / "damaged.cfg"
    cfg.write_bytes(TEXT[:start] + new + TEXT[start + length :])
    with pytest.raises(WeightsError) as caught:
        darknet_files.read(cfg)
    assert caught.value.path and caught.value.code.startswith("weights.")


def test_what_darknet_cannot_say_is_not_written(tmp_path: Path, found: Found) -> None:
    light: Any = catalogue.build("yolo_v3_mobilenet_v2", ["a"])
    folded = fold(yolo_v3_tiny(["a"]))
    for detector, told in ((light, "no MobileNetV2"), (folded, "folded")):
        with pytest.raises(UsageError, match=told) as caught:
            darknet_files.save(detector, tmp_path / "a.cfg")  # type: ignore[arg-type]
        assert caught.value.code == "usage.darknet"
    assert not list(tmp_path.iterdir())


def test_a_model_by_its_cfg_file(files: Path, found: Found, tmp_path: Path) -> None:
    photo = torch.from_numpy(data.chelsea()[:150, :230].copy()).permute(2, 0, 1)
    (expected,) = pipeline.detect(found.detector.eval(), [photo])
    assert len(expected) > 3
    model = load(files, score=None)
    assert model.name == "yolo_v3_tiny" and model.classes == ("left", "right")
    answer = model(photo)
    torch.testing.assert_close(answer.scores[:3], expected.scores[:3], rtol=1e-3, atol=1e-3)
    by_weights = load(files.with_suffix(".weights"), score=None)(photo)
    assert torch.equal(by_weights.boxes, answer.boxes)
    with pytest.raises(UsageError) as caught:
        load("retinanet", weights=files.with_suffix(".weights"))
    assert caught.value.code == "usage.weights"


def test_the_command_line(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`detect --model NAME.cfg`, its weights elsewhere; and a file that is cut."""
    picture, cfg = tmp_path / "cat.png", tmp_path / "moved.cfg"
    Image.fromarray(data.chelsea()[:150, :230]).save(picture)
    cfg.write_bytes(files.read_bytes())

    words = ("detect", picture, "--json", "--model", cfg, "--score", 0, "--weights")
    status, out, err = call(capsys, *words, files.with_suffix(".weights"))
    assert not status, err
    found = json.loads(out)["detections"]
    assert found and {row["label"] for row in found} <= {"class_0", "class_1"}
    status, _, err = call(capsys, *words, cfg)
    assert status == 5 and "weights.truncated" in err and "layer 0 (convolutional)" in err


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return (stop.value.code, *capsys.readouterr())


def test_the_command_line_writes_them(
    files: Path, found: Found, tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From Darknet's files the same bytes; from a checkpoint of ours the same network."""
    status, out, err = call(capsys, "darknet", files, "--out", tmp_path / "a.cfg", "--json")
    assert not status and json.loads(out)["cfg"] == str(tmp_path / "a.cfg"), err
    for suffix in (".cfg", ".weights"):
        assert (tmp_path / f"a{suffix}").read_bytes() == files.with_suffix(suffix).read_bytes()
    stored = darknet_files.stored(files)
    checkpoints.write(tmp_path / "ours", stored.state, stored.manifest)
    status, _, err = call(capsys, "darknet", tmp_path / "ours", "--out", tmp_path / "b.cfg")
    assert not status, err
    again = darknet_files.read(tmp_path / "b.cfg").detector
    assert again.classes == ("left", "right") and again.preparation == found.detector.preparation
    for key, value in found.detector.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    status, _, err = call(capsys, "darknet", checkpoint, "--out", tmp_path / "c.cfg")
    assert status == 2 and "usage.darknet" in err and not (tmp_path / "c.cfg").exists()


def test_a_training_starts_from_them(files: Path, found: Found) -> None:
    """The same classes take all, others all but the heads."""
    said: list[str] = []
    recipe = Recipe("yolo_v3_tiny", start=str(files), steps=1)
    same = begin(recipe, ("left", "right"), said.append)
    for key, value in found.detector.state_dict().items():
        assert torch.equal(same.state_dict()[key], value), key
    other = begin(recipe, ("one",), said.append)
    assert int(other.seen) == SEEN
    assert "heads.0.weight" in said[1] and "encoder" not in said[1]
