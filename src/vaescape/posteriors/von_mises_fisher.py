"""The von Mises–Fisher posterior."""

from vaescape.conditionals import SpherePosterior
from vaescape.distributions import VonMisesFisher


class VonMisesFisherPosterior(SpherePosterior, name="von-mises-fisher"):
    """q(z | x) ∝ exp(κ μᵀz) on the unit sphere of R^D (Davidson et al. 2018).

    Their spherical VAE, with implicit gradients in the place of their correction term. A step costs
    more than with ``power-spherical``, whose draws need no rejection. Its prior is
    ``uniform-sphere``.

    Args:
        latent_dim: D, filled in from the run.
    """

    family = VonMisesFisher
