"""Densities that are constant, beside the standard normal, on each cell of a lattice."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event
from vaescape.distributions.gaussian import HALF_LOG_TWO_PI, Gaussian

LEAST = -80.0
"""Log of the least mass: no sum feels it, and from −87 on float32 has too few digits left, and
processors take ten times as long."""


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
        self.mass = self.log_mass.clamp(min=LEAST).exp()
        self.moments, self.side = moments, moments.shape[-1]
        super().__init__(logits[..., :size].shape, 1)

    @property
    def mean(self) -> Tensor:
        """E[z]: (*batch, D)."""
        return self.mean_and_variance()[0]

    @property
    def variance(self) -> Tensor:
        """Var z, dimension by dimension: (*batch, D)."""
        return self.mean_and_variance()[1]

    def mean_and_variance(self) -> tuple[Float[Tensor, "*B D"], Float[Tensor, "*B D"]]:
        """Return E[z] and Var z: the variance within the parts, and that of their means."""
        (size,) = self.event_shape
        mass = self.mass.unflatten(-1, (self.side,) * size)
        axes = range(-size, 0)
        marginals = [
            mass.sum([other for other in axes if other != axis]) if size > 1 else mass
            for axis in axes
        ]
        share, (middle, within) = torch.stack(marginals, dim=-2), self.moments
        mean = share @ middle
        away = (middle - mean[..., None]).square()
        return mean, (share * (within + away)).sum(-1)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws, without gradients: (*S, *batch, D)."""
        return self.rsample_with_log_prob(sample_shape)[0]

    def rsample_with_log_prob(self, sample_shape: _size = ()) -> tuple[Tensor, Tensor]:
        """Return draws, without gradients, and log q of them in nats."""
        cell = self._draw_cells(torch.Size(sample_shape))
        parts = cell[..., None] // self._strides % self.side
        u = (parts + torch.rand_like(parts, dtype=self.mass.dtype)) / self.side
        tiny = torch.finfo(u.dtype).eps
        z = torch.special.ndtri(u.clamp(tiny, 1 - tiny))
        return z, self._log_density(cell, z)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log q of codes in nats: (*S, *batch)."""
        parts = (torch.special.ndtr(value) * self.side).long().clamp(0, self.side - 1)
        return self._log_density((parts * self._strides).sum(-1), value)

    @property
    def _strides(self) -> Int[Tensor, " D"]:
        """How far apart neighbours along each dimension are in the order of the cells."""
        (size,) = self.event_shape
        return self.side ** torch.arange(size - 1, -1, -1, device=self.mass.device)

    def _log_density(self, cell: Int[Tensor, "*S"], z: Float[Tensor, "*S D"]) -> Tensor:
        cell = cell.expand(torch.broadcast_shapes(cell.shape, self.batch_shape))
        log_mass = self.log_mass.expand(*cell.shape, -1).gather(-1, cell[..., None])[..., 0]
        size = self.event_shape.numel()
        constant = math.log(self.log_mass.shape[-1]) - size * HALF_LOG_TWO_PI
        return log_mass - 0.5 * z.square().sum(-1) + constant

    def _draw_cells(self, shape: torch.Size) -> Int[Tensor, "*S"]:
        """Return the cells of draws, by the inverse of the cumulative mass."""
        below = self.mass.reshape(-1, self.mass.shape[-1]).cumsum(-1)
        u = below[:, -1:] * below.new_empty(len(below), shape.numel()).uniform_()
        cell = torch.searchsorted(below, u, right=True).clamp(max=below.shape[-1] - 1)
        return cell.T.reshape(*shape, *self.batch_shape)


def side_of(cells: int, size: int) -> int:
    """Return n, the parts of a dimension of the largest lattice of at most so many cells."""
    n = round(cells ** (1 / size))
    return n if n**size <= cells else n - 1


def places(side: int, size: int) -> Float[Tensor, "C D"]:
    """Return the median of each cell, in the order of the cells."""
    middles = torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side)
    return torch.cartesian_prod(*[middles] * size).reshape(-1, size).float()


def part_moments(side: int) -> Float[Tensor, "2 n"]:
    """Return mean and variance of a standard normal number within each of n parts of equal mass.

    With a part's ends a and b, E[z] = n (φ(a) − φ(b)) and E[z²] = 1 + n (a φ(a) − b φ(b)).
    """
    inner = torch.special.ndtri(torch.arange(1, side, dtype=torch.float64) / side)
    density = (-0.5 * inner.square() - HALF_LOG_TWO_PI).exp()
    end = density.new_zeros(1)
    first, second = (
        -side * torch.cat([end, values, end]).diff() for values in (density, inner * density)
    )
    return torch.stack([first, 1 + second - first.square()]).float()


def lattice_kl(q: Lattice, p: Gaussian) -> Float[Tensor, "*B"]:
    """Return KL(q ‖ p) in nats: Σ w_c log(w_c nᴰ), and E log N(z; 0, I) − E log p(z)."""
    ratio = (q.mass * q.log_mass).sum(-1) + math.log(q.log_mass.shape[-1])
    mean, variance = q.mean_and_variance()
    squares = (variance + (mean - p.loc).square()) * (-2 * p.log_scale).exp()
    return ratio + (p.log_scale + 0.5 * (squares - variance - mean.square())).sum(-1)
