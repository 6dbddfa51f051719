"""The wrapped normal prior of hyperbolic codes."""

import math

import torch
from torch import Tensor

from vaescape.conditionals import OriginPrior, Support
from vaescape.conditions import POSITIVE, require
from vaescape.distributions import WrappedNormal


class WrappedNormalPrior(OriginPrior, name="wrapped-normal"):
    """p(z) = N(v; 0, c I) (|v| / sinh |v|)^(D−1), v the way from the origin in Poincaré's ball.

    The prior of Mathieu et al. 2019, section 3.2. A standard normal in the ball of curvature −c,
    whose radius is 1/√c, is this one, all lengths times √c: the unit ball then serves for every
    curvature. The smaller c, the flatter the part of the ball that codes lie in.

    Args:
        latent_dim: D, filled in from the run.
        curvature: c.
    """

    support = Support.BALL

    def __init__(self, latent_dim: int, curvature: float = 1.0) -> None:
        super().__init__(latent_dim)
        require(*POSITIVE, curvature=curvature)
        self.log_scale = 0.5 * math.log(curvature)

    def forward(self, c: Tensor | None = None) -> WrappedNormal:
        """Return it: batch (), the same for every condition."""
        return WrappedNormal(self.origin, torch.full_like(self.origin, self.log_scale))
