"""The page in a real browser: what the sliders do, with the network shut, every request noted."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_page import candidates, drawn, row

from sightline.ops.nms import nms_classwise
from sightline.report.page import write

POINT_AT = """one => {
  const { x, y, width, height } = one.getBoundingClientRect();
  const where = { bubbles: true, clientX: x + width / 2, clientY: y + height / 2 };
  one.dispatchEvent(new PointerEvent("pointermove", where));
}"""
"""A pointer on the middle of an element, measured in the same breath: the page scrolls smoothly."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("page") / "report.html", drawn())


@pytest.fixture(scope="module")
def unlike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, the worse model first, which takes a hundred times longer."""
    page = drawn()
    rows = list(page.data["rows"])
    rows[1] = rows[1] | {f"{verb}_ms": 100 * rows[1][f"{verb}_ms"] for verb in page.data["verbs"]}
    data = {**page.data, "rows": rows, "models": page.data["models"][::-1]}
    return write(tmp_path_factory.mktemp("page") / "report.html", replace(page, data=data))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, place: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, opened; afterwards it has asked for nothing and complained of nothing."""
    width, height = getattr(request, "param", (1280, 900))
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
    tab, asked, said = context.new_page(), list[str](), list[str]()
    tab.on("request", lambda one: asked.append(one.url))
    tab.on("console", lambda one: said.append(one.text))
    tab.on("pageerror", lambda one: said.append(str(one)))
    tab.goto(place.as_uri())
    yield tab
    assert [url for url in asked if not url.startswith("data:")] == [place.as_uri()]
    assert said == []
    context.close()


def widths(tab: Any) -> list[float]:
    """How long the bars of time are."""
    parts: list[float] = tab.locator("#stages rect.part").evaluate_all(
        "all => all.map((one) => Number(one.getAttribute('width')))"
    )
    assert len(parts) == 2 * 5
    return [sum(parts[:5]), sum(parts[5:])]


def test_what_takes_much_longer_leaves_the_others_to_be_seen(page: Any, unlike: Path) -> None:
    first, second = widths(page)
    assert first > 3 * second > 0 and page.locator("#stages .lead").count() == 0
    assert page.locator("#model").evaluate("one => one.selectedOptions[0].text") == "retinanet"
    other = page.context.new_page()
    other.goto(unlike.as_uri())
    first, second = widths(other)
    assert first == pytest.approx(second, rel=0.01) and first > 100
    assert "Every bar is a whole" in other.locator("#stages").inner_text()
    assert other.locator("#model option").all_inner_texts() == ["yolo_v1", "retinanet"]
    assert other.locator("#model").evaluate("one => one.selectedOptions[0].text") == "retinanet"
    assert other.evaluate("window.sightline.state.model.name") == "retinanet_mobilenet_v2"
    other.close()


MEETING = """() => {
  const all = (which) => [...document.querySelectorAll(which)];
  const boxes = (which) => all(which).map((one) => one.getBoundingClientRect());
  const meet = (a, b) =>
    a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top < a.bottom - 3;
  const [names, dots] = [boxes("#scatter .name"), boxes("#scatter .dot")];
  const room = document.querySelector("#scatter svg").getBoundingClientRect();
  return {
    names: names.length,
    out: names.filter((n) => n.right > room.right + 1 || n.left < room.left).length,
    dots: names.filter((name) => dots.some((dot) => meet(name, dot))).length,
    others: names.filter((a, i) => names.some((b, j) => j > i && meet(a, b))).length,
  };
}"""
"""How many names of the scatter meet a dot or another name (letters are lower than their lines)."""


CUT = """[...document.querySelectorAll(".spread")].map((whole) => {
  const room = whole.getBoundingClientRect();
  return [...whole.children].filter((part) => {
    const own = part.getBoundingClientRect();
    return own.left < room.left - 1 || own.right > room.right + 1;
  }).length;
})"""
"""Of each interval in the table, how many of its parts do not fit where it is drawn."""


@pytest.mark.parametrize("page", [(1280, 900), (390, 844)], indirect=True)
def test_names_meet_no_dots_and_intervals_fit(page: Any, tmp_path: Path) -> None:
    """Ten models, most of them about as quick as the others: AP and milliseconds once measured."""
    crowd = {
        "hog_svm": (0.227, 151), "window_cnn": (0.254, 91), "rcnn": (0.363, 3589),
        "fast_rcnn": (0.433, 483), "faster_rcnn": (0.365, 136), "yolo_v1": (0.219, 48),
        "yolo_v2": (0.058, 114), "yolo_v3": (0.296, 115), "ssd": (0.16, 86),
        "retinanet": (0.26, 165),
    }  # fmt: skip
    drawn_page = drawn()
    own = {model["name"].removesuffix("_mobilenet_v2") for model in drawn_page.data["models"]}
    rows = [row(f"{name}_mobilenet_v2", *figures) for name, figures in crowd.items()]
    assert own <= crowd.keys()
    path = write(
        tmp_path / "crowd.html", replace(drawn_page, data={**drawn_page.data, "rows": rows})
    )
    tab = page.context.new_page()
    tab.goto(path.as_uri())
    assert tab.evaluate(MEETING) == {"names": 10, "out": 0, "dots": 0, "others": 0}
    tab.set_viewport_size(page.viewport_size)
    assert tab.evaluate(CUT) == [0] * 10
    tab.close()


