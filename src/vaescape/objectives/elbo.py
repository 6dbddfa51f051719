"""The evidence lower bound."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditions import NOT_NEGATIVE, ONE_OR_MORE, require
from vaescape.models.evidence import Evidence, Latent
from vaescape.objectives.base import EvidenceObjective, Loss, density
from vaescape.schedules import ramp


class ELBO(EvidenceObjective, name="elbo"):
    """reconstruction + β·KL, in nats per image: at β = 1 the negative evidence lower bound.

    Kingma & Welling 2014, eq. 10; β: Higgins et al. 2017, eq. 4. The reconstruction term is summed
    over pixels, the KL over latent dimensions, and both are averaged over images and draws, so
    neither depends on the batch. β = 0 with posterior ``point`` is the plain autoencoder.

    Free bits (Kingma et al. 2016, appendix C.8) put Σ_g max(free_nats, E[KL_g]) in the place of the
    KL, with the mean over the batch inside: what a group carries below that costs nothing. A group
    is a latent dimension, or a whole layer where its KL has no closed form per dimension.

    Args:
        beta: Weight of the KL.
        warmup: Share of training, in [0, 1], over which the weight rises from 0 to ``beta``; with
            several cycles, the share of each.
        cycles: How often the weight starts again from 0, in equal parts of training (Fu et al.
            2019).
        free_nats: What each group may carry for nothing, in nats per image.
        samples: Draws of z per image.
    """

    def __init__(
        self,
        beta: float = 1.0,
        warmup: float = 0.0,
        cycles: int = 1,
        free_nats: float = 0.0,
        samples: int = 1,
    ) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, beta=beta, free_nats=free_nats)
        require(lambda v: 0 <= v <= 1, "a share of training between 0 and 1", warmup=warmup)
        require(*ONE_OR_MORE, cycles=cycles, samples=samples)
        require(lambda v: v == 1 or warmup > 0, "1 without a warmup to repeat", cycles=cycles)
        self.beta, self.ramp = beta, ramp(1.0, until=warmup, cycles=cycles)
        self.warmup, self.free_nats, self.samples = warmup, free_nats, samples
        self.couples_batch = free_nats > 0  # max(free_nats, ·) of a mean over the batch
        self.needs = (density,) if beta > 0 else ()

    @property
    def kl_weight(self) -> float | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """β, unless it warms up or some of the KL is free."""
        return None if self.warmup or self.free_nats else self.beta

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the weighted loss; the metrics are never weighted."""
        terms = e.terms()
        if self.beta == 0:
            return Loss(terms["reconstruction"], terms)
        kl = self._above_free(e) if self.free_nats else terms["kl"]
        return Loss(terms["reconstruction"] + self.beta * self.ramp(t) * kl, terms)

    def _above_free(self, e: Evidence) -> Float[Tensor, ""]:
        first, *others = (_groups(latent).clamp(min=self.free_nats).sum() for latent in e.latents)
        return sum(others, start=first)


def _groups(latent: Latent) -> Float[Tensor, " G"]:
    """Return the mean KL of each group over the batch, in nats."""
    per_dimension = latent.kl_per_dimension()
    if per_dimension is None:
        return latent.kl().mean().reshape(1)
    return per_dimension.flatten(0, -2).mean(0)
