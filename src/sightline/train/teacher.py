"""A published network as teacher: its dense answers are soft targets for a student's own cells.

A teacher sees the very pixels that the student trains on, mosaics and all, and gives a `Scored`:
a region a cell of strides 8, 16 and 32, a score for every class, a box. It is used to train only;
nothing of it enters the student's weights file but what the student learnt.
"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.errors import UsageError, WeightsError
from sightline.nets.categories import COCO
from sightline.train.recipes import Recipe
from sightline.types import Regions, Scored

if TYPE_CHECKING:
    import onnxruntime

STRIDES = (8, 16, 32)


class OnnxTeacher:
    """A YOLOX network in ONNX (Ge 2021): (B, 3, H, W) BGR 0–255 in, (B, cells, 85) out.

    Its columns are x, y offsets in cells, log width and height in cells, objectness, 80 class
    probabilities. The file is made to take any size that 32 divides. Needs the extra `onnx`.
    """

    def __init__(self, path: str | Path, classes: Sequence[str], threads: int = 1) -> None:
        names = list(COCO.values())
        unknown = [name for name in classes if name not in names]
        if unknown:
            raise UsageError(
                f"the teacher knows COCO's 80 classes, not {', '.join(unknown[:5])}",
                code="usage.teacher_classes",
                hint="train without --teacher, or on COCO's class names",
            )
        self.columns = [names.index(name) for name in classes]
        self.session = _open(Path(path), threads)

    def __call__(self, pixels: UInt8[Tensor, "B 3 H W"]) -> Scored:
        """What the teacher sees in a batch of RGB images: every cell's scores and box."""
        image = pixels.flip(1).float().cpu().contiguous().numpy()
        answer = torch.from_numpy(self.session.run(None, {"images": image})[0])
        batch, (height, width) = len(pixels), pixels.shape[-2:]
        cells, level = cells_of(height, width)
        if answer.shape[1] != len(cells):
            raise WeightsError(
                f"the teacher gives {answer.shape[1]} cells where {len(cells)} are expected",
                code="weights.architecture",
                hint="a YOLOX network of strides 8, 16, 32 is expected",
            )
        stride = cells[:, 2:3] - cells[:, 0:1]
        centre = cells[:, :2] + answer[..., :2] * stride
        half = answer[..., 2:4].clamp(max=10).exp() * stride / 2
        boxes = torch.cat([centre - half, centre + half], dim=-1)
        scores = answer[..., 4:5] * answer[..., 5:][..., self.columns]
        rows = torch.arange(batch).repeat_interleave(len(cells))
        regions = Regions(cells.repeat(batch, 1), rows, level.repeat(batch))
        return Scored(regions, scores.flatten(0, 1), boxes.flatten(0, 1))


def cells_of(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The cells of all levels as boxes, row by row, and their level."""
    boxes, levels = [], []
    for level, stride in enumerate(STRIDES):
        y, x = torch.meshgrid(
            torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
        )
        corner = torch.stack([x, y], dim=-1).reshape(-1, 2).float() * stride
        boxes.append(torch.cat([corner, corner + stride], dim=1))
        levels.append(torch.full((len(corner),), level))
    return torch.cat(boxes), torch.cat(levels)


def _open(path: Path, threads: int) -> "onnxruntime.InferenceSession":
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            "a teacher needs the packages onnx and onnxruntime",
            code="usage.extra_missing",
            hint="pip install 'sightline[onnx]'",
        ) from error
    if not path.is_file():
        raise WeightsError("no such file", code="weights.not_found", path=path)
    try:
        model = onnx.load(str(path), load_external_data=False)
        for value, free in ((model.graph.input[0], (0, 2, 3)), (model.graph.output[0], (0, 1))):
            for row in free:
                value.type.tensor_type.shape.dim[row].dim_param = f"{value.name}_{row}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        session.run(None, {"images": np.zeros((1, 3, 32, 64), np.float32)})
    except Exception as error:  # onnxruntime raises classes of its own without a common base
        raise WeightsError(
            f"not a network that can teach: {str(error)[:200]}",
            code="weights.architecture",
            path=path,
            hint="a YOLOX network in ONNX, input 'images' of (1, 3, H, W), is expected",
        ) from error
    return session


def open_teacher(recipe: Recipe, detector: Any) -> "OnnxTeacher | None":
    """The teacher that the recipe names: uint8 pixels to scores of the detector's classes.

    Raises UsageError (`train.teacher`) for a detector that takes none.
    """
    if recipe.teacher is None:
        return None
    if "teacher" not in inspect.signature(detector.loss).parameters:
        raise UsageError(
            f"{recipe.model} has no lesson to take from a teacher",
            code="train.teacher",
            hint="leave the teacher out, or train the light RetinaNet",
        )
    return OnnxTeacher(recipe.teacher, detector.classes, max(1, recipe.threads))
