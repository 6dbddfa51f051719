"""What a network is: an encoder and a decoder for any image size."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.components import Component
from vaescape.conditions import require

Shape = tuple[int, int, int]
Layer = Callable[[int, int], nn.Module]
"""Makes a layer of so many inputs and outputs: dense, or a convolution."""


@dataclass(frozen=True)
class Tower:
    """What a hierarchy of latents hangs on: a way up from the image, and a way down to it."""

    up: list[nn.Module]
    """From the image to the features of the lowest layer, …, to the outputs of the top."""
    down: list[nn.Module]
    """From the top's code to the state, and from each state to the next layer's resolution."""
    out: nn.Module
    """From the last state to the raw image."""
    widths: list[int]
    """Of the state and the features, for each layer below the top, from the top down."""
    layer: Layer
    axes: int
    """1 if states are vectors, 3 if they are maps."""


class Network(Component, ABC):
    """An architecture: all sizes follow from the data."""

    kind = "network"

    @abstractmethod
    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        """Return a module from images (N, C, H, W), ``shape`` = (C, H, W), to (N, outputs)."""

    @abstractmethod
    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        """Return a module from codes (N, inputs) to raw images (N, *shape)."""

    def tower(
        self, image: Shape, outputs: int, inputs: int, raw: Shape, levels: int, width: int
    ) -> Tower:
        """Return what a hierarchy of so many levels hangs on; vectors, unless a network has maps.

        Args:
            image: (C, H, W) of what comes in.
            outputs: Numbers that the top's posterior needs.
            inputs: Numbers of the top's code.
            raw: (C, H, W) of what goes out.
            levels: Latent layers, the top included.
            width: Of states and features that are vectors.
        """
        below = levels - 1
        return Tower(
            up=[
                self.encoder(image, width),
                *(_dense(width, width) for _ in range(below - 1)),
                _dense(width, outputs),
            ],
            down=[nn.Linear(inputs, width), *(nn.Identity() for _ in range(below))],
            out=self.decoder(width, raw),
            widths=[width] * below,
            layer=nn.Linear,
            axes=1,
        )


def require_widths(**given: Any) -> None:
    """Raise a :class:`ComponentError` unless each is one or more whole numbers of 1 or more."""

    def are_widths(value: Any) -> bool:
        return isinstance(value, tuple | list) and bool(value) and all(map(is_width, value))

    def is_width(value: Any) -> bool:
        return isinstance(value, int) and value >= 1

    require(are_widths, "one or more whole numbers of 1 or more", **given)


def _dense(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.SiLU(), nn.Linear(inputs, inputs), nn.SiLU(), nn.Linear(inputs, outputs)
    )


def halvings(shape: Shape, times: int) -> list[tuple[int, int]]:
    """Return (height, width) of the image and after every halving, rounded up."""
    sizes = [shape[1:]]
    for _ in range(times):
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


class Convolution(nn.Conv2d):
    """PyTorch's convolution, whose bias has a gradient of its own: a sum over images and places.

    On processors, what computes the gradients of maps and weights takes up to twice as long when
    it is asked for the bias's too (``python -m benchmarks layers``).
    """

    def forward(self, input: Float[Tensor, "N I H W"]) -> Float[Tensor, "N O h w"]:
        return biased(self._conv_forward(input, self.weight, None), self.bias)


class TransposedConvolution(nn.ConvTranspose2d):
    """PyTorch's transposed convolution, its bias as that of :class:`Convolution`."""

    def forward(
        self, input: Float[Tensor, "N I H W"], output_size: list[int] | None = None
    ) -> Float[Tensor, "N O h w"]:
        maps = F.conv_transpose2d(
            input,
            self.weight,
            None,
            self.stride,
            self.padding,  # pyright: ignore[reportArgumentType]
            self.output_padding,
            self.groups,
            self.dilation,
        )
        return biased(maps, self.bias)


def biased(maps: Float[Tensor, "N C H W"], bias: Float[Tensor, " C"] | None) -> Tensor:
    """Return maps with a bias added in place."""
    return maps if bias is None else maps.add_(bias.to(maps.dtype)[:, None, None])


def up_to(size: tuple[int, int], inputs: int, outputs: int) -> TransposedConvolution:
    """Return a 3×3 transposed convolution of stride 2, up to maps of this size."""
    odd_is_one_less = (1 - size[0] % 2, 1 - size[1] % 2)
    return TransposedConvolution(
        inputs, outputs, 3, stride=2, padding=1, output_padding=odd_is_one_less
    )
