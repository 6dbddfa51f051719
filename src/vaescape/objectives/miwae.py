"""Several importance-weighted bounds at once."""

from jaxtyping import Float
from torch import Tensor

from vaescape.components import require
from vaescape.models.evidence import Evidence
from vaescape.objectives.importance import ImportanceWeighted, log_mean_exp


class MIWAE(ImportanceWeighted, name="miwae"):
    """−1/M Σ_m log 1/K Σ_k w: a mean of M importance-weighted bounds of K draws each.

    Rainforth et al. 2018: the groups take noise out of the encoder's gradient, the draws
    in a group make the bound tighter. K = 1 is ``elbo`` with M draws, M = 1 is ``iwae``.

    Args:
        samples: K, draws of z in a group. An image has M·K draws in all.
        groups: M.
    """

    def __init__(self, samples: int = 10, groups: int = 5) -> None:
        require(lambda v: v >= 1, "1 or more", samples=samples, groups=groups)
        super().__init__(groups * samples)
        self.groups = groups

    def bound(self, log_weight: Float[Tensor, "MK B"], e: Evidence) -> Float[Tensor, "M B"]:
        """Return the bound of each group."""
        return log_mean_exp(log_weight.unflatten(0, (self.groups, -1)), dim=1)
