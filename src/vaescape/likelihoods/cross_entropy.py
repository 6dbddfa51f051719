"""Binary cross-entropy on grey pixels."""

from jaxtyping import Float
from torch import Tensor

from vaescape.conditionals import Likelihood, Measure
from vaescape.distributions import PseudoBernoulli
from vaescape.quantities import CROSS_ENTROPY


class CrossEntropy(Likelihood, name="cross-entropy"):
    """Binary cross-entropy summed over grey pixels: the study's term, and not a density.

    −Σ x log λ + (1 − x) log(1 − λ) at grey x. Over [0, 1] its exponential does not integrate to one
    (Loaiza-Ganem & Cunningham 2019), and a perfect image costs its pixels' own entropy.
    """

    measure = Measure.NONE
    quantity = CROSS_ENTROPY

    def forward(self, raw: Float[Tensor, "*S C H W"]) -> PseudoBernoulli:
        return PseudoBernoulli(raw)
