"""CVAT for images 1.1: read, checked, written."""

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from folders import ROTATED, draw
from sightline.cli import main
from sightline.cli.task import open_data
from sightline.data import (
    Dataset,
    Example,
    Objects,
    Polygons,
    Runs,
    Skeleton,
    masks,
    open_dataset,
    splits,
)
from sightline.data.convert import convert
from sightline.data.doctor import check
from sightline.data.formats import cvat
from sightline.data.formats.cvat import is_cvat
from sightline.data.formats.cvat_labels import draw_limbs
from sightline.data.formats.cvat_shapes import mask_text, parse_shape
from sightline.data.xml import parse_xml, read_xml
from sightline.errors import AnnotationError, DatasetError, SightlineWarning

SIZE = (40, 60)
META = "<meta><task><labels>{}</labels></task></meta>\n"
LABELS = "".join(f"<label><name>{name}</name><type>any</type></label>" for name in ("dog", "cat"))
BONES = "".join(
    f"<label><name>{name}</name><type>points</type><parent>dog</parent></label>"
    for name in ("nose", "left_ear", "right_ear")
)
BOX = '<box label="cat" xtl="5" ytl="6.5" xbr="20" ybr="30" occluded="1"/>'


def page(*shapes: str, name: str = "a.png", more: str = 'width="60" height="40"') -> str:
    return f'<image id="0" name="{name}" {more}>\n' + "\n".join(shapes) + "\n</image>\n"


def folder(root: Path, *pages: str, labels: str = LABELS) -> Path:
    meta = META.format(labels) if labels else ""
    root.mkdir(parents=True, exist_ok=True)
    (root / "annotations.xml").write_text(f"<annotations>\n{meta}{''.join(pages)}</annotations>")
    for name in ("a", "b"):
        draw(root / "images" / f"{name}.png", SIZE)
    return root


def test_boxes_labels_and_images_without_objects(tmp_path: Path) -> None:
    flagged = BOX.replace("/>", '><attribute name="is_crowd">true</attribute></box>')
    hard = BOX.replace("/>", '><attribute name="difficult">1</attribute></box>')
    dataset = open_dataset(folder(tmp_path, page(BOX, flagged, hard), page(name="b.png")))
    assert dataset.classes == ("dog", "cat")
    objects = dataset[0].objects
    assert objects.boxes.tolist() == [[5, 6.5, 20, 30]] * 3
    assert objects.labels.tolist() == [1, 1, 1]
    assert objects.crowd.tolist() == [False, True, False]
    assert objects.difficult.tolist() == [False, False, True]
    assert objects.ids.tolist() == [1, 2, 3]
    assert objects.area.tolist() == [15 * 23.5] * 3
    assert (len(dataset[1].objects), dataset[1].image_id) == (0, "b")
    assert dataset.skeleton is None


def test_polygons_masks_and_groups(tmp_path: Path) -> None:
    polygon = '<polygon label="cat" points="1,1;9.5,1;9,9"{}/>'
    mask = '<mask label="cat" rle="1, 2, 3" left="10" top="20" width="3" height="2"{}/>'
    tied = ' group_id="4"'
    root = folder(
        tmp_path,
        page(
            polygon.format(""),
            mask.format(""),
            polygon.format(tied),
            BOX.replace("/>", tied + "/>"),
            mask.format(tied),
            mask.format(' group_id="0"'),
            BOX.replace("/>", ' group_id="5"/>'),
            BOX.replace("/>", ' group_id="5"/>'),
        ),
    )
    objects = open_dataset(root)[0].objects
    assert len(objects) == 6
    assert objects.boxes[:2].tolist() == [[1, 1, 9.5, 9], [11, 20, 13, 21]]
    assert objects.boxes[2].tolist() == [5, 6.5, 20, 30]
    first, second, both = (objects.segments or ())[:3]
    assert isinstance(first, Polygons)
    assert isinstance(second, Runs)
    assert both is not None
    wanted = np.zeros(SIZE, bool)
    wanted[20, 11:13] = True
    np.testing.assert_array_equal(masks.decode(second), wanted)
    pixels = masks.rasterise(first, SIZE) | wanted
    np.testing.assert_array_equal(masks.rasterise(both, SIZE), pixels)
    assert objects.area[2] == pixels.sum()


