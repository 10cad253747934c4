"""The folder of a conversion: whole or not at all, and nobody's work is ever overwritten."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from folders import draw, voc_folder, voc_object, voc_page
from sightline.data import open_dataset
from sightline.data.convert import convert
from sightline.data.formats import FORMATS
from sightline.data.formats.output import MARK, NEW, OLD, OWNER, check_output, staged
from sightline.errors import DatasetError, ResourceError, SightlineWarning


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return voc_folder(tmp_path / "voc", a=voc_page(voc_object("cat", (5, 5, 20, 20))))


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def write(source: Path, out: Path, to: str = "yolo", overwrite: bool = True) -> None:
    convert([open_dataset(source)], out, to, overwrite=overwrite)


@pytest.mark.parametrize("images", ["copy", "link"])
def test_an_earlier_conversion_is_replaced(tmp_path: Path, source: Path, images: str) -> None:
    out = tmp_path / "out"
    convert([open_dataset(source)], out, "yolo", images)  # type: ignore[arg-type]
    before = (source / "JPEGImages/a.jpg").read_bytes()
    write(source, out, "csv")
    assert names(out) == [MARK, "images/a.jpg", "labels.csv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "voc"]
    assert (source / "JPEGImages/a.jpg").read_bytes() == before


def test_an_empty_folder_is_filled_and_stays_the_same(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    before = out.stat().st_ino
    write(source, out, "csv", overwrite=False)
    assert names(out) == [MARK, "images/a.jpg", "labels.csv"]
    assert out.stat().st_ino == before


def test_nothing_is_overwritten_unless_said(tmp_path: Path, source: Path) -> None:
    write(source, tmp_path / "out")
    with pytest.raises(DatasetError) as caught:
        write(source, tmp_path / "out", "csv", overwrite=False)
    assert caught.value.code == "convert.not_empty"
    assert "--overwrite" in str(caught.value)


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file more": lambda out: (out / "labels" / "notes.txt").write_text("mine"),
    "a hidden file more": lambda out: (out / ".git").write_text("mine"),
    "a folder more": lambda out: (out / "mine").mkdir(),
    "a link more": lambda out: (out / "mine").symlink_to(out.parent),
    "labels changed": lambda out: edit(out / "labels" / "train" / "a.txt"),
    "touched": lambda out: os.utime(out / "data.yaml", (5, 5)),
    "no mark": lambda out: (out / MARK).unlink(),
    "a mark that is none": lambda out: (out / MARK).write_text('{"files": [1]}'),
    "a broken mark": lambda out: (out / MARK).write_text("{"),
    "a mark of text": lambda out: (out / MARK).write_text('"files"'),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_person_did_is_never_overwritten(tmp_path: Path, source: Path, change: str) -> None:
    out = tmp_path / "out"
    write(source, out)
    CHANGES[change](out)
    before = names(out)
    with pytest.raises(DatasetError) as caught:
        write(source, out)
    assert caught.value.code == "convert.foreign"
    assert names(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "voc"]


def test_a_folder_of_the_source_is_never_overwritten(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    write(source, out)
    for wanted, data in ((out, out), (tmp_path, out), (out, source)):
        if data == source:  # the images lie in it, the labels do not
            shutil.rmtree(source / "JPEGImages")
            (source / "JPEGImages").symlink_to(out / "images/train")
        with pytest.raises(DatasetError) as caught:
            write(data, wanted)
        assert caught.value.code == "convert.source"


def test_a_link_to_a_folder_is_not_replaced(tmp_path: Path, source: Path) -> None:
    write(source, tmp_path / "out")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(DatasetError) as caught:
        write(source, tmp_path / "link")
    assert caught.value.code == "convert.foreign"


@pytest.mark.parametrize("where", ["new", "empty", "old"])
def test_a_conversion_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, source: Path, where: str
) -> None:
    out = tmp_path / "out"
    if where == "empty":
        out.mkdir()
    if where == "old":
        write(source, out)
    before = names(tmp_path)

    def fail(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert([open_dataset(source)], out, "csv", progress=fail, overwrite=True)
    assert names(tmp_path) == before
    assert out.exists() == (where != "new")


def test_what_appears_meanwhile_is_kept(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    write(source, out)

    def add(done: int) -> None:
        (out / "mine.txt").write_text("mine")

    with pytest.raises(DatasetError) as caught:
        convert([open_dataset(source)], out, "csv", progress=add, overwrite=True)
    assert caught.value.code == "convert.foreign"
    assert (out / "mine.txt").read_text() == "mine"
    assert (out / "data.yaml").is_file()


def test_the_old_folder_comes_back_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write(source, out)
    before = names(tmp_path)
    rename = Path.rename

    def refuse(path: Path, goal: Path) -> Path:
        if path.name == NEW:
            raise OSError(28, "no space")
        return rename(path, goal)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ResourceError) as caught:
        write(source, out, "csv")
    assert caught.value.code == "resource.disk_full"
    assert names(tmp_path) == before


def test_a_parent_that_is_a_file_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError), staged(tmp_path / "file" / "out"):
        pass


def test_names_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    def refused(to: str, label: str, image: str = "a.jpg") -> str:
        from sightline.data import Dataset, Example, Objects

        path = draw(tmp_path / "from" / image)
        found = Objects.of([[1, 1, 9, 9]], [0])
        example = Example(path, "a", (40, 60), found)
        data = Dataset((example,), (label,), (1,), None, "x", tmp_path / "from", "train")
        with pytest.raises(DatasetError) as caught:
            convert([data], tmp_path / "out", to)
        assert caught.value.code == "convert.name"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["from"]
        return str(caught.value)

    assert "spaces" in refused("voc", "cat", "a b.jpg")
    assert "XML" in refused("voc", "cat\x01")
    assert "XML" in refused("voc", "c\rat")
    for to in ("voc", "yolo"):
        assert "blank" in refused(to, "cat ")
    for to in ("yolo", "labelme", "labelstudio", "openimages"):
        assert "hidden" in refused(to, "cat", ".a.jpg")
    for to in FORMATS:
        assert "UTF-8" in refused(to, "cat\ud800")
        assert "backslash" in refused(to, "cat", "a\\b.jpg")
        assert "leads out" in refused(to, "cat", "C:a.jpg")


def killed(action: Callable[[], object]) -> None:
    """Run `action` in a child that is to kill itself."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".tmp-*"))


