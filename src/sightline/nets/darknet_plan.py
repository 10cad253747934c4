"""How a network tells itself as Darknet tells networks: layer after layer, by number.

A layer is fed by the one before it; `route` takes others by their numbers. A network of ours walks
its own blocks in this order, so that a .cfg file can be held against it, and the numbers of a
.weights file find their places.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from sightline.nets.blocks import ConvNorm

Fact = int | float | str | tuple[int, ...] | tuple[float, ...]
"""What a key of a layer says: a number, a word, or several numbers."""


@dataclass(frozen=True)
class Layer:
    """One section of a .cfg file, without what only Darknet's training reads.

    `facts` decide what the layer computes, every key said, layers by absolute number; `block` is
    the part of ours that does it, where the layer has weights.
    """

    kind: str
    facts: Mapping[str, Fact]
    block: nn.Module | None = None


@dataclass
class Plan:
    """The layers of a network, in Darknet's order; each verb adds one and gives its number."""

    layers: list[Layer] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def last(self) -> int:
        """The number of the newest layer."""
        return len(self.layers) - 1

    def add(self, kind: str, block: nn.Module | None = None, **facts: Fact) -> int:
        """A layer of any kind."""
        self.layers.append(Layer(kind, facts, block))
        return self.last

    def convolution(self, block: nn.Module) -> int:
        """A ConvNorm, or a plain convolution with a bias and no activation."""
        normed = isinstance(block, ConvNorm)
        conv = block.conv if isinstance(block, ConvNorm) else block
        assert isinstance(conv, nn.Conv2d)
        activation = block.activation if isinstance(block, ConvNorm) else None
        return self.add(
            "convolutional",
            block,
            batch_normalize=int(normed),
            filters=conv.out_channels,
            size=conv.kernel_size[0],
            stride=conv.stride[0],
            padding=int(conv.padding[0]),
            activation=activation or "linear",
        )

    def convolutions(self, blocks: nn.Module) -> int:
        """Several, one after the other; the number of the last."""
        for block in blocks.children():
            self.convolution(block)
        return self.last

    def pool(self, size: int, stride: int) -> int:
        """Max pooling; what lies outside at the right and the bottom has no say."""
        return self.add("maxpool", size=size, stride=stride, padding=size - 1)

    def route(self, *layers: int) -> int:
        """The maps of those layers, one behind the other."""
        return self.add("route", layers=layers)

    def shortcut(self, layer: int) -> int:
        """The map before plus that of `layer`."""
        self.layers.append(Layer("shortcut", {"from": layer, "activation": "linear"}))
        return self.last

    def upsample(self, stride: int) -> int:
        """Every pixel `stride` by `stride` times."""
        return self.add("upsample", stride=stride)

    def reorganise(self, stride: int) -> int:
        """Darknet's [reorg]: see `darknet.reorganise`."""
        return self.add("reorg", stride=stride)
