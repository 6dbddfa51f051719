"""The study's convolutional network."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from vaescape.conditions import ONE_OR_MORE, require
from vaescape.nets.base import (
    Convolution,
    Network,
    Shape,
    TransposedConvolution,
    halvings,
    require_widths,
    up_to,
)


class Conv(Network, name="conv"):
    """The study's network: strided convolutions down, transposed convolutions back up.

    It is that of Keras' example of a VAE (Chollet 2020).

    Encoder: 3×3 convolutions of ``channels``, stride 2, "same", ReLU; dense ``hidden``, ReLU; dense
    to the posterior. Decoder: dense to the smallest map, ReLU; 3×3 transposed convolutions of the
    same channels in reverse, stride 2, "same", ReLU; a last one, stride 1, to the pixels.

    Padding and sizes are TensorFlow's "same", which at stride 2 pads (or crops, on the way up) at
    the bottom and the right. PyTorch's ``padding=1`` does it at the top and the left, half a pixel
    away. So the networks work on images turned by half a turn, where the two are the same thing:
    the kernels here are Keras' kernels turned likewise. Feature maps are flattened as height,
    width, channel, as there. Weights start He-uniform, biases at zero: Keras' own start, Glorot's,
    lost two of four seeds (see the lab log).

    Args:
        channels: Feature maps after each convolution, first to last.
        hidden: Width of the encoder's dense layer.
    """

    def __init__(self, channels: tuple[int, ...] | list[int] = (32, 64), hidden: int = 16) -> None:
        require_widths(channels=channels)
        require(*ONE_OR_MORE, hidden=hidden)
        self.widths, self.hidden = tuple(channels), hidden

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        rows, columns = halvings(shape, len(self.widths))[-1]
        down = [
            layer
            for below, above in pairwise((shape[0], *self.widths))
            for layer in (Convolution(below, above, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        ]
        dense = nn.Linear(rows * columns * self.widths[-1], self.hidden)
        last = nn.Linear(self.hidden, outputs)
        return he(nn.Sequential(HalfTurn(), *down, ToRow(), dense, nn.ReLU(), last))

    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        sizes = halvings(shape, len(self.widths))
        rows, columns = sizes[-1]
        widths = (self.widths[-1], *reversed(self.widths))
        up = [
            layer
            for (below, above), size in zip(pairwise(widths), reversed(sizes[:-1]), strict=True)
            for layer in (up_to(size, below, above), nn.ReLU(inplace=True))
        ]
        last = TransposedConvolution(widths[-1], shape[0], 3, padding=1)
        dense = nn.Linear(inputs, rows * columns * widths[0])
        return he(nn.Sequential(dense, nn.ReLU(), ToMap(rows, columns), *up, last, HalfTurn()))


class HalfTurn(nn.Module):
    """Images turned by 180°: (N, C, H, W) → (N, C, H, W)."""

    def forward(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return images.flip(-2, -1)


class ToRow(nn.Module):
    """(N, C, H, W) → (N, H·W·C): a view in the channels-last layout that convolutions like best."""

    def forward(self, maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N P"]:
        return maps.permute(0, 2, 3, 1).flatten(1)


class ToMap(nn.Module):
    """(N, H·W·C) → (N, C, H, W): the inverse of :class:`ToRow`."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, row: Float[Tensor, "N P"]) -> Float[Tensor, "N C H W"]:
        return row.unflatten(1, (self.rows, self.columns, -1)).permute(0, 3, 1, 2)


def he(net: nn.Module) -> nn.Module:
    """Return the module with weights drawn He-uniform (He et al. 2015) and biases zero.

    For a transposed convolution PyTorch calls "fan out" what flows into a pixel.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            mode = "fan_out" if isinstance(layer, nn.ConvTranspose2d) else "fan_in"
            nn.init.kaiming_uniform_(layer.weight, mode=mode, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net
