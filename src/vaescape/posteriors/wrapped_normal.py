"""The wrapped normal posterior of hyperbolic codes."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Posterior, Support
from vaescape.distributions import WrappedNormal
from vaescape.distributions.ball import from_origin


class WrappedNormalPosterior(Posterior, name="wrapped-normal"):
    """q(z | x) = N(v; 0, σ²) (|v| / sinh |v|)^(D−1), v the way from μ to z in Poincaré's ball.

    Hyperbolic space has room for trees: its volume grows exponentially with the radius (Nagano et
    al. 2019; Mathieu et al. 2019). The encoder gives the way from the origin to μ, by the
    exponential map, and log σ². Densities are of hyperbolic volume, and the KL is estimated from
    draws. The ball is the unit ball, of curvature −1, and the decoder reads z as it is: the plain
    decoder of Mathieu et al. Other curvatures are a matter of the prior, ``wrapped-normal``.
    """

    support = Support.BALL

    def channels(self, size: int) -> int:
        """Return 2 D: the way from the origin to μ, then log σ²."""
        return 2 * size

    def forward(self, raw: Float[Tensor, "*S P"]) -> WrappedNormal:
        way, log_var = raw.chunk(2, dim=-1)
        return WrappedNormal(from_origin(way), 0.5 * log_var)