def skeleton(*points: str, more: str = "") -> str:
    return f'<skeleton label="dog"{more}>{"".join(points)}</skeleton>'


def point(name: str, place: str = "10,20", outside: int = 0, occluded: int = 0) -> str:
    return f'<points label="{name}" outside="{outside}" occluded="{occluded}" points="{place}"/>'


def test_skeletons(tmp_path: Path) -> None:
    drawing = escape(
        '<line data-node-from="1" data-node-to="3"/><circle data-node-id="1" '
        'data-label-name="nose"/><circle data-node-id="3" data-label-name="right_ear"/>'
    )
    labels = LABELS.replace("<type>", f"<svg>{drawing}</svg><type>", 1) + BONES
    bones = skeleton(
        point("right_ear", "4,5", occluded=1), point("nose"), point("left_ear", "1,1", 1)
    )
    dataset = open_dataset(folder(tmp_path, page(bones, BOX), labels=labels))
    assert dataset.classes == ("dog", "cat")
    assert dataset.skeleton is not None
    assert dataset.skeleton.points == ("nose", "left_ear", "right_ear")
    assert dataset.skeleton.limbs == ((0, 2),)
    objects = dataset[0].objects
    assert objects.keypoints is not None
    assert objects.keypoints[0].tolist() == [[10, 20, 2], [0, 0, 0], [4, 5, 1]]
    assert not objects.keypoints[1].any()
    assert objects.boxes[0].tolist() == [4, 5, 10, 20]


def test_a_drawing_that_is_none_costs_only_the_limbs(tmp_path: Path) -> None:
    labels = LABELS.replace("<type>", "<svg>&lt;line</svg><type>", 1) + BONES
    root = folder(tmp_path, page(BOX), labels=labels)
    dataset = open_dataset(root)
    assert dataset.skeleton is not None
    assert dataset.skeleton.limbs == ()
    assert [fault.code for fault in dataset.notes] == ["skeleton.limbs"]


@pytest.mark.parametrize(
    ("shape", "code", "box"),
    [
        (BOX.replace("/>", ' rotation="90"/>'), "box.turned", (0.75, 10.75, 24.25, 25.75)),
        (
            '<ellipse label="cat" cx="20" cy="20" rx="10" ry="5"/>',
            "shape.ellipse",
            (10, 15, 30, 25),
        ),
        (
            '<ellipse label="cat" cx="20" cy="20" rx="10" ry="5" rotation="90"/>',
            "shape.ellipse",
            (15, 10, 25, 30),
        ),
        (
            '<cuboid label="cat" xtl1="5" ytl1="6" xbl1="5" ybl1="20" xtr1="30" ytr1="6" xbr1="30" '
            'ybr1="20" xtl2="9" ytl2="2" xbl2="9" ybl2="18" xtr2="35" ytr2="2" xbr2="35" '
            'ybr2="18"/>',
            "shape.cuboid",
            (5, 2, 35, 20),
        ),
    ],
)
def test_other_shapes_become_the_box_around_them(
    tmp_path: Path, shape: str, code: str, box: Sequence[float]
) -> None:
    with pytest.warns(SightlineWarning, match=code):
        dataset = open_dataset(folder(tmp_path, page(shape)))
    np.testing.assert_allclose(dataset[0].objects.boxes[0], box, atol=1e-5)
    (told,) = dataset.repaired
    assert (told.code, told.pointer) == (code, "line 4")


@pytest.mark.parametrize("tag", ["polyline", "points"])
def test_what_encloses_nothing_is_left_out_and_told(tmp_path: Path, tag: str) -> None:
    root = folder(tmp_path, page(BOX, f'<{tag} label="cat" points="1,1;2,2;3,3"/>'))
    with pytest.warns(SightlineWarning, match=r"shape\.left_out"):
        dataset = open_dataset(root)
    assert len(dataset[0].objects) == 1
    assert [fault.pointer for fault in dataset.repaired] == ["line 5"]


