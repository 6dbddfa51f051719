"""What the importance-weighted objectives share."""

import math

from jaxtyping import Float
from torch import Tensor

from vaescape.components import require
from vaescape.models.evidence import Evidence
from vaescape.objectives.base import (
    EvidenceObjective,
    Loss,
    density,
    one_layer,
    path_gradient,
)


class ImportanceWeighted(EvidenceObjective):
    """Minus a bound made of the log-weights log p(x, z) − log q(z | x).

    What is reported is the bound itself, not a sum of weighted terms with the same gradient.

    Args:
        samples: Draws of z per image.
    """

    weighs_draws = True

    def __init__(self, samples: int = 50) -> None:
        super().__init__()
        require(lambda v: v >= 1, "1 or more draws", samples=samples)
        self.samples = samples

    def loss(self, e: Evidence, t: Tensor) -> Loss:
        """Return minus the bound, averaged over images."""
        log_likelihood = e.log_likelihood()
        bound = self.bound(log_likelihood + self.log_ratio(e), e)
        return Loss(-bound.mean(), e.terms(log_likelihood))

    def log_ratio(self, e: Evidence) -> Float[Tensor, "K B"]:
        """Return log p(z) − log q(z | x) of every draw, in nats."""
        return e.log_ratio()

    def bound(self, log_weight: Float[Tensor, "K B"], e: Evidence) -> Float[Tensor, "*M B"]:
        """Return the bound on log p(x) of each image, in nats."""
        return log_mean_exp(log_weight)


class PathWeighted(ImportanceWeighted):
    """The same, with the parameters of q stopped in log q: its gradient runs through z alone."""

    needs = density, one_layer, path_gradient

    def log_ratio(self, e: Evidence) -> Float[Tensor, "K B"]:
        """Return log p(z) − log q(z | x), with the parameters of q stopped."""
        latent = self.only_latent(e)
        return latent.log_p() - latent.path_log_q()


def log_mean_exp(log_weight: Tensor, dim: int = 0) -> Tensor:
    """Return log 1/K Σ exp(log_weight) over a dimension."""
    return log_weight.logsumexp(dim) - math.log(log_weight.shape[dim])
