"""How large the page of ten models and twenty pictures becomes."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch.nn import functional as F

from sightline.compare import plan
from sightline.compare.look import CURVES, Wish
from sightline.compare.page import content
from sightline.compare.rows import FIGURES, Row, Times
from sightline.compare.run import Comparison
from sightline.compare.tables import VERBS
from sightline.data.records import Dataset, Example, Objects
from sightline.detectors.anchored import OnePass
from sightline.explain import Stage
from sightline.pipeline import Trace
from sightline.preparation import Preparation
from sightline.report.candidates import rule, view
from sightline.report.page import write
from sightline.report.photos import TOGETHER
from sightline.suppress import Selection, select
from sightline.types import Batch, Frame, Regions, Scored

LIMIT = 5_000_000
"""Bytes of an attachment that every mail server takes."""

MODELS, PICTURES, CLASSES = 10, 20, 20
SIZE, PREPARED = (750, 1000), (480, 640)
NAMES = tuple(f"some class {number}" for number in range(CLASSES))


def photos(folder: Path) -> Dataset:
    """Photos of 1000 pixels with the grain of a camera, and many objects in each."""
    draw, source, examples = np.random.default_rng(0), Image.fromarray(data.astronaut()), []
    for number in range(PICTURES):
        left, top = draw.integers(0, 112, 2)
        part = source.crop((left, top, left + 400, top + 300)).resize(SIZE[::-1], 3)
        pixels = np.asarray(part, np.float32) + draw.normal(0, 12, (*SIZE, 3))
        path = folder / f"a photo with a rather long name, number {number}.jpg"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=92)
        corner = draw.uniform(0, 600, (30, 2))
        boxes = np.concatenate([corner, corner + draw.uniform(20, 300, (30, 2))], axis=1)
        examples.append(Example(path, number, SIZE, Objects.of(boxes, [n % 20 for n in range(30)])))
    return Dataset(tuple(examples), NAMES, tuple(range(20)), None, "coco", folder, None)


def looked(number: int) -> tuple[Trace, OnePass]:
    """A trace of thousands of regions, most of which score something, and maps as networks have."""
    draw = torch.Generator().manual_seed(number)
    frame, count = Frame(SIZE, PREPARED), 4000
    corner = torch.rand(count, 2, generator=draw) * torch.tensor([560.0, 400.0])
    regions = torch.cat([corner, corner + 20 + 200 * torch.rand(count, 2, generator=draw)], dim=1)
    boxes = regions + 12 * torch.randn(count, 4, generator=draw)
    none = torch.zeros(count, dtype=torch.int64)
    found = Regions(regions, none, torch.randint(0, 5, (count,), generator=draw))
    scores = torch.rand(count, CLASSES, generator=draw) ** 4
    maps = []
    for stride in (8, 16, 32, 64, 128):
        size = (PREPARED[0] // stride + 1, PREPARED[1] // stride)
        rough = torch.randn(1, 8, *(side // 2 + 1 for side in size), generator=draw)
        smooth = F.interpolate(rough, size, mode="bilinear")
        maps.append(smooth + 0.3 * torch.randn(1, 8, *size, generator=draw))
    batch, scored = Batch(torch.zeros(1, 3, *PREPARED), (frame,)), Scored(found, scores, boxes)
    rule = Selection(score=0.05)
    seconds = dict.fromkeys(VERBS, 0.0123)
    answers = select(scored, batch, rule, NAMES)
    detector = OnePass(NAMES, torch.nn.Identity(), Preparation(), rule)
    return Trace(batch, tuple(maps), found, scored, answers, seconds), detector


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    test = photos(folder)
    wish = Wish(views=range(PICTURES), candidates=plan.candidates(MODELS, PICTURES))
    seen = [looked(number) for number in range(7)]  # of more the page would be as large
    shown = {}
    for model in range(MODELS):
        views = {}
        for picture in range(PICTURES):
            trace, detector = seen[(PICTURES * model + picture) % len(seen)]
            views[str(picture)] = view(trace, detector, wish.candidates)
        name = f"generation_{model}_mobilenet_v2"
        shown[name] = {"classes": list(NAMES), "rule": rule(detector), "views": views}
    curve = np.linspace(1, 0, 51).round(4).tolist()
    rows = tuple(
        Row(
            name, name, "weights.safetensors", 1234, 2_500_000, 4000.0,
            dict.fromkeys(FIGURES, 0.4321), dict.fromkeys(NAMES, 0.4321), {"AP": (0.4, 0.5)}, (),
            {f"{iou:g}": dict.fromkeys(NAMES, curve) for iou in CURVES},
            {stage.words: 100 for stage in Stage},
        )
        for name in shown
    )  # fmt: skip
    taken = {
        name: Times(300.0, 56.7, dict.fromkeys(VERBS, 11.3), 17.6, 512_345_678) for name in shown
    }
    about = {
        "data": "a data set", "test_split": "val", "budget": "5 minutes", "seed": 0,
        "train_images": 160,
    }  # fmt: skip
    made = content(Comparison(rows, taken, shown), test, wish, ["Most accurate: all."], about)
    return write(folder / "report.html", made)


def test_ten_models_and_twenty_photos_are_an_attachment(page: Path) -> None:
    size = page.stat().st_size
    assert 1_000_000 < size < LIMIT, f"{size:,} bytes"


def test_every_view_is_on_it(page: Path) -> None:
    text = page.read_text()
    jpegs = re.findall(r'"jpeg":"([^"]*)"', text)
    assert len(jpegs) == PICTURES
    small = [len(base64.b64decode(one)) for one in jpegs]
    assert all(TOGETHER // PICTURES // 3 < size <= TOGETHER // PICTURES for size in small), small
    assert text.count('"looked":[4000,') == MODELS * PICTURES
