"""Densities that are linear, beside a Gaussian, between the points of a grid."""

import math
from collections.abc import Callable
from functools import reduce

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event, full_precision
from vaescape.distributions.gaussian import HALF_LOG_TWO_PI, Gaussian

LEAST = -80.0
"""Log of the least mass: no sum feels it, and from −87 on float32 has too few digits left, and
processors take ten times as long."""
NODES = 4096
"""Nodes of the entropy's integral that are added up at once."""
FEW = 64
"""Grid points, those with the highest q, among which the mode is sought: for none of the 60,000
training images of `swift` is it another than among all 2,304, which takes twice as long."""


class Lattice(Event):
    """q(z) = Σ_c w_c t_c(z) nᴰ b(z), b a Gaussian: of any shape, with draws and moments exact.

    The quantiles of b map each of the D dimensions to (0, 1), where n grid points stand at even
    steps. The tents t_c are 1 at their own point and fall to 0 at its neighbours, linearly; beyond
    the last point they stay 1. They sum to 1 everywhere, and b gives all nᴰ the same mass. So q has
    no edges, which a decoder that is trained on its draws would learn. Draws have no gradient.

    Args:
        logits: Of the masses w_c, the last dimension of z running fastest: (*batch, nᴰ).
        tents: Point, mean and variance of each tent, from :func:`tents_of`.
        size: D.
        base: b, event (D,), broadcastable to the batch; None: the standard normal.
        mode: Takes the best point between the grid points, and its width, and returns the code that
            stands for q: callers that know the density that q approximates can find its exact mode.
    """

    def __init__(
        self,
        logits: Float[Tensor, "*B C"],
        tents: Float[Tensor, "3 n"],
        size: int,
        *,
        base: Gaussian | None = None,
        mode: Callable[[Tensor, Tensor], Float[Tensor, "*B D"]] | None = None,
    ) -> None:
        self.log_mass = logits.log_softmax(-1)
        self.mass = self.log_mass.clamp(min=LEAST).exp()
        self.tents, self.side, self.size = tents, tents.shape[-1], size
        self.base, self._mode = base, mode
        super().__init__(logits[..., :size].shape, 1)

    @property
    def mean(self) -> Tensor:
        return self.mean_and_variance()[0]

    @property
    def variance(self) -> Tensor:
        return self.mean_and_variance()[1]

    @property
    def point_estimate(self) -> Tensor:
        """The mode: (*batch, D).

        Most q of an image are narrower than a cell of the grid, and their means would lie in rows.
        """
        best, width = self.best_point()
        return best if self._mode is None else self._mode(best, width)

    @property
    def quick_estimate(self) -> Tensor:
        """The mode on the resolution of the grid: (*batch, D)."""
        return self.best_point()[0]

    def best_point(self) -> tuple[Float[Tensor, "*B D"], Float[Tensor, "*B D"]]:
        """Return the best point between the grid points, interpolated, and its width.

        The width is the standard deviation of a Gaussian with this curvature, in those of the base.

        Along each dimension log q at the best grid point and at its two neighbours makes a
        parabola, whose vertex is taken; at the last point that of the last three, which may lie
        beyond it.
        """
        if self.side < 3:
            return self.mean, torch.ones_like(self.mean)
        size = self.size
        axis, near = self.tents[0], torch.arange(-1, 2, device=self.mass.device)
        square = half = 0.5 * axis.square()
        for _ in range(size - 1):
            square = (square[:, None] + half).flatten()
        log_q = self.log_mass - square
        best = self._best(log_q)
        part = best // self._strides % self.side
        inner = part.clamp(1, self.side - 2)
        cells = best[..., None] + (inner - part)[..., None] * self._strides[:, None]
        cells = cells + near * self._strides[:, None]
        log_q = log_q.gather(-1, cells.flatten(-2)).unflatten(-1, (size, 3))
        end = 2 * axis[-1] - axis[-2]
        top, bend = vertex(axis[inner[..., None] + near], log_q, axis[part])
        return self._scaled(top.clamp(-end, end)), (-2 * bend).clamp_min(1e-4).rsqrt()

    def mean_and_variance(self) -> tuple[Float[Tensor, "*B D"], Float[Tensor, "*B D"]]:
        """Return E[z] and Var z: the variance within the tents, and that of their means."""
        size = self.size
        mass = self.mass.unflatten(-1, (self.side,) * size)
        axes = range(-size, 0)
        marginals = [
            mass.sum([other for other in axes if other != axis]) if size > 1 else mass
            for axis in axes
        ]
        share, (_, middle, within) = torch.stack(marginals, dim=-2), self.tents
        with full_precision(share):
            mean = share @ middle
        away = (middle - mean[..., None]).square()
        variance = (share * (within + away)).sum(-1)
        if self.base is not None:
            variance = variance * self.base.variance
        return self._scaled(mean), variance

    def entropy(self) -> Float[Tensor, "*B"]:
        """Return −E[log q] in nats.

        log q is log b, whose mean the moments tell, and the log of a function that is linear in
        each dimension between grid points: Gauss's three nodes along each, in every cell.
        """
        size = self.size
        nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(3))
        cells = torch.arange(2 * self.side, dtype=torch.float64)  # halves of cells, kinks between
        u = ((cells[:, None] + (1 + nodes) / 2) / (2 * self.side)).flatten()
        weight = (weights / 2).repeat(2 * self.side) / (2 * self.side)
        grid = torch.cartesian_prod(*[u] * size).reshape(-1, size).to(self.mass)
        share = torch.cartesian_prod(*[weight] * size).reshape(-1, size).prod(-1).to(self.mass)
        total = self.mass.new_zeros(self.batch_shape)
        for part, of in zip(grid.split(NODES), share.split(NODES), strict=True):
            between = self._log_between(part.reshape(-1, *[1] * len(self.batch_shape), size))
            log_f = between + math.log(self.mass.shape[-1])
            terms = torch.where(log_f > LEAST, log_f * log_f.exp(), 0.0)
            with full_precision(total):
                total = total + (of @ terms.flatten(1)).reshape(self.batch_shape)
        mean, variance = self.mean_and_variance()
        zero = torch.zeros_like(mean)
        b = Gaussian(zero, zero) if self.base is None else self.base
        squares = ((mean - b.mean).square() + variance) / b.variance
        return (0.5 * squares + b.log_scale + HALF_LOG_TWO_PI).sum(-1) - total

    def rsample(self, sample_shape: _size = ()) -> Tensor:
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
        return self._scaled(z), self._log_density(u, z)

    def mixed(self) -> "Lattice | None":
        """Return the even mixture over the batch: the same tents with their mean masses.

        None where each has tents of its own.
        """
        if self.base is not None and self.base.batch_shape.numel() > 1:
            return None
        mean = self.log_mass.logsumexp(0, keepdim=True)
        return Lattice(mean, self.tents, self.size, base=self.base)

    def log_prob(self, value: Tensor) -> Tensor:
        if self.base is not None:
            value = (value - self.base.loc) / self.base.scale
        return self._log_density(torch.special.ndtr(value), value)

    def _scaled(self, z: Float[Tensor, "*S D"]) -> Float[Tensor, "*S D"]:
        """Return codes, given in standard deviations of the base from its mean."""
        return z if self.base is None else self.base.loc + self.base.scale * z

    def _best(self, log_q: Float[Tensor, "*B C"]) -> Int[Tensor, "*B 1"]:
        """Return the best grid point, a local maximum as high as the parabolas' peak there.

        A narrow mode between two grid points is lower at either than one that lies on a point: the
        best of the values alone would draw codes to the grid.
        """
        here, cells = log_q.topk(min(FEW, log_q.shape[-1]))
        lower, gains = [], []
        for stride in self._strides:
            part = cells // stride % self.side
            before = here - log_q.gather(-1, cells - stride * (part > 0))
            after = here - log_q.gather(-1, cells + stride * (part < self.side - 1))
            lower += [before, after]
            gains.append((before - after).square() / (8 * (before + after).clamp_min(1e-6)))
        top = reduce(torch.minimum, lower) >= 0
        found = torch.where(top, reduce(torch.add, gains, here), here).argmax(-1, keepdim=True)
        return cells.gather(-1, found)

    @property
    def _strides(self) -> Int[Tensor, " D"]:
        """How far apart neighbours along each dimension are in the order of the cells."""
        size = self.size
        return self.side ** torch.arange(size - 1, -1, -1, device=self.mass.device)

    def _log_density(self, u: Float[Tensor, "*S D"], z: Float[Tensor, "*S D"]) -> Tensor:
        """Return log b and the log of the function beside it, given quantiles u of b."""
        constant = math.log(self.log_mass.shape[-1]) - self.size * HALF_LOG_TWO_PI
        log_q = self._log_between(u) - 0.5 * z.square().sum(-1) + constant
        return log_q if self.base is None else log_q - self.base.log_scale.sum(-1)

    def _log_between(self, u: Float[Tensor, "*S D"]) -> Tensor:
        """Return log Σ_c w_c t_c: of the masses of the 2ᴰ grid points around the quantiles u."""
        size = self.size
        at = (u * self.side - 0.5)[..., None, :]
        left = at.floor()
        corner = torch.cartesian_prod(*[torch.arange(2, device=u.device)] * size).reshape(-1, size)
        cell = ((left.long() + corner).clamp(0, self.side - 1) * self._strides).sum(-1)
        share = (1 - corner - (at - left)).abs().prod(-1)
        shape = torch.broadcast_shapes(u.shape[:-1], self.batch_shape)
        log_mass = self.log_mass.expand(*shape, -1).gather(-1, cell.expand(*shape, -1))
        return (log_mass + share.log()).logsumexp(-1)

    def _draw_cells(self, shape: torch.Size) -> Int[Tensor, "*S"]:
        """Return the cells of draws, by the inverse of the cumulative mass."""
        below = self.mass.reshape(-1, self.mass.shape[-1]).cumsum(-1)
        u = below[:, -1:] * below.new_empty(len(below), shape.numel()).uniform_()
        cell = torch.searchsorted(below, u, right=True).clamp(max=below.shape[-1] - 1)
        return cell.T.reshape(*shape, *self.batch_shape)


