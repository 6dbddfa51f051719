"""The diagonal Gaussian posterior."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Posterior
from vaescape.distributions import Gaussian


class GaussianPosterior(Posterior, name="gaussian"):
    """q(z | x) = ∏ N(z_mean, exp(z_log_var)) (Kingma & Welling 2014, eq. 9)."""

    def channels(self, size: int) -> int:
        """Return 2 D: z_mean, then z_log_var."""
        return 2 * size

    def forward(self, raw: Float[Tensor, "*S P"]) -> Gaussian:
        mean, log_var = raw.chunk(2, dim=-1)
        return Gaussian(mean, 0.5 * log_var)
