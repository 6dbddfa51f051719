"""A learned mixture of Gaussians."""

import torch
from torch import Tensor, nn

from vaescape.conditionals import Prior
from vaescape.conditions import ONE_OR_MORE, require
from vaescape.distributions import Gaussian, Mixture


class MixturePrior(Prior, name="mixture"):
    """p(z) = Σ_m w_m N(z; μ_m, σ_m²), all learned (Dilokthanakul et al. 2016, in its plain form).

    Args:
        latent_dim: D, filled in from the run.
        components: M.
    """

    def __init__(self, latent_dim: int, components: int = 10) -> None:
        super().__init__()
        require(*ONE_OR_MORE, components=components)
        self.means = nn.Parameter(torch.randn(components, latent_dim))
        self.log_scales = nn.Parameter(torch.zeros(components, latent_dim))
        self.log_weights = nn.Parameter(torch.zeros(components))

    def forward(self, c: Tensor | None = None) -> Mixture:
        """Return the mixture: batch (), the same for every condition."""
        return Mixture(Gaussian(self.means, self.log_scales), self.log_weights)
