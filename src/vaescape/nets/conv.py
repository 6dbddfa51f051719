"""The study's convolutional network."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.components import require
from vaescape.nets.base import Network, Shape

KERNEL = 3


class Conv(Network, name="conv"):
    """The study's network: strided convolutions down, transposed convolutions back up.

    Encoder: 3×3 convolutions of ``channels``, stride 2, "same", ReLU; dense ``hidden``, ReLU; dense
    to the posterior. Decoder: dense to the smallest map, ReLU; 3×3 transposed convolutions of the
    same channels in reverse, stride 2, "same", ReLU; a last one, stride 1, to the pixels.

    Padding follows TensorFlow's "same": an odd total is padded (or cropped, on the way up) at the
    right and the bottom. PyTorch's ``padding=1`` pads both sides, which moves every feature map by
    half a pixel, and its ``output_padding`` adds at the far side instead of cropping there. Weights
    start Glorot-uniform, biases at zero, as in Keras; feature maps are flattened as height, width,
    channel.

    Args:
        channels: Feature maps after each convolution, first to last.
        hidden: Width of the encoder's dense layer.
    """

    def __init__(self, channels: tuple[int, ...] | list[int] = (32, 64), hidden: int = 16) -> None:
        require(
            lambda v: len(v) >= 1 and all(isinstance(n, int) and n >= 1 for n in v),
            "one or more whole numbers of 1 or more",
            channels=channels,
        )
        require(lambda v: v >= 1, "1 or more", hidden=hidden)
        self.widths, self.hidden = tuple(channels), hidden

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        """Return images (N, C, H, W) → (N, outputs)."""
        rows, columns = self._sizes(shape)[-1]
        inputs = (shape[0], *self.widths)
        down = [
            layer
            for below, above in pairwise(inputs)
            for layer in (SameConv2d(below, above, stride=2), nn.ReLU())
        ]
        flat = rows * columns * self.widths[-1]
        return glorot(
            nn.Sequential(
                *down,
                ToRow(),
                nn.Linear(flat, self.hidden),
                nn.ReLU(),
                nn.Linear(self.hidden, outputs),
            )
        )

    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        """Return codes (N, inputs) → (N, C, H, W)."""
        sizes = self._sizes(shape)
        rows, columns = sizes[-1]
        widths = (self.widths[-1], *reversed(self.widths))
        up = [
            layer
            for (below, above), size in zip(pairwise(widths), reversed(sizes[:-1]), strict=True)
            for layer in (SameConvTranspose2d(below, above, stride=2, size=size), nn.ReLU())
        ]
        last = SameConvTranspose2d(widths[-1], shape[0], stride=1, size=sizes[0])
        dense = nn.Linear(inputs, rows * columns * widths[0])
        return glorot(nn.Sequential(dense, nn.ReLU(), ToMap(rows, columns), *up, last))

    def _sizes(self, shape: Shape) -> list[tuple[int, int]]:
        """Return (height, width) of the image and after every halving, rounded up."""
        sizes = [shape[1:]]
        for _ in self.widths:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        return sizes


class SameConv2d(nn.Conv2d):
    """A 3×3 convolution padded as TensorFlow's "same": ⌈H / stride⌉ rows come out."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, KERNEL, stride=stride)

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C2 H2 W2"]:
        """Return the feature maps."""
        top, bottom = self._same(input.shape[2])
        left, right = self._same(input.shape[3])
        return super().forward(F.pad(input, (left, right, top, bottom)))

    def _same(self, size: int) -> tuple[int, int]:
        stride = self.stride[0]
        total = max((-(-size // stride) - 1) * stride + KERNEL - size, 0)
        return total // 2, total - total // 2


class SameConvTranspose2d(nn.ConvTranspose2d):
    """A 3×3 transposed convolution, cropped as TensorFlow's "same" to a given output size."""

    def __init__(self, inputs: int, outputs: int, stride: int, size: tuple[int, int]) -> None:
        super().__init__(inputs, outputs, KERNEL, stride=stride)
        self.size = size

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C2 H2 W2"]:  # pyright: ignore
        """Return the feature maps."""
        full = super().forward(input)
        top, left = ((full.shape[axis] - self.size[axis - 2]) // 2 for axis in (2, 3))
        return full[..., top : top + self.size[0], left : left + self.size[1]]


class ToRow(nn.Module):
    """(N, C, H, W) → (N, H·W·C): a view in the channels-last layout that convolutions like best."""

    def forward(self, maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N P"]:
        """Return the rows."""
        return maps.permute(0, 2, 3, 1).flatten(1)


class ToMap(nn.Module):
    """(N, H·W·C) → (N, C, H, W): the inverse of :class:`ToRow`."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, row: Float[Tensor, "N P"]) -> Float[Tensor, "N C H W"]:
        """Return the maps."""
        return row.unflatten(1, (self.rows, self.columns, -1)).permute(0, 3, 1, 2)


def glorot(net: nn.Module) -> nn.Module:
    """Return the module with weights drawn Glorot-uniform and biases zero, as Keras starts them."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net