def test_an_ellipse_is_a_mask(tmp_path: Path) -> None:
    root = folder(tmp_path, page('<ellipse label="cat" cx="20" cy="20" rx="15" ry="10"/>'))
    with pytest.warns(SightlineWarning):
        objects = open_dataset(root)[0].objects
    assert abs(objects.area[0] - np.pi * 150) < 15


def test_subsets_are_splits(tmp_path: Path) -> None:
    root = folder(
        tmp_path,
        page(BOX, more='subset="Train"'),
        page(BOX, more='subset="val"', name="sub/c.png"),
    )
    draw(root / "images" / "val" / "sub" / "c.png", SIZE)
    assert splits(root) == ("train", "val")
    assert [e.image_id for e in open_dataset(root, "train")] == ["a"]
    assert [e.image_id for e in open_dataset(root, "val")] == ["sub/c"]
    assert len(open_dataset(root)) == 2
    assert splits(folder(tmp_path / "x", page(BOX, more='subset="default"'))) == ()


def test_without_labels_those_of_the_shapes(tmp_path: Path) -> None:
    root = folder(tmp_path, page(BOX, skeleton(point("tail"), point("nose", "12,25"))), labels="")
    dataset = open_dataset(root)
    assert dataset.classes == ("cat", "dog")
    assert dataset.skeleton is not None
    assert dataset.skeleton.points == ("tail", "nose")


def test_tags_are_noted_and_their_labels_are_no_classes(tmp_path: Path) -> None:
    labels = LABELS + "<label><name>blurred</name><type>tag</type></label>"
    dataset = open_dataset(folder(tmp_path, page('<tag label="blurred"/>', BOX), labels=labels))
    assert dataset.classes == ("dog", "cat")
    assert [fault.code for fault in dataset.notes] == ["shape.tag"]


def test_images_may_lie_elsewhere_and_the_file_may_be_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "x", page(BOX, name="c.png"))
    draw(tmp_path / "pictures" / "c.png", SIZE)
    (root / "annotations.xml").rename(root / "task.xml")
    dataset = open_dataset(root, annotations="task.xml", images=tmp_path / "pictures")
    assert len(dataset[0].objects) == 1


def test_a_photo_labelled_as_it_was_stored_is_turned(tmp_path: Path) -> None:
    root = folder(tmp_path, page('<box label="cat" xtl="10" ytl="5" xbr="30" ybr="35"/>'))
    draw(root / "images/a.png", SIZE, ROTATED)
    with pytest.warns(SightlineWarning, match="turned as EXIF says"):
        dataset = open_dataset(root)
    assert dataset[0].size == (60, 40)
    np.testing.assert_allclose(dataset[0].objects.boxes, [[5, 10, 35, 30]])


