"""Latent dimensions held uncorrelated, with unit variance."""

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor

from vaescape.components import require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import EvidenceObjective, Loss, density, factors, one_layer


class _DIP(EvidenceObjective):
    """−ELBO + off_diagonal·Σ_{i≠j} C_ij² + diagonal·Σ_i (C_ii − 1)², for a covariance C."""

    needs = density, one_layer, factors

    def __init__(self, off_diagonal: float, diagonal: float, samples: int) -> None:
        super().__init__()
        require(
            lambda v: 0 <= v < float("inf"),
            "a number, zero or more",
            off_diagonal=off_diagonal,
            diagonal=diagonal,
        )
        require(lambda v: v >= 1, "1 or more draws", samples=samples)
        self.off_diagonal, self.diagonal, self.samples = off_diagonal, diagonal, samples

    @abstractmethod
    def covariance(self, e: Evidence) -> Float[Tensor, "D D"]:
        """Return C over the batch, in the square of z's unit."""

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return the loss; ``covariance_penalty`` is what is added to the negative ELBO."""
        found, covariance = e.terms(), self.covariance(e)
        variances = covariance.diagonal()
        between = covariance.square().sum() - variances.square().sum()
        penalty = self.off_diagonal * between + self.diagonal * (variances - 1).square().sum()
        total = found["reconstruction"] + found["kl"] + penalty
        return Loss(total, found | {"covariance_penalty": penalty})


class DIP1(_DIP, name="dip-i"):
    """DIP-VAE-I: the ELBO, and the covariance of the posterior means is drawn to the identity.

    −ELBO + off_diagonal·Σ_{i≠j} C_ij² + diagonal·Σ_i (C_ii − 1)² with C = Cov[E[z | x]] (Kumar et
    al. 2018, eq. 6).

    Args:
        off_diagonal: Weight of the squared covariances.
        diagonal: Weight of the squared distances of the variances from 1.
        samples: Draws of z per image.
    """

    def __init__(
        self, off_diagonal: float = 10.0, diagonal: float = 100.0, samples: int = 1
    ) -> None:
        super().__init__(off_diagonal, diagonal, samples)

    def covariance(self, e: Evidence) -> Float[Tensor, "D D"]:
        """Return Cov[E[z | x]]."""
        return covariance(self.factorised(e)[1].mean)


class DIP2(_DIP, name="dip-ii"):
    """DIP-VAE-II: the ELBO, and the covariance of the aggregate posterior is drawn to the identity.

    −ELBO + off_diagonal·Σ_{i≠j} C_ij² + diagonal·Σ_i (C_ii − 1)² with C = Cov[E[z | x]] + E[Var[z |
    x]] (Kumar et al. 2018, eq. 7).

    Args:
        off_diagonal: Weight of the squared covariances.
        diagonal: Weight of the squared distances of the variances from 1.
        samples: Draws of z per image.
    """

    def __init__(
        self, off_diagonal: float = 10.0, diagonal: float = 10.0, samples: int = 1
    ) -> None:
        super().__init__(off_diagonal, diagonal, samples)

    def covariance(self, e: Evidence) -> Float[Tensor, "D D"]:
        """Return Cov[E[z | x]] + E[diag Var[z | x]]."""
        q = self.factorised(e)[1]
        return covariance(q.mean) + q.variance.mean(0).diag()


def covariance(means: Float[Tensor, "B D"]) -> Float[Tensor, "D D"]:
    """Return the covariance over the batch, divided by B.

    No matrix product: in a step of mixed precision it would be taken in bfloat16.
    """
    centred = means - means.mean(0)
    return (centred[:, :, None] * centred[:, None]).mean(0)
