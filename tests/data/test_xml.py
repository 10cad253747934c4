"""XML of strangers."""

from pathlib import Path

import pytest

from sightline.data.xml import XmlLimits, parse_xml, read_xml
from sightline.errors import AnnotationError

PLACE = Path("x.xml")


def test_elements_know_their_line_and_text() -> None:
    root = parse_xml(b"<a>\n <b>one<!-- no -->&amp;two</b>\n <c/>tail\n <b x='1'/></a>", PLACE, "a")
    first, second = root.each("b")
    assert (first.text, first.line, first.place) == ("one&two", 2, "line 2")
    assert (second.line, second.get("x")) == (4, "1")
    assert root.findtext("b") == "one&two"
    assert root.findtext("c") == ""


def test_the_limits_are_those_asked_for() -> None:
    text = b"<a>\n<b>\n<c/></b></a>"
    assert parse_xml(text, PLACE, "a", XmlLimits(depth=3, elements=3)).tag == "a"
    for limits, line in ((XmlLimits(depth=2), 3), (XmlLimits(elements=1), 2)):
        with pytest.raises(AnnotationError) as caught:
            parse_xml(text, PLACE, "a", limits)
        assert (caught.value.code, caught.value.pointer) == ("xml.size", f"line {line}")
        assert caught.value.path == "x.xml"


def test_size_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_text("<a>" + " " * 100 + "</a>")
    with pytest.raises(AnnotationError) as caught:
        read_xml(path, "a", XmlLimits(size=50))
    assert caught.value.code == "file.too_large"
    assert read_xml(path, "a").tag == "a"


HOSTILE = {
    "xml.syntax": [b"", b"\0", b"<a><b></a>", b"<a", b"\xff\xfe\xfa", b"<a/><a/>", b"<a>\x01</a>"],
    "xml.forbidden": [
        b"<!DOCTYPE a><a/>",
        b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        b"<!DOCTYPE a SYSTEM 'http://127.0.0.1/a.dtd'><a/>",
    ],
    "xml.root": [b"<html/>"],
    "xml.size": [b"<a>" * 10_000, b"<a>" + b"<b/>" * 250_000 + b"</a>"],
}


@pytest.mark.parametrize(("code", "data"), [(c, d) for c in HOSTILE for d in HOSTILE[c]])
def test_hostile_files(code: str, data: bytes) -> None:
    with pytest.raises(AnnotationError) as caught:
        parse_xml(data, PLACE, "a")
    assert caught.value.code == code
    if code == "xml.syntax":
        assert str(caught.value.pointer).startswith("line 1:")


def test_an_encoding_nobody_knows() -> None:
    with pytest.raises(AnnotationError) as caught:
        parse_xml(b"<?xml version='1.0' encoding='klingon'?><a/>", PLACE, "a")
    assert caught.value.code == "xml.syntax"
