"""Latent dimensions held uncorrelated, with unit variance."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditions import NOT_NEGATIVE, ONE_OR_MORE, one_of, require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss, density, factors, one_layer

DIAGONAL = {"i": 100.0, "ii": 10.0}
"""Usual weight of the variances: 10 times that of the covariances, and the same."""


class DIP(EvidenceObjective, name="dip"):
    """−ELBO + off_diagonal·Σ_{i≠j} C_ij² + diagonal·Σ_i (C_ii − 1)²: DIP-VAE, I and II.

    Kumar et al. 2018. A covariance C of the codes is drawn to the identity: for kind I that of the
    posterior means, C = Cov[E[z | x]] (eq. 6); for kind II that of the aggregate posterior,
    C = Cov[E[z | x]] + E[Var[z | x]] (eq. 7).

    Args:
        kind: "i" or "ii".
        off_diagonal: Weight of the squared covariances.
        diagonal: Weight of the squared distances of the variances from 1; None: 100 for kind "i"
            and 10 for kind "ii".
        samples: Draws of z per image.
    """

    couples_batch = True

    needs = density, one_layer, factors
    variants = ("dip(kind='ii')",)

    def __init__(
        self,
        kind: str = "i",
        off_diagonal: float = 10.0,
        diagonal: float | None = None,
        samples: int = 1,
    ) -> None:
        super().__init__()
        require(*one_of(DIAGONAL), kind=kind)
        diagonal = DIAGONAL[kind] if diagonal is None else diagonal
        require(*NOT_NEGATIVE, off_diagonal=off_diagonal, diagonal=diagonal)
        require(*ONE_OR_MORE, samples=samples)
        self.form, self.samples = kind, samples
        self.off_diagonal, self.diagonal = off_diagonal, diagonal

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the loss; ``covariance_penalty`` is what is added to the negative ELBO."""
        terms, covariance = e.terms(), self.covariance(e)
        variances = covariance.diagonal()
        between = covariance.square().sum() - variances.square().sum()
        penalty = self.off_diagonal * between + self.diagonal * (variances - 1).square().sum()
        total = terms["reconstruction"] + terms["kl"] + penalty
        return Loss(total, terms | {"covariance_penalty": penalty})

    def covariance(self, e: Evidence) -> Float[Tensor, "D D"]:
        """Return C over the batch, in the square of z's unit."""
        q = self.factorised(e)[1]
        of_means = covariance(q.mean)
        return of_means if self.form == "i" else of_means + q.variance.mean(0).diag()


def covariance(means: Float[Tensor, "B D"]) -> Float[Tensor, "D D"]:
    """Return the covariance over the batch, divided by B.

    No matrix product: in a step of mixed precision it would be taken in bfloat16.
    """
    centred = means - means.mean(0)
    return (centred[:, :, None] * centred[:, None]).mean(0)
