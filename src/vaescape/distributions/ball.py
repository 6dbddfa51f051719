"""Hyperbolic space as Poincaré's unit ball, and the normal distribution wrapped onto it.

A length |dz| at z is 2 |dz| / (1 − |z|²) in hyperbolic space, so the border is infinitely far away.
"""

from collections.abc import Callable
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event
from vaescape.distributions.gaussian import Gaussian
from vaescape.distributions.picking import pick

BORDER = 1 - 1e-5
"""The largest radius, 12.2 from the origin: float32 resolves points up to there."""
NEAR = 1e-3
"""Squares below this are left to series, for a root has no derivative at 0."""


class WrappedNormal(Event):
    """p(z) = N(v; 0, σ²) (|v| / sinh |v|)^(D−1), v the way from μ to z.

    Normal ways in the flat space that touches the ball at μ are laid along geodesics from there
    (Nagano et al. 2019; Mathieu et al. 2019, section 3.2). The density is of hyperbolic volume.

    Args:
        loc: μ, points of the ball: (*batch, D).
        log_scale: log σ of each dimension, in hyperbolic length, broadcastable to μ.
    """

    def __init__(self, loc: Float[Tensor, "*B D"], log_scale: Tensor) -> None:
        self.loc, self.log_scale = loc, log_scale
        self.ways = Gaussian(torch.zeros_like(loc), log_scale)
        super().__init__(loc.shape, 1)

    @property
    def point_estimate(self) -> Tensor:
        """The image of no way at all, μ; the mean has no closed form."""
        return self.loc

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, of hyperbolic volume: (*S, *batch)."""
        v, log_spread = way(self.loc, inside(value))
        return self._log_density(v, log_spread)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        return self.joint_rsample(sample_shape)[0]

    def joint_rsample(self, shape: _size = ()) -> tuple[Tensor, Tensor]:
        """Return draws, and their log-density by the ways that led there."""
        v = self.ways.rsample(torch.Size(shape))
        log_spread = _of_root(v.square().sum(-1), _log_sinh_ratio, 0, 1 / 6, -1 / 180, 1 / 2835)
        return along(self.loc, v), self._log_density(v, log_spread)

    def _log_density(self, v: Float[Tensor, "*S D"], log_spread: Tensor) -> Float[Tensor, "*S"]:
        return self.ways.log_prob(v) - (v.shape[-1] - 1) * log_spread

    def stopped(self) -> "WrappedNormal":
        return WrappedNormal(self.loc.detach(), self.log_scale.detach())

    def component(self, index: Tensor) -> "WrappedNormal":
        log_scale = self.log_scale.expand_as(self.loc)
        return WrappedNormal(pick(self.loc, index, 1), pick(log_scale, index, 1))


def inside(z: Float[Tensor, "*S D"]) -> Float[Tensor, "*S D"]:
    """Return the points themselves; those beyond the border are drawn back to it."""
    square = z.square().sum(-1, keepdim=True)
    return z * (BORDER**2 / square.clamp_min(BORDER**2)).sqrt()


def from_origin(v: Float[Tensor, "*S D"]) -> Float[Tensor, "*S D"]:
    """Return the points in directions v that are as far from the origin as |v|: exp(v / 2)."""
    quarter = v.square().sum(-1, keepdim=True) / 4
    return inside(v / 2 * _of_root(quarter, lambda r: r.tanh() / r, 1, -1 / 3, 2 / 15, -17 / 315))


def along(start: Float[Tensor, "*B D"], v: Float[Tensor, "*S D"]) -> Float[Tensor, "*S D"]:
    """Return where the geodesic from start of hyperbolic length |v| leads: exp(v / λ)."""
    return inside(_moved(start, from_origin(v))[0])


def way(
    start: Float[Tensor, "*B D"], z: Float[Tensor, "*S D"]
) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S"]]:
    """Return the inverse of :func:`along`, v = λ log(z), and log(sinh |v| / |v|)."""
    y, u = _moved(-start, z)
    ratio = _of_root(u, lambda r: r.asinh() / r, 1, -1 / 6, 3 / 40, -15 / 336)
    log_spread = (0.5 * u.log1p() - ratio.log()).squeeze(-1)
    return 2 * ratio * (1 + u).sqrt() * y, log_spread


def _moved(x: Tensor, y: Tensor) -> tuple[Float[Tensor, "*S D"], Float[Tensor, "*S 1"]]:
    """Return Möbius' x ⊕ y, and sinh² of half its distance from the origin.

    Written in x + y, which is small where the usual form, 1 + 2 xᵀy + |x|²|y|², would cancel.
    """
    both, room = x + y, 1 - x.square().sum(-1, keepdim=True)
    square = both.square().sum(-1, keepdim=True)
    rooms = room * (1 - y.square().sum(-1, keepdim=True))
    return (room * both + square * x) / (rooms + square), square / rooms


def _log_sinh_ratio(r: Tensor) -> Tensor:
    """Return log(sinh r / r), also where sinh r is beyond all floats."""
    return r + torch.log1p(-(-2 * r).exp()) - (2 * r).log()


def _of_root(square: Tensor, function: Callable[[Tensor], Tensor], *series: float) -> Tensor:
    """Return an even function of √u, given u: its series in u near 0, where it is as smooth."""
    near, u = square < NEAR, square.clamp(max=NEAR)
    total = reduce(lambda sum_, coefficient: sum_ * u + coefficient, reversed(series))
    return torch.where(near, total, function(torch.where(near, 1.0, square).sqrt()))
