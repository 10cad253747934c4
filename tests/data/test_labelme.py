"""LabelMe's JSON: shapes, groups, embedded images, and every fault with its place."""

import base64
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from folders import draw
from sightline.cli import app
from sightline.data import Polygons, Runs, masks, open_dataset, splits
from sightline.data.embedded import decode
from sightline.errors import AnnotationError, SightlineError, SightlineWarning
from sightline.images import Limits

SIZE = (40, 60)


def shape(label: Any = "cat", points: Any = None, kind: Any = "rectangle", **more: Any) -> Any:
    corners = [[5, 6], [20, 16]] if points is None else points
    return {"label": label, "points": corners, "shape_type": kind, "flags": {}, **more}


def page(*shapes: Any, **changes: Any) -> dict[str, Any]:
    labels = {
        "version": "5.5.0",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": 40,
        "imageWidth": 60,
    }
    return {key: value for key, value in (labels | changes).items() if value is not ...}


def folder(root: Path, labels: Any, name: str = "a") -> Path:
    draw(root / f"{name}.png", SIZE)
    text = labels if isinstance(labels, str) else json.dumps(labels)
    (root / f"{name}.json").write_text(text)
    return root


def png(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


TRIANGLE = [[2, 2], [12, 2], [2, 12.5]]


def test_shapes_become_objects(tmp_path: Path) -> None:
    labels = page(
        shape("cat", [[20, 16], [5, 6]]),  # drawn from below
        shape("dog", TRIANGLE, "polygon"),
        shape("dog", TRIANGLE, None),  # LabelMe's first versions
        shape("eye", [[30, 20], [30, 25]], "circle"),
        shape("cat", [[1, 1], [9, 1], [9, 5], [1, 5]]),
    )
    (example,) = open_dataset(folder(tmp_path, labels))
    found = example.objects
    assert example.image_id == "a"
    assert found.labels.tolist() == [0, 1, 1, 2, 0]
    want = [[5, 6, 20, 16], [2, 2, 12, 12.5], [2, 2, 12, 12.5], [25, 15, 35, 25], [1, 1, 9, 5]]
    np.testing.assert_allclose(found.boxes, want, atol=1e-5)
    assert found.segments is not None and found.segments[0] is None
    ring = found.segments[3]
    assert isinstance(ring, Polygons)
    np.testing.assert_allclose(np.hypot(*(ring.rings[0] - [30, 20]).T), 5)
    assert found.area[1] == masks.area(found.segments[1], SIZE)  # type: ignore[arg-type]


def test_a_group_of_one_label_is_one_object(tmp_path: Path) -> None:
    labels = page(
        shape("cat", TRIANGLE, "polygon", group_id=1),
        shape("dog", TRIANGLE, "polygon", group_id=1),
        shape("cat", [[20, 20], [30, 20], [30, 30]], "polygon", group_id=1),
        shape("cat", [[1, 1], [3, 3]], group_id=2),
        shape("cat", [[8, 8], [9, 9]], group_id=2),
        shape("cow", TRIANGLE, "polygon", group_id="a"),
        shape("cow", [[30, 30], [50, 38]], group_id="a", flags={"difficult": True}),
    )
    dataset = open_dataset(folder(tmp_path, labels))
    found = dataset[0].objects
    assert [dataset.classes[label] for label in found.labels] == ["cat", "dog", "cat", "cow"]
    assert found.boxes.tolist() == [
        [2, 2, 30, 30], [2, 2, 12, 12.5], [1, 1, 9, 9], [2, 2, 50, 38],
    ]  # fmt: skip
    assert found.segments is not None and found.segments[2] is None
    assert [len(s.rings) for s in found.segments if isinstance(s, Polygons)] == [2, 1, 2]
    assert found.difficult.tolist() == [False, False, False, True]


@given(st.integers(1, 2**12 - 1), st.integers(0, 50), st.integers(0, 30))
def test_masks_are_the_pixels_of_their_png(bits: int, x: int, y: int) -> None:
    from sightline.data.labelme_shapes import _mask

    mask = np.array([bits >> i & 1 for i in range(12)], np.uint8).reshape(3, 4)
    found = _mask(shape("cat", [[x, y], [x + 3, y + 2]], "mask", mask=png(mask)), SIZE)
    assert isinstance(found, Runs)
    whole = masks.decode(found)
    assert whole[y : y + 3, x : x + 4].tolist() == mask.astype(bool).tolist()
    assert whole.sum() == mask.sum()


def test_a_mask_and_a_polygon_of_one_group_are_united(tmp_path: Path) -> None:
    labels = page(
        shape("cat", [[30, 30], [33, 32]], "mask", mask=ONES, group_id=1),
        shape("cat", [[2, 2], [10, 2], [10, 10], [2, 10]], "polygon", group_id=1),
    )
    found = open_dataset(folder(tmp_path, labels))[0].objects
    assert found.boxes.tolist() == [[2, 2, 34, 33]]
    assert found.area.tolist() == [64 + 12]


def test_what_encloses_nothing_is_told(tmp_path: Path) -> None:
    kinds = ("line", "linestrip", "point", "points")
    labels = page(*(shape("x", [[1, 1]], kind) for kind in kinds), shape())
    with pytest.warns(SightlineWarning, match=r"shape\.left_out × 4"):
        dataset = open_dataset(folder(tmp_path, labels))
    assert dataset.classes == ("cat",)
    assert [fault.pointer for fault in dataset.repaired] == [f"/shapes/{i}" for i in range(4)]


def point(name: str, x: float, y: float, **more: Any) -> Any:
    return shape(name, [[x, y]], "point", **more)


def test_points_of_an_objects_group_are_its_keypoints(tmp_path: Path) -> None:
    folder(tmp_path / "train", page(
        shape("cat", [[1, 1], [30, 30]], group_id=1),
        shape("cat", [[1, 1], [20, 20]], group_id=2),
        point("nose", 5.5, 6, group_id=1),
        point("left_ear", 9, 8, group_id=1, flags={"hidden": True}),
        point("nose", 3, 4, group_id=2),
    ))  # fmt: skip
    folder(tmp_path / "val", page(
        shape("dog", group_id=1), point("right_ear", 7, 7, group_id=1), imagePath="b.png",
    ), "b")  # fmt: skip
    train = open_dataset(tmp_path, "train")
    assert train.skeleton is not None
    assert train.skeleton.points == ("left_ear", "nose", "right_ear")
    assert train.classes == ("cat", "dog")
    assert train[0].objects.keypoints is not None
    assert train[0].objects.keypoints.tolist() == [
        [[9, 8, 1], [5.5, 6, 2], [0, 0, 0]],
        [[0, 0, 0], [3, 4, 2], [0, 0, 0]],
    ]
    folder(tmp_path / "val", page(point("tail", 1, 1, group_id=3), imagePath="b.png"), "b")
    with pytest.warns(SightlineWarning, match=r"shape\.left_out"):
        open_dataset(tmp_path, "val")


OWNER = shape(group_id=1)
POINT_FAULTS = {
    "keypoints.group": page(OWNER, shape("dog", group_id=1), point("nose", 5, 5, group_id=1)),
    "keypoints.twice": page(OWNER, *[point("nose", 5, 5, group_id=1)] * 2),
    "keypoints.outside": page(OWNER, point("nose", 1e9, 5, group_id=1)),
    "keypoints.not_finite": page(OWNER, shape("nose", [["1", 5]], "point", group_id=1)),
    "keypoints.format": page(OWNER, shape("nose", [], "point", group_id=1)),
    "category.name": page(OWNER, point("", 1, 1, group_id=1)),
    "shape.flags": page(OWNER, point("nose", 1, 1, group_id=1, flags=[1])),
}


@pytest.mark.parametrize("code", POINT_FAULTS)
def test_faults_of_keypoints(tmp_path: Path, code: str) -> None:
    labels = POINT_FAULTS[code]
    with pytest.raises(AnnotationError) as caught:
        open_dataset(folder(tmp_path, labels))
    assert caught.value.code == code
    assert (caught.value.pointer or "").startswith(f"/shapes/{len(labels['shapes']) - 1}/")


def test_folders_below_are_splits_with_the_classes_of_all(tmp_path: Path) -> None:
    folder(tmp_path / "val", page(shape("dog"), imagePath="b.png"), "b")
    folder(tmp_path / "train", page(shape("cat")))
    folder(tmp_path / "more", page(imagePath="c.png"), "c")
    (tmp_path / "train" / ".hidden.json").write_text("{")
    assert splits(tmp_path) == ("train", "val", "more")
    assert len(open_dataset(tmp_path)) == 3
    val = open_dataset(tmp_path, "val")
    assert (val.classes, val.split, val[0].image_id) == (("cat", "dog"), "val", "val/b")
    assert val[0].objects.labels.tolist() == [1]
    assert len(open_dataset(tmp_path, "more")[0].objects) == 0
    one = open_dataset(tmp_path / "val" / "b.json")
    assert (one.classes, splits(tmp_path / "val" / "b.json")) == (("dog",), ())
    other = open_dataset(tmp_path / "val", annotations=tmp_path / "train" / "a.json")
    assert other.classes == ("cat",)


@pytest.mark.parametrize("name", ["../images/b.png", "..\\images\\b.png", "b.png"])
def test_images_may_lie_in_another_folder(tmp_path: Path, name: str) -> None:
    draw(tmp_path / "images" / "b.png", SIZE)
    folder(tmp_path / "labels", page(shape(), imagePath=name))
    dataset = open_dataset(tmp_path)
    assert dataset.split is None
    assert dataset[0].path.resolve() == (tmp_path / "images" / "b.png").resolve()


def test_images_may_be_named(tmp_path: Path) -> None:
    draw(tmp_path / "far" / "b.png", SIZE)
    folder(tmp_path / "near", page(shape(), imagePath="b.png"))
    assert open_dataset(tmp_path / "near", images=tmp_path / "far")[0].path.name == "b.png"


BOX, AT = shape(), "/shapes/1/points"
ONES, NOTHING = png(np.ones((3, 4), np.uint8)), png(np.zeros((3, 4), np.uint8))


def second(points: Any, kind: str = "rectangle", **more: Any) -> dict[str, Any]:
    """A good shape, and one that is not."""
    return page(BOX, shape("cat", points, kind, **more))


FAULTS: dict[str, tuple[str, str | None, Any]] = {
    "no object": ("json.object", None, "[]"),
    "cut off": ("json.syntax", "line 1", json.dumps(page(BOX))[:-5]),
    "not a number": ("json.constant", None, json.dumps(page(BOX)).replace("5,", "NaN,")),
    "infinity": ("json.constant", None, json.dumps(page(BOX)).replace("5,", "-Infinity,")),
    "a key twice": ("json.twice", None, json.dumps(page(BOX))[:-1] + ', "shapes": []}'),
    "deep": ("json.depth", None, '{"imagePath": "a.png", "shapes": ' + "[" * 100_000),
    "no shapes": ("json.missing_key", "/shapes", page(shapes=...)),
    "no image": ("json.missing_key", "/imagePath", page(BOX, imagePath=...)),
    "shapes no list": ("json.object", "/shapes", page(shapes={})),
    "a shape no object": ("json.object", "/shapes/1", page(BOX, 7)),
    "no label": ("category.name", "/shapes/1/label", page(BOX, shape(None))),
    "a blank label": ("category.name", "/shapes/1/label", page(BOX, shape(" "))),
    "strange type": ("shape.type", "/shapes/1/shape_type", page(BOX, shape(kind="cube"))),
    "type a list": ("shape.type", "/shapes/1/shape_type", page(BOX, shape(kind=["line"]))),
    "group a list": ("shape.group", "/shapes/1/group_id", page(BOX, shape(group_id=[1]))),
    "flags a list": ("shape.flags", "/shapes/1/flags", page(BOX, shape(flags=["difficult"]))),
    "points a text": ("polygon.format", AT, second("1 1 9 9")),
    "one corner": ("box.format", AT, second([[1, 1]])),
    "three numbers": ("box.format", AT, second([[1, 1, 1]] * 2)),
    "text": ("box.not_finite", AT, second([[1, 1], [9, "9"]])),
    "true": ("box.not_finite", AT, second([[1, 1], [9, True]])),
    "slanted": (
        "box.format", AT, second([[5, 0], [9, 5], [5, 9], [0, 5]]),
    ),
    "no area": ("box.degenerate", AT, second([[1, 1], [1, 9]])),
    "outside": ("box.outside", AT, second([[80, 1], [99, 9]])),
    "two corners": (
        "polygon.short", AT, second([[1, 1], [9, 9]], "polygon"),
    ),
    "no corners": ("polygon.short", AT, second([], "polygon")),
    "far": (
        "polygon.outside", AT,
        second([[1, 1], [9, 9], [1e308, 9]], "polygon"),
    ),
    "huge": (
        "polygon.outside", AT,
        second([[1, 1], [9, 9], [10**400, 9]], "polygon"),
    ),
    "corner a number": (
        "polygon.format", AT, second([1, 1, 9, 9], "polygon"),
    ),
    "many corners": (
        "polygon.too_many", AT,
        second([[1, 1]] * 100_001, "polygon"),
    ),
    "three rows of corners": ("box.format", AT, second([[1, 1], [9, 1], [9, 5], [1, 6]])),
    "three columns of corners": ("box.format", AT, second([[1, 1], [9, 1], [8, 5], [1, 5]])),
    "corners that are numbers": ("box.format", AT, second([1, 9])),
    "corners that are texts": ("box.format", AT, second(["ab", "cd"])),
    "three corners": ("box.format", AT, second([[1, 1], [9, 1], [9, 5]])),
    "corner of three numbers": ("polygon.format", AT, second([[1, 1, 1]] * 3, "polygon")),
    "a radius beyond the image": (
        "circle.radius", AT, second([[9, 9], [129.5, 9]], "circle"),
    ),
    "three points of a circle": ("circle.format", AT, second([[9, 9], [9, 8], [8, 9]], "circle")),
    "mask right of the image": (
        "mask.outside", AT, second([[57, 0], [60, 2]], "mask", mask=ONES),
    ),
    "mask left of the image": (
        "mask.outside", AT, second([[-1, 0], [2, 2]], "mask", mask=ONES),
    ),
    "mask above the image": (
        "mask.outside", AT, second([[0, -1], [3, 1]], "mask", mask=ONES),
    ),
    "mask below the image": (
        "mask.outside", AT, second([[0, 38], [3, 40]], "mask", mask=ONES),
    ),
    "mask of another width": (
        "mask.size", AT, second([[0, 0], [4, 2]], "mask", mask=ONES),
    ),
    "no radius": (
        "circle.radius", AT, second([[9, 9], [9, 9]], "circle"),
    ),
    "mask missing": (
        "mask.format", "/shapes/1/mask", second([[0, 0], [3, 2]], "mask"),
    ),
    "mask no base64": (
        "image.base64", "/shapes/1/mask",
        second([[0, 0], [3, 2]], "mask", mask="§"),
    ),
    "mask no image": (
        "image.unsupported", "/shapes/1/mask",
        second([[0, 0], [3, 2]], "mask", mask="aGFsbG8gaGFsbG8="),
    ),
    "mask of other size": (
        "mask.size", AT,
        second([[0, 0], [3, 3]], "mask", mask=ONES),
    ),
    "mask outside": (
        "mask.outside", AT,
        second([[58, 0], [61, 2]], "mask", mask=ONES),
    ),
    "empty mask": (
        "mask.empty", AT,
        second([[0, 0], [3, 2]], "mask", mask=NOTHING),
    ),
    "mask of a gigantic image": (
        "image.too_many_pixels", AT,
        second([[0, 0], [3, 2]], "mask", mask=ONES) | {"imageWidth": 8000, "imageHeight": 8000},
    ),
    "no size": ("image.size", None, page(BOX, imageWidth="60")),
    "half a size": ("image.size", None, page(BOX, imageWidth=None)),
    "another size": ("image.size", None, page(BOX, imageWidth=61)),
    "a gigantic size": ("image.size", None, page(BOX, imageWidth=10**9, imageHeight=10**9)),
    "missing": ("image.missing", "/imagePath", page(BOX, imagePath="x.png")),
    "no name": ("file.name", "/imagePath", page(BOX, imagePath=5)),
    "climbs out": ("file.outside", "/imagePath", page(BOX, imagePath="../a.png")),
    "climbs out, embedded": (
        "file.outside", "/imagePath", page(BOX, imagePath="../a.png", imageData="QUJD"),
    ),
    "absolute": ("file.outside", "/imagePath", page(BOX, imagePath="/etc/passwd")),
    "a drive": ("file.outside", "/imagePath", page(BOX, imagePath="C:\\x\\a.png")),
    "NUL": ("file.outside", "/imagePath", page(BOX, imagePath="a\0.png")),
    "embedded": ("image.embedded", "/imageData", page(BOX, imagePath="x.png", imageData="QUJD")),
    "embedded, a number": ("image.base64", "/imageData", page(BOX, imagePath="x.png", imageData=5)),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_told_with_their_place(tmp_path: Path, name: str) -> None:
    code, pointer, labels = FAULTS[name]
    folder(tmp_path, page(shape("dog"), imagePath="good.png"), "good")
    folder(tmp_path, labels)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(tmp_path, format="labelme")
    assert caught.value.code == code
    assert Path(caught.value.path or "").stem == "a"
    if pointer is not None:
        assert (caught.value.pointer or "").startswith(pointer)
    with pytest.warns(SightlineWarning, match=code):
        dataset = open_dataset(tmp_path, format="labelme", on_bad="skip")
    assert {e.image_id for e in dataset} >= {"good"}
    for example in dataset:
        assert len(example.objects) == 1  # the good shape beside the bad one


def test_shapes_may_touch_the_edges_of_their_image(tmp_path: Path) -> None:
    labels = page(
        shape("cat", [[56, 37], [59, 39]], "mask", mask=ONES),
        shape("cat", [[0, 0], [3, 2]], "mask", mask=ONES),
        shape("cat", [[0, 0], [60, 40]]),
    )
    found = open_dataset(folder(tmp_path, labels))[0].objects
    assert found.boxes.tolist() == [[56, 37, 60, 40], [0, 0, 4, 3], [0, 0, 60, 40]]


def test_a_rectangle_outside_its_image_spoils_its_group(tmp_path: Path) -> None:
    rows = [shape(group_id=1), shape("cat", [[80, 1], [99, 9]], group_id=1), shape("dog")]
    with pytest.warns(SightlineWarning, match=r"box\.outside × 1"):
        dataset = open_dataset(folder(tmp_path, page(*rows)), on_bad="skip")
    assert dataset.classes == ("dog",)
    assert [fault.pointer for fault in dataset.skipped] == ["/shapes/1/points"]


@pytest.mark.parametrize("key", ["imageData", "version", "flags", "imageWidth"])
def test_a_file_is_known_by_two_of_its_keys(tmp_path: Path, key: str) -> None:
    labels = page(shape(), **{key: ...})
    if key == "imageWidth":
        del labels["imageHeight"]
    assert open_dataset(folder(tmp_path, labels))[0].size == SIZE


def test_difficult_may_stand_at_the_shape_itself(tmp_path: Path) -> None:
    rows = [shape(difficult=True), shape(flags={"difficult": 1}), shape(flags=None)]
    found = open_dataset(folder(tmp_path, page(*rows)))[0].objects
    assert found.difficult.tolist() == [True, False, False]


def test_what_is_left_out_needs_no_label(tmp_path: Path) -> None:
    rows = [shape(None, [[1, 1]], "point"), shape(None, [[1, 1], [2, 2]], "line"), shape()]
    with pytest.warns(SightlineWarning, match=r"shape\.left_out × 2"):
        assert len(open_dataset(folder(tmp_path, page(*rows)))[0].objects) == 1


def test_a_keypoint_lies_no_further_than_a_side_outside(tmp_path: Path) -> None:
    places = [(-60, -60), (120, 120), (-60.5, 0), (0, -60.5), (120.5, 0), (0, 120.5)]
    for i, (x, y) in enumerate(places):
        root = folder(tmp_path, page(OWNER, point("nose", x, y, group_id=1)))
        if i < 2:
            points = open_dataset(root)[0].objects.keypoints
            assert points is not None and points.tolist() == [[[x, y, 2]]]
            continue
        with pytest.raises(AnnotationError) as caught:
            open_dataset(root)
        assert caught.value.code == "keypoints.outside"


def test_a_split_of_damaged_files_is_told_and_other_json_is_none(tmp_path: Path) -> None:
    folder(tmp_path / "train", page(BOX))
    folder(tmp_path / "val", '{"version": "5.5.0", "shapes": [')
    folder(tmp_path / "test", "")
    folder(tmp_path / "notes", '{"author": "me"}')
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "none.json").write_text("")
    assert splits(tmp_path) == ("train", "val", "test")
    for name in ("val", "test"):
        with pytest.raises(AnnotationError) as caught:
            open_dataset(tmp_path, name)
        assert caught.value.code == "json.syntax"


def test_an_object_of_which_a_part_is_bad_is_dropped_whole(tmp_path: Path) -> None:
    labels = page(
        BOX,
        shape("cat", TRIANGLE, "polygon", group_id=1),
        shape("cat", [[1, 1]], "polygon", group_id=1),
    )
    with pytest.warns(SightlineWarning, match=r"polygon\.short × 1"):
        dataset = open_dataset(folder(tmp_path, labels), on_bad="skip")
    assert dataset[0].objects.boxes.tolist() == [[5, 6, 20, 16]]


def test_two_files_of_one_image(tmp_path: Path) -> None:
    folder(tmp_path, page(BOX))
    folder(tmp_path, page(BOX), "b")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(tmp_path)
    assert caught.value.code == "image.duplicate_file"


def test_a_shape_that_leaves_its_image_is_cut_and_told(tmp_path: Path) -> None:
    with pytest.warns(SightlineWarning, match=r"box\.clipped"):
        dataset = open_dataset(folder(tmp_path, page(shape("cat", [[50, 5], [90, 30]]))))
    assert dataset[0].objects.boxes.tolist() == [[50, 5, 60, 30]]


def photo(size: tuple[int, int] = SIZE, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_convert_writes_embedded_images_into_files(tmp_path: Path, kind: str) -> None:
    data = photo(kind=kind)
    labels = page(BOX, imagePath="x.y", imageData=base64.b64encode(data).decode())
    root = tmp_path / "from"
    root.mkdir()
    (root / "a.json").write_text(json.dumps(labels))
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["convert", str(root), "--to", "csv", "--out", str(out)])
    assert done.exit_code == 0, done.output
    (path,) = (out / "images").iterdir()
    assert path.stem == "a"
    assert path.read_bytes() == data
    assert open_dataset(out)[0].objects.boxes.tolist() == [[5, 6, 20, 16]]
    assert [p.name for p in root.iterdir()] == ["a.json"]
    words = ["convert", str(root), "--to", "csv", "--out", str(out), "--images", "none"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, AnnotationError)
    assert refused.exception.code == "image.embedded"


def test_an_image_beside_its_file_is_taken_before_the_embedded_one(tmp_path: Path) -> None:
    labels = page(BOX, imageData="no image at all")
    assert open_dataset(folder(tmp_path, labels))[0].path == tmp_path / "a.png"


def bomb() -> str:
    """A PNG that claims to have 10⁵ × 10⁵ pixels, of a few bytes."""
    data = bytearray(photo())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return base64.b64encode(data).decode()


EMBEDDED: dict[str, tuple[str, Callable[[], str]]] = {
    "bytes": ("image.too_large_bytes", lambda: "A" * 4000),
    "pixels": ("image.too_many_pixels", bomb),
    "no base64": ("image.base64", lambda: base64.b64encode(photo()).decode()[:-2] + "§="),
    "padding": ("image.base64", lambda: base64.b64encode(photo()).decode()[:-1]),
    "not an image": ("image.unsupported", lambda: base64.b64encode(b"<html></html>").decode()),
    "empty": ("image.empty", lambda: ""),
}


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_images_are_weighed_before_they_are_decoded(name: str) -> None:
    code, make = EMBEDDED[name]
    with pytest.raises(AnnotationError) as caught:
        decode(make(), Limits(max_bytes=2000))
    assert caught.value.code == code


def test_a_header_longer_than_the_head_is_read() -> None:
    data = photo(kind="JPEG")
    comment = b"\xff\xfe\xff\xff" + b"x" * 0xFFFD
    data = data[:2] + comment * 2 + data[2:]
    assert decode(base64.b64encode(data).decode()) == data


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["label", "points", "shape_type", "flags", "group_id", "mask", "imagePath", "imageData",
     "imageHeight", "imageWidth", "shapes", "difficult"]
)  # fmt: skip


@given(key=KEYS, value=VALUES | st.sampled_from(["circle", "mask", "polygon", "point"]))
def test_any_value_anywhere_is_read_or_typed(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    labels = page(shape(), shape())
    target = labels if key in labels else labels["shapes"][1]
    target[key] = value
    root = folder(tmp_path_factory.mktemp("any"), labels)
    for mode in ("error", "skip", "fix"):
        with suppress(SightlineError, SightlineWarning):
            open_dataset(root, on_bad=mode, format="labelme", unpack=root / "x")  # type: ignore[arg-type]
