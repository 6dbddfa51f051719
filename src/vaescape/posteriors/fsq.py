"""Finite scalar quantisation."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaescape.conditionals import CodePosterior, cut
from vaescape.conditions import require
from vaescape.distributions.codes import Quantised, straight_through


class FSQ(CodePosterior, name="fsq"):
    """Each number squashed and rounded to one of a few levels (Mentzer et al. 2024): no codebook.

    z = 2 round((L − 1) (tanh(raw) + 1) / 2) / (L − 1) − 1: L even steps from −1 to 1, both ends
    included, also for an even L, whose levels their eq. 2 shifts. The gradient is that of tanh.
    There is nothing to collapse, so neither averages nor a penalty. D is cut into positions of as
    many numbers as levels are given, and K is the product of the levels.

    Args:
        latent_dim: D, filled in from the run.
        levels: L of each number of a position, such as [8, 5, 5, 5]; one number: each of the D
            numbers is a position of its own.
    """

    levels: Int[Tensor, " d"]
    basis: Int[Tensor, " d"]

    def __init__(self, latent_dim: int, levels: int | list[int] | tuple[int, ...] = 5) -> None:
        super().__init__()
        given = [levels] if isinstance(levels, int) else levels
        require(
            lambda v: (
                isinstance(v, list | tuple)
                and len(v) > 0
                and all(type(n) is int and n >= 2 for n in v)
            ),
            "whole numbers of 2 or more",
            levels=given,
        )
        self.positions, self.codes = cut(latent_dim, len(given)), math.prod(given)
        counts = torch.tensor(list(given))
        self.register_buffer("levels", counts, persistent=False)
        self.register_buffer("basis", counts.cumprod(0) // counts, persistent=False)

    def forward(self, raw: Float[Tensor, "*S D"]) -> Quantised:
        smooth = raw.tanh()
        index = self.index(smooth)
        return Quantised(straight_through(smooth, self.lookup(index).to(raw)), index)

    def lookup(self, index: Int[Tensor, "*S M"]) -> Float[Tensor, "*S D"]:
        """Return the levels of codes, in [−1, 1]."""
        digits = index[..., None] // self.basis % self.levels
        return (2 * digits / (self.levels - 1) - 1).flatten(-2)

    def index(self, z: Float[Tensor, "*S D"]) -> Int[Tensor, "*S M"]:
        """Return the nearest codes of vectors in [−1, 1]."""
        share = (z.unflatten(-1, (self.positions, -1)) + 1) / 2
        digits = ((self.levels - 1) * share).round().long()
        return (digits * self.basis).sum(-1)
