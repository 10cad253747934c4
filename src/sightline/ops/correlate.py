"""Templates held to every place of a map: linear scores of all windows at once."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.ops.dispatch import carried_kernel

__all__ = ["correlate", "require_templates"]


@carried_kernel
def correlate(
    features: Float[Tensor, "C H W"], templates: Float[Tensor, "N C h w"]
) -> Float[Tensor, "N H-h+1 W-w+1"]:
    """The dot product of each template with the part of the map below it, at each place it fits.

    Raises UsageError (usage.shape) for templates of other channels, or larger than the map.
    """
    require_templates(features, templates)
    return F.conv2d(features[None], templates)[0]


def require_templates(features: Tensor, templates: Tensor) -> None:
    """Raise UsageError (usage.shape) unless `templates` (N, C, h, w) fit into a (C, H, W) map."""
    fit = features.ndim == 3 and templates.ndim == 4 and features.shape[0] == templates.shape[1]
    if not fit or any(
        not 0 < t <= f for t, f in zip(templates.shape[2:], features.shape[1:], strict=True)
    ):
        raise UsageError(
            f"templates {tuple(templates.shape)} do not fit a map {tuple(features.shape)}",
            code="usage.shape",
        )
