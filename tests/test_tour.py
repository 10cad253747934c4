"""docs/tour.md holds: commands name what exists, every picture is there and has its command."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from sightline import catalogue
from sightline.cli import app

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tour.md"
PICTURES = PAGE.parent / "pictures" / "tour"
TEXT = PAGE.read_text(encoding="utf-8")

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)#]+)(?:#[^)]*)?\)")
LARGEST, ALL = 160_000, 2_500_000
"""Bytes of a picture, and of all of them: a page is to be read, not waited for."""

MADE = re.compile(r"runs/tour/\S+")
"""What a command of the page writes, and a later one may read."""


def commands() -> list[list[str]]:
    """The words of every command of the page, in order."""
    lines = [
        line
        for block in BLOCK.findall(TEXT)
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    return [shlex.split(line) for line in lines]


def options(verb: str) -> set[str]:
    """What a verb of the command line can be told."""
    verbs: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert verb in verbs, f"there is no sightline {verb}"
    return {option for one in verbs[verb].params for option in one.opts}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_names_what_exists(words: list[str]) -> None:
    if words[0] == "sightline":
        asked = {word for word in words[2:] if re.match(r"--?[a-z]", word)}
        assert not asked - options(words[1]), f"sightline {words[1]} has no such option"
        return
    assert words[0] == "python", words
    script = ROOT / words[1]
    assert script.is_file(), words[1]
    source = script.read_text(encoding="utf-8")
    for word in words[2:]:
        if word.startswith("--"):
            assert f'"{word}"' in source, f"{words[1]} has no {word}"


def named_models(words: list[str]) -> Iterator[str]:
    """What a command takes for a model."""
    for option in ("--model", "--models"):
        if option in words:
            yield from words[words.index(option) + 1].split(",")


def written(words: list[str]) -> set[str]:
    """What a command writes: what follows --out, and the last argument of a script without it."""
    if "--out" in words:
        return {words[words.index("--out") + 1]}
    return {words[-1]} if words[0] == "python" else set()


def test_every_model_and_every_file_is_there_when_it_is_asked_for() -> None:
    made: set[str] = set()
    for words in commands():
        own = written(words)
        for name in named_models(words):
            if not MADE.fullmatch(name):
                catalogue.resolve(name)
        for word in words[1:]:
            for path in word.split(","):
                if MADE.fullmatch(path) and path not in own:
                    before = [one for one in made if path == one or path.startswith(f"{one}/")]
                    assert before, f"{' '.join(words)}: nothing before it writes {path}"
        made |= own


def test_every_picture_is_there_and_light_and_has_its_command() -> None:
    places = list(PICTURE.finditer(TEXT))
    assert len(places) >= 12
    for place, following in zip(places, [*places[1:], None], strict=True):
        path = PAGE.parent / place[2]
        assert path.is_file(), f"{place[2]} is not there"
        assert path.stat().st_size <= LARGEST, f"{place[2]} is {path.stat().st_size:,} bytes"
        with Image.open(path) as picture:
            assert picture.width <= 1600, f"{place[2]} is {picture.width} pixels wide"
        rest = TEXT[place.end() : None if following is None else following.start()]
        assert BLOCK.search(rest), f"no command stands under {place[2]}"


def test_no_picture_is_left_over_and_all_are_light_together() -> None:
    shown = {(PAGE.parent / place[2]).resolve() for place in PICTURE.finditer(TEXT)}
    kept = {path.resolve() for path in PICTURES.iterdir()}
    assert not kept - shown, "pictures of the tour that it does not show"
    assert sum(path.stat().st_size for path in kept) <= ALL


def test_every_page_that_it_links_to_is_there() -> None:
    links = LINK.findall(TEXT)
    assert len(links) > 20
    for link in links:
        assert link.startswith("https://") or (PAGE.parent / link).exists(), link


def test_every_method_page_is_on_the_way() -> None:
    """A new generation must find its stop."""
    methods = ("anchors", "compare", "cpm", "explain", "fast_rcnn", "faster_rcnn", "focal_loss",
               "mask_rcnn", "openpose", "pose_decoding", "pyramids", "rcnn", "retinanet",
               "selective_search", "sliding_windows", "ssd", "window_cnn", "yolo_v1", "yolo_v2",
               "yolo_v3")  # fmt: skip
    assert not {f"{name}.md" for name in methods} - set(LINK.findall(TEXT))
