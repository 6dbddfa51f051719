"""The standard normal prior."""

import torch
from torch import Tensor

from vaescape.conditionals import Prior
from vaescape.distributions import Gaussian


class StandardNormal(Prior, name="normal"):
    """p(z) = N(0, I) (Kingma & Welling 2014).

    Args:
        latent_dim: D, filled in from the run.
    """

    origin: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latent_dim), persistent=False)

    def forward(self, c: Tensor | None = None) -> Gaussian:
        """Return N(0, I): batch (), or (B,) for B conditions, all alike."""
        origin = self.origin if c is None else self.origin.expand(c.shape[0], -1)
        return Gaussian(origin, torch.zeros_like(origin))
