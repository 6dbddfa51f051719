"""The record of a training step: everything that an objective can use."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaescape.conditionals import Label
from vaescape.distributions import Event


@dataclass(frozen=True)
class Latent:
    """One stochastic layer: a sample of z, its posterior and its prior."""

    z: Float[Tensor, "K B *event"]
    q: Event
    """q(z | x, c), batch (B,)."""
    p: Event
    """p(z | c)."""
    known_log_q: Float[Tensor, "K B"] | None = None
    """log q(z | x) where it came free with the draw."""

    def log_q(self) -> Float[Tensor, "K B"]:
        """Return log q(z | x) of the draws, in nats."""
        return self.q.log_prob(self.z) if self.known_log_q is None else self.known_log_q

    def log_p(self) -> Float[Tensor, "K B"]:
        """Return log p(z) of the draws, in nats."""
        return self.p.log_prob(self.z)

    def prior_draws(self) -> Float[Tensor, "B *event"]:
        """Return one draw from the prior for each image, without gradients."""
        return self.p.sample() if self.p.batch_shape else self.p.sample(self.z.shape[1:2])

    @property
    def has_kl(self) -> bool:
        """Whether KL(q ‖ p) is defined: a point has none."""
        return self.q.has_density

    def kl(self) -> Float[Tensor, "*K B"]:
        """Return KL(q ‖ p) in nats: the closed form (B,), else log q − log p of draws (K, B)."""
        closed = self.q.kl_to(self.p)
        return self.log_q() - self.log_p() if closed is None else closed

    def kl_per_dimension(self) -> Float[Tensor, "*K B D"] | None:
        """Return the closed-form KL of each dimension in nats, or None where there is none."""
        return self.q.kl_per_dimension_to(self.p)


@dataclass(frozen=True)
class Evidence:
    """Everything that a training step knows about one batch."""

    x: Float[Tensor, "B C H W"]
    likelihood: Event
    """p(x | z), batch (K, B)."""
    latents: tuple[Latent, ...]
    """The top of the hierarchy first; a flat VAE has one."""

    def without(self, rows: Int[Tensor, " B"] | None) -> "Evidence":
        """Return the record in which no training image is its own prior.

        Args:
            rows: Which training images the batch consists of; None where they are others.
        """
        if rows is None:
            return self
        latents = tuple(replace(latent, p=latent.p.without(rows)) for latent in self.latents)
        return replace(self, latents=latents)

    def log_likelihood(self) -> Float[Tensor, "K B"]:
        """Return log p(x | z) of every draw, in nats."""
        return self.likelihood.log_prob(self.x)

    def kl(self) -> Float[Tensor, "*K B"]:
        """Return KL(q ‖ p) summed over the layers, in nats."""
        first, *others = (latent.kl() for latent in self.latents)
        return sum(others, start=first)

    def terms(self, log_likelihood: Float[Tensor, "K B"] | None = None) -> dict[str, Tensor]:
        """Return the terms of the negative ELBO: means over draws and images in nats, unweighted.

        ``reconstruction``; ``kl``, where it is defined; ``kl_per_dimension``, of the top layer,
        where it has a closed form; ``kl_per_layer``, the top first, where there are several.

        Args:
            log_likelihood: That of every draw, where it is known already.
        """
        known = self.log_likelihood() if log_likelihood is None else log_likelihood
        terms = {"reconstruction": -known.mean()}
        per_dimension = self.latents[0].kl_per_dimension()
        if per_dimension is not None:
            means = per_dimension.flatten(0, -2).mean(0)
            terms["kl_per_dimension"] = means
            if len(self.latents) == 1:
                return terms | {"kl": means.sum()}
        if all(latent.has_kl for latent in self.latents):
            terms["kl"] = self.kl().mean()
            if len(self.latents) > 1:
                terms["kl_per_layer"] = torch.stack([each.kl().mean() for each in self.latents])
        return terms

    def log_weight(self) -> Float[Tensor, "K B"]:
        """Return log p(x, z) − log q(z | x) of every draw, in nats (Burda et al. 2016, eq. 8)."""
        return self.log_likelihood() + log_ratio(self.latents)


def log_ratio(latents: tuple[Latent, ...]) -> Float[Tensor, "K B"]:
    """Return log p(z) − log q(z | x) of every draw, summed over the layers, in nats."""
    first, *others = (latent.log_p() - latent.log_q() for latent in latents)
    return sum(others, start=first)


Choose = Callable[[int, Tensor | None, Event], Tensor]
"""Where the z of a layer comes from, given its number, the state above it and its prior."""


@runtime_checkable
class Hierarchy(Protocol):
    """Optional interface of a model whose layers can be kept or resampled one by one.

    Of one that does not, the layers below the top stand at the means of their priors on the page
    and in exported networks.
    """

    def descend(self, label: Label, choose: Choose) -> Tensor:
        """Return what ``likelihood`` reads, from the top down, z chosen layer by layer."""
        ...
