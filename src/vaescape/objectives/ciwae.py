"""Between the evidence lower bound and the importance-weighted one."""

from jaxtyping import Float
from torch import Tensor

from vaescape.components import require
from vaescape.models.evidence import Evidence
from vaescape.objectives.importance import ImportanceWeighted


class CIWAE(ImportanceWeighted, name="ciwae"):
    """−(β·ELBO + (1 − β)·log 1/K Σ w): from ``iwae`` at β = 0 to the ELBO at β = 1.

    Rainforth et al. 2018. Both bounds are estimated on the same draws.

    Args:
        beta: Share of the ELBO, in [0, 1].
        samples: K, draws of z per image.
    """

    def __init__(self, beta: float = 0.5, samples: int = 50) -> None:
        require(lambda v: 0 <= v <= 1, "a share between 0 and 1", beta=beta)
        super().__init__(samples)
        self.beta = beta

    def bound(self, log_weight: Float[Tensor, "K B"], e: Evidence) -> Float[Tensor, " B"]:
        """Return the combination of the two bounds."""
        return self.beta * log_weight.mean(0) + (1 - self.beta) * super().bound(log_weight, e)
