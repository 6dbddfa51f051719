"""What a network is: an encoder and a decoder for any image size."""

from abc import ABC, abstractmethod

from torch import nn

from vaescape.components import Component

Shape = tuple[int, int, int]


class Network(Component, ABC):
    """An architecture: all sizes follow from the data."""

    kind = "network"

    @abstractmethod
    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        """Return a module from images (N, C, H, W), ``shape`` = (C, H, W), to (N, outputs)."""

    @abstractmethod
    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        """Return a module from codes (N, inputs) to raw images (N, *shape)."""


def halvings(shape: Shape, times: int) -> list[tuple[int, int]]:
    """Return (height, width) of the image and after every halving, rounded up."""
    sizes = [shape[1:]]
    for _ in range(times):
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def up_to(size: tuple[int, int], inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Return a 3×3 transposed convolution of stride 2, up to maps of this size."""
    odd_is_one_less = (1 - size[0] % 2, 1 - size[1] % 2)
    return nn.ConvTranspose2d(
        inputs, outputs, 3, stride=2, padding=1, output_padding=odd_is_one_less
    )
