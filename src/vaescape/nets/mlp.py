"""Dense networks: Kingma & Welling's, and the gated one of the VampPrior and Exemplar VAE."""

import math
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from vaescape.conditions import ONE_OR_MORE, require
from vaescape.nets.base import Network, Shape


class MLP(Network, name="mlp"):
    """Kingma & Welling's network: tanh layers, weights drawn from N(0, 0.01²) (2014, section 5).

    Args:
        hidden: Width of each hidden layer.
        layers: Hidden layers in the encoder, and as many in the decoder.
    """

    def __init__(self, hidden: int = 500, layers: int = 1) -> None:
        require(*ONE_OR_MORE, hidden=hidden, layers=layers)
        self.hidden, self.layers = hidden, layers

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), self._dense(math.prod(shape), outputs))

    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        return nn.Sequential(self._dense(inputs, math.prod(shape)), nn.Unflatten(1, shape))

    def _dense(self, inputs: int, outputs: int) -> nn.Sequential:
        """Return hidden layers and a linear one: (N, inputs) → (N, outputs)."""
        widths = [inputs] + [self.hidden] * self.layers
        hidden = [
            layer
            for below, above in pairwise(widths)
            for layer in (nn.Linear(below, above), nn.Tanh())
        ]
        net = nn.Sequential(*hidden, nn.Linear(widths[-1], outputs))
        for parameter in net.parameters():
            nn.init.normal_(parameter, std=0.01)
        return net


class GatedMLP(MLP, name="gated-mlp"):
    """Dense layers, each with a gate, (W x + b) ⊙ σ(V x + c) (Tomczak & Welling 2018, appendix).

    Two layers of 300 on each side are the network of the VampPrior and of the Exemplar VAE.

    Args:
        hidden: Width of each hidden layer.
        layers: Hidden layers in the encoder, and as many in the decoder.
    """

    def __init__(self, hidden: int = 300, layers: int = 2) -> None:
        super().__init__(hidden, layers)

    def _dense(self, inputs: int, outputs: int) -> nn.Sequential:
        widths = [inputs] + [self.hidden] * self.layers
        gated = [Gated(below, above) for below, above in pairwise(widths)]
        return nn.Sequential(*gated, nn.Linear(widths[-1], outputs))


class Gated(nn.Module):
    """(N, inputs) → (N, outputs): a dense layer times the sigmoid of another."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.both = nn.Linear(inputs, 2 * outputs)

    def forward(self, x: Float[Tensor, "N P"]) -> Float[Tensor, "N Q"]:
        return nn.functional.glu(self.both(x), dim=-1)
