"""Densities that are linear, beside the standard normal, between the places of a lattice."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event, full_precision
from vaescape.distributions.gaussian import HALF_LOG_TWO_PI

LEAST = -80.0
"""Log of the least mass: no sum feels it, and from −87 on float32 has too few digits left, and
processors take ten times as long."""


class Lattice(Event):
    """q(z) = Σ_c w_c t_c(z) nᴰ N(z; 0, I): of any shape, with draws and moments exact.

    Φ maps each of the D dimensions to (0, 1), where n places stand at even steps. The tents t_c are
    1 at their own place and fall to 0 at its neighbours, linearly; beyond the last place they stay
    1. They sum to 1 everywhere, and the standard normal gives all nᴰ the same mass. So q has no
    edges, which a decoder that is trained on its draws would learn. Draws have no gradient.

    Args:
        logits: Of the masses w_c, the last dimension of z running fastest: (*batch, nᴰ).
        parts: Place, mean and variance of each tent, from :func:`parts_of`.
        size: D.
    """

    def __init__(
        self, logits: Float[Tensor, "*B C"], parts: Float[Tensor, "3 n"], size: int
    ) -> None:
        self.log_mass = logits.log_softmax(-1)
        self.mass = self.log_mass.clamp(min=LEAST).exp()
        self.parts, self.side = parts, parts.shape[-1]
        super().__init__(logits[..., :size].shape, 1)

    @property
    def mean(self) -> Tensor:
        """E[z]: (*batch, D)."""
        return self.mean_and_variance()[0]

    @property
    def variance(self) -> Tensor:
        """Var z, dimension by dimension: (*batch, D)."""
        return self.mean_and_variance()[1]

    @property
    def point_estimate(self) -> Tensor:
        """The mode, between the cells: (*batch, D).

        Most q of an image are narrower than a cell, and their means would lie in rows. Along each
        dimension log q at the best cell and at its two neighbours makes a parabola, whose vertex
        is taken; in an outermost cell that of the last three, which may lie beyond its middle.
        """
        if self.side < 3:
            return self.mean
        (size,) = self.event_shape
        axis, near = self.parts[0], torch.arange(-1, 2, device=self.mass.device)
        square = half = 0.5 * axis.square()
        for _ in range(size - 1):
            square = (square[:, None] + half).flatten()
        log_q = self.log_mass - square
        best = log_q.argmax(-1, keepdim=True)
        part = best // self._strides % self.side
        inner = part.clamp(1, self.side - 2)
        cells = best[..., None] + (inner - part)[..., None] * self._strides[:, None]
        cells = cells + near * self._strides[:, None]
        log_q = log_q.gather(-1, cells.flatten(-2)).unflatten(-1, (size, 3))
        end = 2 * axis[-1] - axis[-2]
        return vertex(axis[inner[..., None] + near], log_q, axis[part]).clamp(-end, end)

    def mean_and_variance(self) -> tuple[Float[Tensor, "*B D"], Float[Tensor, "*B D"]]:
        """Return E[z] and Var z: the variance within the parts, and that of their means."""
        (size,) = self.event_shape
        mass = self.mass.unflatten(-1, (self.side,) * size)
        axes = range(-size, 0)
        marginals = [
            mass.sum([other for other in axes if other != axis]) if size > 1 else mass
            for axis in axes
        ]
        share, (_, middle, within) = torch.stack(marginals, dim=-2), self.parts
        with full_precision(share):
            mean = share @ middle
            away = (middle - mean[..., None]).square()
            return mean, (share * (within + away)).sum(-1)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws, without gradients: (*S, *batch, D)."""
        return self.joint_rsample(sample_shape)[0]

    def joint_rsample(self, shape: _size = ()) -> tuple[Tensor, Tensor]:
        """Return draws, without gradients, and log q of them in nats."""
        cell = self._draw_cells(torch.Size(shape))
        part = cell[..., None] // self._strides % self.side
        tent = torch.rand(2, *part.shape, dtype=self.mass.dtype, device=part.device).sum(0)
        u = ((part + tent - 0.5) / self.side).abs()  # what falls out at an end is reflected there
        u = 1 - (1 - u).abs()
        tiny = torch.finfo(u.dtype).eps
        z = torch.special.ndtri(u.clamp(tiny, 1 - tiny))
        return z, self._log_density(u, z)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log q of codes in nats: (*S, *batch)."""
        return self._log_density(torch.special.ndtr(value), value)

    @property
    def _strides(self) -> Int[Tensor, " D"]:
        """How far apart neighbours along each dimension are in the order of the cells."""
        (size,) = self.event_shape
        return self.side ** torch.arange(size - 1, -1, -1, device=self.mass.device)

    def _log_density(self, u: Float[Tensor, "*S D"], z: Float[Tensor, "*S D"]) -> Tensor:
        """Return log N(z; 0, I) and the log of the masses between the 2ᴰ places around u."""
        (size,) = self.event_shape
        at = (u * self.side - 0.5)[..., None, :]
        left = at.floor()
        corner = torch.cartesian_prod(*[torch.arange(2, device=u.device)] * size).reshape(-1, size)
        cell = ((left.long() + corner).clamp(0, self.side - 1) * self._strides).sum(-1)
        share = (1 - corner - (at - left)).abs().prod(-1)
        shape = torch.broadcast_shapes(u.shape[:-1], self.batch_shape)
        log_mass = self.log_mass.expand(*shape, -1).gather(-1, cell.expand(*shape, -1))
        constant = math.log(self.log_mass.shape[-1]) - size * HALF_LOG_TWO_PI
        return (log_mass + share.log()).logsumexp(-1) - 0.5 * z.square().sum(-1) + constant

    def _draw_cells(self, shape: torch.Size) -> Int[Tensor, "*S"]:
        """Return the cells of draws, by the inverse of the cumulative mass."""
        below = self.mass.reshape(-1, self.mass.shape[-1]).cumsum(-1)
        u = below[:, -1:] * below.new_empty(len(below), shape.numel()).uniform_()
        cell = torch.searchsorted(below, u, right=True).clamp(max=below.shape[-1] - 1)
        return cell.T.reshape(*shape, *self.batch_shape)


def vertex(
    x: Float[Tensor, "*S 3"], y: Float[Tensor, "*S 3"], otherwise: Float[Tensor, "*S"]
) -> Float[Tensor, "*S"]:
    """Return where the parabola through three points is highest; otherwise where it is hollow."""
    slopes = (y[..., 1:] - y[..., :-1]) / (x[..., 1:] - x[..., :-1])
    bend = (slopes[..., 1] - slopes[..., 0]) / (x[..., 2] - x[..., 0])
    top = 0.5 * (x[..., 0] + x[..., 1] - slopes[..., 0] / bend.clamp(max=-1e-12))
    return torch.where(bend < 0, top, otherwise)


def side_of(cells: int, size: int) -> int:
    """Return n, the parts of a dimension of the largest lattice of at most so many cells."""
    n = round(cells ** (1 / size))
    return n if n**size <= cells else n - 1


def places(side: int, size: int) -> Float[Tensor, "C D"]:
    """Return the places in D dimensions, the last running fastest."""
    return torch.cartesian_prod(*[steps(side)] * size).reshape(-1, size).float()


def steps(side: int) -> Float[Tensor, " n"]:
    """Return the n places along one dimension, in float64."""
    return torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side)


def parts_of(side: int) -> Float[Tensor, "3 n"]:
    """Return place, mean and variance of the n tents over a standard normal number.

    A tent is linear in u = Φ(z), so E[zᵏ] is made of ∫ zᵏ φ and ∫ zᵏ φ Φ between its ends.
    """
    zero = torch.zeros(1, dtype=torch.float64)
    u = torch.cat([zero, (torch.arange(side) + 0.5) / side, zero + 1])
    whole, rising = _integrals(torch.special.ndtri(u))
    rise = (rising - u[:-1] * whole)[:, 1:-1] * side
    fall = (u[1:] * whole - rising)[:, 1:-1] * side
    first, second = side * (
        torch.cat([whole[:, :1], rise], dim=1) + torch.cat([fall, whole[:, -1:]], dim=1)
    )
    return torch.stack([steps(side), first, second - first.square()]).float()


def _integrals(z: Float[Tensor, " m"]) -> tuple[Float[Tensor, "2 l"], Float[Tensor, "2 l"]]:
    """Return ∫ zᵏ φ(z) dz and ∫ zᵏ φ(z) Φ(z) dz between these, for k = 1 and 2."""
    phi, below = (-0.5 * z.square() - HALF_LOG_TWO_PI).exp(), torch.special.ndtr(z)
    slope = torch.where(z.isfinite(), z * phi, 0.0)
    half = torch.special.ndtr(math.sqrt(2) * z) / (2 * math.sqrt(math.pi))
    whole = torch.stack([-phi, below - slope])
    rising = torch.stack(
        [half - phi * below, 0.5 * below.square() - slope * below - 0.5 * phi.square()]
    )
    return whole.diff(), rising.diff()
