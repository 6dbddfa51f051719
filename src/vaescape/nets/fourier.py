"""Dense layers with random Fourier features of the code, and learned ones: the best maps."""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vaescape.conditions import ONE_OR_MORE, POSITIVE, ZERO_OR_MORE, one_of, require
from vaescape.errors import ComponentError
from vaescape.nets.base import Network, Shape, require_widths

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
MOST_GRIDS = 8
"""Latent dimensions with feature grids, at most: there is one for each pair."""
DARKEST = 1e-3
"""The mean image is kept this far from black and white, where its logit would be infinite."""


class Fourier(Network, name="fourier"):
    """Dense layers; the decoder sees sines of z at random frequencies (Tancik et al. 2020).

    Few dimensions drawn sharply are what such features are for: a small dense network alone learns
    smooth functions of two numbers first, and detail late. The frequencies are drawn once from
    N(0, scale²) and belong to the weights. Feature grids teach detail faster still (Müller, Evans,
    Schied & Keller 2022): every grid point has learned features, and a code reads those of the
    nearest, weighted by quadratic B-splines so that the decoder has a derivative everywhere. The
    points are at even quantiles of N(0, 1); above two dimensions there is a grid for each pair
    (Fridovich-Keil et al. 2023). The encoder sees images less the mean training image, and the
    decoder starts at that image: its last bias is the mean's logit, where the likelihood reads one
    number per pixel.

    Args:
        encoder_widths: Hidden layers of the encoder, first to last.
        decoder_widths: Hidden layers of the decoder.
        features: Random frequencies; the decoder reads a sine and a cosine of each, and z.
        scale: Standard deviation of the frequencies, in radians per unit of z.
        grids: Points of feature grids along each dimension, a number for each grid.
        grid_features: Learned features at each point of a grid.
        blocks: Residual blocks after the hidden layers of the decoder, of the last width.
        activation: relu, gelu or silu.
        dropout: Share of the decoder's hidden units that each training step leaves out.
        blindness: Share of the pixels that the encoder does not see in each training step.
        mean_image: Mean of the training images, filled in from the run.
    """

    def __init__(
        self,
        encoder_widths: tuple[int, ...] | list[int] = (256, 128),
        decoder_widths: tuple[int, ...] | list[int] = (128, 256),
        features: int = 32,
        scale: float = 1.0,
        grids: tuple[int, ...] | list[int] = (),
        grid_features: int = 64,
        blocks: int = 0,
        activation: str = "relu",
        dropout: float = 0.0,
        blindness: float = 0.0,
        mean_image: Float[Tensor, "C H W"] | None = None,
    ) -> None:
        require_widths(encoder_widths=encoder_widths, decoder_widths=decoder_widths)
        require(*ZERO_OR_MORE, features=features, blocks=blocks)
        require(*POSITIVE, scale=scale)
        require(*ONE_OR_MORE, grid_features=grid_features)
        if grids:
            require_widths(grids=grids)
            require(lambda v: min(v) > 1, "2 or more points each", grids=grids)
        require(lambda v: 0 <= v < 1, "a share from 0 to below 1", dropout=dropout)
        require(lambda v: 0 <= v < 1, "a share from 0 to below 1", blindness=blindness)
        require(*one_of(ACTIVATIONS), activation=activation)
        self.encoder_widths, self.decoder_widths = tuple(encoder_widths), tuple(decoder_widths)
        self.features, self.scale, self.blocks = features, scale, blocks
        self.grids, self.grid_features = tuple(grids), grid_features
        self.activation = ACTIVATIONS[activation]
        self.dropout, self.blindness, self.mean_image = dropout, blindness, mean_image

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        mean = torch.zeros(shape)
        if self.mean_image is not None:  # a condition's planes come after the image's
            mean[: len(self.mean_image)] = self.mean_image
        entrance = [Centre(mean), nn.Flatten(), *_dropout(self.blindness)]
        widths = (math.prod(shape), *self.encoder_widths)
        return nn.Sequential(*entrance, *self._hidden(widths), nn.Linear(widths[-1], outputs))

    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        read = inputs + 2 * self.features
        entrance: nn.Module = Waves(inputs, self.features, self.scale)
        if self.grids:
            grids = Grids(inputs, self.grids, self.grid_features)
            entrance, read = Beside(entrance, grids), read + grids.features
        widths = (read, *self.decoder_widths)
        blocks = [Residual(widths[-1], self.activation, self.dropout) for _ in range(self.blocks)]
        last = nn.Linear(widths[-1], math.prod(shape))
        if self.mean_image is not None and self.mean_image.shape == shape:
            with torch.no_grad():
                mean = self.mean_image.flatten().clamp(DARKEST, 1 - DARKEST)
                last.bias.copy_(mean.logit())
        return nn.Sequential(
            entrance,
            *self._hidden(widths, self.dropout),
            *blocks,
            *([nn.RMSNorm(widths[-1])] if blocks else []),
            last,
            nn.Unflatten(1, shape),
        )

    def _hidden(self, widths: Sequence[int], dropout: float = 0.0) -> list[nn.Module]:
        return [
            layer
            for below, above in pairwise(widths)
            for layer in (nn.Linear(below, above), self.activation(), *_dropout(dropout))
        ]