def vertex(
    x: Float[Tensor, "*S 3"], y: Float[Tensor, "*S 3"], otherwise: Float[Tensor, "*S"]
) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S"]]:
    """Return where the parabola through three points is highest, and its quadratic coefficient.

    Where it opens upwards, ``otherwise``.
    """
    slopes = (y[..., 1:] - y[..., :-1]) / (x[..., 1:] - x[..., :-1])
    bend = (slopes[..., 1] - slopes[..., 0]) / (x[..., 2] - x[..., 0])
    top = 0.5 * (x[..., 0] + x[..., 1] - slopes[..., 0] / bend.clamp(max=-1e-12))
    return torch.where(bend < 0, top, otherwise), bend


def side_of(points: int, size: int) -> int:
    """Return n, the points along a dimension of the largest grid of at most so many points."""
    n = round(points ** (1 / size))
    return n if n**size <= points else n - 1


def grid_points(side: int, size: int) -> Float[Tensor, "C D"]:
    """Return the grid points of a standard normal in D dimensions, the last running fastest."""
    return torch.cartesian_prod(*[steps(side)] * size).reshape(-1, size).float()


def steps(side: int) -> Float[Tensor, " n"]:
    """Return the n grid points along one dimension, in float64."""
    return torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side)


def tents_of(side: int) -> Float[Tensor, "3 n"]:
    """Return point, mean and variance of the n tents over a standard normal number.

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
