"""Arrays and tensors of any kind to an upright RGB image, or a clear answer why not."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.errors import ImageError

CHANNELS = (1, 3, 4)


def from_array(values: np.ndarray | Tensor) -> UInt8[Tensor, "3 H W"]:
    """An image (3, H, W) of an array; `sightline.images.read` says how each kind is taken.

    A uint8 array is not copied where that can be avoided. Raises ImageError:
    image.bad_dimensions, .ambiguous, .non_finite or .unsupported_mode.
    """
    if isinstance(values, Tensor):
        return _from_tensor(values)
    array = np.asarray(values)
    if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        raise _kind(str(array.dtype))
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    if not array.flags.writeable:
        array = array.copy()
    return arranged(scaled(torch.from_numpy(array)), channels_first=False)


def _from_tensor(values: Tensor) -> Tensor:
    if values.layout != torch.strided or values.is_quantized or values.device.type == "meta":
        raise _kind("a sparse, quantised or meta tensor")
    if values.dtype == torch.uint8 and values.ndim == 3 and values.shape[0] == 3:
        if 0 in values.shape:
            raise _shape(values)
        return values.detach()
    return arranged(scaled(values.detach().cpu()), channels_first=True)


def scaled(values: Tensor) -> Tensor:
    """Bytes of numbers of any kind: see `read`. The shape stays."""
    if values.dtype == torch.uint8:
        return values
    if values.dtype == torch.bool:
        return values.to(torch.uint8) * 255
    if values.dtype == torch.uint16:
        return ((values.to(torch.int64) + 128) // 257).to(torch.uint8)
    if not values.is_floating_point():
        raise _kind(str(values.dtype))
    if not values.isfinite().all():
        raise ImageError(
            "the image holds NaN or infinite values",
            code="image.non_finite",
            hint="replace them first, as numpy.nan_to_num does",
        )
    wide = (values if values.dtype == torch.float64 else values.float()) * 255
    if wide.numel() and (wide.min() < -0.5 or wide.max() > 255.5):
        low, high = wide.min().item() / 255, wide.max().item() / 255
        raise ImageError(
            f"floating-point values between {low:g} and {high:g} can mean anything",
            code="image.ambiguous",
            hint="pass values from 0 to 1, or bytes from 0 to 255 as uint8",
        )
    return wide.round().clamp(0, 255).to(torch.uint8)


def arranged(values: Tensor, channels_first: bool) -> UInt8[Tensor, "3 H W"]:
    """(H, W), (H, W, C) or (C, H, W) as (3, H, W): grey is repeated, a fourth channel dropped.

    Where both ends could be the channels, `channels_first` (tensors) takes the first; of an array
    that is an error.
    """
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise _shape(values)
    if values.ndim == 2:
        return values[None].expand(3, -1, -1).contiguous()
    first, last = values.shape[0] in CHANNELS, values.shape[2] in CHANNELS
    if not (first or last):
        raise _shape(values)
    if first and last and not channels_first:
        raise ImageError(
            f"the shape {tuple(values.shape)} could be (H, W, C) or (C, H, W)",
            code="image.ambiguous",
            hint="pass a PIL image, or a torch tensor of shape (3, H, W)",
        )
    image = values if first else values.permute(2, 0, 1)
    return image.expand(3, -1, -1).contiguous() if image.shape[0] == 1 else image[:3]


def _kind(name: str) -> ImageError:
    return ImageError(
        f"values of this kind are not read: {name}",
        code="image.unsupported_mode",
        hint="pass uint8 (0 to 255), uint16 (0 to 65535), bool, or floats from 0 to 1",
    )


def _shape(values: Tensor) -> ImageError:
    return ImageError(
        f"the shape {tuple(values.shape)} is not that of one image",
        code="image.bad_dimensions",
        hint="(H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels; pass images one by one",
    )
