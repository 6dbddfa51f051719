"""The evidence lower bound."""

from torch import Tensor

from vaescape.components import require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss
from vaescape.schedules import ramp


class ELBO(EvidenceObjective, name="elbo"):
    """reconstruction + β·KL, in nats per image: at β = 1 the negative evidence lower bound.

    Kingma & Welling 2014, eq. 10; β: Higgins et al. 2017, eq. 4. The reconstruction term is summed
    over pixels, the KL over latent dimensions, and both are averaged over images and draws, so
    neither depends on the batch. β = 0 with posterior ``point`` is the plain autoencoder.

    Args:
        beta: Weight of the KL.
        warmup: Share of training, in [0, 1], over which the weight rises from 0 to ``beta``.
        samples: Draws of z per image.
    """

    def __init__(self, beta: float = 1.0, warmup: float = 0.0, samples: int = 1) -> None:
        super().__init__()
        require(lambda v: 0 <= v < float("inf"), "a number, zero or more", beta=beta)
        require(lambda v: 0 <= v <= 1, "a share of training between 0 and 1", warmup=warmup)
        require(lambda v: v >= 1, "1 or more draws", samples=samples)
        self.beta, self.weight, self.samples = beta, ramp(beta, until=warmup), samples

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the weighted loss; the metrics are never weighted."""
        reconstruction = -e.log_likelihood().mean()
        if self.beta == 0:
            return Loss(reconstruction, {"reconstruction": reconstruction})
        kl = e.kl().mean()
        metrics = {"reconstruction": reconstruction, "kl": kl} | _per_dimension(e)
        return Loss(reconstruction + self.weight(t) * kl, metrics)


def _per_dimension(e: Evidence) -> dict[str, Tensor]:
    terms = e.latents[0].kl_per_dimension() if len(e.latents) == 1 else None
    return {} if terms is None else {"kl_per_dimension": terms.flatten(0, -2).mean(0)}
