"""The marginal of a latent-variable model, with the latent variable summed out."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.types import _size

from vaescape.distributions.base import Event
from vaescape.distributions.gaussian import Gaussian

Given = Callable[[Tensor], Gaussian]


class Marginal(Event):
    """p(z) = ∫ p(z | u) p(u) du: drawn exactly, scored by an estimate.

    The estimate is p(z, u) / q(u | z) at one draw of u. Its mean is p(z), so the mean of its
    logarithm is a lower bound of log p(z), and whatever bound of log p(x) it is put into stays one:
    the evidence bound, and an importance-weighted one too. It is no density to add up or to climb.

    Args:
        prior: p(u): batch (), event (U,).
        likelihood: From u (*S, U) to p(z | u).
        posterior: From z (*S, D) to q(u | z).
        size: D.
    """

    has_rsample = False

    def __init__(self, prior: Gaussian, likelihood: Given, posterior: Given, size: int) -> None:
        self.prior, self.likelihood, self.posterior = prior, likelihood, posterior
        super().__init__(torch.Size((size,)), 1)

    def log_prob(self, value: Tensor) -> Float[Tensor, "*S"]:
        """Return log p(z, u) − log q(u | z) at one draw of u for each z, in nats."""
        q = self.posterior(value)
        u = q.rsample()
        return self.likelihood(u).log_prob(value) + self.prior.log_prob(u) - q.log_prob(u)

    def tempered(self, temperature: float) -> "Marginal":
        """Return it with the scales of p(u) and of p(z | u) times the temperature."""
        return Marginal(
            self.prior.tempered(temperature),
            lambda u: self.likelihood(u).tempered(temperature),
            self.posterior,
            self.event_shape[0],
        )

    def sample(self, sample_shape: _size = ()) -> Float[Tensor, "*S D"]:
        """Return draws: u from p(u), then z from p(z | u)."""
        with torch.no_grad():
            return self.likelihood(self.prior.sample(sample_shape)).sample()
