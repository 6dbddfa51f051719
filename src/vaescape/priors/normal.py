"""The standard normal prior."""

import torch
from torch import Tensor

from vaescape.conditionals import OriginPrior
from vaescape.distributions import Gaussian


class StandardNormal(OriginPrior, name="normal"):
    """p(z) = N(0, I) (Kingma & Welling 2014).

    Args:
        latent_dim: D, filled in from the run.
    """

    def forward(self, c: Tensor | None = None) -> Gaussian:
        """Return N(0, I): batch (), or (B,) for B conditions, all the same."""
        origin = self.origins(c)
        return Gaussian(origin, torch.zeros_like(origin))