@pytest.mark.parametrize("where", ["new", "empty", "old"])
def test_what_a_killed_conversion_left_goes_with_the_next(
    tmp_path: Path, source: Path, where: str
) -> None:
    out, data = tmp_path / "out", [open_dataset(source)]
    if where == "empty":
        out.mkdir()
    if where == "old":
        write(source, out)
    others = {tmp_path / ".tmp-0123456789abcdef": None, tmp_path / ".tmp-0123456789abcdea": "else"}
    for folder, name in others.items():
        folder.mkdir()
        (folder / NEW).mkdir()
        if name is not None:
            (folder / OWNER).write_text(f"{name}\n")
    for _ in range(2):
        killed(lambda: convert(data, out, "csv", progress=die, overwrite=True))
        assert len(hidden(tmp_path)) == 3  # of the first one nothing is left
    assert out.exists() == (where != "new")
    write(source, out, "csv", overwrite=where == "old")
    assert names(out) == [MARK, "images/a.jpg", "labels.csv"]
    assert hidden(tmp_path) == sorted(folder.name for folder in others)
    assert all((folder / NEW).is_dir() for folder in others)


def test_a_kill_between_two_renames_loses_nothing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write(source, out)
    before = names(tmp_path)
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda a, b: die() if a.name == NEW else rename(a, b))
    killed(lambda: write(source, out, "csv"))
    monkeypatch.undo()
    assert not out.exists()
    with pytest.raises(DatasetError) as caught:
        write(source, out, "csv", overwrite=False)
    assert caught.value.code == "convert.not_empty"
    assert names(tmp_path) == before
    write(source, out, "csv")
    assert names(out) == [MARK, "images/a.jpg", "labels.csv"]


def test_a_kill_before_the_old_folder_is_gone(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write(source, out)
    monkeypatch.setattr("sightline.data.formats.output._remove", die)
    killed(lambda: write(source, out, "csv"))
    monkeypatch.undo()
    (place,) = tmp_path.glob(".tmp-*")
    assert (place / OLD / "data.yaml").is_file()
    check_output(out, [], overwrite=True)
    assert not place.exists()
    assert names(out) == [MARK, "images/a.jpg", "labels.csv"]


def test_a_forged_remainder_reaches_nothing_outside_of_itself(tmp_path: Path, source: Path) -> None:
    """As anybody can put one into a folder that many may write to."""
    write(source, tmp_path / "mine", "csv")
    (tmp_path / "victim").write_text("mine")
    for key, old in (("a", None), ("b", tmp_path / "mine")):
        place = tmp_path / f".tmp-{key * 16}"
        place.mkdir()
        (place / OWNER).write_bytes(b"out\n")
        (place / NEW).symlink_to(tmp_path / "mine")
        if old is None:
            (place / OLD).mkdir()
            (place / OLD / MARK).write_text('{"files": {"../../victim": [4, 0]}}')
        else:
            (place / OLD).symlink_to(old)
    before = names(tmp_path / "mine")
    (tmp_path / "out").mkdir()
    write(source, tmp_path / "out", "csv", overwrite=False)
    assert (tmp_path / "victim").read_text() == "mine"
    assert names(tmp_path / "mine") == before
    assert names(tmp_path / "out") == [MARK, "images/a.jpg", "labels.csv"]


def test_what_a_living_conversion_writes_stays(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    with staged(out) as folder:
        (folder / "mine").write_text("mine")
        write(source, out, overwrite=False)
        assert (folder / "mine").read_text() == "mine"
        shutil.rmtree(out)
    assert names(out) == [MARK, "mine"]
    assert not hidden(tmp_path)


@pytest.mark.parametrize("to", FORMATS)
def test_endings_that_no_reader_looks_for(tmp_path: Path, to: str) -> None:
    from folders import coco_folder, coco_labels

    images = [
        {"id": i, "file_name": name, "height": 40, "width": 60}
        for i, name in enumerate(("a.jfif", "a.jpg", "b", "c.d.JPG"))
    ]
    rows = [{"id": i, "image_id": i, "category_id": 3, "bbox": [10, 5, 20, 30]} for i in range(4)]
    source = coco_folder(tmp_path / "in", coco_labels(images=images, annotations=rows))
    folder = source / "images" / "val"
    for name in ("a.jfif", "b", "c.d.JPG"):
        shutil.copyfile(folder / "a.jpg", folder / name)
    with pytest.warns(SightlineWarning, match=r"2 images get an ending .* a\.jfif → \.jpg"):
        convert([open_dataset(source, "val")], tmp_path / "out", to)
    again = open_dataset(tmp_path / "out", format=to)
    names = sorted(example.path.name for example in again)
    assert names == ["a-2.jpg", "a.jpg", "b.jpg", "c.d.JPG"]
    assert [len(example.objects) for example in again] == [1] * 4
    wanted = (folder / "a.jpg").read_bytes()
    assert all(example.path.read_bytes() == wanted for example in again)
