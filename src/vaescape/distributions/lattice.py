"""Densities that are constant, beside the standard normal, on each cell of a lattice."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event
from vaescape.distributions.gaussian import HALF_LOG_TWO_PI, Gaussian


class Lattice(Event):
    """q(z) = w_c nᴰ N(z; 0, I) for z in cell c: of any shape, with draws and moments exact.

    Φ maps each of the D dimensions to (0, 1), which is cut into n even parts, so that the standard
    normal gives all nᴰ cells the same mass. Draws have no gradient.

    Args:
        logits: Of the masses w_c, the last dimension of z running fastest: (*batch, nᴰ).
        moments: Of a standard normal number within each part, from :func:`part_moments`.
        size: D.
    """

    def __init__(
        self, logits: Float[Tensor, "*B C"], moments: Float[Tensor, "2 n"], size: int
    ) -> None:
        self.log_mass = logits.log_softmax(-1)
        self.mass = self.log_mass.exp()
        self.moments, self.side = moments, moments.shape[-1]
        super().__init__(torch.Size((*logits.shape[:-1], size)), 1)

    @property
    def mean(self) -> Tensor:
        """E[z]: (*batch, D)."""
        return self._expect(self.moments[0])

    @property
    def second_moment(self) -> Tensor:
        """E[z²], dimension by dimension: (*batch, D)."""
        return self._expect(self.moments[1])

    @property
    def variance(self) -> Tensor:
        """Var z, dimension by dimension: (*batch, D)."""
        return self.second_moment - self.mean.square()

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws, without gradients: (*S, *batch, D)."""
        return self.rsample_with_log_prob(sample_shape)[0]

    def rsample_with_log_prob(self, sample_shape: _size = ()) -> tuple[Tensor, Tensor]:
        """Return draws, without gradients, and log q of them in nats."""
        cell = self._draw_cells(torch.Size(sample_shape))
        digits = cell[..., None] // self._strides(cell) % self.side
        u = (digits + torch.rand_like(digits, dtype=self.mass.dtype)) / self.side
        tiny = torch.finfo(u.dtype).eps
        z = torch.special.ndtri(u.clamp(tiny, 1 - tiny))
        return z, self._log_density(cell, z)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log q of codes in nats: (*S, *batch)."""
        digits = (torch.special.ndtr(value) * self.side).long().clamp(0, self.side - 1)
        cell = (digits * self._strides(digits)).sum(-1)
        together = torch.broadcast_shapes(cell.shape, self.batch_shape)
        return self._log_density(cell.expand(together), value)

    def _log_density(self, cell: Int[Tensor, "*S"], z: Float[Tensor, "*S D"]) -> Tensor:
        log_mass = self.log_mass.expand(*cell.shape, -1).gather(-1, cell[..., None])[..., 0]
        log_normal = (-0.5 * z.square() - HALF_LOG_TWO_PI).sum(-1)
        return log_mass + math.log(self.log_mass.shape[-1]) + log_normal

    def _draw_cells(self, shape: torch.Size) -> Int[Tensor, "*S"]:
        """Return cells by the inverse of their cumulative mass."""
        cumulative = self.mass.cumsum(-1)
        u = torch.rand(
            *self.batch_shape, shape.numel(), dtype=cumulative.dtype, device=cumulative.device
        )
        u = u * cumulative[..., -1:]
        cell = torch.searchsorted(cumulative, u, right=True).clamp(max=cumulative.shape[-1] - 1)
        return cell.movedim(-1, 0).reshape(*shape, *self.batch_shape)

    def _strides(self, like: Tensor) -> Int[Tensor, " D"]:
        """Return how many cells one step in each dimension is."""
        (size,) = self.event_shape
        return self.side ** torch.arange(size - 1, -1, -1, device=like.device)

    def _expect(self, of_part: Float[Tensor, " n"]) -> Float[Tensor, "*B D"]:
        """Return the mean of a number that each part of a dimension has, dimension by dimension."""
        (size,) = self.event_shape
        mass = self.mass.unflatten(-1, (self.side,) * size)
        sums = (mass.movedim(axis, -1) @ of_part for axis in range(-size, 0))
        return torch.stack([each.reshape(*self.batch_shape, -1).sum(-1) for each in sums], dim=-1)


def side_of(cells: int, size: int) -> int:
    """Return n, the parts of a dimension of the largest lattice of at most so many cells."""
    n = round(cells ** (1 / size))
    return n if n**size <= cells else n - 1


def places(side: int, size: int) -> Float[Tensor, "C D"]:
    """Return the median of each cell, in the order of the cells."""
    middles = torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side)
    return torch.cartesian_prod(*[middles] * size).reshape(-1, size).float()


def part_moments(side: int) -> Float[Tensor, "2 n"]:
    """Return E[z] and E[z²] of a standard normal number within each of n parts of equal mass.

    With a part's ends a and b: n (φ(a) − φ(b)) and 1 + n (a φ(a) − b φ(b)).
    """
    inner = torch.special.ndtri(torch.arange(1, side, dtype=torch.float64) / side)
    density = (-0.5 * inner.square() - HALF_LOG_TWO_PI).exp()
    end = density.new_zeros(1)
    first, second = (
        -side * torch.cat([end, values, end]).diff() for values in (density, inner * density)
    )
    return torch.stack([first, 1 + second]).float()


def lattice_kl(q: Lattice, p: Gaussian) -> Float[Tensor, "*B"]:
    """Return KL(q ‖ p) in nats: Σ w_c log(w_c nᴰ), and E log N(z; 0, I) − E log p(z)."""
    ratio = (q.mass * q.log_mass).sum(-1) + math.log(q.log_mass.shape[-1])
    squares = (q.second_moment - 2 * p.loc * q.mean + p.loc.square()) * (-2 * p.log_scale).exp()
    return ratio + (p.log_scale + 0.5 * (squares - q.second_moment)).sum(-1)