MASK = '<mask label="cat" rle="{}" left="{}" top="20" width="3" height="2"/>'
SHAPES = [
    ("box.format", BOX.replace('"5"', '"nan"')),
    ("box.format", BOX.replace('xtl="5"', "")),
    ("box.format", BOX.replace('"5"', '"1e999"')),
    ("box.format", BOX.replace("/>", ' rotation="x"/>')),
    ("box.degenerate", BOX.replace('"20"', '"5"')),
    ("box.degenerate", BOX.replace('"20"', '"4"').replace("/>", ' rotation="90"/>')),
    ("box.outside", BOX.replace('"5"', '"100"').replace('"20"', '"120"')),
    ("annotation.category", BOX.replace("cat", "cow")),
    ("annotation.category", BOX.replace('label="cat"', "")),
    ("polygon.format", '<polygon label="cat" points="1,1;2;3,3"/>'),
    ("polygon.format", '<polygon label="cat" points="1,1;nan,2;3,3"/>'),
    ("polygon.format", '<polygon label="cat" points="1,1;2,nan;3,3"/>'),
    ("polygon.format", '<polygon label="cat"/>'),
    ("polygon.short", '<polygon label="cat" points="1,1;3,3"/>'),
    ("polygon.outside", '<polygon label="cat" points="1,1;1e300,2;3,3"/>'),
    ("mask.empty", MASK.format("6", 10)),
    ("mask.empty", MASK.format("2, 0, 4", 10)),
    ("rle.sum", MASK.format("1, 2, 4", 10)),
    ("rle.sum", MASK.format("1, 2", 10)),
    ("rle.negative", MASK.format("999999999", 10)),
    ("rle.text", MASK.format("1, -2, 7", 10)),
    ("rle.text", MASK.format("1, 2.5, 2.5", 10)),
    ("rle.text", MASK.format("", 10)),
    ("rle.size", MASK.format("1, 2, 3", 58)),
    ("rle.size", MASK.format("1, 2, 3", -1)),
    ("rle.size", MASK.format("1, 2, 3", "9" * 30)),
    ("rle.size", MASK.replace('"3"', '"0"').format("0", 10)),
    ("keypoints.name", skeleton(point("tail"))),
    ("keypoints.twice", skeleton(point("nose"), point("nose"))),
    ("keypoints.length", skeleton(point("nose", "1,1;2,2"))),
    ("keypoints.not_finite", skeleton(point("nose", "inf,1"))),
    ("keypoints.outside", skeleton(point("nose", "1e9,1"))),
    ("box.degenerate", skeleton(point("nose", outside=1))),
    ("box.degenerate", skeleton(point("nose"))),
    ("box.degenerate", '<ellipse label="cat" cx="20" cy="20" rx="0" ry="5"/>'),
    ("box.degenerate", '<ellipse label="cat" cx="20" cy="20" rx="5" ry="0"/>'),
    ("box.degenerate", '<ellipse label="cat" cx="20" cy="20" rx="-5" ry="5"/>'),
    ("box.degenerate", BOX.replace('"30"', '"6"').replace("/>", ' rotation="90"/>')),
    ("box.degenerate", BOX.replace('"30"', '"6.5"').replace("/>", ' rotation="45"/>')),
    ("box.degenerate", BOX.replace('"20"', '"5"').replace("/>", ' rotation="45"/>')),
    ("rle.size", MASK.format("1, 2, 3", "9" * 5000)),
    ("rle.size", MASK.replace('left="{}"', "").format("1, 2, 3")),
    ("rle.text", MASK.replace('rle="{}"', "").format(10)),
    ("rle.text", MASK.format("9" * 5000, 10)),
    ("box.degenerate", '<ellipse label="cat" cx="20" cy="20" rx="5" ry="-5"/>'),
    ("keypoints.not_finite", skeleton(point("nose", "1,inf"))),
    ("rle.size", MASK.format("1, 2, 3", "１")),
    ("rle.text", MASK.format("1, ２, 3", 10)),
    ("rle.size", MASK.replace('"20"', '"39"').format("1, 2, 3", 10)),
    ("rle.size", MASK.replace('height="2"', 'height="0"').format("0", 10)),
    ("box.format", '<cuboid label="cat" xtl1="5"/>'),
    ("shape.kind", "<banana/>"),
]


@pytest.mark.parametrize(("code", "shape"), SHAPES)
def test_bad_shapes(tmp_path: Path, code: str, shape: str) -> None:
    root = folder(tmp_path, page(BOX, shape), labels=LABELS + BONES)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert (caught.value.code, caught.value.pointer) == (code, "line 5")
    assert str(caught.value.path).endswith("annotations.xml")
    with pytest.warns(SightlineWarning, match=code):
        assert len(open_dataset(root, on_bad="skip")[0].objects) == 1


def test_a_mask_may_touch_the_edges_of_its_image(tmp_path: Path) -> None:
    mask = MASK.replace('"20"', '"38"').format("0, 6", 57)
    objects = open_dataset(folder(tmp_path, page(mask)))[0].objects
    assert objects.boxes.tolist() == [[57, 38, 60, 40]]


