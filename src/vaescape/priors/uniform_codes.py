"""The uniform prior over codes."""

import torch
from torch import Tensor

from vaescape.conditionals import CodePosterior, Neural, Prior, Support, borrow
from vaescape.distributions.codes import UniformCodes


class UniformOverCodes(Prior, name="uniform-codes"):
    """p(code) = K^−M: every code of a discrete posterior alike (van den Oord et al. 2017).

    Against it a quantiser's KL is the constant M log K nats, and a categorical posterior's is
    M log K less its entropy.

    Args:
        latent_dim: D, filled in from the run.
        posterior: Whose codes they are; filled in from the run.
    """

    support = Support.CODES
    codebook: CodePosterior
    origin: Tensor

    def __init__(self, latent_dim: int, posterior: Neural) -> None:
        super().__init__()
        borrow(self, codebook=posterior.head)
        self.register_buffer("origin", torch.zeros(latent_dim), persistent=False)

    def forward(self, c: Tensor | None = None) -> UniformCodes:
        """Return the uniform distribution: batch (), or (B,) for B conditions, all alike."""
        return UniformCodes(
            self.codebook, self.origin if c is None else self.origin.expand(c.shape[0], -1)
        )
