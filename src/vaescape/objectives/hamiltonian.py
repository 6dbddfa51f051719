"""The Hamiltonian VAE: codes that are moved along the slope of the posterior."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import grad_and_value

from vaescape.batch import Batch
from vaescape.conditionals import Support
from vaescape.conditions import POSITIVE, ZERO_OR_MORE, require
from vaescape.distributions import FittedGaussian
from vaescape.errors import ComponentError
from vaescape.models.base import Model, Pieces
from vaescape.models.evidence import Evidence, Latent
from vaescape.objectives.base import EvidenceObjective, Loss, density, one_layer


class Place(NamedTuple):
    """Codes, and log p(x, z) there with its slope."""

    z: Float[Tensor, "1 B D"]
    log_joint: Float[Tensor, "1 B"]
    slope: Float[Tensor, "1 B D"]


Look = Callable[[Float[Tensor, "1 B D"]], Place]


class Hamiltonian(EvidenceObjective, name="hamiltonian"):
    """−log p(x, z_K) N(ρ_K) / q(z₀ | x) N(γ): z₀ ~ q is moved by K leapfrog steps on log p(x, z).

    The Hamiltonian VAE of Caterini et al. 2018, section 3, after Salimans et al. 2015. Momentum
    begins as γ / Π α, γ ~ N(0, I), and each step ends by multiplying it by its α below 1: their
    free tempering, which lets codes travel at first and settle in the end. Leapfrog keeps volumes,
    and what tempering does to them cancels, so the weight's mean is p(x) at any size of the steps.
    Sizes, one for each dimension, and α are learned with encoder and decoder.

    A step costs the decoder's gradient, and that of this gradient. ``gained`` is what moving is
    worth in nats; the terms beside it are those of the ELBO at z₀, which is also what the encoder
    alone stands for afterwards.

    Args:
        latent_dim: D, filled in from the run.
        steps: K, leapfrog steps; with none it is the ELBO, its KL estimated at the draw.
        step: Their size at first, in units of z.
        longest: What a size stays below.
        tempering: α of each step at first, between 0 and 1.
    """

    needs = density, one_layer

    def __init__(
        self,
        latent_dim: int,
        steps: int = 3,
        step: float = 0.05,
        longest: float = 0.5,
        tempering: float = 0.9,
    ) -> None:
        super().__init__()
        require(*ZERO_OR_MORE, steps=steps)
        require(*POSITIVE, longest=longest)
        require(lambda v: 0 < v < longest, f"above 0 and below longest, {longest:g}", step=step)
        require(lambda v: 0 < v < 1, "a number between 0 and 1", tempering=tempering)
        self.longest = longest
        self.raw_step = nn.Parameter(torch.full((latent_dim,), step / longest).logit())
        self.raw_tempering = nn.Parameter(torch.full((steps,), tempering).logit())

    def check(self, pieces: Pieces) -> None:
        """Refuse codes that cannot be moved, and a log p(x | z) that is fitted anew at each."""
        super().check(pieces)
        if pieces.posterior.support is not Support.SPACE:
            raise ComponentError(
                f"Objective {self.name!r} moves codes anywhere in latent space, and posterior "
                f"{pieces.posterior.name!r} puts z {pieces.posterior.support}. Use objective "
                "'elbo', or posterior 'gaussian'."
            )
        if isinstance(pieces.likelihood_of_an_image, FittedGaussian):
            raise ComponentError(
                f"Objective {self.name!r} moves codes along the slope of log p(x, z), and "
                f"likelihood {pieces.likelihood.name!r} fits its σ to whatever it scores. Use "
                "likelihood gaussian(scale='learned')."
            )

    @property
    def step(self) -> Float[Tensor, " D"]:
        """ε, the size of a step in each dimension."""
        return self.longest * self.raw_step.sigmoid()

    @property
    def tempering(self) -> Float[Tensor, " K"]:
        """α of each step."""
        return self.raw_tempering.sigmoid()

    def forward(self, model: Model, batch: Batch, t: Float[Tensor, ""]) -> Loss:
        """Return minus the bound; ``step`` and ``tempering`` are as they are now."""
        e = model.evidence(batch.x, batch.label).without(batch.rows)
        loss, gained = self.loss(e, t), self.gained(model, batch, e.latents[0]).mean()
        learned = {"step": self.step, "tempering": self.tempering}
        return Loss(loss.total - gained, loss.metrics | {"gained": gained} | learned)

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return minus the bound where no code is moved."""
        self.only_latent(e)
        return Loss(-e.log_weight().mean(), e.terms())

    def gained(self, model: Model, batch: Batch, latent: Latent) -> Float[Tensor, "1 B"]:
        """Return log p(x, z_K) N(ρ_K) − log p(x, z₀) N(γ) of moved draws, in nats."""

        def log_joint(z: Tensor) -> tuple[Tensor, Tensor]:
            each = latent.p.log_prob(z) + model.decode((z,), batch.label).log_prob(batch.x)
            return each.sum(), each

        def look(z: Tensor) -> Place:
            # not autograd.grad: this traces into one graph, and is a slope under no_grad too
            slope, (_, each) = grad_and_value(log_joint, has_aux=True)(z)
            return Place(z, each, slope)

        start, noise = look(latent.z), torch.randn_like(latent.z)
        place, momentum = start, noise / self.tempering.prod()
        for alpha in self.tempering:
            place, momentum = leapfrog(look, place, momentum, self.step)
            momentum = alpha * momentum
        energy = 0.5 * (noise.square() - momentum.square()).sum(-1)
        return place.log_joint - start.log_joint + energy


def leapfrog(
    look: Look, place: Place, momentum: Float[Tensor, "1 B D"], step: Float[Tensor, " D"]
) -> tuple[Place, Float[Tensor, "1 B D"]]:
    """Return place and momentum one step on (Neal 2011, section 2.3): half, whole, half."""
    momentum = momentum + 0.5 * step * place.slope
    place = look(place.z + step * momentum)
    return place, momentum + 0.5 * step * place.slope
