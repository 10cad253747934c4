"""File names that lead out of the folder: refused, or resolved inside; nothing outside is read."""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from folders import coco_folder, coco_labels, draw, voc_folder, voc_object, voc_page, yolo_folder
from sightline.data import open_dataset
from sightline.data.doctor import check
from sightline.errors import AnnotationError, DatasetError, SightlineError

NAMES = {
    "parent": "../secret.jpg",
    "grandparents": "../../../../../../etc/passwd",
    "up and down": "x/../../secret.jpg",
    "up inside": "x/../a.jpg",
    "only up": "..",
    "only here": ".",
    "dots at the end": "a.jpg/..",
    "four dots": "....//secret.jpg",
    "dots and spaces": ".. /secret.jpg",
    "absolute": "/etc/passwd",
    "two slashes": "//etc/passwd",
    "root": "/",
    "home": "~/secret.jpg",
    "home of root": "~root/secret.jpg",
    "variable": "$HOME/secret.jpg",
    "variable of Windows": "%USERPROFILE%\\secret.jpg",
    "process": "/proc/self/environ",
    "device": "/dev/zero",
    "standard input": "/dev/stdin",
    "backslashes": "..\\secret.jpg",
    "mixed slashes": "..\\../secret.jpg",
    "drive": "C:\\secret.jpg",
    "drive with slash": "c:/secret.jpg",
    "drive, relative": "C:secret.jpg",
    "UNC": "\\\\host\\share\\secret.jpg",
    "UNC, long": "\\\\?\\C:\\secret.jpg",
    "device of Windows": "\\\\.\\PhysicalDrive0",
    "reserved": "CON",
    "reserved with ending": "nul.jpg",
    "stream": "a.jpg::$DATA",
    "trailing dot": "a.jpg.",
    "trailing space": "..\\secret.jpg ",
    "NUL": "a.jpg\0.png",
    "NUL and up": "../secret.jpg\0",
    "percent": "%2e%2e/secret.jpg",
    "percent, twice": "%252e%252e%252fsecret.jpg",
    "overlong UTF-8": "..%c0%afsecret.jpg",
    "full-width dots": "\uff0e\uff0e/secret.jpg",
    "division slash": "..\u2215secret.jpg",
    "right to left": "\u202egpj.terces/..",
    "decomposed": unicodedata.normalize("NFD", "\u00e9.jpg"),
    "half a letter": "\ud800.jpg",
    "file URL": "file:///etc/passwd",
    "web address": "http://localhost:1/secret.jpg",
    "data URL": "data:image/png;base64,AAAA",
    "very long": "a" * 5000 + ".jpg",
    "very long part": "a/" + "a" * 300 + ".jpg",
    "very deep": "a/" * 2000 + "b.jpg",
    "line feed": "a\n.jpg",
    "option": "-rf",
    "link": "link.jpg",
    "link to a folder": "linked/secret.jpg",
    "loop": "loop.jpg",
}
PRINTABLE_XML = {name for name, text in NAMES.items() if "\0" in text or "\ud800" in text}
ONE_LINE = {"NUL", "NUL and up", "line feed", "half a letter", "trailing space"}


def traps(home: Path, outside: Path) -> None:
    """Links out of the folder of images, and one that leads to itself."""
    (home / "link.jpg").symlink_to(outside / "secret.jpg")
    (home / "linked").symlink_to(outside)
    (home / "loop.jpg").symlink_to(home / "loop.jpg")


def coco(root: Path, name: str) -> Path:
    labels = coco_labels()
    labels["images"].append({"id": 11, "file_name": name})
    return coco_folder(root, labels)


def voc(root: Path, name: str) -> Path:
    escaped = name.replace("&", "&amp;").replace("<", "&lt;")
    page = voc_page(voc_object("cat", (5, 5, 20, 20)), filename=escaped)
    good = voc_page(voc_object("cat", (5, 5, 20, 20)))
    root = voc_folder(root, a=good, x=page)
    (root / "JPEGImages" / "x.jpg").unlink()
    return root


def yolo_list(root: Path, name: str) -> Path:
    yolo_folder(root, "train: train.txt\nnames: [cat]\n", a="0 0.5 0.5 0.5 0.5")
    (root / "train.txt").write_text(f"images/train/a.jpg\nimages/train/{name}\n{name}\n")
    return root