def test_a_whole_turn_is_none(tmp_path: Path) -> None:
    rows = [BOX.replace("/>", f' rotation="{degrees}"/>') for degrees in (0, 360, -720)]
    dataset = open_dataset(folder(tmp_path, page(*rows)))
    assert dataset[0].objects.boxes.tolist() == [[5, 6.5, 20, 30]] * 3
    assert not dataset.repaired


def test_the_box_around_a_turned_ellipse_is_exact(tmp_path: Path) -> None:
    ellipse = '<ellipse label="cat" cx="30" cy="20" rx="12" ry="4" rotation="30"/>'
    with pytest.warns(SightlineWarning):
        objects = open_dataset(folder(tmp_path, page(ellipse)))[0].objects
    across, down = (144 * 0.75 + 16 * 0.25) ** 0.5, (144 * 0.25 + 16 * 0.75) ** 0.5
    wanted = [[30 - across, 20 - down, 30 + across, 20 + down]]
    np.testing.assert_allclose(objects.boxes, wanted, atol=1e-5)


def test_flags_of_any_part_are_the_objects(tmp_path: Path) -> None:
    said = "".join(f'<attribute name="{n}">true</attribute>' for n in ("is_crowd", "difficult"))
    tied = '<polygon label="cat" points="{}" group_id="4">{}</polygon>'
    rows = [tied.format("1,1;9.5,1;9,9", ""), tied.format("20,20;30,20;30,30", said)]
    objects = open_dataset(folder(tmp_path, page(*rows)))[0].objects
    assert objects.boxes.tolist() == [[1, 1, 30, 30]]
    assert objects.crowd.tolist() == objects.difficult.tolist() == [True]


def test_two_skeletons_of_one_group_are_two_objects(tmp_path: Path) -> None:
    rows = [
        skeleton(point("nose"), point("left_ear", "20,30"), more=' group_id="7"'),
        skeleton(point("nose", "30,5"), point("left_ear", "40,9"), more=' group_id="7"'),
    ]
    objects = open_dataset(folder(tmp_path, page(*rows), labels=LABELS + BONES))[0].objects
    assert objects.boxes.tolist() == [[10, 20, 20, 30], [30, 5, 40, 9]]


def test_two_labels_may_have_the_same_points(tmp_path: Path) -> None:
    labels = LABELS + BONES + BONES.replace("dog", "cat")
    bones = open_dataset(folder(tmp_path, page(BOX), labels=labels)).skeleton
    assert bones is not None
    assert bones.points == ("nose", "left_ear", "right_ear")


def test_a_limb_that_ends_nowhere_is_noted(tmp_path: Path) -> None:
    drawing = escape(
        '<line data-node-from="1" data-node-to="9"/><line data-node-from="1" data-node-to="2"/>'
        '<circle data-node-id="1" data-label-name="nose"/>'
        '<circle data-node-id="2" data-label-name="left_ear"/>'
    )
    labels = LABELS.replace("<type>", f"<svg>{drawing}</svg><type>", 1) + BONES
    dataset = open_dataset(folder(tmp_path, page(BOX), labels=labels))
    assert dataset.skeleton is not None
    assert dataset.skeleton.limbs == ((0, 1),)
    assert [(fault.code, fault.pointer) for fault in dataset.notes] == [
        ("skeleton.limbs", "line 2")
    ]


def test_train_is_the_first_split(tmp_path: Path) -> None:
    names = ("zoo", "test", "default", "validation", "Val", "TRAIN", "../up")
    rows = [page(BOX, name=f"{i}.png", more=f'subset="{n}"') for i, n in enumerate(names)]
    root = folder(tmp_path, *rows)
    assert splits(root) == ("train", "val", "validation", "test", "default", "zoo")


def test_images_may_lie_beside_the_file(tmp_path: Path) -> None:
    root = folder(tmp_path, page(BOX, name="c.png"), page(BOX, name="d.png", more='subset="val"'))
    draw(root / "c.png", SIZE)
    draw(root / "val" / "d.png", SIZE)
    assert [example.path.parent.name for example in open_dataset(root)] == [root.name, "val"]


