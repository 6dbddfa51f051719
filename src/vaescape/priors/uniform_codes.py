"""The uniform prior over codes."""

from torch import Tensor

from vaescape.conditionals import CodePosterior, Neural, OriginPrior, Support, borrow
from vaescape.distributions.codes import UniformCodes


class UniformOverCodes(OriginPrior, name="uniform-codes"):
    """p(code) = K^−M: every code of a discrete posterior alike (van den Oord et al. 2017).

    Against it a quantiser's KL is the constant M log K nats, and a categorical posterior's is
    M log K less its entropy.

    Args:
        latent_dim: D, filled in from the run.
        posterior: Whose codes they are; filled in from the run.
    """

    support = Support.CODES
    codebook: CodePosterior

    def __init__(self, latent_dim: int, posterior: Neural) -> None:
        super().__init__(latent_dim)
        borrow(self, codebook=posterior.head)

    def forward(self, c: Tensor | None = None) -> UniformCodes:
        """Return the uniform distribution: batch (), or (B,) for B conditions, all the same."""
        return UniformCodes(self.codebook, self.origins(c))
