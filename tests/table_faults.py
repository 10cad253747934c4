"""Planted faults of formats that are lines: CVAT's XML, OpenImages' CSV and plain CSV."""

from collections.abc import Callable
from pathlib import Path

from folders import draw
from label_faults import Case, _with

TURNED = "rotation='30'"


# CVAT for images 1.1

POINTS = "".join(
    f"<label><name>{name}</name><type>points</type><parent>dog</parent></label>"
    for name in ("nose", "tail")
)
META = "<meta><task><labels>{}</labels></task></meta>".format(
    f"<label><name>dog</name><type>skeleton</type></label>{POINTS}"
    "<label><name>cat</name><type>any</type></label>"
    "<label><name>blurred</name><type>tag</type></label>"
)
SKELETON = (
    '<skeleton label="dog" group_id="1"><points label="nose" occluded="1" points="10,12"/>'
    '<points label="tail" points="15,20"/></skeleton>'
)
DOG = '<box label="dog" xtl="5" ytl="6.5" xbr="20" ybr="30" group_id="1"/>'
CAT = '<polygon label="cat" points="30,5;50,5;50.5,25;30,30"/>'
A = '<image id="0" name="a.jpg" width="60" height="40">'
B = '<image id="1" name="b.jpg" width="60" height="40"></image>'
LINES = ("<annotations>", META, A, DOG, SKELETON, CAT, "</image>", B, "</annotations>")


def _cvat_folder(root: Path, text: str | bytes) -> Path:
    for name in ("a.jpg", "b.jpg"):
        draw(root / "images" / name)
    data = text if isinstance(text, bytes) else text.encode()
    (root / "annotations.xml").write_bytes(data)
    return root


def clean_cvat(root: Path) -> Path:
    return _cvat_folder(root, "\n".join(LINES))


def _xml(
    number: str, code: str, text: str | bytes, pointer: str | None = None, severity: str = "error"
) -> Case:
    return Case(number, code, lambda root: _cvat_folder(root, text), clean_cvat, severity, pointer)


def _after(number: str, code: str, place: int, line: str, severity: str = "error") -> Case:
    """The clean file with one line more, after line `place`; the fault is on that line."""
    text = "\n".join([*LINES[:place], line, *LINES[place:]])
    return _xml(number, code, text, f"line {place + 1}", severity)


def _shape(number: str, code: str, line: str, severity: str = "error") -> Case:
    return _after(number, code, 6, line, severity)


def _ends(xtl: object, ytl: object, xbr: object, ybr: object, more: str = "") -> str:
    return f'<box label="cat" xtl="{xtl}" ytl="{ytl}" xbr="{xbr}" ybr="{ybr}" {more}/>'


def _ring(points: str) -> str:
    return f'<polygon label="cat" points="{points}"/>'


def _window(rle: str, left: object = 10, top: object = 20) -> str:
    return f'<mask label="cat" rle="{rle}" left="{left}" top="{top}" width="3" height="2"/>'


def _bones(*points: str) -> str:
    return f'<skeleton label="dog">{"".join(points)}</skeleton>'


def _bone(name: str, place: str) -> str:
    return f'<points label="{name}" points="{place}"/>'


def _image(number: str, code: str, name: str = "c.jpg", more: str = "") -> Case:
    size = "" if "height" in more else 'width="60" height="40"'
    return _after(number, code, 8, f'<image id="2" name="{name}" {size} {more}></image>')


def _meta(number: str, code: str, old: str, new: str, pointer: str | None = "line 2") -> Case:
    assert old in META
    return _xml(number, code, "\n".join(LINES).replace(META, META.replace(old, new, 1)), pointer)


TEXT = "\n".join(LINES)
ONE_POINT = POINTS.replace("dog", "cat").replace("nose", "ear")

