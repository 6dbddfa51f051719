"""Residual networks with attention."""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaescape.conditions import ONE_OR_MORE, ZERO_OR_MORE, require
from vaescape.nets.base import (
    Convolution,
    Network,
    Shape,
    Tower,
    halvings,
    require_widths,
    up_to,
)


class ResNet(Network, name="resnet"):
    """Residual blocks with group norm, halving by stride, attention where maps are small.

    He et al. (2016, pre-activation), Wu & He (2018), and for the attention Vaswani et al. (2017).
    Encoder: a convolution; at each resolution ``blocks`` residual blocks, and attention behind each
    where neither side is above ``attention`` pixels; a convolution of stride 2 to the next. The
    decoder is the same upside down, with transposed convolutions. One dense layer joins each to
    the code.

    Args:
        channels: Feature maps at each resolution, first to last: one halving fewer than there are.
        blocks: Residual blocks at each resolution.
        attention: The largest side, in pixels, of maps with attention; 0 for none.
    """

    def __init__(
        self,
        channels: tuple[int, ...] | list[int] = (32, 64, 64),
        blocks: int = 1,
        attention: int = 8,
    ) -> None:
        require_widths(channels=channels)
        require(*ONE_OR_MORE, blocks=blocks)
        require(*ZERO_OR_MORE, attention=attention)
        self.widths, self.blocks, self.attention = tuple(channels), blocks, attention

    def encoder(self, shape: Shape, outputs: int) -> nn.Module:
        sizes, depth = halvings(shape, len(self.widths) - 1), len(self.widths)
        first = [Convolution(shape[0], self.widths[0], 3, padding=1), *self._stage_at(0, sizes)]
        way = self._way(0, depth - 1, sizes) if depth > 1 else []
        last = nn.Linear(self.widths[-1] * math.prod(sizes[-1]), outputs)
        return nn.Sequential(*first, *way, Norm(self.widths[-1]), nn.SiLU(), nn.Flatten(), last)

    def decoder(self, inputs: int, shape: Shape) -> nn.Module:
        sizes, depth = halvings(shape, len(self.widths) - 1), len(self.widths)
        coarsest = (self.widths[-1], *sizes[-1])
        dense = nn.Linear(inputs, math.prod(coarsest))
        first = [dense, nn.Unflatten(1, coarsest), *self._stage_at(depth - 1, sizes)]
        way = self._way(depth - 1, 0, sizes) if depth > 1 else []
        last = Convolution(self.widths[0], shape[0], 3, padding=1)
        return nn.Sequential(*first, *way, Norm(self.widths[0]), nn.SiLU(), last)

    def tower(
        self, image: Shape, outputs: int, inputs: int, raw: Shape, levels: int, width: int
    ) -> Tower:
        """Return a tower of maps: the layers below the top go from the coarsest to the finest."""
        sizes, depth, below = halvings(image, len(self.widths) - 1), len(self.widths), levels - 1
        at = [depth - 1 - i * depth // below for i in range(below)]
        coarsest = (self.widths[-1], *sizes[-1])
        first = [Convolution(image[0], self.widths[0], 3, padding=1), *self._stage_at(0, sizes)]
        ways = [self._way(a, b, sizes) for a, b in pairwise([0, *reversed(at)])]
        top = nn.Linear(math.prod(coarsest), outputs)
        start = [nn.Linear(inputs, math.prod(coarsest)), nn.Unflatten(1, coarsest)]
        fine = Norm(self.widths[0])
        last = [fine, nn.SiLU(), Convolution(self.widths[0], raw[0], 3, padding=1)]
        return Tower(
            up=[
                nn.Sequential(*first, *ways[0]),
                *(nn.Sequential(*way) for way in ways[1:]),
                nn.Sequential(Norm(coarsest[0]), nn.SiLU(), nn.Flatten(), top),
            ],
            down=[
                nn.Sequential(*start),
                *(nn.Sequential(*self._way(a, b, sizes)) for a, b in pairwise([depth - 1, *at])),
            ],
            out=nn.Sequential(*self._way(at[-1], 0, sizes), *last),
            widths=[self.widths[r] for r in at],
            layer=lambda inputs, outputs: Convolution(inputs, outputs, 3, padding=1),
            axes=3,
        )

    def _way(self, start: int, end: int, sizes: list[tuple[int, int]]) -> list[nn.Module]:
        """Return what leads from one resolution to another, or on at the same; 0 is the finest."""
        if start == end:
            return self._stage_at(end, sizes)
        step = 1 if end > start else -1
        layers: list[nn.Module] = []
        for r in range(start + step, end + step, step):
            below, above = self.widths[r - step], self.widths[r]
            halve = Convolution(below, above, 3, stride=2, padding=1)
            layers += [halve if step == 1 else up_to(sizes[r], below, above)]
            layers += self._stage_at(r, sizes)
        return layers

    def _stage_at(self, r: int, sizes: list[tuple[int, int]]) -> list[nn.Module]:
        return self._stage(self.widths[r], sizes[r])

    def _stage(self, width: int, size: tuple[int, int]) -> list[nn.Module]:
        kinds = [Residual, Attention] if max(size) <= self.attention else [Residual]
        return [kind(width) for _ in range(self.blocks) for kind in kinds]


class Residual(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))): (N, C, H, W) → (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        halves = [
            layer
            for _ in range(2)
            for layer in (Norm(width), nn.SiLU(), Convolution(width, width, 3, padding=1))
        ]
        self.change = nn.Sequential(*halves)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return x + self.change(x)


class Attention(nn.Module):
    """Every place of the maps looks at every other: (N, C, H, W) → (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.ask = Convolution(width, 3 * width, 1)
        self.answer = Convolution(width, width, 1)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        places = self.ask(self.norm(x)).flatten(2).transpose(1, 2)
        query, key, value = places.chunk(3, dim=-1)
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        return x + self.answer(seen.transpose(1, 2).reshape(x.shape))


class Norm(nn.GroupNorm):
    """Group norm with up to eight groups: (N, C, H, W) → (N, C, H, W).

    PyTorch's kernel for maps with the channels innermost takes 3 times as long on a CPU, in
    bfloat16 10 times, so they are turned, and turned back for the convolutions.
    """

    def __init__(self, width: int) -> None:
        super().__init__(math.gcd(8, width), width)

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        return super().forward(input.contiguous()).contiguous(memory_format=torch.channels_last)
