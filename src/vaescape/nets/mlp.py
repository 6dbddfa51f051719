"""Kingma & Welling's network."""

from itertools import pairwise

from torch import nn

from vaescape.components import require
from vaescape.nets.base import Network, Shape


class MLP(Network, name="mlp"):
    """Kingma & Welling's network: tanh layers, weights drawn from N(0, 0.01²) (2014, section 5).

    Args:
        hidden: Width of each hidden layer.
        layers: Hidden layers in the encoder, and as many in the decoder.
    """

    def __init__(self, hidden: int = 500, layers: int = 1) -> None:
        require(lambda v: v >= 1, "1 or more", hidden=hidden, layers=layers)
        self.hidden, self.layers = hidden, layers

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        """Return images (N, C, H, W) → (N, outputs)."""
        return nn.Sequential(nn.Flatten(), self._tower(shape[0] * shape[1] * shape[2], outputs))

    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        """Return codes (N, inputs) → (N, C, H, W)."""
        return nn.Sequential(
            self._tower(inputs, shape[0] * shape[1] * shape[2]), nn.Unflatten(1, shape)
        )

    def _tower(self, inputs: int, outputs: int) -> nn.Sequential:
        widths = [inputs] + [self.hidden] * self.layers
        hidden = [
            layer
            for below, above in pairwise(widths)
            for layer in (nn.Linear(below, above), nn.Tanh())
        ]
        return small(nn.Sequential(*hidden, nn.Linear(widths[-1], outputs)))


def small(net: nn.Sequential) -> nn.Sequential:
    """Return the module with every weight and bias drawn from N(0, 0.01²)."""
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.01)
    return net
