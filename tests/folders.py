"""Small data sets of every format, drawn into a folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROTATED = 6


def draw(path: Path, size: tuple[int, int] = (40, 60), orientation: int | None = None) -> Path:
    """A picture of stored `size` (height, width), with an EXIF orientation where one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.full((*size, 3), 127, np.uint8))
    exif = Image.Exif()
    if orientation is not None:
        exif[274] = orientation
    picture.save(path, exif=exif)
    return path


def coco_labels(**changes: Any) -> dict[str, Any]:
    """Two images, the second empty; two classes with sparse ids out of order."""
    labels = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 40, "width": 60},
            {"id": 9, "file_name": "b.jpg", "height": 40, "width": 60},
        ],
        "annotations": [
            {"id": 0, "image_id": 7, "category_id": 90, "bbox": [10, 5, 20, 30]},
            {"id": 5, "image_id": 7, "category_id": 3, "bbox": [1.5, 2, 8, 4], "iscrowd": 1},
        ],
        "categories": [{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    return labels | changes


def coco_folder(root: Path, labels: Any = None, text: str | bytes | None = None) -> Path:
    """A COCO folder with the split val."""
    for name in ("a.jpg", "b.jpg"):
        draw(root / "images" / "val" / name)
    file = root / "annotations" / "instances_val.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        text = json.dumps(coco_labels() if labels is None else labels)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def voc_object(name: str, box: tuple[object, ...], difficult: int = 0) -> str:
    ends = "".join(
        f"<{end}>{value}</{end}>"
        for end, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return (
        f"<object><name>{name}</name><difficult>{difficult}</difficult>"
        f"<bndbox>{ends}</bndbox></object>"
    )


def voc_page(*objects: str, filename: str = "a.jpg", size: tuple[int, int] = (40, 60)) -> str:
    return (
        f"<annotation><filename>{filename}</filename><path>/home/somebody/{filename}</path>"
        f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
        f"{''.join(objects)}</annotation>"
    )


def voc_folder(root: Path, **pages: str) -> Path:
    """A VOC folder with one image and XML file for each stem."""
    (root / "Annotations").mkdir(parents=True)
    for stem, text in pages.items():
        draw(root / "JPEGImages" / f"{stem}.jpg")
        (root / "Annotations" / f"{stem}.xml").write_text(text)
    return root


def yolo_folder(root: Path, yaml: str | None = None, **labels: str | None) -> Path:
    """A YOLO folder with the split train; None for an image without a label file."""
    text = "train: images/train\nnames: [cat, dog]\n" if yaml is None else yaml
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(text)
    (root / "labels" / "train").mkdir(parents=True)
    for stem, lines in labels.items():
        draw(root / "images" / "train" / f"{stem}.jpg")
        if lines is not None:
            (root / "labels" / "train" / f"{stem}.txt").write_text(lines)
    return root
