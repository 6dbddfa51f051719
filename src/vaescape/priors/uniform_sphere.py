"""The uniform distribution on the sphere."""

import torch
from torch import Tensor

from vaescape.conditionals import Prior, Support
from vaescape.distributions import UniformSphere


class UniformSpherePrior(Prior, name="uniform-sphere"):
    """p(z) = Γ(D/2) / 2 π^(D/2) on the unit sphere of R^D: even (Davidson et al. 2018).

    Args:
        latent_dim: D, filled in from the run.
    """

    support = Support.SPHERE
    origin: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latent_dim), persistent=False)

    def forward(self, c: Tensor | None = None) -> UniformSphere:
        """Return it: batch (), the same for every condition."""
        return UniformSphere(self.origin)