def test_utf_16_is_read_and_an_empty_file_is_told(tmp_path: Path) -> None:
    file = folder(tmp_path, page(BOX)) / "annotations.xml"
    file.write_bytes(("<?xml version='1.0'?>" + file.read_text()).encode("utf-16"))
    assert len(open_dataset(tmp_path)[0].objects) == 1
    file.write_text(" \n")
    with pytest.raises(AnnotationError) as caught:
        open_dataset(tmp_path)
    assert caught.value.code == "xml.syntax"
    file.write_text("<html></html>")
    with pytest.raises(DatasetError) as unknown:
        open_dataset(tmp_path)
    assert unknown.value.code == "dataset.unknown"
    file.write_text("<annotations>")
    assert is_cvat(file)
    assert not is_cvat(file.rename(tmp_path / "annotations.txt"))
    assert not is_cvat(tmp_path / "none.xml")


IMAGES = [
    ("image.missing", page(name="c.png")),
    ("image.duplicate_file", page()),
    ("file.outside", page(name="../a.png")),
    ("file.outside", page(name="C:\\a.png")),
    ("file.name", page(name="")),
    ("file.name", page(name="b.png", more='subset="../../x"')),
    ("file.name", page(name="b.png", more='subset="/etc"')),
    ("image.size", page(name="b.png", more='width="60" height="-40"')),
    ("image.size", page(name="b.png", more='width="999999999" height="999999999"')),
    ("image.size", page(name="b.png", more='width="60"')),
    ("image.size", page(name="b.png", more='width="６０" height="40"')),
    ("image.size", page(name="b.png", more=f'width="{"9" * 5000}" height="40"')),
    ("image.size", page(name="b.png", more='width="0" height="40"')),
    ("image.size", page(name="b.png", more='width="61" height="40"')),
]


@pytest.mark.parametrize(("code", "text"), IMAGES)
def test_bad_images(tmp_path: Path, code: str, text: str) -> None:
    root = folder(tmp_path, page(BOX), text)
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert (caught.value.code, caught.value.pointer) == (code, "line 6")
    with pytest.warns(SightlineWarning, match=code):
        assert len(open_dataset(root, on_bad="skip")) == 1
    assert ".." not in "".join(splits(root))


def test_a_size_that_lies_allocates_nothing(tmp_path: Path) -> None:
    mask = MASK.format("1, 2, 3", 10)
    root = folder(tmp_path, page(mask, more='width="900000000" height="900000000"'))
    with pytest.raises(AnnotationError) as caught:
        open_dataset(root)
    assert caught.value.code == "image.size"


FILES = [
    ("xml.syntax", "<annotations><image>"),
    ("xml.forbidden", '<!DOCTYPE x [<!ENTITY e "x">]><annotations>&e;</annotations>'),
    ("xml.size", "<annotations>" + "<a>" * 50),
    ("cvat.track", "<annotations>\n<track id='0' label='cat'/></annotations>"),
    ("category.name", f"<annotations>{META.format('<label/>')}</annotations>"),
    ("category.duplicate_name", f"<annotations>{META.format(LABELS * 2)}</annotations>"),
    (
        "skeleton.many",
        "<annotations>"
        + META.format(LABELS + BONES + BONES.replace("dog", "cat").replace("nose", "tail"))
        + "</annotations>",
    ),
    ("dataset.empty", "<annotations></annotations>"),
]


@pytest.mark.parametrize(("code", "text"), FILES)
def test_bad_files(tmp_path: Path, code: str, text: str) -> None:
    root = folder(tmp_path)
    (root / "annotations.xml").write_text(text)
    with pytest.raises((AnnotationError, DatasetError)) as caught:
        open_dataset(root)
    assert caught.value.code == code
    if code == "cvat.track":
        assert caught.value.pointer == "line 2"
        assert "images 1.1" in str(caught.value.hint)


