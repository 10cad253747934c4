"""What `sightline detect` asks of its options and its model before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sightline.predict import Model


def need_place(form: str, as_json: bool, folder: Path | None, kinds: Sequence[str]) -> None:
    """UsageError where a form of masks was asked for, and nothing that is written has masks."""
    from sightline.batch.mask_forms import check_form
    from sightline.errors import UsageError

    if check_form(form) == "bitmaps":
        if folder is None:
            raise UsageError(
                "--masks bitmaps writes files, and there is no folder for them",
                code="usage.masks",
                hint="name one: --out DIR",
            )
        return
    holding = {"coco", "jsonl"} | ({"yolo"} if form == "polygons" else set())
    if not as_json and not holding & set(kinds):
        raise UsageError(
            f"nothing that is written holds masks as {form}",
            code="usage.masks",
            hint="add --json, or --save coco or --save jsonl",
        )


def need_masks(model: Model) -> None:
    """UsageError for a model that finds no masks: it is asked, about a small black image."""
    import torch

    from sightline.errors import UsageError

    (found,) = model.find([torch.zeros(3, 64, 96, dtype=torch.uint8)])
    if found.masks is None:
        raise UsageError(
            f"--masks was given, and {model.name} finds boxes without masks",
            code="usage.masks",
            hint="leave --masks out, or choose a model with mask in its name: sightline models",
        )


def need_keypoints(model: Model) -> None:
    """UsageError for a model without keypoints: it is asked, about a small black image."""
    import torch

    from sightline.errors import UsageError

    (found,) = model.find([torch.zeros(3, 64, 96, dtype=torch.uint8)])
    if found.keypoints is None:
        raise UsageError(
            f"--save openpose was given, and {model.name} finds no keypoints",
            code="usage.save",
            hint="choose a model of people, such as openpose_mobilenet_v2 or keypoint_rcnn",
        )
