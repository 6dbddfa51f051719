"""A Gaussian for each class."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaescape.conditionals import Prior
from vaescape.distributions import Gaussian, Mixture
from vaescape.distributions.base import full_precision
from vaescape.errors import ComponentError


class ClassPrior(Prior, name="class"):
    """p(z | c) = N(μ_c, σ_c²), a learned Gaussian for each class (Sohn et al. 2015).

    Without a class, p(z) is their mixture in equal parts.

    Args:
        latent_dim: D, filled in from the run.
        classes: How many, filled in from the run.
    """

    def __init__(self, latent_dim: int, classes: int | None = None) -> None:
        super().__init__()
        if not classes:
            raise ComponentError(
                "Prior 'class' has a Gaussian for each class, and the data name no classes. "
                "Use prior 'mixture'."
            )
        self.means = nn.Parameter(torch.randn(classes, latent_dim))
        self.log_scales = nn.Parameter(torch.zeros(classes, latent_dim))

    def forward(self, c: Float[Tensor, "B E"] | None = None) -> Gaussian | Mixture:
        """Return the Gaussian of each indicator vector, batch (B,); without any, the mixture."""
        if c is None:
            return Mixture(
                Gaussian(self.means, self.log_scales), torch.zeros_like(self.means[:, 0])
            )
        with full_precision(c):
            return Gaussian(c @ self.means, c @ self.log_scales)
