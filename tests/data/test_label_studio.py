"""Label Studio's export: regions, brushes, addresses, and every fault with its place."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folders import draw
from sightline.data import Objects, Polygons, Runs, brush, masks, open_dataset, splits
from sightline.data.image_search import address_parts
from sightline.errors import AnnotationError, DatasetError, SightlineError, SightlineWarning

SIZE = (40, 60)


def region(kind: str = "rectanglelabels", labels: Any = None, **value: Any) -> dict[str, Any]:
    """A region on an image of 60 × 40: by default the box 6, 8, 30, 20."""
    if kind == "rectanglelabels":
        value = {"x": 10, "y": 20, "width": 40, "height": 30, "rotation": 0} | value
    return {
        "id": "r",
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": 60,
        "original_height": 40,
        "image_rotation": 0,
        "value": value | {kind: ["cat"] if labels is None else labels},
    }


def task(
    *regions: Any, id: Any = 1, image: Any = "/data/upload/3/0a1b2c3d-a.png", **more: Any
) -> Any:
    found = {"id": 5, "was_cancelled": False, "ground_truth": False, "result": list(regions)}
    return {"id": id, "annotations": [found], "predictions": [], "data": {"image": image}} | more


def folder(root: Path, labels: Any, name: str = "export.json") -> Path:
    if not (root / "a.png").exists():
        draw(root / "a.png", SIZE)
    text = labels if isinstance(labels, str) else json.dumps(labels)
    (root / name).write_text(text)
    return root


def objects(root: Path, *regions: Any) -> Objects:
    return open_dataset(folder(root, [task(*regions)]))[0].objects


def test_regions_become_objects(tmp_path: Path) -> None:
    dataset = open_dataset(folder(tmp_path, [task(
        region(),
        region("polygonlabels", ["dog"], points=[[10, 10], [50, 10], [10, 90]], closed=True),
        region("ellipselabels", ["eye"], x=50, y=50, radiusX=10, radiusY=25, rotation=0),
        region(labels=["dog", "big"]),
        {**region("labels", ["cow"], x=0, y=0, width=50, height=50), "id": "two"},
        {**region("rectangle", [], x=0, y=0, width=50, height=50), "id": "two"},
    )]))  # fmt: skip
    found = dataset[0].objects
    assert dataset[0].image_id == 1
    names = [dataset.classes[label] for label in found.labels]
    assert names == ["cat", "dog", "eye", "dog", "big", "cow"]
    want = [[6, 8, 30, 20], [6, 4, 30, 36], [24, 10, 36, 30], *[[6, 8, 30, 20]] * 2, [0, 0, 30, 20]]
    np.testing.assert_allclose(found.boxes, want, atol=1e-5)
    assert found.segments is not None
    assert [s is None for s in found.segments] == [True, False, False, True, True, True]


@pytest.mark.parametrize(
    ("degrees", "box"),
    [
        (90, [18, 8, 30, 32]),
        (-270, [18, 8, 30, 32]),
        (45, [30 - 12 / 2**0.5, 8, 30 + 24 / 2**0.5, 8 + 36 / 2**0.5]),
    ],
)
def test_a_turned_rectangle_is_the_box_around_it_and_told(
    tmp_path: Path, degrees: float, box: list[float]
) -> None:
    turned = region(x=50, y=20, width=40, height=30, rotation=degrees)
    with pytest.warns(SightlineWarning, match=r"box\.turned"):
        found = objects(tmp_path, turned)
    np.testing.assert_allclose(found.boxes[0], box, atol=1e-5)
    objects(tmp_path, region(rotation=720))  # a whole turn is none


MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**81 - 1)).map(
    lambda v: np.array([v[2] >> i & 1 for i in range(v[0] * v[1])], bool).reshape(v[0], v[1])
)


@given(MASKS)
def test_a_brush_gives_its_pixels_again(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(brush.decode(brush.encode(mask), mask.shape), mask)


def test_long_runs_are_divided() -> None:
    mask = np.zeros((300, 401), bool)
    mask[50:, 7:] = True
    values = brush.encode(mask)
    np.testing.assert_array_equal(brush.decode(values, mask.shape), mask)
    assert len(values) < 4000


def stream(*groups: str, total: int, sizes: tuple[int, ...] = (3, 4, 8, 16)) -> list[int]:
    text = f"{total:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes) + "".join(groups)
    text += "0" * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


def test_a_brush_of_plain_words_and_soft_edges() -> None:
    """Words written out stand at any bit; only alpha counts, from a half on."""
    words = [9, 9, 9, 127, 0, 0, 0, 128]
    plain = "0" + "00" + f"{7:03b}" + "".join(f"{word:08b}" for word in words)
    assert brush.decode(stream(plain, total=8), (1, 2)).tolist() == [[False, True]]
    run = "1" + "01" + f"{7:04b}" + f"{255:08b}"
    both = brush.decode(stream(run, plain, total=16), (2, 2))
    assert both.tolist() == [[True, True], [False, True]]


WRONG: dict[str, tuple[str, Any]] = {
    "a text": ("rle.format", "abc"),
    "not bytes": ("rle.format", [1, 256]),
    "true": ("rle.format", [True]),
    "nothing": ("rle.sum", []),
    "of another image": ("rle.size", brush.encode(np.ones((40, 61), bool))),
    "without a pixel": ("mask.empty", brush.encode(np.zeros(SIZE, bool))),
    "cut off": ("rle.sum", brush.encode(np.ones(SIZE, bool))[:-2]),
    "other words": ("rle.format", [0, 0, 0x25, 0x80, 0, 0, 0, 0]),
    "too long": ("rle.sum", stream("1" + "11" + f"{65535:016b}" + "1" * 8, total=9600)),
    "words cut off": ("rle.sum", stream("0" + "11" + f"{9599:016b}" + "1" * 8, total=9600)),
}


def test_a_brush_of_a_gigantic_image_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(AnnotationError) as caught:
        brush.decode(stream(total=2**32 - 4), (2**15, 2**15 - 1))
    assert caught.value.code == "image.too_many_pixels"


@pytest.mark.parametrize("name", WRONG)
def test_faults_of_brushes(tmp_path: Path, name: str) -> None:
    code, values = WRONG[name]
    with pytest.raises(AnnotationError) as caught:
        objects(tmp_path, region(), region("brushlabels", format="rle", rle=values))
    assert caught.value.code == code
    assert caught.value.pointer == "/0/annotations/0/result/1/value/rle"


def test_a_brush_is_a_mask(tmp_path: Path) -> None:
    mask = np.zeros(SIZE, bool)
    mask[5:20, 5:30], mask[8:12, 9:15] = True, False
    found = objects(tmp_path, region("brushlabels", format="rle", rle=brush.encode(mask)))
    assert found.segments is not None and isinstance(found.segments[0], Runs)
    np.testing.assert_array_equal(masks.decode(found.segments[0]), mask)
    assert found.boxes.tolist() == [[5, 5, 30, 20]]
    assert found.area.tolist() == [mask.sum()]


def test_what_is_no_region_is_told(tmp_path: Path) -> None:
    others = [
        region("keypointlabels", x=5, y=5, width=1),
        {"type": "choices", "value": {"choices": ["sharp"]}},
        {"type": "relation", "from_id": "r", "to_id": "r"},
        {"type": "textarea"},
    ]
    with pytest.warns(SightlineWarning, match=r"shape\.left_out × 4"):
        assert len(objects(tmp_path, *others, region())) == 1


def point(name: Any, x: Any, y: float, parent: str = "r", **more: Any) -> dict[str, Any]:
    labels = [name] if isinstance(name, str) else name
    row = region("keypointlabels", labels, x=x, y=y, width=0.5)
    return row | {"id": f"p{name}", "parentID": parent} | more


def test_points_of_a_region_are_its_keypoints(tmp_path: Path) -> None:
    draw(tmp_path / "b.png", SIZE)
    other = [task(region(labels=["dog"]), point("tail", 1, 1), id=2, image="b.png")]
    folder(tmp_path, other, "tasks_val.json")
    hidden = {"meta": {"text": ["hidden"]}}
    rows = [point("nose", 50, 25), region(), point("ear", 10, 10, **hidden)]
    folder(tmp_path, [task(*rows)], "tasks_train.json")
    train = open_dataset(tmp_path, "train")
    assert train.skeleton is not None
    assert train.skeleton.points == ("ear", "nose", "tail")
    assert train[0].objects.keypoints is not None
    assert train[0].objects.keypoints.tolist() == [[[6, 4, 1], [30, 10, 2], [0, 0, 0]]]


def test_only_points_of_a_region_are_its_keypoints(tmp_path: Path) -> None:
    other = {"meta": {"text": ["blurred"]}}
    part = region(labels=["dog"]) | {"id": "s", "parentID": "r"}
    found = objects(tmp_path, region(), part, point("nose", 50, 25, **other))
    assert len(found) == 2
    assert found.keypoints is not None and found.keypoints[0].tolist() == [[30, 10, 2]]
    nameless = [region() | {"id": ""}, point("nose", 1, 1, "")]
    choice = [region(), {"id": "c", "type": "choices", "value": {}}, point("nose", 1, 1, "c")]
    nothing = [region(), {"id": "n", "type": "labels", "value": None}]
    for rows, lost in ((nameless, 1), (choice, 2), (nothing, 1)):
        with pytest.warns(SightlineWarning, match=rf"shape\.left_out × {lost}"):
            found = objects(tmp_path, *rows)
        assert len(found) == 1 and found.keypoints is None


def test_a_turned_ellipse_is_a_mask_and_nothing_is_told(tmp_path: Path) -> None:
    turned = region("ellipselabels", x=50, y=50, radiusX=20, radiusY=10, rotation=30)
    assert objects(tmp_path, turned).segments is not None


POINT_FAULTS: dict[str, list[Any]] = {
    "keypoints.twice": [point("nose", 1, 1), point("nose", 2, 2)],
    "keypoints.outside": [point("nose", 900, 1)],
    "keypoints.format": [point("nose", "1", 1)],
    "category.name": [point([], 1, 1)],
    "image.size": [point("nose", 1, 1, original_width=61)],
}


@pytest.mark.parametrize("code", POINT_FAULTS)
def test_faults_of_keypoints(tmp_path: Path, code: str) -> None:
    rows = POINT_FAULTS[code]
    with pytest.raises(AnnotationError) as caught:
        objects(tmp_path, region(), *rows)
    assert caught.value.code == code
    assert (caught.value.pointer or "").startswith(f"/0/annotations/0/result/{len(rows)}/")


def annotation(x: float, **more: Any) -> dict[str, Any]:
    return {"id": 1, "result": [region(x=x)]} | more


def test_which_annotation_counts(tmp_path: Path) -> None:
    rows = [annotation(1, was_cancelled=True), annotation(2), annotation(3, ground_truth=True)]
    for chosen, x, told in (
        (rows, 3, True), (rows[:2], 2, False), (rows[2:], 3, False), ([rows[1]] * 2, 2, True),
    ):  # fmt: skip
        folder(tmp_path, [task(annotations=chosen)])
        if told:
            with pytest.warns(SightlineWarning, match=r"annotation\.several"):
                dataset = open_dataset(tmp_path)
        else:
            dataset = open_dataset(tmp_path)
        assert dataset[0].objects.boxes[0, 0] == pytest.approx(x * 0.6)
    old = task(id=4)
    old["completions"] = [rows[1]]
    del old["annotations"]
    assert len(open_dataset(folder(tmp_path, [old]))[0].objects) == 1


def test_tasks_that_nobody_labelled_are_told_and_empty_ones_kept(tmp_path: Path) -> None:
    for name in ("b.png", "c.png", "d.png"):
        draw(tmp_path / name, SIZE)
    tasks = [
        task(region()),
        task(id=2, image="b.png"),
        task(id=3, image="c.png", annotations=[]),
        task(id=4, image="d.png", annotations=[annotation(1, was_cancelled=True)]),
    ]
    with pytest.warns(SightlineWarning, match=r"annotation\.none × 2"):
        dataset = open_dataset(folder(tmp_path, tasks))
    assert [(e.image_id, len(e.objects)) for e in dataset] == [(1, 1), (2, 0)]


def test_files_of_tasks_are_splits(tmp_path: Path) -> None:
    folder(tmp_path, [task(region())], "tasks_val.json")
    assert splits(tmp_path) == ("val",)
    draw(tmp_path / "b.png", SIZE)
    folder(tmp_path, [task(region(labels=["dog"]), id=2, image="b.png")], "tasks_train.json")
    folder(tmp_path, json.dumps({"other": 1}), "other.json")
    assert splits(tmp_path) == ("train", "val")
    val = open_dataset(tmp_path, "val")
    assert (val.classes, len(val), val.split) == (("cat", "dog"), 1, "val")
    assert len(open_dataset(tmp_path)) == 2
    assert len(open_dataset(tmp_path / "tasks_val.json")) == 1
    folder(tmp_path, [], "tasks_val.json")
    with pytest.raises(DatasetError):
        open_dataset(tmp_path / "tasks_val.json")


def test_more_files_than_are_looked_into_are_all_read(tmp_path: Path) -> None:
    for i in range(23):
        draw(tmp_path / f"{i}.png", SIZE)
        folder(tmp_path, [task(region(), id=i, image=f"{i}.png")], f"tasks_{i:02}.json")
    assert splits(tmp_path) == tuple(f"{i:02}" for i in range(23))
    assert len(open_dataset(tmp_path)) == 23


def test_a_split_whose_file_is_damaged_is_told(tmp_path: Path) -> None:
    folder(tmp_path, [task(region())], "tasks_train.json")
    folder(tmp_path, "[", "tasks_val.json")
    folder(tmp_path, '{"other": 1}', "other.json")
    assert splits(tmp_path) == ("train", "val")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(tmp_path, "val")
    assert (caught.value.code, Path(caught.value.path or "").name) == (
        "json.syntax", "tasks_val.json",
    )  # fmt: skip
    (tmp_path / "tasks_train.json").unlink()
    with pytest.raises(DatasetError) as unknown:
        open_dataset(tmp_path)
    assert unknown.value.code == "dataset.unknown"


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folder(tmp_path, [task(region())], "tasks_val.json")
    folder(tmp_path, [task(region())], "val.json")
    assert splits(tmp_path) == ("tasks_val", "val") or splits(tmp_path) == ("val", "tasks_val")


def test_sizes_may_be_left_out_and_an_ellipse_be_larger_than_its_image(tmp_path: Path) -> None:
    bare = {k: v for k, v in region().items() if "original" not in k and k != "image_rotation"}
    assert objects(tmp_path, bare).boxes.tolist() == [[6, 8, 30, 20]]
    wide = region("ellipselabels", x=50, y=50, radiusX=100, radiusY=100)
    with pytest.warns(SightlineWarning, match=r"box\.clipped"):
        assert objects(tmp_path, wide).boxes.tolist() == [[0, 0, 60, 40]]


def test_an_export_may_be_called_annotations(tmp_path: Path) -> None:
    assert len(open_dataset(folder(tmp_path, [task(region())], "annotations.json"))) == 1


ADDRESSES = {
    "/data/upload/3/0a1b2c3d-a.png": "a.png",
    "/data/upload/3/0a1b2c3d-b.png": "0a1b2c3d-b.png",
    "/data/local-files/?d=x/deep/a%20%C3%BC.png": "x/deep/a ü.png",
    "s3://bucket/x/deep/a%20%C3%BC.png": "x/deep/a ü.png",
    "https://host:80/x/deep/a%20%C3%BC.png?key=a.png#a.png": "x/deep/a ü.png",
    "x\\deep\\a ü.png": "x/deep/a ü.png",
    "/somewhere/else/y/c.png": "y/c.png",
    "z/c.png": "z/c.png",
    "a#1?.png": "a#1?.png",
    "http://[/a.png": "a.png",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_images_are_found_by_their_address(tmp_path: Path, address: str) -> None:
    for name in {*ADDRESSES.values(), "b.png"}:
        draw(tmp_path / name, SIZE)
    dataset = open_dataset(folder(tmp_path, [task(region(), image=address)]))
    assert dataset[0].path == tmp_path / ADDRESSES[address]
    assert len(open_dataset(tmp_path, images=tmp_path)) == 1


@given(st.text() | st.none() | st.integers())
def test_any_address_is_read_or_typed(address: Any) -> None:
    with suppress(AnnotationError):
        assert address_parts(address)[-1]


def test_the_image_may_have_another_key(tmp_path: Path) -> None:
    labels = task(region(), data={"img": "a.png", "note": "a text", "n": 5})
    assert len(open_dataset(folder(tmp_path, [labels]))) == 1


GOOD, AT = region(), "/0/annotations/0/result/1"


def second(**value: Any) -> list[Any]:
    """A good region, and one that is not."""
    return [task(GOOD, region(**value))]


def third(kind: str, **value: Any) -> list[Any]:
    return [task(GOOD, region(kind, **value))]


def polygon(**value: Any) -> list[Any]:
    return third("polygonlabels", **value)


POINTS = f"{AT}/value/points"
SQUARE = [[10, 10], [50, 10], [50, 50]]
FAULTS: dict[str, tuple[str, str | None, Any]] = {
    "no list": ("json.object", None, {"data": 1}),
    "cut off": ("json.syntax", "line 1", json.dumps([task(GOOD)])[:-5]),
    "not a number": ("json.constant", None, json.dumps([task(GOOD)]).replace("20,", "NaN,")),
    "deep": ("json.depth", None, "[" * 100_000),
    "a task no object": ("json.object", "/1", [task(GOOD), 7]),
    "JSON-MIN": ("json.missing_key", "/0/annotations", [{"image": "a.png", "label": []}]),
    "no data": ("json.missing_key", "/0/data", [task(GOOD, data=None)]),
    "no result": ("json.missing_key", "/0/annotations/0/result", [task(annotations=[{"id": 1}])]),
    "no address": ("file.name", "/0/data", [task(GOOD, data={"text": "hello"})]),
    "two addresses": ("file.name", "/0/data", [task(GOOD, data={"a": "a.png", "b": "b.png"})]),
    "an address that is none": ("file.name", "/0", [task(GOOD, image="s3://")]),
    "missing": ("image.missing", "/0", [task(GOOD, image="s3://x/none.png")]),
    "no id": ("image.id", "/0/id", [task(GOOD, id=[1])]),
    "an id twice": ("image.duplicate_id", "/1/id", [task(GOOD), task(GOOD, image="b.png")]),
    "an image twice": ("image.duplicate_file", "/1/data", [task(GOOD), task(GOOD, id=2)]),
    "a size twice": ("image.size", AT, [task(GOOD, {**GOOD, "original_width": 61})]),
    "another size": ("image.size", None, [task({**GOOD, "original_width": 61})]),
    "no size": ("image.size", None, [task({**GOOD, "original_width": "60"})]),
    "a gigantic size": (
        "image.size", None, [task({**GOOD, "original_width": 10**9, "original_height": 10**9})],
    ),
    "turned view": ("image.rotation", AT, [task(GOOD, {**GOOD, "image_rotation": 90})]),
    "no type": ("json.object", AT, [task(GOOD, {"value": {}})]),
    "a region no object": ("json.object", AT, [task(GOOD, "region")]),
    "no label": ("category.name", f"{AT}/value/rectanglelabels", second(labels=[])),
    "a blank label": ("category.name", f"{AT}/value/rectanglelabels", second(labels=[" "])),
    "label a text": ("category.name", f"{AT}/value/rectanglelabels", second(labels="cat")),
    "no x": ("box.format", f"{AT}/value/x", second(x=None)),
    "x a text": ("box.format", f"{AT}/value/x", second(x="10")),
    "x infinite": (
        "box.not_finite", f"{AT}/value/x", json.dumps(second(x=77)).replace("77", "1e999"),
    ),
    "x far": ("box.outside", f"{AT}/value/x", second(x=1e308)),
    "rotation a text": ("box.format", f"{AT}/value/rotation", second(rotation="90")),
    "no area": ("box.degenerate", f"{AT}/value", second(width=0)),
    "turned without area": ("box.degenerate", f"{AT}/value", second(width=0, rotation=45)),
    "outside": ("box.outside", AT, second(x=150)),
    "no points": ("polygon.format", POINTS, polygon()),
    "three numbers": ("polygon.format", POINTS, polygon(points=[[1, 2, 3]])),
    "text points": ("polygon.format", POINTS, polygon(points=[["1", 2]])),
    "two corners": ("polygon.short", POINTS, polygon(points=SQUARE[:2])),
    "far corner": (
        "polygon.outside", POINTS, polygon(points=[*SQUARE, [999, 9]]),
    ),
    "many corners": (
        "polygon.too_many", POINTS, polygon(points=[[1, 1]] * 100_001),
    ),
    "no radius": (
        "ellipse.radius", f"{AT}/value", third("ellipselabels", x=9, y=9, radiusX=0, radiusY=5),
    ),
    "no radius down": (
        "ellipse.radius", f"{AT}/value", third("ellipselabels", x=9, y=9, radiusX=5, radiusY=0),
    ),
    "a radius beyond": (
        "ellipse.radius", f"{AT}/value", third("ellipselabels", x=9, y=9, radiusX=201, radiusY=5),
    ),
    "a radius beyond, down": (
        "ellipse.radius", f"{AT}/value", third("ellipselabels", x=9, y=9, radiusX=5, radiusY=201),
    ),
    "x far left": ("box.outside", f"{AT}/value/x", second(x=-1e308)),
    "turned without height": ("box.degenerate", f"{AT}/value", second(height=0, rotation=45)),
    "another height": ("image.size", AT, [task(GOOD, {**GOOD, "original_height": 41})]),
    "other brush": ("rle.format", f"{AT}/value/format", third("brushlabels", format="png")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_told_with_their_place(tmp_path: Path, name: str) -> None:
    code, pointer, labels = FAULTS[name]
    draw(tmp_path / "b.png", SIZE)
    draw(tmp_path / "good.png", SIZE)
    folder(tmp_path, [task(region(labels=["dog"]), id=99, image="good.png")], "tasks_good.json")
    folder(tmp_path, labels, "tasks_bad.json")
    file = tmp_path / "tasks_bad.json"
    with pytest.raises(AnnotationError) as caught:
        open_dataset(tmp_path, annotations=file, format="labelstudio")
    assert caught.value.code == code
    if pointer is not None:
        assert (caught.value.pointer or "").startswith(pointer)
        assert Path(caught.value.path or "") == file
    with suppress(DatasetError), pytest.warns(SightlineWarning, match=code):
        dataset = open_dataset(tmp_path, annotations=file, format="labelstudio", on_bad="skip")
        assert [len(e.objects) for e in dataset] == [1]


def test_two_images_of_one_name_are_ambiguous(tmp_path: Path) -> None:
    draw(tmp_path / "x" / "c.png", SIZE)
    draw(tmp_path / "y" / "c.png", SIZE)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(folder(tmp_path, [task(region(), image="s3://b/c.png")]))
    assert caught.value.code == "image.ambiguous"
    found = open_dataset(tmp_path, images=tmp_path / "y")
    assert found[0].path == tmp_path / "y" / "c.png"


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "far.png", SIZE)
    (tmp_path / "near" / "sub").mkdir(parents=True)
    (tmp_path / "near" / "sub" / "l.png").symlink_to(tmp_path / "far.png")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(folder(tmp_path / "near", [task(region(), image="l.png")]))
    assert caught.value.code == "file.outside"


def test_a_region_that_leaves_its_image_is_cut_and_told(tmp_path: Path) -> None:
    with pytest.warns(SightlineWarning, match=r"box\.clipped"):
        found = objects(tmp_path, region(x=80))
    assert found.boxes.tolist() == [[48, 8, 60, 20]]


def test_a_polygon_on_half_pixels_keeps_its_pixels(tmp_path: Path) -> None:
    """Hundredths lose the last digit, and corners lie on the edges of the masks' lattice."""
    ring = np.array([[7.1, 3.1], [41.3, 5.5], [33.7, 31.9], [9.5, 28.3]])
    points = (ring * 100 / [60, 40]).tolist()
    (segment,) = objects(tmp_path, region("polygonlabels", points=points)).segments or ()
    assert isinstance(segment, Polygons)
    np.testing.assert_array_equal(segment.rings[0], ring)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
KEYS = (
    "x", "width", "rotation", "rectanglelabels", "type", "value", "id", "original_width", "image",
    "image_rotation", "result", "annotations", "was_cancelled", "ground_truth", "data",
)  # fmt: skip


@settings(deadline=None)
@given(key=st.sampled_from(KEYS), value=VALUES | st.sampled_from(["labels", "brushlabels"]))
def test_any_value_anywhere_is_read_or_typed(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    labels = json.loads(json.dumps([task(region(), region())]))
    row = labels[0]["annotations"][0]["result"][1]
    for place in (row["value"], row, labels[0]["annotations"][0], labels[0], labels[0]["data"]):
        if key in place:
            place[key] = value
    root = folder(tmp_path_factory.mktemp("any"), labels)
    for mode in ("error", "skip", "fix"):
        with suppress(SightlineError, SightlineWarning):
            open_dataset(root, on_bad=mode, annotations=root / "export.json", format="labelstudio")  # type: ignore[arg-type]
