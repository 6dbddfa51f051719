"""The power spherical posterior."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize, softplus

from vaescape.components import require
from vaescape.conditionals import Posterior, Support
from vaescape.distributions import PowerSpherical


class PowerSphericalPosterior(Posterior, name="power-spherical"):
    """q(z | x) ∝ (1 + μᵀz)^κ on the unit sphere of R^D (De Cao & Aziz 2020).

    What von Mises-Fisher is to the spherical VAE of Davidson et al. (2018), with draws that need no
    rejection. Its prior is ``uniform-sphere``.

    Args:
        latent_dim: D, filled in from the run.
    """

    support = Support.SPHERE

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        require(lambda v: v >= 2, "2 or more for codes on a sphere", latent=latent_dim)

    def channels(self, size: int) -> int:
        """Return D + 1: the direction μ, of any length, and κ before its softplus."""
        return size + 1

    def forward(self, raw: Float[Tensor, "*S P"]) -> PowerSpherical:
        """Return the distribution: batch (*S), event (D,)."""
        return PowerSpherical(normalize(raw[..., :-1], dim=-1), softplus(raw[..., -1]))
