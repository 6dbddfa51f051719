"""Distributions on the unit sphere of R^D, whose densities are of its surface."""

import math
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Gamma
from torch.nn.functional import normalize
from torch.types import _size

from vaescape.distributions.base import Event
from vaescape.distributions.picking import pick

RECURRENCE, STIRLING = 8, ((1, 1 / 6), (3, -1 / 30), (5, 1 / 42))
"""Steps to where Stirling's series is accurate to 10⁻⁹, and its terms: powers, Bernoulli's numbers.
"""


def log_area(dimensions: int) -> float:
    """Return the log of the surface 2 π^(D/2) / Γ(D/2) of the unit sphere in R^D."""
    return math.log(2) + dimensions / 2 * math.log(math.pi) - math.lgamma(dimensions / 2)


class UniformSphere(Event):
    """The uniform distribution on the sphere.

    Args:
        origin: Zeros, (*batch, D): they say how many, what type, and where.
    """

    def __init__(self, origin: Float[Tensor, "*B D"]) -> None:
        self.origin = origin
        super().__init__(origin.shape, 1)

    @property
    def mean(self) -> Tensor:
        """E[z], the middle of the ball: (*batch, D)."""
        return self.origin

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return directions of Gaussian draws (Muller 1959): (*S, *batch, D)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.origin.dtype, device=self.origin.device)
        return normalize(noise, dim=-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return minus the log of the sphere's surface, in nats: (*S, *batch)."""
        return torch.full_like(value[..., 0] + self.origin[..., 0], -log_area(value.shape[-1]))


class Directional(Event):
    """A distribution on the sphere about a direction μ, with a concentration κ.

    Args:
        loc: μ, unit vectors: (*batch, D).
        concentration: κ: (*batch). The larger, the narrower.
    """

    def __init__(self, loc: Float[Tensor, "*B D"], concentration: Float[Tensor, "*B"]) -> None:
        self.loc, self.concentration = loc, concentration
        super().__init__(loc.shape, 1)

    @property
    def point_estimate(self) -> Tensor:
        """The mode μ; the mean lies inside the ball."""
        return self.loc

    def kl_to(self, p: Event) -> Float[Tensor, "*B"] | None:
        """Return KL(self ‖ p) in nats; in closed form for the uniform: log-area − entropy."""
        if not isinstance(p, UniformSphere):
            return super().kl_to(p)
        return log_area(self.loc.shape[-1]) - self.entropy()

    def stopped(self) -> Self:
        return type(self)(self.loc.detach(), self.concentration.detach())

    def tempered(self, temperature: float) -> Self:
        """Return it with κ over the squared temperature: the density to that power."""
        return type(self)(self.loc, self.concentration / temperature**2)

    def component(self, index: Tensor) -> Self:
        return type(self)(pick(self.loc, index, 1), pick(self.concentration, index, 0))


class PowerSpherical(Directional):
    """p(z) ∝ (1 + μᵀz)^κ, κ above 0 (De Cao & Aziz 2020). At 0 it would be uniform."""

    @property
    def alpha(self) -> Float[Tensor, "*B"]:
        """α = (D − 1)/2 + κ: (1 + μᵀz)/2 has the distribution Beta(α, β)."""
        return self.beta + self.concentration

    @property
    def beta(self) -> float:
        """β = (D − 1)/2."""
        return (self.loc.shape[-1] - 1) / 2

    @property
    def mean(self) -> Tensor:
        """E[z] = μ (α − β)/(α + β): (*batch, D)."""
        shrink = self.concentration / (self.alpha + self.beta)
        return self.loc * shrink[..., None]

    def log_normaliser(self) -> Float[Tensor, "*B"]:
        """Return log ∫ ((1 + μᵀz)/2)^κ over the sphere, in nats: never above its log-area."""
        beta = self.beta
        return beta * math.log(4 * math.pi) - gamma_ratio(self.alpha, beta)[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, of the sphere's surface: (*S, *batch)."""
        most = 1 - torch.finfo(value.dtype).eps
        far = 0.25 * (value - self.loc).square().sum(-1)  # (1 − cos)/2, without cancelling
        return self.concentration * torch.log1p(-far.clamp_max(most)) - self.log_normaliser()

    def entropy(self) -> Float[Tensor, "*B"]:
        """Return −E[log p(z)] in nats: log-normaliser − κ E[log((1 + μᵀz)/2)]."""
        slope = gamma_ratio(self.alpha, self.beta)[1]
        return self.concentration * slope + self.log_normaliser()

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        return self.joint_rsample(sample_shape)[0]

    def joint_rsample(self, shape: _size = ()) -> tuple[Tensor, Tensor]:
        """Return draws and their log-density (algorithm 1).

        A Beta from two Gammas, for 1 − cos would cancel close to μ. The direction away from μ is
        carried along with μ, so that there is no pole at which gradients burst, as there is where a
        Householder reflection turns a fixed axis to μ.
        """
        size = torch.Size(shape)
        near = Gamma(self.alpha, torch.ones_like(self.alpha), validate_args=False)
        far = Gamma(near.rate * self.beta, near.rate, validate_args=False)
        g1, g2 = near.rsample(size), far.sample(size)
        total = g1 + g2
        cosine, sine = (g1 - g2) / total, 2 * (g1 * g2).sqrt() / total
        along = cosine[..., None] * self.loc
        z = along + sine[..., None] * tangent(self.loc, self._extended_shape(size))
        log_q = -self.concentration * torch.log1p(g2 / g1) - self.log_normaliser()
        return z, log_q


def gamma_ratio(
    a: Float[Tensor, "*S"], b: float
) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S"]]:
    """Return log Γ(a + b)/Γ(a), and its derivative with respect to a.

    By Stirling's series for both at once, after a few steps of the recurrence: of the difference of
    two log Γ, float32 would lose 0.1 nats at a = 10⁵.

    Args:
        a: Above 0.
        b: 0 or more.
    """
    each = a[..., None] + torch.arange(RECURRENCE, dtype=a.dtype, device=a.device)
    low = a + RECURRENCE
    high = low + b
    log_ratio, slope = (low - 0.5) * torch.log1p(b / low) - b, torch.log1p(b / low)
    log_ratio, slope = log_ratio + b * high.log(), slope + b / (2 * low * high)
    for power, bernoulli in STIRLING:
        log_ratio = log_ratio + (high**-power - low**-power) * bernoulli / (power * (power + 1))
        slope = slope - (high ** -(power + 1) - low ** -(power + 1)) * bernoulli / (power + 1)
    log_ratio = log_ratio - torch.log1p(b / each).sum(-1)
    return log_ratio, slope + (b / each / (each + b)).sum(-1)


def tangent(loc: Float[Tensor, "*B D"], shape: torch.Size) -> Float[Tensor, "*S D"]:
    """Return uniform directions at right angles to loc, which turn as loc turns."""
    still, noise = loc.detach(), torch.randn(shape, dtype=loc.dtype, device=loc.device)
    away = normalize(noise - (noise * still).sum(-1, keepdim=True) * still, dim=-1)
    return away - (away * loc).sum(-1, keepdim=True) * loc
