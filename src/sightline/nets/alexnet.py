"""AlexNet: ImageNet Classification with Deep Convolutional Neural Networks (Krizhevsky 2012).

Five convolutions, then two layers of 4,096 units, as R-CNN used it. Widths and pooling are those of
the one-tower form (Krizhevsky 2014), without the response normalisation, as torchvision has it.

Keys of shape: B images, R regions, C channels, H W pixels of a map.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

CONVOLUTIONS = (
    (64, 11, 4, 2),
    (192, 5, 1, 2),
    (384, 3, 1, 1),
    (256, 3, 1, 1),
    (256, 3, 1, 1),
)
"""Channels, kernel, stride and padding of each; the first two are followed by a pooling."""

POOLED = 2


class AlexNet(nn.Module):
    """The convolutions; `forward` gives conv5 at stride 16, before its pooling."""

    channels = (256,)
    strides = (16,)

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        channels = 3
        for width, kernel, stride, padding in CONVOLUTIONS:
            conv = nn.Conv2d(channels, width, kernel, stride, padding)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.convs.append(conv)
            channels = width

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, ...]:
        """The one map, as a tuple of one. A side below 63 pixels leaves no cell of pool5."""
        x = pixels
        for row, conv in enumerate(self.convs):
            x = F.relu(conv(x), inplace=True)
            if row < POOLED:
                x = F.max_pool2d(x, 3, 2)
        return (x,)

    def freeze(self, stages: int) -> None:
        """No gradient for the first convolutions: 1 is conv1; 0 leaves all trainable."""
        for conv in self.convs[:stages]:
            conv.requires_grad_(False)


class AlexNetLayers(nn.Module):
    """fc6 and fc7, with dropout in training: pool5 of a region, 6×6, to 4,096 features."""

    width = 4096

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.fc6 = nn.Linear(256 * 6 * 6, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "R 256 6 6"]) -> Float[Tensor, "R 4096"]:
        """Features of each region."""
        x = F.relu(self.fc6(self.dropout(x.flatten(1))))
        y: Tensor = F.relu(self.fc7(self.dropout(x)))
        return y
