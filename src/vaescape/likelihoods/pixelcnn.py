"""An autoregressive decoder: each pixel is conditioned on the pixels before it."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.types import _size

from vaescape.components import construct
from vaescape.conditionals import Likelihood
from vaescape.conditions import ONE_OR_MORE, ZERO_OR_MORE, require
from vaescape.distributions.base import Event
from vaescape.errors import ComponentError
from vaescape.nets.base import Convolution, biased

FIRST, NEXT = 7, 3
"""Sides of the masked kernels: of the first layer, and of those after it."""
SWEEPS = 12
"""Passes over all pixels that a decoded picture takes: in 28 × 28 it then hardly changes."""


class PixelCNN(Likelihood, name="pixelcnn"):
    """Every pixel given z and the pixels before it, by masked convolutions (PixelCNN, PixelVAE).

    p(x | z) = ∏ p(x_i | x_<i, z), rows from the top and each from the left (van den Oord et al.
    2016; Gulrajani et al. 2017). The network's output is a map of features, which the stack over
    the pixels adds to its own; ``base`` says what p(x_i | ·) is. The channels of a pixel see
    the same pixels; how they depend on each other is up to ``base``.

    Such a decoder can do without z, and with many layers it does: expect a small KL. ``log_prob``
    and gradients take one pass, a draw one for each pixel. E[x | z] has no closed form. The decoded
    image is an estimate: each pixel's mean, given the means of those before it (a mean field, in
    twelve passes over all pixels). It is exact where pixels do not depend on others, close where z
    determines most of the image, and only one likely image of many where z determines little: then
    look at draws.

    Args:
        shape: (C, H, W), filled in from the run.
        base: Likelihood of a pixel, as a component text: bernoulli, categorical,
            discretised-logistic, …
        layers: Masked convolutions after the first.
        width: Of each, and of the network's output.
    """

    pixelwise = False

    def __init__(
        self, shape: tuple[int, int, int], base: str = "bernoulli", layers: int = 3, width: int = 32
    ) -> None:
        require(*ZERO_OR_MORE, layers=layers)
        require(*ONE_OR_MORE, width=width)
        pixel: Likelihood = construct("likelihood", base, shape=shape)
        if not (pixel.normalised and pixel.pixelwise):
            raise ComponentError(
                f"Likelihood 'pixelcnn' chains probabilities of single pixels, and {base!r} has "
                "none. Use base 'bernoulli' for black and white, 'categorical' or "
                "'discretised-logistic' for grey."
            )
        self.measure = pixel.measure  # before the base class looks for it
        super().__init__()
        self.base, self.width = pixel, width
        self.stack = MaskedStack(shape[0], width, layers, pixel.channels(shape[0]))

    def channels(self, size: int) -> int:
        """Return the features of a pixel, however many its channels."""
        return self.width

    def forward(self, raw: Float[Tensor, "*S W H W"]) -> "ChainedPixels":
        return ChainedPixels(raw, self.stack, self.base)

    def check_images(self, x: Float[Tensor, "*S C H W"]) -> None:
        self.base.check_images(x)


class ChainedPixels(Event):
    """p(x) = ∏ p(x_i | x_<i), features of every pixel given.

    Args:
        features: (*batch, P, H, W).
        stack: From pixels (N, C, H, W) and features to the parameters of every pixel; those of a
            pixel see only the pixels before it.
        base: Reads them as a distribution: batch (N,), event (C, H, W), a product over pixels.
    """

    def __init__(
        self, features: Tensor, stack: "MaskedStack", base: Callable[[Tensor], Any]
    ) -> None:
        self.features, self.stack, self.base = features, stack, base
        shape = (*features.shape[:-3], stack.colours, *features.shape[-2:])
        super().__init__(torch.Size(shape), 3)

    def given(self, x: Float[Tensor, "*S C H W"]) -> Any:
        """Return the distributions of all pixels, each given those before it in x: batch (*S)."""
        pixels = x + 0 * self.features[..., :1, :, :]  # an ONNX trace would fix the batch of
        features = self.features + 0 * x[..., :1, :, :]  # expand, of zeros, or of a reshape
        if pixels.ndim == 4:
            return self.base(self.stack(pixels, features))
        flat = self.stack(_flat(pixels), _flat(features))
        return self.base(flat.reshape(*pixels.shape[:-3], *flat.shape[1:]))

    def log_prob(self, value: Float[Tensor, "*S C H W"]) -> Float[Tensor, "*S"]:
        """Return the log-probability, or density, in nats."""
        return self.given(value).log_prob(value)

    @property
    def mean(self) -> Float[Tensor, "*batch C H W"]:
        """An estimate of E[x]: each pixel's mean, given those of the pixels before it."""
        x = self.features.new_zeros(self.event_shape)
        for _ in range(SWEEPS):
            x = self.given(x).mean
        return x

    def rsample(self, sample_shape: _size = ()) -> Float[Tensor, "*S C H W"]:
        """Return draws, one pixel after the other; no gradient passes through them."""
        shape = self._extended_shape(torch.Size(sample_shape))
        features = _flat(self.features.detach().expand(*shape[:-3], *self.features.shape[-3:]))
        x = features.new_zeros(len(features), *self.event_shape)
        reach, (height, width) = self.stack.reach, shape[-2:]
        with torch.no_grad():
            for row in range(height):
                rows = slice(max(0, row - reach), row + 1)
                for column in range(width):
                    left = max(0, column - reach)
                    seen = (..., rows, slice(left, min(width, column + reach + 1)))
                    found = self.stack(x[seen], features[seen])
                    pixel = self.base(found[..., -1:, column - left, None])
                    x[..., row, column] = pixel.sample()[..., 0, 0]
        return x.reshape(shape)


def _flat(images: Tensor) -> Tensor:
    return images.reshape(-1, *images.shape[-3:])


class MaskedStack(nn.Module):
    """Convolutions in which a pixel sees those above it, and to the left of it in its row.

    Residual, as in van den Oord et al. (2016, section 3); like theirs, plain masks do not see some
    pixels far up on the right.

    Args:
        colours: C, channels of an image.
        width: Of the features.
        layers: Masked convolutions after the first.
        outputs: Parameters of a pixel.
    """

    def __init__(self, colours: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        self.colours = colours
        self.reach = FIRST // 2 + layers * (NEXT // 2)
        self.first = MaskedConv(colours, width, FIRST, itself=False)
        self.next = nn.ModuleList(
            MaskedConv(width, width, NEXT, itself=True) for _ in range(layers)
        )
        self.last = Convolution(width, outputs, 1)

    def forward(
        self, x: Float[Tensor, "N C H W"], features: Float[Tensor, "N W H W"]
    ) -> Float[Tensor, "N P H W"]:
        """Return the parameters of all pixels; x in [0, 1], so that an edge is no black pixel."""
        h = self.first(2 * x - 1) + features
        for layer in self.next:
            h = h + layer(h.relu())
        return self.last(h.relu())


class MaskedConv(Convolution):
    """A convolution of the pixels above, those to the left and, optionally, the pixel itself."""

    mask: Float[Tensor, "k k"]

    def __init__(self, inputs: int, outputs: int, side: int, *, itself: bool) -> None:
        super().__init__(inputs, outputs, side, padding=side // 2)
        before = torch.arange(side * side) < side * side // 2 + itself
        self.register_buffer("mask", before.view(side, side).float(), persistent=False)

    def forward(self, input: Float[Tensor, "N I H W"]) -> Float[Tensor, "N O H W"]:
        return biased(self._conv_forward(input, self.weight * self.mask, None), self.bias)
