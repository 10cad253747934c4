"""How an image becomes what a network sees: resized, normalised, padded; and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.ops.resample import resample
from sightline.types import Batch, Frame, Size

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preparation:
    """Scale an image until its shorter side is `shorter`, or its longer side `longer` if sooner.

    `shorter=None` leaves only the bound on the longer side; `enlarge=False` leaves images that are
    smaller as they are. The result is padded at the right and the bottom to multiples of `divisor`
    (`fit` "own"), or on all sides to a square of `longer`, the image in its middle ("letterbox").
    Padding is `fill` after normalisation: 0 is the mean colour. With "stretch" the image becomes
    that square, whatever its own shape. `fixed` says that the network takes images of that size
    alone. Bilinear, without antialiasing, as torchvision's `GeneralizedRCNNTransform`.

    Raises ValueError for a square with a `shorter` side of its own, and for `fixed` without one.
    """

    shorter: int | None = 800
    longer: int = 1333
    divisor: int = 32
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    enlarge: bool = True
    fit: Literal["own", "letterbox", "stretch"] = "own"
    fill: float = 0.0
    fixed: bool = False

    def __post_init__(self) -> None:
        if self.fit != "own" and self.shorter is not None:
            raise ValueError(f"a square has one side: shorter={self.shorter} with fit={self.fit!r}")
        if self.fixed and self.fit == "own":
            raise ValueError("images of their own shape have no fixed size")

    def resized(self, size: Size) -> Size:
        """The size that an image of `size` gets before padding; no side falls below 1.

        Where it keeps its own shape, in single precision, multiplied by a reciprocal (which is how
        PyTorch divides a number by a tensor) and rounded down, because the published networks were
        run so.
        """
        if self.fit == "stretch":
            return self.longer, self.longer
        if self.fit == "letterbox":  # in whole numbers, as Darknet
            most = max(size)
            side = self.longer if self.enlarge else min(self.longer, most)
            return max(1, size[0] * side // most), max(1, size[1] * side // most)
        reciprocals = numpy.float32(1) / numpy.array(size, numpy.float32)
        scale = numpy.float32(self.longer) * reciprocals.min()
        if self.shorter is not None:
            scale = min(scale, numpy.float32(self.shorter) * reciprocals.max())
        if not self.enlarge:
            scale = min(scale, numpy.float32(1))
        height, width = (max(1, int(side * float(scale))) for side in size)
        return height, width

    def padded(self, size: Size) -> Size:
        """`size` rounded up to multiples of `divisor`, or the square."""
        if self.fit != "own":
            return self.longer, self.longer
        height, width = (-(-side // self.divisor) * self.divisor for side in size)
        return height, width

    def placed(self, resized: Size) -> tuple[int, int]:
        """The (top, left) corner of an image of size `resized` within its padding."""
        if self.fit == "own":
            return 0, 0
        return (self.longer - resized[0]) // 2, (self.longer - resized[1]) // 2

    def normalise(self, pixels: UInt8[Tensor, "*B 3 H W"]) -> Float[Tensor, "*B 3 H W"]:
        """0–255 bytes as the network wants them: (x / 255 − mean) / std."""
        gain, bias = (colour.view(3, 1, 1) for colour in self._colours(pixels.device))
        return torch.addcmul(bias, pixels.float(), gain)

    def restore(self, pixels: Float[Tensor, "*B 3 H W"]) -> UInt8[Tensor, "*B 3 H W"]:
        """The bytes that normalised pixels stand for: exactly those that `normalise` was given, and
        the nearest ones where pixels were resampled between bytes.
        """
        gain, bias = (colour.view(3, 1, 1) for colour in self._colours(pixels.device))
        return ((pixels.float() - bias) / gain).round().clamp(0, 255).to(torch.uint8)

    @property
    def padding(self) -> tuple[int, int, int]:
        """The colour of padding, as bytes: the mean where `fill` is 0."""
        red, green, blue = (
            min(255, max(0, round(255 * (mean + self.fill * std))))
            for mean, std in zip(self.mean, self.std, strict=True)
        )
        return red, green, blue

    def _colours(self, device: torch.device) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
        """Gain and bias of each channel: normalised = gain · byte + bias."""
        mean, std = torch.tensor(self.mean, device=device), torch.tensor(self.std, device=device)
        return 1 / (255 * std), -mean / std

    def __call__(self, images: Sequence[Tensor]) -> Batch:
        """A batch of images that all get the same prepared size.

        Raises ValueError for images of different sizes (`pipeline.detect` sorts them), and for
        anything that is no (3, H, W) uint8 tensor: `sightline.images.read` makes one.
        """
        if not images:
            raise ValueError("a batch holds at least one image")
        for image in images:
            if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
                raise ValueError(f"not a (3, H, W) uint8 image: {image.dtype} {tuple(image.shape)}")
            if 0 in image.shape:
                raise ValueError(f"an image without pixels: {tuple(image.shape)}")
        originals = [(image.shape[1], image.shape[2]) for image in images]
        sizes = {self.padded(self.resized(size)) for size in originals}
        if len(sizes) > 1:
            raise ValueError(f"images of one batch must get one prepared size, not {sizes}")
        (height, width), frames = sizes.pop(), []
        shape = (len(images), 3, height, width)
        pixels = torch.full(shape, self.fill, device=images[0].device)
        gain, bias = self._colours(pixels.device)
        for row, (image, size) in enumerate(zip(images, originals, strict=True)):
            resized = self.resized(size)
            top, left = self.placed(resized)
            inside = pixels[row, :, top : top + resized[0], left : left + resized[1]]
            resample(image, inside, resized, gain, bias)
            frames.append(Frame(original=size, resized=resized, offset=(top, left)))
        return Batch(pixels, tuple(frames))