def yolo_yaml(root: Path, name: str) -> Path:
    quoted = "'" + name.replace("'", "''") + "'"
    return yolo_folder(root, f"train: [images/train, {quoted}]\nnames: [cat]\n", a="0 0 0 0 0")


def csv(root: Path, name: str) -> Path:
    draw(root / "images" / "a.jpg")
    quoted = '"' + name.replace('"', '""') + '"'
    (root / "labels.csv").write_text(f"a.jpg,1,1,20,20,cat\n{quoted},1,1,20,20,cat\n")
    return root


FORMATS: dict[str, tuple[Callable[[Path, str], Path], str, set[str]]] = {
    "coco": (coco, "images/val", set()),
    "voc": (voc, "JPEGImages", PRINTABLE_XML),
    "yolo list": (yolo_list, "images/train", ONE_LINE),
    "yolo yaml": (yolo_yaml, ".", ONE_LINE | {"only here", "parent", "only up"}),
    "csv": (csv, "images", {"half a letter"}),
}
"""How a format names a file, where its images lie, and what it cannot hold or means otherwise."""

CASES = [(kind, name) for kind, (_, _, no) in FORMATS.items() for name in NAMES if name not in no]


class Watch:
    """Every file that is opened while it looks."""

    def __init__(self) -> None:
        self.looking = False
        self.opened: list[str] = []
        sys.addaudithook(self)  # it stays for good, and does nothing while it does not look

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.looking:
            return
        if event in ("socket.connect", "subprocess.Popen", "os.system"):
            self.opened.append(event)
        if event == "open" and isinstance(arguments[0], str | bytes):
            self.opened.append(os.fsdecode(arguments[0]))


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    watcher = Watch()
    yield watcher
    watcher.looking = False


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_no_name_leads_out(kind: str, name: str, tmp_path: Path, watch: Watch) -> None:
    make, images, _ = FORMATS[kind]
    draw(tmp_path / "secret.jpg")
    root = make(tmp_path / "set", NAMES[name])
    traps(root / images, tmp_path)
    watch.opened.clear()
    watch.looking = True
    try:
        found = check(root, look_alikes=False)
    finally:
        watch.looking = False
    inside = os.path.realpath(root)
    for opened in watch.opened:
        real = os.path.realpath(opened)
        assert not real.startswith(str(tmp_path)) or real.startswith(inside + os.sep), opened
        assert real not in ("/etc/passwd", "/dev/zero", "/proc/self/environ"), opened
        assert opened not in ("socket.connect", "subprocess.Popen", "os.system")
    for dataset in found.parts.values():
        assert all(os.path.realpath(e.path).startswith(inside + os.sep) for e in dataset)
    told = [f for f in found.findings if f.severity == "error"]
    if not told:  # then the name is one inside: another way to write a.jpg
        assert name in ("up inside", "home", "only here")
    for fault in told:
        assert fault.code in (
            "file.outside", "file.name", "file.not_found", "image.missing", "box.degenerate",
            "image.duplicate_file", "dataset.images", "xml.syntax", "dataset.no_objects",
        ), fault  # fmt: skip
        assert len(fault.message) < 400
        assert fault.hint and (fault.pointer or fault.path)


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tgz", "7z", "rar"])
@pytest.mark.parametrize("inside", [False, True])
def test_archives_are_to_be_unpacked_first(ending: str, inside: bool, tmp_path: Path) -> None:
    archive = tmp_path / f"coco.{ending}"
    archive.write_bytes(b"PK\x03\x04")
    for use in (check, open_dataset):
        with pytest.raises(DatasetError) as caught:
            use(tmp_path if inside else archive)
        assert caught.value.code == "dataset.archive"
        assert caught.value.path == str(archive)
        assert "unpack" in str(caught.value.hint)


def test_a_data_set_beside_an_archive_is_read(tmp_path: Path) -> None:
    root = coco_folder(tmp_path)
    (root / "coco.zip").write_bytes(b"PK\x03\x04")
    assert len(open_dataset(root)) == 2


def test_a_label_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    root = coco_folder(tmp_path)
    file = root / "annotations" / "instances_val.json"
    with file.open("wb") as stream:
        stream.truncate(3 << 30)
    with pytest.raises(SightlineError) as caught:
        open_dataset(root)
    assert isinstance(caught.value, AnnotationError) and caught.value.code == "file.too_large"