MASKS = st.integers(1, 2**48 - 1).map(
    lambda bits: np.array([bits >> i & 1 for i in range(48)], bool).reshape(6, 8)
)


@given(MASKS)
def test_run_lengths_come_back(mask: np.ndarray) -> None:
    attributes = "".join(f' {k}="{v}"' for k, v in mask_text(masks.encode(mask)).items())
    node = parse_xml(f'<mask label="cat"{attributes}/>'.encode(), Path("x"), "mask")
    segment = parse_shape(node, (), (6, 8)).segment
    assert isinstance(segment, Runs)
    np.testing.assert_array_equal(masks.decode(segment), mask)


def full(root: Path) -> Dataset:
    """Two objects with all that an object can have, and one with nothing but a box."""
    found = Objects.of([[5, 5, 50, 35], [1, 1, 9, 9], [2, 2, 30, 30]], [0, 1, 0])
    found.crowd[1], found.difficult[2] = True, True
    pixels = np.zeros(SIZE, bool)
    pixels[5:20, 5:30], pixels[8:12, 9:15] = True, False
    ring = np.array([[5.0, 5], [50, 5.25], [1 / 3 + 40, 35]])
    segments = (Polygons((ring, ring / 2)), None, masks.encode(pixels))
    points = np.zeros((3, 3, 3), np.float32)
    points[0] = [[10.1, 12.3, 2], [70, -10, 1], [0, 0, 0]]
    found = replace(found, segments=segments, keypoints=points)
    bones = Skeleton(("nose", "left <&>", "right"), ((0, 1), (1, 2)), (0, 1, 2), (0.05,) * 3)
    example = Example(draw(root / 'a "1" <&>.png', SIZE), "a", SIZE, found)
    return Dataset((example,), ('dog "&" <', "cat", "never"), (1, 2, 3), bones, "x", root, "train")


def test_all_of_it_comes_back(tmp_path: Path) -> None:
    dataset = full(tmp_path / "from")
    losses = convert([dataset], tmp_path / "out", "cvat")
    assert losses.to_json() == {"area": 2}
    text = (tmp_path / "out" / "annotations.xml").read_text()
    assert text.count('group_id="1"') == 4 and 'group_id="2"' not in text
    assert splits(tmp_path / "out") == ("train",)
    back = open_dataset(tmp_path / "out", "train")
    assert back.classes == dataset.classes
    assert dataset.skeleton is not None
    assert back.skeleton is not None
    assert back.skeleton.points == dataset.skeleton.points
    assert back.skeleton.limbs == dataset.skeleton.limbs
    mine, theirs = dataset[0].objects, back[0].objects
    np.testing.assert_array_equal(theirs.boxes, mine.boxes)
    np.testing.assert_array_equal(theirs.labels, mine.labels)
    np.testing.assert_array_equal(theirs.crowd, mine.crowd)
    np.testing.assert_array_equal(theirs.difficult, mine.difficult)
    np.testing.assert_array_equal(theirs.keypoints, mine.keypoints)
    assert theirs.segments is not None
    assert mine.segments is not None
    first, none, runs = theirs.segments
    assert none is None
    assert isinstance(first, Polygons)
    assert isinstance(runs, Runs)
    for ring, own in zip(first.rings, mine.segments[0].rings, strict=True):  # type: ignore[union-attr]
        np.testing.assert_array_equal(ring, own)
    np.testing.assert_array_equal(runs.counts, mine.segments[2].counts)  # type: ignore[union-attr]


@pytest.mark.parametrize("split", ["a/b", "..", "x" * 200])
def test_splits_that_are_no_subset_are_refused(tmp_path: Path, split: str) -> None:
    dataset = replace(full(tmp_path / "from"), split=split)
    with pytest.raises(DatasetError) as caught:
        convert([dataset], tmp_path / "out", "cvat", images="none")
    assert caught.value.code == "convert.name"


def test_splits_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    parts = [replace(full(tmp_path / name), split=name) for name in ("val", "Val")]
    with pytest.raises(DatasetError) as caught:
        convert(parts, tmp_path / "out", "cvat", images="none")
    assert caught.value.code == "convert.name"


