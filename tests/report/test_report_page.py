"""The page: one file that holds what it shows, and lets nobody's text become a script."""

import json
import re
from pathlib import Path

import pytest
from drawn_page import CLASSES, drawn

from sightline.report.page import embedded, rendered, write


def test_names_stay_text(tmp_path: Path) -> None:
    text = write(tmp_path / "page.html", drawn()).read_text()
    assert text.count("</script>") == 2  # the data's and the script's own ends
    assert "<img" not in text and "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<title>Two models on &lt;drawn&gt;</title>" in text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert json.loads(data)["classes"] == CLASSES
    assert json.loads(data)["photos"][0]["name"] == "photo <0> & more.jpg"


def test_nothing_is_named_that_could_be_fetched() -> None:
    text = rendered(drawn())
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text)
    places = set(re.findall(r"https?://[^\s\"'`]+", text))
    assert places == {"http://www.w3.org/2000/svg"}  # a name of a namespace, no address
    assert "@import" not in text and "url(#hatch)" in text


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        embedded({"AP": float("nan")})
    assert embedded({"a": "\u2028é<"}) == '{"a":"\\u2028\\u00e9\\u003c"}'
