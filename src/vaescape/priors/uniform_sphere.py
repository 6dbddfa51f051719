"""The uniform distribution on the sphere."""

from torch import Tensor

from vaescape.conditionals import OriginPrior, Support
from vaescape.distributions import UniformSphere


class UniformSpherePrior(OriginPrior, name="uniform-sphere"):
    """p(z) = Γ(D/2) / 2 π^(D/2) on the unit sphere of R^D: even (Davidson et al. 2018).

    Args:
        latent_dim: D, filled in from the run.
    """

    support = Support.SPHERE

    def forward(self, c: Tensor | None = None) -> UniformSphere:
        """Return it: batch (), the same for every condition."""
        return UniformSphere(self.origin)