def kept_by_ours(score: float, iou: float) -> list[int]:
    """What our own suppression leaves of the first photo's candidates."""
    view = candidates(0, 40)
    boxes = torch.tensor(view["boxes"]).view(-1, 4).double() / 10
    scores = torch.tensor(view["scores"]).double() / 10000
    above = int((scores > score).sum())
    labels = torch.tensor(view["labels"])[:above]
    return nms_classwise(boxes[:above].float(), scores[:above].float(), labels, iou).tolist()


def slide(tab: Any, name: str, value: float) -> None:
    tab.locator(f"#{name}").fill(str(value))


def test_the_sliders_suppress_as_we_do(page: Any) -> None:
    boxes = page.locator("#canvas .answer")
    assert boxes.count() == len(kept_by_ours(0.3, 0.5))
    for score, iou in ((0.05, 0.5), (0.05, 0.9), (0.7, 0.9), (0.0, 0.2), (0.0, 0.0)):
        slide(page, "score", score)
        slide(page, "iou", iou)
        kept = page.evaluate("window.sightline.answer().kept")
        assert kept == kept_by_ours(score, iou)
        assert boxes.count() == len(kept)
        assert page.locator("#summary").inner_text().startswith(f"{len(kept)} answer")
    page.locator("#reset").click()
    assert page.evaluate("window.sightline.answer().kept") == kept_by_ours(0.3, 0.5)


def test_a_box_tells_its_region_its_classes_and_its_rivals(page: Any) -> None:
    fates = page.evaluate("window.sightline.answer().fates")
    best = next(i for i, fate in enumerate(fates) if fate["by"] < 0)
    rivals = sum(fate["by"] == best for fate in fates)
    page.locator("#canvas").focus()
    page.keyboard.press("ArrowRight")
    told = page.locator("#detail").inner_text()
    assert f"Suppressed {rivals}: " in told and "from a region of" in told
    assert page.locator("#canvas .rival").count() == rivals > 0
    assert page.locator("#canvas .region").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#canvas .picked").count() == 0
    page.locator("#canvas .answer").last.evaluate(POINT_AT)
    assert page.locator("#canvas .picked").count() == 1


def test_stages_images_and_models_change(page: Any) -> None:
    marks = {
        "Image": ".edge",
        "Features": ".energy",
        "Regions": ".window",
        "Candidates": ".candidate",
    }
    page.locator("#tabs button").last.focus()
    for title, mark in reversed(marks.items()):
        page.keyboard.press("ArrowLeft")
        assert page.locator("#tabs [aria-selected=true]").inner_text() == title
        assert page.locator(f"#canvas {mark}").count() > 0
        assert page.locator("#score").is_visible() == (title == "Candidates")
    page.locator("#tabs button").last.click()
    page.locator("#strip button").nth(1).click()
    assert "photo <1> & more.jpg (2 of 3)" in page.locator("#photo-name").inner_text()
    page.locator("#model").select_option(label="yolo_v1")
    assert page.locator("#iou").is_disabled() and page.locator("#iou-note").is_visible()
    assert page.locator("script").count() == 2 and page.locator("main img[src=x]").count() == 0


def test_the_table_sorts(page: Any) -> None:
    def models() -> list[str]:
        found: list[str] = page.locator("#table tbody th").all_inner_texts()
        return found

    assert models() == ["retinanet", "yolo_v1"]
    head = page.locator("#table th[data-key=ms]")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert models() == ["yolo_v1", "retinanet"] and head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert models() == ["retinanet", "yolo_v1"] and head.get_attribute("aria-sort") == "descending"
    assert page.locator("#table td strong").all_inner_texts() == ["0.520", "12.0"]
    assert "diverged <at once>" in page.locator("#failed").inner_text()


CONTRAST = """() => {
  const light = (rgb) => {
    const [r, g, b] = rgb.match(/[\\d.]+/g).slice(0, 3).map((v) => {
      const c = v / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(colour) && colour !== "transparent") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const worst = [];
  for (const node of document.querySelectorAll("body *:not(script):not(style)")) {
    const text = [...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim());
    if (!text || node.closest("svg") || node.closest("noscript") || !node.offsetParent) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))];
    worst.push((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return Math.min(...worst);
}"""


@pytest.mark.parametrize("page", [(360, 740), (1280, 900)], indirect=True)
def test_it_fits_a_phone_and_can_be_read(page: Any) -> None:
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(CONTRAST) >= 4.5  # WCAG 2, level AA
    sizes = page.locator("#tabs button, #model, #reset").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().height)"
    )
    assert np.min(sizes) >= 36