def test_a_skeleton_that_no_object_shows_is_kept(tmp_path: Path) -> None:
    dataset = full(tmp_path / "from")
    found = replace(dataset[0].objects, keypoints=np.zeros((3, 3, 3), np.float32))
    dataset = replace(dataset, examples=(replace(dataset[0], objects=found),))
    convert([dataset], tmp_path / "out", "cvat")
    text = (tmp_path / "out" / "annotations.xml").read_text()
    assert "<skeleton" not in text, "an object without points gets none"
    back = open_dataset(tmp_path / "out")
    assert dataset.skeleton is not None and back.skeleton is not None
    assert back.skeleton.points == dataset.skeleton.points


def test_the_points_of_a_drawing_lie_apart() -> None:
    bones = Skeleton(tuple("abcdefg"), ((0, 6),), tuple(range(7)), (0.05,) * 7)
    places = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', draw_limbs(bones))
    assert len(places) == len(set(places)) == 7
    assert all(0 <= float(value) <= 100 for place in places for value in place)
    (line,) = re.findall(
        r'x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"', draw_limbs(bones)
    )
    assert line == (*places[0], *places[6])


def test_names_that_xml_cannot_hold_are_refused(tmp_path: Path) -> None:
    dataset = replace(full(tmp_path / "from"), classes=("a\1", "b", "c"))
    with pytest.raises(DatasetError) as caught:
        convert([dataset], tmp_path / "out", "cvat", images="none")
    assert caught.value.code == "convert.name"


@pytest.mark.parametrize("kind", ["person_keypoints", "masks"])
def test_real_masks_and_people_there_and_back(shared: Path, tmp_path: Path, kind: str) -> None:
    folder = shared / "data/coco"
    data = open_dataset(folder, annotations=folder / f"annotations/{kind}_val.json")
    data = data.subset(range(8))
    convert([data], tmp_path / "cvat", "cvat", images="link")
    back = {example.path.name: example.objects for example in open_dataset(tmp_path / "cvat")}
    worst = 0.0
    for example in data:
        mine, theirs = example.objects, back[example.path.name]
        worst = max(worst, float(np.abs(mine.boxes - theirs.boxes).max(initial=0)))
        np.testing.assert_array_equal(mine.crowd, theirs.crowd)
        np.testing.assert_array_equal(mine.keypoints, theirs.keypoints)
        for one, other in zip(mine.segments or (), theirs.segments or (), strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                pixels = masks.rasterise(one, example.size)
                np.testing.assert_array_equal(masks.rasterise(other, example.size), pixels)
    print(f"{kind} → cvat: largest error of a box {worst:g} pixels")
    assert worst == 0


def test_the_file_is_parsed_once_for_all_its_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subsets = [
        page(BOX, name=f"{n}.png", more=f'subset="{s}"') for n, s in (("a", "Train"), ("b", "v"))
    ]
    root = folder(tmp_path / "in", *subsets)
    read: list[Path] = []

    def counted(path: Path, *more: Any) -> Any:
        read.append(path)
        return read_xml(path, *more)

    monkeypatch.setattr(cvat, "read_xml", counted)
    out = ["--to", "csv", "--out", str(tmp_path / "out")]
    calls: list[Callable[[], object]] = [
        lambda: open_dataset(root, "train"),
        lambda: check(root, look_alikes=False),
        lambda: open_data(root, None, True, "error"),
        lambda: main(["convert", str(root), *out]),
        lambda: main(["split", str(root), "--to", "coco", "--out", str(tmp_path / "parts")]),
    ]
    for call in calls:
        read.clear()
        with contextlib.suppress(SystemExit):
            call()
        assert read == [root / "annotations.xml"]
    assert len(open_dataset(tmp_path / "out")) == 2
    read.clear()
    open_dataset(root, "train")
    open_dataset(root, "v")
    assert len(read) == 2, "outside of a block nothing is kept: the file may have changed"
