"""The power spherical posterior."""

from vaescape.conditionals import SpherePosterior
from vaescape.distributions import PowerSpherical


class PowerSphericalPosterior(SpherePosterior, name="power-spherical"):
    """q(z | x) ∝ (1 + μᵀz)^κ on the unit sphere of R^D (De Cao & Aziz 2020).

    What von Mises-Fisher is to the spherical VAE of Davidson et al. (2018), with draws that need no
    rejection. Its prior is ``uniform-sphere``.

    Args:
        latent_dim: D, filled in from the run.
    """

    family = PowerSpherical
