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
