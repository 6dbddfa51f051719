"""The record of a training step: everything that an objective can ask for."""

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution

from vaescape.distributions import kl, kl_per_dimension


@dataclass(frozen=True)
class Latent:
    """One stochastic layer: a draw, where it came from, and what it is held against."""

    z: Float[Tensor, "K B *event"]
    q: Distribution
    """q(z | x, c), batch (B,)."""
    p: Distribution
    """p(z | c)."""
    known_log_q: Float[Tensor, "K B"] | None = None
    """log q(z | x) where it came free with the draw."""

    def log_q(self) -> Float[Tensor, "K B"]:
        """Return log q(z | x) of the draws, in nats."""
        return self.q.log_prob(self.z) if self.known_log_q is None else self.known_log_q

    def log_p(self) -> Float[Tensor, "K B"]:
        """Return log p(z) of the draws, in nats."""
        return self.p.log_prob(self.z)

    def kl(self) -> Float[Tensor, "*K B"]:
        """Return KL(q ‖ p) in nats: the closed form (B,), else log q − log p of draws (K, B)."""
        closed = kl(self.q, self.p)
        return self.log_q() - self.log_p() if closed is None else closed

    def kl_per_dimension(self) -> Float[Tensor, "*K B D"] | None:
        """Return the closed-form KL of each dimension in nats, or None where there is none."""
        return kl_per_dimension(self.q, self.p)


@dataclass(frozen=True)
class Evidence:
    """Everything that a training step knows about one batch."""

    x: Float[Tensor, "B C H W"]
    likelihood: Distribution
    """p(x | z), batch (K, B)."""
    latents: tuple[Latent, ...]
    """The top of the hierarchy first; a flat VAE has one."""

    def log_likelihood(self) -> Float[Tensor, "K B"]:
        """Return log p(x | z) of every draw, in nats."""
        return self.likelihood.log_prob(self.x)

    def kl(self) -> Float[Tensor, "*K B"]:
        """Return KL(q ‖ p) summed over the layers, in nats."""
        first, *others = (latent.kl() for latent in self.latents)
        return sum(others, start=first)

    def log_weight(self) -> Float[Tensor, "K B"]:
        """Return log p(x, z) − log q(z | x) of every draw, in nats (Burda et al. 2016, eq. 8)."""
        ratios = (latent.log_p() - latent.log_q() for latent in self.latents)
        return sum(ratios, start=self.log_likelihood())


class LatentVariableModel(Protocol):
    """What objectives and everything after training may ask of a model."""

    def evidence(
        self, x: Float[Tensor, "B C H W"], label: Int[Tensor, " B"] | None = None, samples: int = 1
    ) -> Evidence:
        """Return the record of one batch, with ``samples`` draws of z per image."""
        ...

    def encode(
        self, x: Float[Tensor, "B C H W"], label: Int[Tensor, " B"] | None = None
    ) -> tuple[Tensor, ...]:
        """Return the posterior means, one tensor per stochastic layer: no draws."""
        ...

    def decode(
        self, latents: tuple[Tensor, ...], label: Int[Tensor, " B"] | None = None
    ) -> Distribution:
        """Return p(x | z)."""
        ...

    def sample(self, n: int, label: Int[Tensor, " B"] | None = None) -> Distribution:
        """Return p(x | z) at ``n`` draws of z from the prior."""
        ...
