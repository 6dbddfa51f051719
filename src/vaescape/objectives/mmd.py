"""The aggregate posterior held to the prior by a kernel."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditions import NOT_NEGATIVE, require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss, density, one_layer


class MMD(EvidenceObjective, name="mmd"):
    """reconstruction + β·KL + weight·MMD²(q(z), p(z)): InfoVAE, and with posterior ``point`` WAE.

    Zhao et al. 2019, in weights that are never negative: β is their 1 − α, weight their α + λ − 1.
    β = 0 with posterior ``point`` is the Wasserstein autoencoder of Tolstikhin et al. 2018,
    algorithm 2. The squared maximum mean discrepancy holds the batch's draws against as many of the
    prior, which learns nothing by it.

    Args:
        weight: Of MMD², which is at most 2, in nats per image.
        beta: Weight of the KL.
    """

    couples_batch = True

    needs = (one_layer,)

    def __init__(self, weight: float = 500.0, beta: float = 0.0) -> None:
        super().__init__()
        require(*NOT_NEGATIVE, weight=weight, beta=beta)
        self.weight, self.beta = weight, beta
        if beta > 0:
            self.needs = density, one_layer

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the loss; ``mmd2`` is an estimate without bias, so it may be below 0."""
        latent, terms = self.only_latent(e), e.terms()
        discrepancy = mmd2(latent.z[0], latent.prior_draws())
        total = terms["reconstruction"] + self.weight * discrepancy
        if self.beta:
            total = total + self.beta * terms["kl"]
        return Loss(total, terms | {"mmd2": discrepancy})


def mmd2(x: Float[Tensor, "N D"], y: Float[Tensor, "N D"]) -> Float[Tensor, ""]:
    """Return the squared maximum mean discrepancy of two samples (Gretton et al. 2012, eq. 3)."""
    return _mean_of_pairs(x) + _mean_of_pairs(y) - 2 * kernel(x, y).mean()


def kernel(x: Float[Tensor, "N D"], y: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """Return C / (C + ‖x − y‖²) of all pairs, with C = 2 D: the mean ‖x − y‖² under N(0, I).

    Tolstikhin et al. 2018, section 4.
    """
    scale = 2 * x.shape[-1]
    return scale / (scale + (x[:, None] - y).square().sum(-1))


def _mean_of_pairs(x: Float[Tensor, "N D"]) -> Float[Tensor, ""]:
    """Return the mean kernel of different points: a point with itself, 1, does not count."""
    return (kernel(x, x).sum() - len(x)) / max(len(x) * (len(x) - 1), 1)
