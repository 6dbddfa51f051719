"""The von Mises–Fisher distribution, whose integrals are sums over nodes: no Bessel functions."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Gamma
from torch.types import _size

from vaescape.distributions.sphere import Directional, log_area, tangent

NODES, WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(256))
"""Of Gauss and Legendre on [−1, 1]: one or more for each standard deviation of an angle."""
FEW_NODES, FEW_WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(64))
"""For the integral from an angle to the nearer end."""
PROPOSALS = 32
"""Angles proposed at once for each draw; each is taken with a probability above 0.6."""


class VonMisesFisher(Directional):
    """p(z) ∝ exp(κ μᵀz) on the unit sphere of R^D, κ 0 or more; at 0 it is uniform.

    The KL to the uniform is that of Davidson et al. (2018, appendix B). The angle t between z and μ
    has a density ∝ sin(t)^(D−2) exp(κ cos t), smooth on [0, π]: the normaliser and the mean are
    Gauss–Legendre sums over it, on any device and with derivatives.
    """

    @property
    def mean(self) -> Tensor:
        """E[z] = μ E[cos t]: (*batch, D)."""
        return self.loc * (1 - self._integrals()[1])[..., None]

    def log_normaliser(self) -> Float[Tensor, "*B"]:
        """Return log ∫ exp(κ (μᵀz − 1)) over the sphere, in nats: never above its log-area."""
        return self._integrals()[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, of the sphere's surface: (*S, *batch)."""
        short = 0.5 * (value - self.loc).square().sum(-1)  # 1 − cos t, without cancelling
        return -self.concentration * short - self.log_normaliser()

    def entropy(self) -> Float[Tensor, "*B"]:
        """Return the entropy in nats, of the sphere's surface: κ E[1 − cos t] + log-normaliser."""
        log_normaliser, short = self._integrals()
        return self.concentration * short + log_normaliser

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Return draws with gradients to μ and κ: (*S, *batch, D).

        The angle by Wood's rejection (1994), the direction around μ uniform and carried along with
        μ. The gradient to κ is that of the angle at which a given share of the mass is passed,
        dt/dκ = −(∂F/∂κ) / f (Figurnov et al. 2018, eq. 5): the draw itself is rejection's, exactly.
        """
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            angle = self._angles(shape[:-1])
            slope = self._angle_slope(angle)
        kappa = self.concentration
        angle = angle + slope * (kappa - kappa.detach())
        away = tangent(self.loc, shape)
        return angle.cos()[..., None] * self.loc + angle.sin()[..., None] * away

    @property
    def _power(self) -> int:
        """D − 2, the power of sin t."""
        return self.loc.shape[-1] - 2

    def _log_height(self, t: Tensor, kappa: Tensor) -> Tensor:
        """Return (D − 2) log sin t − κ (1 − cos t)."""
        sine = t.sin().clamp_min(torch.finfo(t.dtype).tiny)
        return self._power * sine.log() - 2 * kappa * (t / 2).sin().square()

    def _integrals(self) -> tuple[Float[Tensor, "*B"], Float[Tensor, "*B"]]:
        """Return the log-normaliser and E[1 − cos t]."""
        x, w = NODES.to(self.loc), WEIGHTS.to(self.loc)
        t, log_w = math.pi / 2 * (1 + x), (math.pi / 2 * w).log()
        log_mass = self._log_height(t, self.concentration[..., None]) + log_w
        short = (log_mass.softmax(-1) * 2 * (t / 2).sin().square()).sum(-1)
        return log_mass.logsumexp(-1) + log_area(self._power + 1), short

    def _angles(self, shape: torch.Size) -> Float[Tensor, "*S"]:
        """Return draws of t (Wood 1994): the first of many proposals that is accepted."""
        kappa, rest = self.concentration.detach().expand(shape), float(self._power + 1)
        b = rest / (2 * kappa + (4 * kappa**2 + rest**2).sqrt())
        half = torch.full_like(kappa, rest / 2).expand(2, PROPOSALS, *shape)
        one, other = Gamma(half, torch.ones_like(half), validate_args=False).sample()
        share = one / (one + other)  # Beta; torch's own does not trace into one graph
        short = 2 * b * share / (1 - (1 - b) * share)  # 1 − cos t
        near = 2 * b / (1 + b)  # the same at the middle of the proposals
        beyond = (1 - b**2) / (4 * b) * (short - near)
        log_odds = kappa * (near - short) + rest * torch.log1p(beyond)
        taken = (torch.rand_like(short).log() < log_odds).int().argmax(0)
        chosen = short.gather(0, taken[None])[0]
        return 2 * (chosen / 2).clamp(1e-12, 1 - 1e-7).sqrt().asin()

    def _angle_slope(self, t: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """Return dt/dκ of draws: minus ∫₀ᵗ (cos s − E[cos]) f(s) ds / f(t), from the nearer end."""
        kappa = self.concentration.detach()
        short = self._integrals()[1].detach().expand(t.shape)
        below = 2 * (t / 2).sin().square() < short
        reach = 12 / (kappa + self._power + 1).sqrt()
        end = torch.where(below, (t - reach).clamp(min=0), (t + reach).clamp(max=math.pi))
        x, w = FEW_NODES.to(t), FEW_WEIGHTS.to(t)
        s = end[..., None] + (t - end)[..., None] * (1 + x) / 2
        ratio = self._log_height(s, kappa[..., None]) - self._log_height(t, kappa)[..., None]
        excess = short[..., None] - 2 * (s / 2).sin().square()
        return -((t - end) / 2) * (w * excess * ratio.exp()).sum(-1)
