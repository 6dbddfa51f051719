"""A VAE over codes."""

import torch
from torch import Tensor, nn

from vaescape.conditionals import OriginPrior
from vaescape.conditions import ONE_OR_MORE, require
from vaescape.distributions import Gaussian, Marginal
from vaescape.distributions.floor import above_floor, raw_of


class TwoStage(OriginPrior, name="two-stage"):
    """p(z) = ∫ N(z; μ(u), γ² I) N(u; 0, I) du: a small VAE over the codes (Dai & Wipf 2019).

    Made for ``vaescape fit-prior``: the second stage of the paper's section 4, with u as large as z
    and one γ, which is learned. Its draws are exact; its density is only bounded from below, by one
    draw of q(u | z), so the KL to it is an upper bound, and whatever needs the density itself
    refuses it. Trained along with a model it makes a hierarchy, whose bound is a bound.

    Args:
        latent_dim: D, filled in from the run.
        hidden: Width of the two hidden layers of μ(u) and of q(u | z).
    """

    exact = False

    def __init__(self, latent_dim: int, hidden: int = 256) -> None:
        super().__init__(latent_dim)
        require(*ONE_OR_MORE, hidden=hidden)
        self.encoder = _dense(latent_dim, hidden, 2 * latent_dim)
        self.decoder = _dense(latent_dim, hidden, latent_dim)
        self.raw_log_scale = nn.Parameter(torch.tensor(raw_of(scale=1.0)))

    def forward(self, c: Tensor | None = None) -> Marginal:
        """Return the distribution: batch (), the same for every condition."""
        inner = Gaussian(self.origin, torch.zeros_like(self.origin))
        return Marginal(inner, self._likelihood, self._posterior, len(self.origin))

    def _likelihood(self, u: Tensor) -> Gaussian:
        mean = self.decoder(u).to(self.origin)
        return Gaussian(mean, above_floor(self.raw_log_scale).expand_as(mean))

    def _posterior(self, z: Tensor) -> Gaussian:
        mean, log_var = self.encoder(z).to(self.origin).chunk(2, dim=-1)
        return Gaussian(mean, 0.5 * log_var)


def _dense(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, outputs),
    )