CVAT = [
    _image("A1", "image.missing"),
    _image("A1", "image.missing", "sub/a.jpg"),
    Case("A2", "image.unlisted",
         _with(clean_cvat, lambda root: draw(root / "images" / "more.jpg")), clean_cvat, "note"),
    _image("A4", "image.duplicate_file", "a.jpg"),
    _shape("A8", "box.degenerate", _ends(20, 5, 20, 30)),
    _shape("A8", "box.degenerate", _ends(20, 5, 10, 30)),
    _shape("A8", "box.degenerate", _ends(20, 30, 30, 5, TURNED)),
    _shape("A8", "box.degenerate", '<ellipse label="cat" cx="9" cy="9" rx="0" ry="5"/>'),
    _shape("A8", "box.degenerate", _bones(_bone("nose", "10,12"))),
    _shape("A9", "box.clipped", _ends(50, 5, 90, 30), "warning"),
    _shape("A10", "box.outside", _ends(100, 5, 120, 30)),
    _shape("A11", "box.huge", _ends("1e300", 5, "2e300", 30)),
    _shape("A11", "box.format", _ends("1e999", 5, 20, 30)),
    _shape("A11", "box.format", _ends("nan", 5, 20, 30)),
    _shape("A12", "box.format", _ends("ten", 5, 20, 30)),
    _shape("A12", "box.format", _ends("", 5, 20, 30)),
    _shape("A12", "box.format", '<box label="cat" xtl="5"/>'),
    _shape("A12", "box.format", _ends(5, 5, 20, 30, 'rotation="x"')),
    _shape("A12", "box.format", '<cuboid label="cat" xtl1="5"/>'),
    _shape("A22", "annotation.category", _ends(5, 5, 20, 30).replace("cat", "cow")),
    _shape("A22", "annotation.category", _ends(5, 5, 20, 30).replace('label="cat"', "")),
    _shape("A28", "rle.size", _window("1, 2, 3", 58)),
    _shape("A28", "rle.size", _window("1, 2, 3", "x")),
    _shape("A28", "rle.size", _window("1, 2, 3", "9" * 30)),
    _shape("A29", "rle.sum", _window("1, 2, 4")),
    _shape("A32", "rle.text", _window("1, -2, 7")),
    _shape("A32", "rle.text", _window("")),
    _shape("A34", "polygon.outside", _ring("1,1;1e300,2;3,3")),
    _shape("A35", "polygon.format", _ring("1,1;2;3,3")),
    _shape("A35", "polygon.format", _ring("1,1;nan,2;3,3")),
    _shape("A35", "polygon.short", _ring("1,1;3,3")),
    _shape("A38", "keypoints.length", _bones(_bone("nose", "1,1;2,2"))),
    _shape("A38", "keypoints.name", _bones(_bone("ear", "1,1"))),
    _shape("A38", "keypoints.twice", _bones(_bone("nose", "1,1"), _bone("nose", "2,2"))),
    _shape("A41", "keypoints.not_finite", _bones(_bone("nose", "inf,1"))),
    _shape("A41", "keypoints.outside", _bones(_bone("nose", "1e9,1"))),
    _meta("A21", "category.name", "<name>cat</name>", "<name> </name>"),
    _meta("A21", "category.duplicate_name", "<name>cat</name>", "<name>dog</name>"),
    _meta("A43", "skeleton.many", POINTS, POINTS + ONE_POINT),
    _xml("A19", "dataset.no_objects", TEXT.replace(f"{DOG}\n{SKELETON}\n{CAT}\n", "")),
    _xml("A19", "dataset.empty", "<annotations>\n</annotations>"),
    _xml("A1", "image.missing", '<annotations>\n<image name="c.jpg"/></annotations>', "line 2"),
    _xml("A45", "xml.syntax", TEXT.replace("dog", "dög").encode("latin-1"), "line 2"),
    _xml("A51", "xml.syntax", TEXT[: len(TEXT) // 2], "line "),
    _xml("A51", "xml.syntax", "", "line 1"),
    _xml("A51", "xml.root", f"<html>{TEXT}</html>"),
    _xml("A52", "xml.forbidden", f'<!DOCTYPE x [<!ENTITY e "x">]>\n{TEXT}', "line 1"),
    _xml("A54", "xml.size", "<annotations>" + "<a>" * 50, "line 1"),
    _image("A55", "file.outside", "../a.jpg"),
    _image("A55", "file.outside", "/etc/passwd"),
    _image("A55", "file.outside", "C:\\a.jpg"),
    _image("A55", "file.name", ""),
    _image("A55", "file.name", "b.jpg", 'subset="../../x"'),
    _xml("A59", "image.size", TEXT.replace(B, B.replace('"60"', '"61"')), "line 8"),
    _xml("A59", "image.size", TEXT.replace(B, B.replace('"60"', '"-60"')), "line 8"),
    _xml("A59", "image.size", TEXT.replace(B, B.replace('"60"', f'"{"9" * 30}"')), "line 8"),
    _xml("A59", "image.size", TEXT.replace(B, B.replace('width="60"', "")), "line 8"),
    _shape("kind", "shape.kind", '<banana label="cat"/>'),
    _shape("kind", "shape.left_out", '<polyline label="cat" points="1,1;2,2"/>', "warning"),
    _shape("kind", "shape.tag", '<tag label="blurred"/>', "note"),
    _shape("turned", "box.turned", _ends(20, 15, 30, 25, TURNED), "warning"),
    _xml("video", "cvat.track", '<annotations>\n<track id="0" label="cat"/></annotations>',
         "line 2"),
    _xml("twice", "object.repeated", TEXT.replace(CAT, CAT + CAT), "object 3", "warning"),
]  # fmt: skip


# OpenImages' CSV

HEADER = "ImageID,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n"
ROWS = "a,/m/dog,1,0.25,0.75,0.1,0.5,0\na,/m/cat,1,0.1,0.3,0.2,0.9,0\n"
NAMES = "/m/dog,dog\n/m/cat,cat\n"


def clean_open_images(root: Path) -> Path:
    for name in ("a.jpg", "b.jpg"):
        draw(root / "images" / "train" / name)
    (root / "train-annotations-bbox.csv").write_text(HEADER + ROWS)
    (root / "class-descriptions-boxable.csv").write_text(NAMES)
    return root


def two_open_images(root: Path) -> Path:
    """The clean folder, and a second split."""
    for name in ("c.jpg", "d.jpg"):
        draw(root / "images" / "val" / name)
    text = HEADER + ROWS.replace("a,/", "c,/")
    (clean_open_images(root) / "val-annotations-bbox.csv").write_text(text)
    return root


def _written(twin: Callable[[Path], Path], name: str, text: str | bytes) -> Callable[[Path], Path]:
    data = text if isinstance(text, bytes) else text.encode()
    return _with(twin, lambda root: (root / name).write_bytes(data))


def _open(number: str, code: str, text: str | bytes, pointer: str | None = None) -> Case:
    make = _written(clean_open_images, "train-annotations-bbox.csv", text)
    return Case(number, code, make, clean_open_images, pointer=pointer)


def _line(number: str, code: str, row: str, severity: str = "error") -> Case:
    make = _written(clean_open_images, "train-annotations-bbox.csv", f"{HEADER}{ROWS}{row}\n")
    return Case(number, code, make, clean_open_images, severity, "line 4")


def _share(number: str, code: str, x: object, confidence: object = 1, group: object = 0) -> Case:
    return _line(number, code, f"a,/m/cat,{confidence},{x},0.75,0.1,0.6,{group}")


def _names(number: str, code: str, text: str, pointer: str) -> Case:
    make = _written(clean_open_images, "class-descriptions-boxable.csv", text)
    return Case(number, code, make, clean_open_images, pointer=pointer)


def _second(number: str, code: str, text: str | bytes, pointer: str | None) -> Case:
    """The file of another split than the first, which must not go without a word."""
    make = _written(two_open_images, "val-annotations-bbox.csv", text)
    return Case(number, code, make, two_open_images, pointer=pointer)


def _shared_folder(root: Path) -> Path:
    """Two splits whose images lie together, and one image that both name."""
    draw(root / "images" / "a.jpg")
    for split in ("train", "val"):
        (root / f"{split}-annotations-bbox.csv").write_text(HEADER + ROWS)
    return root


NO_LABEL = HEADER.replace("LabelName", "Label")

OPEN_IMAGES = [
    _line("A1", "image.missing", "z,/m/cat,1,0.25,0.75,0.1,0.5,0"),
    _line("A1", "image.missing", "sub/a,/m/cat,1,0.25,0.75,0.1,0.5,0"),
    Case("A17", "image.ambiguous",
         _with(clean_open_images, lambda root: draw(root / "images" / "train" / "a.png")),
         clean_open_images, pointer="line 2"),
    _share("A8", "box.degenerate", 0.75),
    _share("A8", "box.degenerate", 0.9),
    _share("A11", "box.format", "nan"),
    _share("A11", "box.format", "1e999"),
    _share("A11", "box.format", "inf"),
    _share("A12", "box.format", "left"),
    _share("A12", "box.format", ""),
    _share("A12", "csv.columns", "0,0"),
    _line("A12", "csv.columns", "a,/m/cat,1,0.1"),
    _share("A14", "box.range", 15),
    _share("A14", "box.range", -0.5),
    _share("A14", "box.range", "1e300"),
    _share("A14", "box.range", "9" * 300),
    _share("confidence", "box.confidence", 0.2, confidence=0),
    _share("confidence", "box.confidence", 0.2, confidence="nan"),
    _share("confidence", "box.confidence", 0.2, confidence=2),
    _share("A25", "crowd", 0.2, group=2),
    _share("A25", "crowd", 0.2, group="yes"),
    _open("A19", "dataset.empty", HEADER),
    _line("A21", "category.name", "a, ,1,0.25,0.75,0.1,0.5,0"),
    _open("A21", "category.name", HEADER + "a, ,1,0.25,0.75,0.1,0.5,0\n", "line 2"),
    _names("A21", "category.name", "/m/dog,dog\n/m/cat, \n", "line 2"),
    _names("A21", "category.duplicate_id", NAMES + "/m/cat,dog\n", "line 3"),
    _names("A21", "category.duplicate_name", "/m/dog,dog\n/m/cat,dog\n", "line 2"),
    _names("A21", "csv.columns", "/m/dog,dog\n/m/cat,cat,more\n", "line 2"),
    _names("A51", "csv.syntax", '/m/dog,dog\n/m/cat,"cat\n', "line "),
    _line("A22", "annotation.category", "a,/m/cow,1,0.25,0.75,0.1,0.5,0"),
    _open("A45", "file.encoding", HEADER.encode() + b"\xff\xfe,x\n", "byte"),
    _open("A51", "csv.header", HEADER.replace("YMax", "Ymox") + ROWS, "line 1"),
    _open("A51", "csv.header", HEADER.replace("Confidence", "YMin") + ROWS, "line 1"),
    _open("A51", "csv.header", NO_LABEL + ROWS, "line 1"),
    _open("A51", "csv.header", "", "line 1"),
    _open("A51", "csv.syntax", HEADER + ROWS + 'a,"x\n', "line "),
    _second("A51", "csv.header", NO_LABEL + ROWS, "line 1"),
    _second("A51", "csv.header", "", "line 1"),
    _second("A45", "file.encoding", (HEADER + ROWS).encode("utf-16"), "byte"),
    Case("A4", "image.leak", _shared_folder, two_open_images, "warning", "split val"),
    _line("A55", "file.outside", "../a,/m/cat,1,0.25,0.75,0.1,0.5,0"),
    _line("A55", "file.outside", "/etc/passwd,/m/cat,1,0.25,0.75,0.1,0.5,0"),
    _line("A55", "file.name", ",/m/cat,1,0.25,0.75,0.1,0.5,0"),
    Case("twice", "object.repeated", _written(
        clean_open_images, "train-annotations-bbox.csv", HEADER + ROWS * 2), clean_open_images,
        "warning", "object 3"),
]  # fmt: skip


# Plain CSV

COLUMNS = "file,width,height,label,x1,y1,x2,y2\n"
CELLS = "a.jpg,60,40,dog,5,6,20,30\na.jpg,60,40,cat,30,5,50.5,25\nb.jpg,60,40,,,,,\n"


def clean_csv(root: Path) -> Path:
    for name in ("a.jpg", "b.jpg"):
        draw(root / "images" / name)
    (root / "labels.csv").write_text(COLUMNS + CELLS)
    return root


def _csv(
    number: str, code: str, text: str | bytes, pointer: str | None = None, severity: str = "error"
) -> Case:
    return Case(number, code, _written(clean_csv, "labels.csv", text), clean_csv, severity, pointer)


def _row(number: str, code: str, row: str, severity: str = "error") -> Case:
    return _csv(number, code, f"{COLUMNS}{CELLS}{row}\n", "line 5", severity)


def _corner(number: str, code: str, *ends: object, severity: str = "error") -> Case:
    return _row(number, code, f"a.jpg,60,40,cat,{','.join(map(str, ends))}", severity)


CSV = [
    _row("A1", "image.missing", "z.jpg,60,40,cat,5,6,20,30"),
    Case("A2", "image.unlisted",
         _with(clean_csv, lambda root: draw(root / "images" / "more.jpg")), clean_csv, "note"),
    _corner("A8", "box.degenerate", 20, 5, 20, 30),
    _corner("A8", "box.degenerate", 20, 5, 10, 30),
    _corner("A9", "box.clipped", 50, 5, 90, 30, severity="warning"),
    _corner("A10", "box.outside", 100, 5, 120, 30),
    _corner("A11", "box.huge", "1e300", 5, "2e300", 30),
    _corner("A11", "box.format", "nan", 5, 20, 30),
    _corner("A11", "box.format", 5, 5, "inf", 30),
    _corner("A11", "box.format", 5, 5, "1e999", 30),
    _corner("A11", "box.format", 5, 5, "9" * 400, 30),
    _corner("A12", "box.format", "ten", 5, 20, 30),
    _corner("A12", "box.format", 5, "", 20, 30),
    _corner("A12", "csv.columns", 5, 5, 20),
    _corner("A12", "csv.columns", 5, 5, 20, 30, 1),
    _csv("A19", "dataset.empty", ""),
    _csv("A19", "dataset.empty", COLUMNS),
    _row("A21", "category.name", "a.jpg,60,40,,5,6,20,30"),
    _row("A21", "category.name", "a.jpg,60,40, ,5,6,20,30"),
    _csv("A60", "category.characters", COLUMNS + CELLS.replace("cat", "a\x1b[31m"),
         severity="warning"),
    _csv("A21", "category.alike", COLUMNS + CELLS + "b.jpg,60,40,Cat ,30,5,50,25\n",
         severity="warning"),
    _csv("A45", "file.encoding", (COLUMNS + CELLS.replace("dog", "dög")).encode("latin-1"),
         "byte"),
    _csv("A45", "file.encoding", (COLUMNS + CELLS).encode("utf-16"), "byte"),
    _csv("A51", "csv.header", COLUMNS.replace("x2", "x3") + CELLS, "line 1"),
    _csv("A51", "csv.header", COLUMNS.replace("width", "x1") + CELLS, "line 1"),
    _csv("A51", "csv.syntax", COLUMNS + CELLS + 'b.jpg,60,40,"cat,1,1,9,9\n', "line "),
    _row("A55", "file.outside", "../a.jpg,60,40,cat,5,6,20,30"),
    _row("A55", "file.outside", "/etc/passwd,60,40,cat,5,6,20,30"),
    _row("A55", "file.outside", "a\0.jpg,60,40,cat,5,6,20,30"),
    _row("A55", "file.name", ",60,40,cat,5,6,20,30"),
    _csv("A59", "image.size", COLUMNS + CELLS.replace("b.jpg,60", "b.jpg,-60"), "line 4"),
    _csv("A59", "image.size", COLUMNS + CELLS.replace("b.jpg,60", "b.jpg,"), "line 4"),
    _csv("A59", "image.size", COLUMNS + CELLS.replace("b.jpg,60", f"b.jpg,{'9' * 30}"), "line 4"),
    _csv("A59", "image.size", COLUMNS + CELLS.replace("b.jpg,60", "b.jpg,61"), "image (id b)"),
    _row("A59", "image.size", "a.jpg,61,40,cat,5,6,20,30"),
    _csv("A4", "object.repeated", f"{COLUMNS}{CELLS}images/a.jpg,60,40,dog,5,6,20,30\n", "object 3",
         "warning"),
    _csv("A8", "box.degenerate", f"{COLUMNS}a.jpg,60,40,cat,9,5,9,30\n", "line 2"),
    _csv("twice", "object.repeated", COLUMNS + CELLS + CELLS, "object 3", "warning"),
]  # fmt: skip

CASES = [*CVAT, *OPEN_IMAGES, *CSV]
