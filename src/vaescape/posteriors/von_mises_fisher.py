"""The von Mises–Fisher posterior."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize, softplus

from vaescape.components import require
from vaescape.conditionals import Posterior, Support
from vaescape.distributions import VonMisesFisher


class VonMisesFisherPosterior(Posterior, name="von-mises-fisher"):
    """q(z | x) ∝ exp(κ μᵀz) on the unit sphere of R^D (Davidson et al. 2018).

    Their spherical VAE, with implicit gradients in the place of their correction term. A step costs
    more than with ``power-spherical``, whose draws need no rejection. Its prior is
    ``uniform-sphere``.

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

    def forward(self, raw: Float[Tensor, "*S P"]) -> VonMisesFisher:
        """Return the distribution: batch (*S), event (D,)."""
        return VonMisesFisher(normalize(raw[..., :-1], dim=-1), softplus(raw[..., -1]))
