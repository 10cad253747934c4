"""A page of two drawn models on drawn photos, with known candidates: no network, no training."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from sightline.report.page import Page

CLASSES = ["cat", "</script><b>dog"]
"""A name that tries to end the script."""

SIZE = (240, 360)
OBJECTS = ([40, 50, 140, 170], [200, 60, 320, 200])


def jpeg(shade: int) -> str:
    picture = Image.new("RGB", SIZE[::-1], (90 + shade, 110, 96))
    pen = ImageDraw.Draw(picture)
    for box, fill in zip(OBJECTS, ((186, 120, 60), (96, 96, 150)), strict=True):
        pen.ellipse(box, fill=fill)
    stream = io.BytesIO()
    picture.save(stream, "JPEG")
    return base64.b64encode(stream.getvalue()).decode()


def energy() -> str:
    y, x = np.mgrid[:8, :12]
    grey = (255 * np.exp(-((x - 3) ** 2 + (y - 4) ** 2) / 6)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def candidates(seed: int, count: int) -> dict[str, Any]:
    """Boxes around both objects, moved at random, best first."""
    rng = np.random.default_rng(seed)
    boxes, labels = [], []
    for _ in range(count):
        which = int(rng.integers(2))
        moved = np.array(OBJECTS[which]) + rng.normal(0, 14, 4)
        boxes.append([round(10 * v) for v in moved.tolist()])
        labels.append(which)
    scores = np.sort(rng.uniform(200, 9800, count).astype(int))[::-1].tolist()
    flat = [v for box in boxes for v in box]
    return {
        "prepared": [256, 384], "frame": [240, 360, 0, 0],
        "seconds": {}, "boxes": flat, "scores": scores, "labels": labels,
        "places": list(range(count)), "regions": flat, "levels": [i % 3 for i in range(count)],
        "classes": [[[0, 1]] * count, [[s, s // 3] for s in scores]],
        "looked": [4320, flat[:80]], "found": 5,
        "features": [energy(), energy()], "grids": [[8, 12], [4, 6]],
    }  # fmt: skip


def row(name: str, ap: float, ms: float) -> dict[str, Any]:
    verbs = {f"{v}_ms": ms / 5 for v in VERBS}
    return {
        "model": name, "AP": ap, "AP_low": ap - 0.06, "AP_high": ap + 0.05, "AP50": ap + 0.2,
        "AP75": ap - 0.05, "AP_small": None, "AP_medium": ap, "AP_large": ap + 0.1, "AR100": 0.6,
        "regions_an_image": 4320.0, "parameters": 2_345_678, "start": "random", "steps": 300,
        "failed": None, "training_s": 480.2, "ms": ms, "images_a_second": 1000 / ms,
        "memory_MB": 410, **verbs,
    }  # fmt: skip


VERBS = ("prepare", "encode", "propose", "classify", "postprocess")
MODELS = {"retinanet_mobilenet_v2": (0.52, 41.0), "yolo_v1_mobilenet_v2": (0.31, 12.0)}


def drawn() -> Page:
    """The page; its first model suppresses at IoU 0.5, the second one not at all."""
    photos = [
        {
            "row": str(i), "name": f"photo <{i}> & more.jpg", "size": list(SIZE),
            "jpeg": jpeg(30 * i),
            "truth": [10 * v for box in OBJECTS for v in box], "labels": [0, 1], "crowd": [0, 0],
        }
        for i in range(3)
    ]  # fmt: skip
    models = [
        {
            "name": name, "classes": CLASSES,
            "rule": {"score": 0.05, "iou": iou, "limit": 100, "margins": False},
            "views": {str(i): candidates(3 * i + k, 40) for i in range(3)},
        }
        for k, (name, iou) in enumerate(zip(MODELS, (0.5, None), strict=True))
    ]  # fmt: skip
    curve = [round(max(0.0, 1 - (i / 50) ** 3), 4) for i in range(51)]
    fates = ("matched", "badly localised", "suppressed", "low score", "wrong class")
    data = {
        "classes": CLASSES,
        "rows": [row(name, *figures) for name, figures in MODELS.items()]
        + [{"model": "ssd_mobilenet_v2", "failed": "diverged <at once>"}],
        "columns": [
            {"key": "model", "title": "Model", "digits": 0, "better": None, "about": "a model"},
            {"key": "AP", "title": "AP", "digits": 3, "better": "high", "about": "AP"},
            {"key": "ms", "title": "ms", "digits": 1, "better": "low", "about": "time"},
            {"key": "AP_small", "title": "small", "digits": 3, "better": "high", "about": "small"},
        ],
        "verbs": list(VERBS), "photos": photos, "models": models, "limit": 40,
        "curves": {name: {"0.5": {"cat": curve, CLASSES[1]: curve[10:] + [0.0] * 10},
                          "0.75": {"cat": curve[20:] + [0.0] * 20}} for name in MODELS},
        "lost": {name: dict(zip(fates, (40, 9, 3, 6, 2), strict=True)) for name in MODELS},
        "fates": list(fates),
    }  # fmt: skip
    advice = ["Most accurate: retinanet (AP 0.520).", "<img src=x onerror=alert(1)> is a name"]
    return Page("Two models on <drawn>", "3 test images", advice, "Made by hand.", data)
