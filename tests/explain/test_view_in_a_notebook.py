"""What a notebook shows of a view."""

import base64
import io

from PIL import Image

from sightline.evaluate.pictures import new_figure
from sightline.explain.view import LONG, View


def html(view: View) -> str:
    return view._repr_html_()


def test_it_shows_numbers_the_table_and_the_picture() -> None:
    rows = [(f"thing {n}", n) for n in range(LONG + 3)]
    shown = html(
        View("a", "What came", {"in all": 3}, ("name", "n"), rows, lambda: new_figure(1, 1))
    )
    assert "What came" in shown and "in all: 3" in shown and "<th>name</th><th>n</th>" in shown
    assert "<td>thing 0</td>" in shown and f"<td>thing {LONG}</td>" not in shown
    assert "… and 3 more" in shown
    data = shown.split("base64,")[1].split('"')[0]
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.format == "PNG" and picture.size == (120, 120)


def test_names_are_no_markup() -> None:
    shown = html(View("a", "<b>", {"<i>": "</div>"}, ("<u>",), [("<script>",)]))
    assert not {"<b>", "<i>", "<u>", "<script>"} & set(shown.replace(">", ">\n").split("\n"))
    assert "&lt;script&gt;" in shown and "<img" not in shown


def test_what_is_not_there_is_not_shown() -> None:
    shown = html(View("a", "Nothing"))
    assert "<table" not in shown and "<img" not in shown and "more" not in shown