class Centre(nn.Module):
    """Images less a mean image, which belongs to the weights."""

    mean: Tensor

    def __init__(self, mean: Float[Tensor, "C H W"]) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return x - self.mean


class Waves(nn.Module):
    """z, and sin and cos of z·ω at fixed random frequencies ω (Rahimi & Recht 2007)."""

    frequencies: Tensor

    def __init__(self, inputs: int, features: int, scale: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", scale * torch.randn(inputs, features))

    def forward(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N P"]:
        """Return D + 2·features numbers per code; the phases are exact under autocast too."""
        with torch.autocast(z.device.type, enabled=False):
            phase = z @ self.frequencies.to(z.dtype)
        return torch.cat([z, phase.sin(), phase.cos()], dim=-1)


class Grids(nn.Module):
    """Learned features at the points of grids, of which a code reads those near it.

    Args:
        inputs: D.
        sides: Points along each dimension, a number for each grid.
        channels: Features at each point.

    Raises:
        ComponentError: If there are more dimensions than :data:`MOST_GRIDS`.
    """

    def __init__(self, inputs: int, sides: Sequence[int], channels: int) -> None:
        if inputs > MOST_GRIDS:
            raise ComponentError(
                f"Feature grids are for up to {MOST_GRIDS} latent dimensions, not {inputs}. "
                "Use network 'fourier' without grids."
            )
        super().__init__()
        self.sides = tuple(sides)
        self.pairs = tuple(combinations(range(inputs), 2)) or ((0,),)
        self.features = len(self.sides) * len(self.pairs) * channels
        points = (len(self.pairs) * side ** len(self.pairs[0]) for side in self.sides)
        self.values = nn.ParameterList(0.1 * torch.randn(count, channels) for count in points)

    def forward(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N P"]:
        """Return the features of each grid, coarse to fine, and of each pair of dimensions."""
        with torch.autocast(z.device.type, enabled=False):
            u = 0.5 + 0.5 * torch.erf(z * 0.5**0.5)
            found = [self._read(u, *grid) for grid in zip(self.sides, self.values, strict=True)]
        return torch.cat([part.flatten(1) for part in found], dim=-1)

    def _read(
        self, u: Float[Tensor, "N D"], side: int, values: Float[Tensor, "V C"]
    ) -> Float[Tensor, "N G C"]:
        near, weights = splines(u * (side - 1), side)
        rows, shares = [], []
        for n, (one, *other) in enumerate(self.pairs):
            row, share = near[:, one], weights[:, one]
            for axis in other:  # a second, if there are two dimensions or more
                row = (row[:, :, None] * side + near[:, axis, None]).flatten(1)
                share = (share[:, :, None] * weights[:, axis, None]).flatten(1)
            rows.append(row + n * side ** len((one, *other)))
            shares.append(share)
        some = F.embedding(torch.stack(rows, 1), values)
        return (torch.stack(shares, 1)[..., None] * some).sum(-2)


def splines(
    t: Float[Tensor, "*S"], count: int
) -> tuple[Int[Tensor, "*S 3"], Float[Tensor, "*S 3"]]:
    """Return the three of ``count`` points next to t, in steps, and their quadratic B-splines.

    The weights sum to 1. Beyond the ends the last point stands for those that are not there.
    """
    middle = t.detach().round()
    off = t - middle
    weights = torch.stack([0.5 * (0.5 - off).square(), 0.75 - off.square(),
                           0.5 * (0.5 + off).square()], dim=-1)  # fmt: skip
    near = middle.long()[..., None] + torch.arange(-1, 2, device=t.device)
    return near.clamp(0, count - 1), weights


class Beside(nn.Module):
    """What several modules make of the same input, one after the other in a row."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, z: Float[Tensor, "N D"]) -> Float[Tensor, "N P"]:
        return torch.cat([part(z) for part in self.parts], dim=-1)


class Residual(nn.Module):
    """h + f(h), f two dense layers over a normalised h (Zhang & Sennrich 2019)."""

    def __init__(self, width: int, activation: type[nn.Module], dropout: float) -> None:
        super().__init__()
        layers = [nn.RMSNorm(width), nn.Linear(width, width), activation(), *_dropout(dropout)]
        self.change = nn.Sequential(*layers, nn.Linear(width, width))

    def forward(self, h: Float[Tensor, "N W"]) -> Float[Tensor, "N W"]:
        return h + self.change(h)


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []
