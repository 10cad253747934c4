"""What a cell's numbers make of its priors: boxes by direct location, and scores.

Key of shapes: R priors, K classes. Boxes are xyxy, a stride is a cell's side; both in pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sightline import boxes as bx
from sightline.errors import UsageError
from sightline.ops.dispatch import kernel


def located(
    raw: Float[Tensor, "*n 4"], priors: Float[Tensor, "*#n 4"], stride: Float[Tensor, "*#n"]
) -> Float[Tensor, "*n 4"]:
    """Direct location prediction (YOLO9000, section 2): b_x = σ(t_x) + c_x, b_w = p_w e^{t_w}.

    c is the cell's corner; the centre can lie nowhere but in its cell. t_w and t_h are bounded
    before exp (`boxes.LOG_SCALE_LIMIT`).
    """
    centre = bx.centres(priors) + (raw[..., :2].sigmoid() - 0.5) * stride[..., None]
    half = raw[..., 2:].clamp(max=bx.LOG_SCALE_LIMIT).exp() * (priors[..., 2:] - priors[..., :2])
    half = half / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def require_answers(raw: Tensor, priors: Tensor, stride: Tensor) -> None:
    """Raise UsageError (usage.shape) unless there are (R, 5 + K) numbers, (R, 4) priors and (R,)
    strides.
    """
    right = raw.ndim == 2 and raw.shape[1] > 5 and priors.shape == (len(raw), 4)
    if not right or stride.shape != (len(raw),):
        shapes = ", ".join(str(tuple(one.shape)) for one in (raw, priors, stride))
        raise UsageError(
            f"(R, 5 + K) numbers, (R, 4) priors and (R,) strides are wanted, not {shapes}",
            code="usage.shape",
        )


@kernel
def independent_answers(
    raw: Float[Tensor, "R _"], priors: Float[Tensor, "R 4"], stride: Float[Tensor, "R"]
) -> tuple[Float[Tensor, "R K"], Float[Tensor, "R 4"]]:
    """Scores and boxes of priors, of t_x, t_y, t_w, t_h, t_o and a number a class.

    A score is σ(t_o) σ(t_k): the classes do not exclude each other (YOLO v3, section 2.2). Raises
    UsageError (usage.shape).
    """
    require_answers(raw, priors, stride)
    scores = raw[:, 5:].sigmoid().mul_(raw[:, 4:5].sigmoid())
    return scores, located(raw[:, :4], priors, stride)
